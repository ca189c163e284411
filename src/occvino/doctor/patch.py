"""Applying the safe recipes to a copy of a module, and proving on its own call that nothing else changed."""

from __future__ import annotations

import copy
import functools
import inspect
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext
from types import BuiltinMethodType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from occvino.doctor import scatter
from occvino.doctor.agreement import agrees, as_outputs, share_beyond, worst
from occvino.doctor.arrays import TensorArray
from occvino.doctor.calls import clone, replace_leaves
from occvino.doctor.case import Case
from occvino.doctor.findings import DoctorError
from occvino.doctor.places import Place, is_user_file
from occvino.doctor.recipe_calls import RANGE, range_replaced
from occvino.doctor.recipes import tracing
from occvino.doctor.replacing import Replacing, Step, steps_of
from occvino.doctor.state import state_kept
from occvino.doctor.watch import Call

Module = TypeVar("Module", bound=nn.Module)


def patch(
    module: Module,
    args: tuple[Any, ...] | None = None,
    kwargs: dict[str, Any] | None = None,
    *,
    variations: Sequence[Call] = (),
) -> Module:
    """A copy of `module` in which what the doctor can safely replace is replaced; the class and the weights stay.

    - Inverses of 2x2, 3x3 and 4x4 matrices become closed forms: no solver.
    - Known poolers (`recipes.RECIPES`, and the calls of torch_scatter) become `occvino.bev_pool` or a scatter-add.
    - Numbers read from the module's own tensors, as `int(self.grid_size[2])`, become Python constants. Numbers that
      may depend on an input stay as they are: freezing them is the trap.
    - Sizes made of the module's own tensors, as `x.new_zeros((1, self.nx[2], 4))`, become Python ints.
    - `len(kept) == 0`: the length becomes that of the first call, if a call on the other side of the comparison gives
      the same with it - or is refused by the module itself. Nothing is frozen that no call has proved.
    - NumPy arrays at the end of `forward`, as `labels.cpu().numpy().astype(np.uint8)`, stay tensors.

    Equality is proved on the call given here, or else on the first call of the copy: on its inputs, again with the
    floating-point ones changed, and on calls that cross each comparison. Recipes are judged one by one: one that cannot
    be proved is left out, and the others are handed out. `patches_of(copy)` says what was replaced, what was not and
    why, and how large the error was.

    Args:
        module: left as it is.
        args: positional arguments of a call.
        kwargs: its keyword arguments.
        variations: further calls, as (args, kwargs), on which the copy must agree; also such as take another branch.

    Raises:
        DoctorError: the outputs differ, there is nothing to replace, or the copy is exported before its first call.
    """
    patched = copied(module)
    patches = Patches(patched, module.forward, variations)
    if args is not None or kwargs is not None:
        patches.prove(args or (), kwargs or {})
    return patched


def patch_as_seen(case: Case) -> nn.Module:
    """`patch` on the call of an examination, which has run and varied the module already.

    Raises:
        DoctorError: as `patch`.
    """
    patched = copied(case.module)
    Patches(patched, case.module.forward, case.variations).prove(case.args, case.kwargs, case)
    return patched


