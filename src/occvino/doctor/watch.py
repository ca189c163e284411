"""Running a module under observation: every step out of tensor land, with the user's line where it was taken.

Nothing here reads source text. What a Python number, a NumPy array or a solver call is made from is seen because
PyTorch lets a mode stand between the caller and each of its functions; `autograd.Function`s and the line of a `return`
are seen through Python's profiling hook, which also catches an `apply` that was bound to another name long before.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from types import CodeType, FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch._C import DisableTorchFunction
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from occvino.doctor.applied import Applications
from occvino.doctor.calls import leaves, replace_leaves
from occvino.doctor.observation import Event, Observation
from occvino.doctor.places import Place, user_place
from occvino.doctor.recipe_calls import RANGE, CallRecipe, call_recipe
from occvino.doctor.scatter import PACKAGE, obstacle, rebound
from occvino.doctor.state import state_kept

FP16_MAX = 65504.0
INT32_MAX = 2**31 - 1
_MASK = 1e30
"""Magnitudes above this are -inf in disguise (attention masks), not numbers that a network computes with."""

_ESCAPES = {
    "item": "item",
    "__int__": "number",
    "__float__": "number",
    "__index__": "number",
    "__complex__": "number",
    "__bool__": "bool",
    "__contains__": "bool",
    "__len__": "len",
    "tolist": "tolist",
    "numpy": "numpy",
    "__array__": "numpy",
}
SOLVERS = frozenset(
    (
        *("inverse", "inv", "inv_ex", "linalg_inv", "linalg_inv_ex", "pinverse", "linalg_pinv", "linalg_solve"),
        *("linalg_lstsq", "linalg_svd", "svd", "linalg_qr", "qr", "linalg_eigh", "linalg_eig"),
        *("linalg_cholesky", "cholesky"),
    )
)
_BUILT_IN = frozenset({"aten", "prim", "prims", "profiler", "_operator"})


Call = tuple[tuple[Any, ...], dict[str, Any]]


def observe(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], seen: Observation | None = None
) -> Observation:
    """Run `module(*args, **kwargs)` once without gradients and watch. Its state is put back as it was.

    `seen`, if given, is filled: it holds what happened before a module raised.

    Raises:
        Exception: whatever the module raises.
    """
    seen = seen if seen is not None else Observation()
    functions = _Functions(module, seen)
    with (
        torch.no_grad(),
        state_kept(module, _stores(seen, module)),
        rebound(module, _noting(seen)),
        _profiled(module, seen, functions),
        _Operators(module, seen, functions),
        functions,
    ):
        seen.output = module(*args, **kwargs)
    return seen


def output_after(module: nn.Module, first: Call, second: Call) -> Any:
    """Output of the second of two calls in a row; then buffers and attributes are put back."""
    with torch.no_grad(), state_kept(module):
        module(*first[0], **first[1])
        return module(*second[0], **second[1])


class _Functions(TorchFunctionMode):
    """Functions that turn a tensor into something else, and solver calls."""

    def __init__(self, module: nn.Module, seen: Observation) -> None:
        super().__init__()
        self.seen = seen
        self.applications = Applications(seen)
        self.constants = _constants_of(module)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        if self.applications.depth:
            if name in _ESCAPES:
                self._note_inside(name)
            return func(*args, **kwargs)
        recipe = call_recipe(func, args, kwargs)
        if recipe is not None:
            self._add_call(recipe, args)
        if name in SOLVERS:
            return self._solve(func, args, kwargs, user_place(), describe(args[0]))
        before = len(self.seen.events)
        result = func(*args, **kwargs)
        if name in _ESCAPES:  # what it does below belongs to it
            del self.seen.events[before:]
        constant = self._all_constant((args, kwargs))
        if name not in _ESCAPES:
            self._note_sizes(name, before, (args, kwargs))
        if name == "size" or getattr(func, "__self__", None) is Tensor.shape:
            self._add_size()
        if name in _ESCAPES:
            self._add_escape(name, args[0], result, constant)
        elif constant and isinstance(result, Tensor):
            self.constants[result] = True
        elif not constant and args and isinstance(args[0], Tensor) and (name == "__setitem__" or name.endswith("_")):
            self.constants.pop(args[0], None)
        return result

    def _all_constant(self, given: Any) -> bool:
        tensors = [leaf for _, leaf in leaves(given) if isinstance(leaf, Tensor)]
        return bool(tensors) and all(tensor in self.constants for tensor in tensors)

    def _note_sizes(self, name: str, before: int, given: Any) -> None:
        """Sizes made of the module's own tensors, as in `torch.zeros(nx[2], nx[0])`: read inside this call."""
        read = [at for at in range(before, len(self.seen.events)) if self.seen.events[at].kind == "index"]
        numbers = scalars(given)
        if not read or len(read) != len(numbers) or not all(number in self.constants for number in numbers):
            return
        values = tuple(self.seen.events[at].value for at in read)
        first = self.seen.events[read[0]]
        self.seen.events[read[0]] = replace(first, kind="size", name=name, value=values, constant=True)
        for at in reversed(read[1:]):
            del self.seen.events[at]

    def _add_escape(self, name: str, tensor: Tensor, value: Any, constant: bool) -> None:
        place = user_place()
        if place is not None:
            static = name == "__len__" and not self.seen.dynamic
            event = Event(
                _ESCAPES[name], f"Tensor.{name}", place, describe(tensor), _digest(value), constant, static=static
            )
            self.seen.events.append(event)

    def _add_call(self, recipe: CallRecipe, args: tuple[Any, ...]) -> None:
        place = user_place()
        if place is not None:
            subject = describe(args[0]) if args else recipe.name
            self.seen.events.append(Event("call", recipe.name, place, subject, recipe))

    def _add_size(self) -> None:
        place = user_place()
        if place is not None and place not in self.seen.sizes:
            self.seen.sizes.append(place)

    def _note_inside(self, name: str) -> None:
        """The function's own event is the last one: nothing else is recorded while it runs."""
        if self.seen.events and self.seen.events[-1].kind == "function" and not self.seen.events[-1].trouble:
            self.seen.events[-1] = replace(self.seen.events[-1], trouble=f"Tensor.{name} inside its forward")

    def _solve(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], place: Place | None, subject: str
    ) -> Any:
        """Solvers of CUDA fail or warn at run time, far from the cause: keep what they say beside the line."""
        trouble = ""
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                result = func(*args, **kwargs)
            trouble = "; ".join(str(warning.message).splitlines()[0] for warning in caught)
        except RuntimeError as failure:
            trouble = f"{type(failure).__name__}: {str(failure).splitlines()[0]}"
            if not on_accelerator(args[0]):
                raise
            host = _moved((args, kwargs), "cpu")
            result = _moved(func(*host[0], **host[1]), args[0].device)
            trouble += " (the examination went on with this call on the CPU)"
        finally:
            if place is not None:
                spelt = f"torch.{func.__name__}".replace("linalg_", "linalg.")
                self.seen.events.append(Event("solver", spelt, place, subject, trouble=trouble))
        return result


