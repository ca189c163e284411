"""One tensor of a request, checked before it is used: name, type, shape, and that nothing is lost on the way."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from occvino.errors import FrameError

NUMBERS = {"UINT8": np.dtype(np.uint8), "FP32": np.dtype(np.float32), "FP64": np.dtype(np.float64)}
"""The types of the protocol that are taken besides BYTES, strings of bytes of any length."""


class Tensor(Protocol):
    """What the protocol calls an input, as kserve's `InferInput` has it."""

    @property
    def name(self) -> str:
        """Of the input."""
        ...

    @property
    def datatype(self) -> str:
        """In the protocol's words, as "UINT8"."""
        ...

    @property
    def shape(self) -> list[int]:
        """As the client says."""
        ...

    @property
    def data(self) -> Any:
        """A list, if the values are in the request itself; None, or an empty one, if they follow as bytes."""
        ...

    def as_numpy(self) -> NDArray[Any]:
        """The values in that shape. Raises `ValueError` and the like if they do not fit."""
        ...


def tensors_of(inputs: Sequence[Tensor], known: Sequence[str]) -> dict[str, Tensor]:
    """The inputs of a request by their names.

    Raises:
        FrameError: one is unknown, or is there twice.
    """
    found: dict[str, Tensor] = {}
    for tensor in inputs:
        if tensor.name not in known:
            raise FrameError(f"the request has an input {tensor.name!r}; this model takes {', '.join(known)}")
        if tensor.name in found:
            raise FrameError(f"the request has the input {tensor.name} twice")
        found[tensor.name] = tensor
    return found


def array_of(tensors: Mapping[str, Tensor], name: str, shapes: Mapping[str, Sequence[int]]) -> NDArray[Any]:
    """The values of an input.

    Args:
        tensors: of the request.
        name: of the input.
        shapes: for each type that it may have, its shape, -1 for a size that is left open.

    Raises:
        FrameError: it is missing, of another type or shape, or holds other values than these say.
    """
    expected = " or ".join(f"{kind} {list(shape)}" for kind, shape in shapes.items())
    if name not in tensors:
        raise FrameError(f"the request has no input {name}: expected {expected}")
    tensor = tensors[name]
    given = f"{name} is {tensor.datatype} {tensor.shape}"
    if tensor.datatype not in shapes or not _fits(tensor.shape, shapes[tensor.datatype]):
        raise FrameError(f"{given}, expected {expected}")
    try:
        listed = None if tensor.datatype == "BYTES" or tensor.data is None else np.asarray(tensor.data)
        found = tensor.as_numpy() if listed is None or listed.size == 0 else _exactly(listed, tensor)
    except (ValueError, TypeError, OverflowError, struct.error) as error:
        raise FrameError(f"{given}, and its data are not: {error}") from error
    if list(found.shape) != list(tensor.shape):
        raise FrameError(f"{given}, and its data are {list(found.shape)}")
    return found


def _fits(shape: Sequence[Any], expected: Sequence[int]) -> bool:
    return len(shape) == len(expected) and all(
        type(size) is int and (size == wanted or (wanted < 0 < size))
        for size, wanted in zip(shape, expected, strict=True)
    )


def _exactly(listed: NDArray[Any], tensor: Tensor) -> NDArray[Any]:
    """Numbers of JSON in the type that they are said to have; NumPy alone would cut 1.7 to 1."""
    if listed.dtype.kind not in "iuf":
        raise ValueError(f"they hold {listed.dtype}, expected numbers")
    wanted = NUMBERS[tensor.datatype]
    if wanted.kind == "u":
        limits = np.iinfo(wanted.name)
        if not ((listed >= limits.min) & (listed <= limits.max) & (listed == np.floor(listed))).all():
            raise ValueError(f"they hold a value that is not a whole number from {limits.min} to {limits.max}")
    return listed.astype(wanted).reshape(tensor.shape)