def copied(module: Module) -> Module:
    """A deep copy, also of a module whose `__getattr__` answers everything, `__deepcopy__` included."""
    answering = {cls for child in module.modules() for cls in type(child).__mro__ if "__getattr__" in vars(cls)}
    answering = {cls for cls in answering if not cls.__module__.startswith("torch.")}
    undo: list[Callable[[], None]] = []
    for cls in answering:
        original = vars(cls)["__getattr__"]

        def plain(self: Any, name: str, original: Any = original) -> Any:
            if name.startswith("__") and name.endswith("__"):
                raise AttributeError(name)
            return original(self, name)

        setattr(cls, "__getattr__", plain)  # noqa: B010 - unknown to type checkers
        undo.append(functools.partial(setattr, cls, "__getattr__", original))
    try:
        return copy.deepcopy(module)
    finally:
        for step in undo:
            step()


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
        variations: further calls on which it must agree.

    Attributes:
        steps: each replacement, with the line it was made at.
        refused: each that could not be proved, with its line and the reason.
        error: largest difference of the outputs from the original's, of the largest value; None before the proof.
    """

    def __init__(self, module: nn.Module, documented: Callable[..., Any], variations: Sequence[Call] = ()) -> None:
        self.steps: list[tuple[Place, str]] = []
        self.refused: list[tuple[Place, str, str]] = []
        self._variations = variations
        self.error: float | None = None
        self._module, self._original = module, module.forward
        self._active: tuple[Step, ...] = ()
        self._original_runs = False

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

    def prove(self, args: tuple[Any, ...], kwargs: dict[str, Any], seen: Case | None = None) -> None:
        """Choose the replacements by watching the original run, and compare the outputs with and without them.

        `seen` is the examination of the original on this call, if there is one.

        Raises:
            DoctorError: there is nothing to replace, or the outputs differ.
        """
        self._original_runs = True
        try:
            case = seen or Case(self._module, args, kwargs, routes=(), variations=self._variations)
            varied = [case.varied_floats, *(crossing.call for crossing in case.crossings)]
            calls = [((args, kwargs), case.outputs)]
            calls += [(case.flat.call_of(one.inputs), one.outputs) for one in varied if one is not None]
            calls += [(call, self._outputs(call)) for call in self._variations]
            chosen, self.refused = steps_of(case)  # which looks at other inputs too
        finally:
            self._original_runs = False
        if not chosen:
            raise DoctorError(
                f"nothing in {type(self._module).__name__} has a safe recipe: see the report of diagnose"
                + "".join(f"; {said} (line {place.line}): {why}" for place, said, why in self.refused)
            )
        failure = self._add(chosen, calls, case.base.binned)
        if not self._active:
            raise failure or DoctorError(f"no recipe for {type(self._module).__name__} could be proved")

    def _outputs(self, call: Call) -> tuple[Tensor, ...]:
        with torch.no_grad(), state_kept(self._module):
            return as_outputs(self._original(*clone(call[0]), **clone(call[1])))

    def _add(self, steps: Sequence[Step], calls: list[Proof], binned: bool) -> DoctorError | None:
        """Take these replacements too, or as many of them as can be proved; why not all of them."""
        before = self._active
        self._use((*before, *steps))
        try:
            self.error = max(self._compare(call, expected, binned) for call, expected in calls)
            return None
        except _UnequalError as failure:
            self._use(before)
            if len(steps) == 1:
                self.refused.append((steps[0].place, steps[0].said, str(failure)))
                return failure
        half = len(steps) // 2
        failures = [self._add(part, calls, binned) for part in (steps[:half], steps[half:])]
        return next(filter(None, failures), None)

    def _use(self, steps: tuple[Step, ...]) -> None:
        self._active = steps
        self.steps = list(dict.fromkeys((step.place, step.said) for step in steps))

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
        scattered = any(step.kind == "scatter" for step in self._active)
        scatters = scatter.rebound(self._module, scatter.replaced) if scattered else nullcontext()
        ranges = range_replaced(any(step.recipe is RANGE for step in self._active))
        with self._poolers(), scatters, ranges, Replacing(self._active):
            output = self._original(*args, **kwargs)
        return replace_leaves(output, lambda _, leaf: leaf.tensor if isinstance(leaf, TensorArray) else leaf)

    def _compare(self, call: Call, expected: tuple[Tensor, ...], binned: bool) -> float:
        with torch.no_grad(), state_kept(self._module):
            try:
                output = self._patched(clone(call[0]), clone(call[1]))
            except Exception as failure:  # the user's code meets values that it has never met
                raise _UnequalError(f"the patched module fails with {'; '.join(self.applied)}: {failure}") from failure
        got = as_outputs(output)
        gap = worst(got, expected)
        if agrees(got, expected):
            return gap
        if binned and agrees(got, expected, cells=True):
            return max(share_beyond(a, b) for a, b in zip(got, expected, strict=True))
        raise _UnequalError(
            f"the patched module differs from the original by {gap:.2g} of the largest value, with "
            f"{'; '.join(self.applied)}: it is not handed out"
        )

    @contextmanager
    def _poolers(self) -> Generator[None, None, None]:
        """`Function.apply` replaced, and every module-level name that had it bound already."""
        undo: list[Callable[[], None]] = []
        functions = {step.value: step.recipe for step in self._active if step.kind == "function"}
        for cls, replacement in functions.items():
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


Proof = tuple[Call, tuple[Tensor, ...]]
"""A call, and what the original gives for it."""


def _is_same_method(value: Any, bound: Any) -> bool:
    # a method of Python's until PyTorch 2.13, and a builtin since
    kind = inspect.ismethod(value) or isinstance(value, BuiltinMethodType)
    return kind and value.__self__ is bound.__self__ and value.__name__ == bound.__name__