def scalars(given: Any) -> list[Tensor]:
    """Tensors that stand for one whole number among arguments, slices included, in order."""
    found: list[Tensor] = []
    for _, leaf in leaves(given):
        for part in (leaf.start, leaf.stop, leaf.step) if isinstance(leaf, slice) else (leaf,):
            if isinstance(part, Tensor) and part.numel() == 1 and not part.dim() and not part.is_floating_point():
                found.append(part)
    return found


def _moved(value: Any, device: Any) -> Any:
    return replace_leaves(value, lambda _, leaf: leaf.to(device) if isinstance(leaf, Tensor) else leaf)


def on_accelerator(tensor: Tensor) -> bool:
    """Its solver is not LAPACK on the host."""
    return tensor.device.type != "cpu"


class _Operators(TorchDispatchMode):
    """Below the functions: operators, writes into buffers, random numbers, magnitudes, tensors taken as an index."""

    def __init__(self, module: nn.Module, seen: Observation, functions: _Functions) -> None:
        super().__init__()
        self.seen, self.functions = seen, functions
        self.buffers = {b.untyped_storage().data_ptr(): name for name, b in module.named_buffers() if b.numel()}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = f"{func.namespace}::{func._opname}"
        place = user_place()
        if place is None:
            return result
        places = self.seen.operators.setdefault(name, [])
        if place not in places:
            places.append(place)
            if args and isinstance(args[0], Tensor):
                self.seen.ranks[name, place] = args[0].dim()
        if name == "aten::range":  # no function mode sees torch.range
            self.seen.events.append(Event("call", RANGE.name, place, describe(result), RANGE))
        if func.namespace not in _BUILT_IN:
            self._add("custom-op", f"torch.ops.{func.namespace}.{func._opname}", place, describe(result))
        if name == "aten::_local_scalar_dense" and not self.functions.applications.depth:  # as in x[:n], torch.zeros(n)
            self.seen.events.append(Event("index", "Tensor.__index__", place, describe(args[0]), _digest(result)))
        if torch.Tag.dynamic_output_shape in func.tags and (func._opname != "index" or _has_mask(args[1])):
            self.seen.dynamic = True
        if torch.Tag.nondeterministic_seeded in func.tags and not name.startswith("aten::empty"):
            self._add("random", name, place, describe(result))
        with DisableTorchFunction():  # what is done to watch must not be watched
            if func._schema.is_mutable:
                self._note_writes(func, args, kwargs or {}, place)
            self._note_magnitude(name, place, args, result)
        return result

    def _add(self, kind: str, name: str, place: Place, subject: str) -> None:
        self.seen.events.append(Event(kind, name, place, subject))

    def _note_writes(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], place: Place) -> None:
        for index, argument in enumerate(func._schema.arguments):
            value = args[index] if index < len(args) else kwargs.get(argument.name)
            if argument.alias_info is None or not argument.alias_info.is_write or not isinstance(value, Tensor):
                continue
            buffer = self.buffers.get(value.untyped_storage().data_ptr())
            if buffer is not None:
                self._add("buffer", func._opname, place, f"buffer '{buffer}'")

    def _note_magnitude(self, name: str, place: Place, args: tuple[Any, ...], result: Any) -> None:
        if not isinstance(result, Tensor) or not result.numel():
            return
        if result.dtype in (torch.float32, torch.bfloat16) and self.seen.overflow is None:
            largest = _largest(result)
            given = [a for a in args if isinstance(a, Tensor) and a.is_floating_point() and a.numel()]
            if FP16_MAX < largest < _MASK and all(_largest(a) <= FP16_MAX for a in given):
                self.seen.overflow = Event("overflow", name, place, describe(result), largest)
            return
        if name == "aten::_to_copy" and args[0].is_floating_point() and not result.is_floating_point():
            self.seen.binned |= result.dtype is not torch.bool and result.numel() > 1
        if result.dtype is torch.int64 and self.seen.wide is None:
            largest = _largest(result)
            if largest > INT32_MAX:
                self.seen.wide = Event("wide", name, place, describe(result), int(largest))


