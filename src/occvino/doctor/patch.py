"""Applying the safe recipes to a copy of a module, and proving on its own call that nothing else changed."""

from __future__ import annotations

import copy
import functools
import inspect
import itertools
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from occvino.doctor import scatter
from occvino.doctor.calls import clone, replace_leaves, tensors_out
from occvino.doctor.case import Case, agrees, worst
from occvino.doctor.findings import DoctorError
from occvino.doctor.places import Place, is_user_file, user_place
from occvino.doctor.recipe_calls import RANGE, CallRecipe, call_recipe, range_replaced
from occvino.doctor.recipe_functions import function_recipe
from occvino.doctor.recipes import closed_form_inverse, tracing
from occvino.doctor.solver import closed_form_exists
from occvino.doctor.state import state_kept
from occvino.doctor.watch import Call, Event

Module = TypeVar("Module", bound=nn.Module)
_INVERSES = frozenset({"inverse", "linalg_inv"})
_NUMBERS = {
    "item": "item",
    "__int__": "number",
    "__float__": "number",
    "__index__": "number",
    "__bool__": "bool",
    "__len__": "len",
}


def patch(module: Module, args: tuple[Any, ...] | None = None, kwargs: dict[str, Any] | None = None) -> Module:
    """A copy of `module` in which what the doctor can safely replace is replaced; the class and the weights stay.

    - Inverses of 2x2, 3x3 and 4x4 matrices become closed forms: no solver.
    - Known poolers (`recipes.RECIPES`, and the calls of torch_scatter) become `occvino.bev_pool` or a scatter-add.
    - Numbers read from the module's own tensors, as `int(self.grid_size[2])`, become Python constants. Numbers that
      may depend on an input stay as they are: freezing them is the trap.
    - `len(kept) == 0`: the length becomes that of the first call, if calls with other lengths prove that only being
      empty matters.
    - NumPy arrays at the end of `forward`, as `labels.cpu().numpy().astype(np.uint8)`, stay tensors.

    Equality is proved on the call given here, or else on the first call of the copy: on its inputs and again with the
    floating-point ones changed. `patches_of(copy)` says what was replaced and how large the error was.

    A later call of a kind that was not proved, as one that leaves nothing inside the grid, is the user's to test.

    Raises:
        DoctorError: the outputs differ, there is nothing to replace, or the copy is exported before its first call.
    """
    patched = copy.deepcopy(module)
    patches = Patches(patched, module.forward)
    if args is not None or kwargs is not None:
        patches.prove(args or (), kwargs or {})
    return patched


def patches_of(module: nn.Module) -> Patches:
    """What `patch` did to a module that it made."""
    patches: Any = module.doctor
    return patches


class _UnequalError(DoctorError):
    """A replacement changed the outputs."""


