"""What `patch` puts in the place of something, one step at a time, and the mode that does so."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from occvino.doctor.arrays import TensorArray
from occvino.doctor.calls import replace_leaves
from occvino.doctor.case import Case
from occvino.doctor.decisions import Crossing
from occvino.doctor.leaving import differ
from occvino.doctor.places import Place, user_place
from occvino.doctor.recipe_calls import CallRecipe, call_recipe
from occvino.doctor.recipe_functions import function_recipe
from occvino.doctor.recipe_small import inverse
from occvino.doctor.solver import closed_form_exists
from occvino.doctor.watch import Event, scalars

_INVERSES = frozenset({"inverse", "linalg_inv", "inv"})
_NUMBERS = {
    "item": "item",
    "__int__": "number",
    "__float__": "number",
    "__index__": "number",
    "__bool__": "bool",
    "__len__": "len",
}
STATIC = "shape"
"""Kind of a length that is a size: it stays one, of whatever the tensor's shape is."""


@dataclass(frozen=True)
class Step:
    """One replacement.

    Args:
        kind: of the event: solver, item, number, bool, len, size, numpy, scatter, call, function - or `STATIC`.
        place: its line.
        said: what is done.
        name: of the event.
        value: of the event; for numbers, the values in the order in which the line takes them.
        recipe: of a call, its `CallRecipe`; of a function, what to put in the place of `apply`.
    """

    kind: str
    place: Place
    said: str
    name: str = ""
    value: Any = None
    recipe: Any = None


def steps_of(case: Case) -> tuple[list[Step], list[tuple[Place, str, str]]]:
    """What may be replaced, and what may not although it looks like it: its line, what it is, and why not."""
    groups: dict[tuple[str, str, Place], list[Event]] = {}
    for event in case.base.events:
        named = event.name if event.kind in ("function", "call") else ""
        groups.setdefault((event.kind, named, event.place), []).append(event)
    steps: list[Step] = []
    refused: list[tuple[Place, str, str]] = []
    for events in groups.values():
        if events[0].kind == "len" and not all(event.constant for event in events):
            made = _length(case, events)
            if isinstance(made, str):
                refused.append((events[0].place, "len()", made))
            else:
                steps.append(made)
        elif events[0].kind == "call":
            call: CallRecipe = events[0].value
            steps.append(Step("call", events[0].place, f"{call.name} by other operators", call.name, recipe=call))
        elif events[0].kind == "function":
            if (recipe := function_recipe(events[0], case.base)) is not None:
                cls = events[0].value
                steps.append(Step("function", events[0].place, recipe.step, events[0].name, cls, recipe.replacement))
        elif (said := _said(events)) != "":
            first = events[0]
            numbers = first.kind in ("item", "number", "bool", "len", "size")
            value = tuple(event.value for event in events) if numbers else first.value
            steps.append(Step(first.kind, first.place, said, first.name, value))
    return steps, refused


def _said(events: list[Event]) -> str:
    """What is done about the events of one kind at a line; empty for nothing."""
    first = events[0]
    if (
        first.kind == "solver"
        and first.name.split(".")[-1] in ("inverse", "inv")
        and all(map(closed_form_exists, events))
    ):
        return f"{first.name} in closed form"
    if first.kind == "size":
        return "a size made of the module's own tensors as a Python int"
    if first.kind in ("item", "number", "bool", "len") and all(event.constant for event in events):
        return f"{first.name} of a constant of the module"
    if first.kind == "numpy" and first.name == "Tensor.numpy":
        return "NumPy output as a tensor"
    if first.kind == "scatter" and not first.trouble:
        return f"{first.name} in operators of PyTorch's own"
    return ""


def _length(case: Case, events: list[Event]) -> Step | str:
    """A length that follows the inputs, or why it is not replaced."""
    first = events[0]
    moved = case.varied is not None and differ(events, case.varied.events)
    if all(event.static for event in events) and not moved:
        return Step(STATIC, first.place, "a length that is a size as the size that it is", first.name)
    crossing: Crossing | None = next((c for c in case.crossings if c.kind == "len" and c.place == first.place), None)
    if crossing is None:
        return "it is computed with: as a constant it would be wrong for other inputs"
    if not crossing.known:
        return f"'{crossing.text}' compares it with what is no number in the source"
    if not crossing.settled:
        return f"no call takes the other side of '{crossing.text}': give one as variations=[(args, kwargs)]"
    values = tuple(event.value for event in events)
    return Step("len", first.place, f"the length in '{crossing.text}' is the same on both sides", first.name, values)


class Replacing(TorchFunctionMode):
    """Closed forms for solvers, recorded constants for numbers, tensors for NumPy arrays.

    Args:
        steps: what to replace, each at its line only.
    """

    def __init__(self, steps: tuple[Step, ...]) -> None:
        super().__init__()
        self.arrays = any(step.kind == "numpy" for step in steps)
        self.sizes = any(step.kind == "size" for step in steps)
        self.left = {
            (step.kind, step.place.file, step.place.line): deque(step.value)
            for step in steps
            if step.kind in (*_NUMBERS.values(), "size")
        }
        self.calls = {(step.recipe, step.place.file, step.place.line) for step in steps if step.kind == "call"}
        self.lines = {(step.kind, step.place.file, step.place.line) for step in steps}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        if name in _INVERSES and int(args[0].shape[-1]) in (2, 3, 4) and self._here("solver"):
            return inverse(args[0])
        recipe = call_recipe(func, args, kwargs) if self.calls else None
        if recipe is not None and self._is_call(recipe):
            return recipe.replacement(*args, **kwargs)
        if name == "__len__" and self._here(STATIC):
            return int(args[0].shape[0])
        if name in _NUMBERS and self.left:
            values = self._values(_NUMBERS[name])
            if values is not None:
                return values
        elif self.sizes and (numbers := scalars((args, kwargs))):
            values = self._values("size")
            if values is not None and len(values) == len(numbers):
                args, kwargs = _with_numbers((args, kwargs), values)
        if name == "numpy" and self.arrays:
            return TensorArray(args[0])
        return func(*args, **kwargs)

    def _here(self, kind: str) -> bool:
        place = user_place()
        return place is not None and (kind, place.file, place.line) in self.lines

    def _is_call(self, recipe: CallRecipe) -> bool:
        place = user_place()
        return place is not None and (recipe, place.file, place.line) in self.calls

    def _values(self, kind: str) -> Any:
        place = user_place()
        values = self.left.get((kind, place.file, place.line)) if place else None
        if not values:
            return None
        values.rotate(-1)
        return values[-1]


def _with_numbers(given: Any, values: tuple[int, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments with Python ints in place of the tensors that `scalars` finds."""
    queue = iter(values)

    def whole(part: Any) -> Any:
        is_number = isinstance(part, Tensor) and not part.dim() and not part.is_floating_point()
        return int(next(queue)) if is_number else part

    def swap(_: str, leaf: Any) -> Any:
        if isinstance(leaf, slice):
            return slice(whole(leaf.start), whole(leaf.stop), whole(leaf.step))
        return whole(leaf)

    return replace_leaves(given, swap)
