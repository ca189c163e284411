"""Arrays that are still tensors: what NumPy is given, and gives, where a graph must follow it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from occvino.doctor.findings import DoctorError
from occvino.doctor.recipe_names import FORMULAS, OTHER_NAMES
from occvino.doctor.recipe_small import inverse

_TORCH_TYPES = {
    name: getattr(torch, name)
    for name in ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
}
_UFUNCS = {"absolute": "abs", "power": "pow", "degrees": "rad2deg", "radians": "deg2rad", **OTHER_NAMES}
"""Functions that have another name in torch, or one that more frontends know; all others have the same."""


class TensorArray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array for NumPy's functions that is a tensor for every exporter.

    What it does not know is refused, so that nothing is frozen unseen.

    Args:
        tensor: the tensor behind it.
        path: where in a call it came from, for messages.
        number: it stands for a Python number.
    """

    def __init__(self, tensor: Tensor, path: str = "", *, number: bool = False) -> None:
        self.tensor, self.path, self.number = tensor, path, number

    @property
    def shape(self) -> tuple[int, ...]:
        """As of `numpy.ndarray`."""
        return tuple(self.tensor.shape)

    @property
    def ndim(self) -> int:
        """As of `numpy.ndarray`."""
        return self.tensor.dim()

    @property
    def dtype(self) -> Any:
        """As of `numpy.ndarray`."""
        return np.dtype(str(self.tensor.dtype).removeprefix("torch."))

    @property
    def T(self) -> TensorArray:  # noqa: N802 - NumPy's name
        """As of `numpy.ndarray`."""
        return self.transpose()

    def astype(self, dtype: Any, **_: Any) -> TensorArray:
        """As of `numpy.ndarray`."""
        return self._like(self.tensor.to(_TORCH_TYPES[np.dtype(dtype).name]))

    def reshape(self, *shape: Any) -> TensorArray:
        """As of `numpy.ndarray`."""
        return self._like(self.tensor.reshape(*shape))

    def transpose(self, *axes: int) -> TensorArray:
        """As of `numpy.ndarray`."""
        return self._like(self.tensor.permute(*(axes or range(self.tensor.dim())[::-1])))

    def squeeze(self, axis: int | None = None) -> TensorArray:
        """As of `numpy.ndarray`."""
        return self._like(self.tensor.squeeze() if axis is None else self.tensor.squeeze(axis))

    def flatten(self) -> TensorArray:
        """As of `numpy.ndarray`."""
        return self._like(self.tensor.reshape(-1))

    ravel = flatten

    def copy(self) -> TensorArray:
        """As of `numpy.ndarray`."""
        return self._like(self.tensor.clone())

    def dot(self, other: Any) -> Any:
        """As of `numpy.ndarray`."""
        return self @ other

    def __len__(self) -> int:
        return int(self.tensor.shape[0])

    def __iter__(self) -> Iterator[TensorArray]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: Any) -> TensorArray:
        return self._like(self.tensor[_plain(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        changed = self.tensor.clone()  # the caller's array is not the module's to write into
        changed[_plain(index)] = as_tensor(value).to(changed)
        self.tensor = changed

    def __copy__(self) -> TensorArray:
        return TensorArray(self.tensor, self.path, number=self.number)  # writing gives it another tensor

    def __deepcopy__(self, memo: Any) -> TensorArray:
        return self.__copy__()  # a deep copy of a tensor that is traced would be a constant

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise DoctorError(self._refusal("NumPy computes with it in a way that torch is not known for"))

    def __float__(self) -> float:
        raise DoctorError(self._refusal("it becomes a Python number"))

    __int__ = __index__ = __float__  # pyright: ignore[reportAssignmentType]

    def __bool__(self) -> bool:
        raise DoctorError(self._refusal("Python decides on its value"))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        name = str(ufunc.__name__)
        function = _torch_function(_UFUNCS.get(name, name))
        if method != "__call__" or function is None or kwargs:
            raise DoctorError(self._refusal(f"np.{name} has no counterpart"))
        return self._like(function(*(as_tensor(value) for value in inputs)))

    def __array_function__(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = f"{func.__module__}.{func.__name__}".replace("numpy.", "")
        function = _FUNCTIONS.get(name)
        if function is None:
            raise DoctorError(self._refusal(f"np.{name} has no counterpart"))
        _called.add(f"np.{name}")
        return self._like(function(*args, **kwargs))

    def _like(self, tensor: Tensor) -> TensorArray:
        return TensorArray(tensor, self.path)

    def _refusal(self, why: str) -> str:
        return f"{self.path or 'an array'} is kept as a tensor, and {why}: write that step with torch"


_called: set[str] = set()


def _torch_function(name: str) -> Callable[..., Tensor] | None:
    return FORMULAS[name][0] if name in FORMULAS else getattr(torch, name, None)


def _plain(index: Any) -> Any:
    parts = index if isinstance(index, tuple) else (index,)
    plain = tuple(part.tensor if isinstance(part, TensorArray) else part for part in parts)
    return plain if isinstance(index, tuple) else plain[0]


def holds(value: Any) -> bool:
    """A `TensorArray`, or a list that has one in it."""
    return isinstance(value, TensorArray) or (isinstance(value, list | tuple) and any(map(holds, value)))


def as_tensor(value: Any) -> Tensor:
    """The tensor of an array, of a number, or of nested lists of them."""
    if isinstance(value, TensorArray):
        return value.tensor
    if isinstance(value, list | tuple) and holds(value):
        parts = [as_tensor(part) for part in value]
        kind = next(part.dtype for part in parts if part.is_floating_point())
        return torch.stack([part.to(kind) for part in parts])
    return value if isinstance(value, Tensor) else torch.as_tensor(value)


def _inverse(matrix: Any) -> Tensor:
    tensor = as_tensor(matrix)
    return inverse(tensor) if tensor.shape[-1] in (2, 3, 4) else torch.linalg.inv(tensor)


def _reduced(function: Callable[..., Tensor], value: Any, axis: Any, keepdims: bool) -> Tensor:
    tensor = as_tensor(value)
    return function(tensor, tuple(range(tensor.dim())) if axis is None else axis, keepdim=keepdims)


def _repeated(tensor: Tensor, repeats: int, axis: int | None) -> Tensor:
    return tensor.flatten().repeat_interleave(repeats) if axis is None else tensor.repeat_interleave(repeats, axis)


_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "linalg.inv": _inverse,
    "linalg.norm": lambda x, axis=None, keepdims=False: torch.linalg.norm(as_tensor(x), dim=axis, keepdim=keepdims),
    "stack": lambda arrays, axis=0: torch.stack([as_tensor(a) for a in arrays], axis),
    "concatenate": lambda arrays, axis=0: torch.cat([as_tensor(a) for a in arrays], axis),
    "vstack": lambda arrays: torch.vstack([as_tensor(a) for a in arrays]),
    "hstack": lambda arrays: torch.hstack([as_tensor(a) for a in arrays]),
    "dot": lambda a, b: as_tensor(a) @ as_tensor(b),
    "einsum": lambda spec, *arrays: torch.einsum(spec, *(as_tensor(a) for a in arrays)),
    "transpose": lambda x, axes=None: as_tensor(x).permute(*(axes or range(as_tensor(x).dim())[::-1])),
    "swapaxes": lambda x, a, b: as_tensor(x).transpose(a, b),
    "expand_dims": lambda x, axis: as_tensor(x).unsqueeze(axis),
    "squeeze": lambda x, axis=None: as_tensor(x).squeeze() if axis is None else as_tensor(x).squeeze(axis),
    "reshape": lambda x, shape: as_tensor(x).reshape(shape),
    "copy": lambda x: as_tensor(x).clone(),
    "zeros_like": lambda x: torch.zeros_like(as_tensor(x)),
    "ones_like": lambda x: torch.ones_like(as_tensor(x)),
    "sum": lambda x, axis=None, keepdims=False: _reduced(torch.sum, x, axis, keepdims),
    "mean": lambda x, axis=None, keepdims=False: _reduced(torch.mean, x, axis, keepdims),
    "max": lambda x, axis=None, keepdims=False: _reduced(torch.amax, x, axis, keepdims),
    "min": lambda x, axis=None, keepdims=False: _reduced(torch.amin, x, axis, keepdims),
    "broadcast_to": lambda x, shape: as_tensor(x).expand(shape),
    "repeat": lambda x, repeats, axis=None: _repeated(as_tensor(x), repeats, axis),
    "tile": lambda x, reps: as_tensor(x).tile(reps if isinstance(reps, tuple) else (reps,)),
}
"""Functions of NumPy in torch, as far as code on camera matrices calls them."""


def _array(value: Any, dtype: Any = None) -> TensorArray:
    made = TensorArray(as_tensor(value).clone())
    return made if dtype is None else made.astype(dtype)


def _tensor(value: Any, dtype: Any, device: Any, default: Any = None) -> Tensor:
    tensor = as_tensor(value).clone()  # a copy: what the module writes into it is not the caller's
    return tensor.to(device=device if device is not None else tensor.device, dtype=dtype or default or tensor.dtype)


def _all_numbers(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_all_numbers, value))
    return value.number if isinstance(value, TensorArray) else isinstance(value, int | float)


@contextmanager
def followed() -> Generator[set[str], None, None]:
    """Inside, what makes arrays and tensors of data takes a `TensorArray` too; gives the names of NumPy's functions.

    NumPy has hooks for its functions and none for `np.array`; PyTorch has none for `torch.from_numpy`.
    """
    _called.clear()

    def arrays(original: Any) -> Any:
        def made(value: Any, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
            return _array(value, dtype) if holds(value) else original(value, dtype, *args, **kwargs)

        return made

    def tensors(original: Any) -> Any:
        def made(value: Any, *args: Any, dtype: Any = None, device: Any = None, **kwargs: Any) -> Any:
            if holds(value):  # of Python numbers PyTorch makes its default type
                return _tensor(value, dtype, device, torch.get_default_dtype() if _all_numbers(value) else None)
            return original(value, *args, **kwargs, **_given(dtype=dtype, device=device))

        return made

    new_tensor = Tensor.new_tensor

    def like(self: Tensor, value: Any, *args: Any, dtype: Any = None, device: Any = None, **kwargs: Any) -> Any:
        if holds(value):
            return _tensor(value, dtype or self.dtype, device or self.device)
        return new_tensor(self, value, *args, **kwargs, **_given(dtype=dtype, device=device))

    named = [(np, name, arrays) for name in ("array", "asarray", "asanyarray", "ascontiguousarray")]
    named += [(torch, name, tensors) for name in ("from_numpy", "tensor", "as_tensor")]
    before = [(home, name, getattr(home, name)) for home, name, _ in named] + [(Tensor, "new_tensor", new_tensor)]
    try:
        for home, name, wrap in named:
            setattr(home, name, wrap(getattr(home, name)))
        Tensor.new_tensor = like  # pyright: ignore[reportAttributeAccessIssue]
        yield _called
    finally:
        for home, name, original in before:
            setattr(home, name, original)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