class Patches:
    """What was replaced in a module, and the proof.

    Args:
        module: the copy; its `forward` is replaced.
        documented: the original `forward`, for its signature.

    Attributes:
        steps: each replacement, with the line it was made at.
        error: largest difference of the outputs from the original's, of the largest value; None before the proof.
    """

    def __init__(self, module: nn.Module, documented: Callable[..., Any]) -> None:
        self.steps: list[tuple[Place, str]] = []
        self.error: float | None = None
        self._module, self._original = module, module.forward
        self._constants: dict[tuple[str, str, int], list[Any]] = {}
        self._functions: dict[type, Callable[..., Any]] = {}
        self._calls: set[CallRecipe] = set()
        self._original_runs = self._arrays = self._scatters = False

        @functools.wraps(documented)
        def forward(*args: Any, **kwargs: Any) -> Any:
            return self._forward(args, kwargs)

        setattr(forward, "__signature__", inspect.signature(documented))  # noqa: B010 - unknown to type checkers
        module.forward = forward
        module.doctor = self  # pyright: ignore[reportArgumentType]

    def __deepcopy__(self, memo: dict[int, Any]) -> Patches:
        raise DoctorError("a patched module cannot be copied: patch the copy instead")

    @property
    def applied(self) -> list[str]:
        """One line of text for each replacement."""
        return [f"{said} (line {place.line})" for place, said in self.steps]

    def prove(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Choose the replacements by watching the original run, and compare the outputs with and without them.

        Raises:
            DoctorError: there is nothing to replace, or the outputs differ.
        """
        self._original_runs = True
        try:
            case = Case(self._module, args, kwargs, routes=())
            varied = case.varied_floats
        finally:
            self._original_runs = False
        calls = [((args, kwargs), case.outputs)]
        if varied is not None:
            calls.append((case.flat.call_of(varied.inputs), varied.outputs))
        failure: DoctorError | None = None
        for without in _given_up(case, certain=() if varied is not None else ("len",)):
            self._choose(case, without)
            if not self.steps:
                break
            try:
                self.error = max(self._compare(call, expected) for call, expected in calls)
                return
            except _UnequalError as unequal:
                failure = unequal
        raise failure or DoctorError(
            f"nothing in {type(self._module).__name__} has a safe recipe: see the report of diagnose"
        )

    def _forward(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._original_runs:
            return self._original(*args, **kwargs)
        if self.error is None:
            if tracing() or torch.compiler.is_exporting():
                raise DoctorError(
                    "the patched module has not been proved equal yet: call it once on real inputs before exporting "
                    "it, or give them to patch(module, args, kwargs)"
                )
            self.prove(args, kwargs)
        return self._patched(args, kwargs)

    def _patched(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        scatters = scatter.rebound(self._module, scatter.replaced) if self._scatters else nullcontext()
        with (
            self._poolers(),
            scatters,
            range_replaced(RANGE in self._calls),
            _Recipes(self._constants, self._arrays, self._calls),
        ):
            output = self._original(*args, **kwargs)
        return replace_leaves(output, lambda _, leaf: leaf.tensor if isinstance(leaf, TensorArray) else leaf)

    def _compare(self, call: Call, expected: tuple[Tensor, ...]) -> float:
        with torch.no_grad(), state_kept(self._module):
            try:
                output = self._patched(clone(call[0]), clone(call[1]))
            except Exception as failure:  # the user's code meets values that it has never met
                raise _UnequalError(f"the patched module fails with {'; '.join(self.applied)}: {failure}") from failure
        got = tuple(tensors_out(output).values())
        gap = worst(got, expected)
        if not agrees(got, expected):
            raise _UnequalError(
                f"the patched module differs from the original by {gap:.2g} of the largest value, with "
                f"{'; '.join(self.applied)}: it is not handed out"
            )
        return gap

    def _choose(self, case: Case, without: tuple[str, ...]) -> None:
        steps: list[tuple[Place, str]] = []
        self._constants.clear()
        self._functions.clear()
        self._calls.clear()
        self._arrays = self._scatters = False
        for event in case.base.events:
            said = "" if {event.kind, event.name} & set(without) else self._chosen(event, case)
            if said:
                steps.append((event.place, said))
        self.steps = list(dict.fromkeys(steps))

    def _chosen(self, event: Event, case: Case) -> str:
        """What is done about one event; empty for nothing."""
        if event.kind == "solver" and event.name.split(".")[-1] in ("inverse", "inv") and closed_form_exists(event):
            return f"{event.name} in closed form"
        if event.kind in ("item", "number", "bool") and event.constant:
            self._constants.setdefault((event.kind, event.place.file, event.place.line), []).append(event.value)
            return f"{event.name} of a constant of the module"
        if event.kind == "len" and event.value > 0:
            self._constants.setdefault((event.kind, event.place.file, event.place.line), []).append(event.value)
            return "len() asked only whether there is anything"
        if event.kind == "numpy" and event.name == "Tensor.numpy":
            self._arrays = True
            return "NumPy output as a tensor"
        if event.kind == "scatter" and not event.trouble:
            self._scatters = True
            return f"{event.name} in operators of PyTorch's own"
        if event.kind == "call":
            self._calls.add(event.value)
            return f"{event.name} by other operators"
        recipe = function_recipe(event, case.base) if event.kind == "function" else None
        if recipe is not None:
            self._functions[event.value] = recipe.replacement
            return recipe.step
        return ""

    @contextmanager
    def _poolers(self) -> Generator[None, None, None]:
        """`Function.apply` replaced, and every module-level name that had it bound already."""
        undo: list[Callable[[], None]] = []
        for cls, replacement in self._functions.items():
            bound = cls.apply  # pyright: ignore
            for home in list(sys.modules.values()):
                if not is_user_file(getattr(home, "__file__", None) or "<none>"):
                    continue
                for name in [name for name, value in vars(home).items() if _is_same_method(value, bound)]:
                    setattr(home, name, replacement)
                    undo.append(functools.partial(setattr, home, name, bound))
            cls.apply = staticmethod(replacement)  # pyright: ignore
            undo.append(functools.partial(delattr, cls, "apply"))
        try:
            yield
        finally:
            for step in reversed(undo):
                step()


class _Recipes(TorchFunctionMode):
    """Closed forms for solvers, recorded constants for numbers, tensors for NumPy arrays."""

    def __init__(self, constants: dict[tuple[str, str, int], list[Any]], arrays: bool, calls: set[CallRecipe]) -> None:
        super().__init__()
        self.arrays, self.calls = arrays, calls
        self.left = {key: deque(values) for key, values in constants.items()}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name in _INVERSES and int(args[0].shape[-1]) in (2, 3, 4):
            return closed_form_inverse(args[0])
        recipe = call_recipe(func, args, kwargs or {}) if self.calls else None
        if recipe in self.calls:
            return recipe.replacement(*args, **(kwargs or {}))
        if name in _NUMBERS and self.left:
            place = user_place()
            values = self.left.get((_NUMBERS[name], place.file, place.line)) if place else None
            if values:
                values.rotate(-1)
                return values[-1]
        if name == "numpy" and self.arrays:
            return TensorArray(args[0])
        return func(*args, **(kwargs or {}))


_TORCH_TYPES = {
    name: getattr(torch, name)
    for name in ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
}


class TensorArray:
    """What `.numpy()` gives inside a patched module: an array that is still a tensor.

    It knows the methods that a `forward` ends with; anything else is refused, so that nothing is frozen unseen.

    Args:
        tensor: the tensor behind it.
    """

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def astype(self, dtype: Any, **_: Any) -> TensorArray:
        """As of `numpy.ndarray`."""
        return TensorArray(self.tensor.to(_TORCH_TYPES[np.dtype(dtype).name]))

    def reshape(self, *shape: Any) -> TensorArray:
        """As of `numpy.ndarray`."""
        return TensorArray(self.tensor.reshape(*shape))

    def transpose(self, *axes: int) -> TensorArray:
        """As of `numpy.ndarray`."""
        return TensorArray(self.tensor.permute(*(axes or range(self.tensor.dim())[::-1])))

    def squeeze(self, axis: int | None = None) -> TensorArray:
        """As of `numpy.ndarray`."""
        return TensorArray(self.tensor.squeeze() if axis is None else self.tensor.squeeze(axis))

    def copy(self) -> TensorArray:
        """As of `numpy.ndarray`."""
        return TensorArray(self.tensor.clone())

    def __getitem__(self, index: Any) -> TensorArray:
        return TensorArray(self.tensor[index])

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise DoctorError("NumPy computes with a tensor inside the patched module: write that step with torch")


_DOUBTFUL = ("len", "numpy", "QuickCumsum")
"""Recipes, by kind or name, that only the proof can judge: a cumulative sum may have lost the digits that ours has."""


def _given_up(case: Case, certain: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Which of them to do without, as few as possible first. Never silently: `steps` holds what is left."""
    present = {name for event in case.base.events for name in (event.kind, event.name)}
    doubtful = [name for name in _DOUBTFUL if name in present and name not in certain]
    for count in range(len(doubtful) + 1):
        for names in itertools.combinations(doubtful, count):
            yield (*certain, *names)


def _is_same_method(value: Any, bound: Any) -> bool:
    return inspect.ismethod(value) and value.__self__ is bound.__self__ and value.__func__ is bound.__func__