@contextmanager
def _profiled(module: nn.Module, seen: Observation, functions: _Functions) -> Generator[None, None, None]:
    """Python's own hook: applications of autograd Functions, and the line at which `forward` returned."""
    forward_code = code_of_forward(module)

    def hook(frame: FrameType, event: str, value: Any) -> None:
        if frame.f_code is forward_code and event == "return":
            seen.returned_at = Place.of(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
        else:
            functions.applications.hook(frame, event, value)

    before = sys.getprofile()
    sys.setprofile(hook)
    try:
        yield
    finally:
        sys.setprofile(before)


def _noting(seen: Observation) -> Callable[[str, Callable[..., Any]], Callable[..., Any]]:
    """Calls of torch_scatter as one event each: what happens inside, other calls of it included, belongs to them."""

    def wrap(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            events, sizes = len(seen.events), len(seen.sizes)
            result = function(*args, **kwargs)
            del seen.events[events:], seen.sizes[sizes:]
            place = user_place()
            if place is not None:
                subject = describe(next(leaf for _, leaf in leaves((args, kwargs)) if isinstance(leaf, Tensor)))
                why = obstacle(name, args, kwargs)
                seen.events.append(Event("scatter", f"{PACKAGE}.{name}", place, subject, trouble=why))
            return result

        return noted

    return wrap


def _stores(seen: Observation, module: nn.Module) -> Callable[[nn.Module, str, Any], None]:
    names = {id(child): name for name, child in module.named_modules()}

    def stored(owner: nn.Module, name: str, value: Any) -> None:
        place = user_place()
        if isinstance(value, Tensor) and id(owner) in names and place is not None:
            path = ".".join(part for part in (names[id(owner)], name) if part)
            seen.events.append(Event("state", name, place, f"attribute '{path}', {describe(value)}"))

    return stored


def code_of_forward(module: nn.Module) -> CodeType | None:
    """Code of the module's own `forward`, through decorators; None when it is not Python."""
    forward: Callable[..., Any] = inspect.unwrap(module.forward)
    return getattr(forward, "__code__", None)


def describe(value: Any) -> str:
    """`float32 [2, 3, 8]`, or the type of what is not a tensor."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} [{', '.join(map(str, value.shape))}]"
    return type(value).__name__


def _constants_of(module: nn.Module) -> WeakTensorKeyDictionary:
    """Tensors that the module holds: parameters, buffers and plain attributes."""
    constants = WeakTensorKeyDictionary()
    for child in module.modules():
        held = [*vars(child).values(), *child.parameters(recurse=False), *child.buffers(recurse=False)]
        for _, value in leaves(held):
            if isinstance(value, Tensor):
                constants[value] = True
    return constants


def _has_mask(indices: Any) -> bool:
    return any(isinstance(t, Tensor) and t.dtype in (torch.bool, torch.uint8) for t in indices)


def _largest(value: Tensor) -> float:
    low, high = torch.aminmax(value)
    return max(abs(float(low)), abs(float(high)))


def _digest(value: Any) -> Any:
    if isinstance(value, bool | int | float | complex):
        return value
    flat = [leaf for _, leaf in leaves(value.tolist() if hasattr(value, "tolist") else value)]
    return (len(flat), hash(tuple(flat)))
