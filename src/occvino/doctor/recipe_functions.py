"""What stands in for a custom `autograd.Function`: by its name, by what it does, or its inside without the wrapper."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.autograd import Function

from occvino.doctor.findings import DoctorError
from occvino.doctor.recipe_pool import recognised
from occvino.doctor.recipes import Recipe, recipes_for
from occvino.doctor.watch import Event, Observation


@dataclass(frozen=True)
class FunctionRecipe:
    """What to put in the place of `apply`.

    Args:
        kind: pooler, for which no exporter has an operator, or function.
        step: what `patch` says that it did.
        said: what the report says of the function.
        replacement: takes what `apply` takes.
        snippet: the same by hand.
    """

    kind: str
    step: str
    said: str
    replacement: Callable[..., Any]
    snippet: str


TUPLES = "outside, PyTorch's tracer makes one value of them: 'Tuples are not supported' in OpenVINO"
_INLINE = "y = occvino.doctor.recipe_functions.inlined(Function)(x)   # what Function.apply(x) does, in the open"


def function_recipe(event: Event, seen: Observation) -> FunctionRecipe | None:
    """The recipe for a custom function that was seen; None when nothing is known of it."""
    known = recipes_for(event.name)
    applied = seen.applied.get(event.value)
    if applied is not None:
        known = [recipe for recipe in known if recipe.arguments[0] <= len(applied.args) <= recipe.arguments[1]]
    if known:
        said = f"{event.name} is the custom function of {known[0].origin}: neither ONNX nor OpenVINO knows it"
        step = f"{event.name} by {known[0].origin.split(' ')[0]} of occvino"
        return FunctionRecipe("pooler", step, said, _dispatching(known), known[0].snippet)
    if applied is None:
        return None
    behaviour = recognised(event.value.apply, applied.args)
    if behaviour is not None:
        said = f"{event.name} computes {behaviour.said}, as a probe of it shows: neither ONNX nor OpenVINO knows it"
        step = f"{event.name}, {behaviour.said}, by stock operators"
        return FunctionRecipe("pooler", step, said, behaviour.replacement, behaviour.snippet)
    if isinstance(applied.output, tuple) and not event.trouble:
        said = f"a custom autograd.Function that gives {len(applied.output)} values; {TUPLES}"
        return FunctionRecipe("function", f"{event.name} inlined", said, inlined(event.value), _INLINE)
    return None


def inlined(function: type[Function]) -> Callable[..., Any]:
    """`function.apply` as a plain call of its `forward`: the same values, and an exporter sees the operators."""
    forward: Any = function.forward
    separate = function.setup_context is not Function.setup_context

    @functools.wraps(forward)
    def call(*args: Any) -> Any:
        return forward(*args) if separate else forward(_Context(len(args)), *args)

    return call


class _Context:
    """What `forward` keeps for the gradient, and nobody asks for."""

    def __init__(self, inputs: int) -> None:
        self.needs_input_grad = (False,) * inputs
        self.saved_tensors: tuple[Tensor, ...] = ()

    def save_for_backward(self, *tensors: Tensor) -> None:
        self.saved_tensors = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Of no use without a gradient."""

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Of no use without a gradient."""

    def set_materialize_grads(self, value: bool) -> None:
        """Of no use without a gradient."""


def _dispatching(recipes: list[Recipe]) -> Callable[..., Any]:
    """The replacement whose number of arguments fits, chosen at each call."""

    def replacement(*args: Any) -> Any:
        for recipe in recipes:
            if recipe.arguments[0] <= len(args) <= recipe.arguments[1]:
                return recipe.replacement(*args)
        raise DoctorError(f"{recipes[0].function} with {len(args)} arguments is not a version that occvino knows")

    return replacement
