"""When two results are the same: rounding, labels, borders of cells, and the order of equal values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from occvino.doctor.calls import clone, error, tensors_out
from occvino.doctor.places import Place
from occvino.doctor.state import state_kept
from occvino.doctor.ties import Reordered, tied_places
from occvino.doctor.watch import Call, Observation

TOLERANCE = 1e-3
"""Largest error, of the largest value of an output, that is taken for rounding."""
LABEL_TOLERANCE = 0.01
"""Share of an integer output's elements that may differ: ties and bin borders fall either way."""
AGREES = "agrees"
_ORDERS = 3


@dataclass(frozen=True)
class Judgement:
    """Whether a result is the expected one.

    Args:
        same: it is.
        gap: the largest `distance`.
        how: what had to be allowed for; empty where rounding is all.
        ties: lines that order equal values, if the result differs by such an order.
    """

    same: bool
    gap: float
    how: str = ""
    ties: tuple[Place, ...] = ()


def judge(
    module: nn.Module, call: Call, got: Sequence[Tensor], expected: Sequence[Tensor], seen: Observation
) -> Judgement:
    """Compare what a graph gave with what `module` gives for `call`; `seen` is how the module went on its example."""
    gap = worst(got, expected)
    if agrees(got, expected):
        return Judgement(True, gap)
    if seen.binned and agrees(got, expected, cells=True):
        return Judgement(True, gap, "but for points on the border of a cell")
    places = tied_places(seen)
    if not places or len(got) != len(expected) or any(a.shape != b.shape for a, b in zip(got, expected, strict=True)):
        return Judgement(False, gap)
    loose = _loose(module, call, expected)
    if loose is None or all(bool(mask.all()) for mask in loose) or not any(bool(mask.any()) for mask in loose):
        return Judgement(False, gap)
    kept = [[t[~mask] for t, mask in zip(side, loose, strict=True)] for side in (got, expected)]
    if not agrees(*kept):
        return Judgement(False, gap)
    return Judgement(True, worst(*kept), "but for the order of equal values", places)


def _loose(module: nn.Module, call: Call, expected: Sequence[Tensor]) -> list[Tensor] | None:
    """Elements that depend on which of several equal values comes first: they change when the order is another."""
    masks = [torch.zeros_like(t, dtype=torch.bool) for t in expected]
    for seed in range(_ORDERS):
        with torch.no_grad(), state_kept(module), Reordered(seed):
            output = module(*clone(call[0]), **clone(call[1]))
        other = tuple(tensors_out(output).values())
        if [t.shape for t in other] != [t.shape for t in expected]:
            return None
        masks = [mask | (a != b) for mask, a, b in zip(masks, other, expected, strict=True)]
    return masks


def agrees(actual: Sequence[Tensor], expected: Sequence[Tensor], *, exact: bool = False, cells: bool = False) -> bool:
    """Equal up to rounding - or, with `exact`, equal but for the last digits.

    With `cells`, floats are judged as labels are, by the share of elements beyond rounding: they went through the
    index of a cell, and a point on a border falls either way.
    """
    if len(actual) != len(expected):
        return False
    pairs = list(zip(actual, expected, strict=True))
    if cells:
        return all(share_beyond(a, b) <= LABEL_TOLERANCE for a, b in pairs)
    return all(distance(a, b) <= (1e-6 if exact else LABEL_TOLERANCE if is_label(b) else TOLERANCE) for a, b in pairs)


def distance(actual: Tensor, expected: Tensor) -> float:
    """`calls.error` of floats; of integers and booleans the share that differs; infinite for other shapes."""
    if actual.shape != expected.shape:
        return float("inf")
    if is_label(expected):
        return int((actual != expected).sum()) / max(expected.numel(), 1)
    return error(actual, expected)


def share_beyond(actual: Tensor, expected: Tensor) -> float:
    """Share of elements that differ by more than rounding, of those that are anything but zero in one of the two."""
    if actual.shape != expected.shape:
        return float("inf")
    if is_label(expected):
        return distance(actual, expected)
    largest = float(expected.abs().max()) if expected.numel() else 0.0
    beyond = ~((actual == expected) | ((actual - expected).abs() <= TOLERANCE * largest))
    filled = (actual != 0) | (expected != 0)
    return int(beyond.sum()) / max(int(filled.sum()), 1)


def worst(actual: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Largest `distance` over the outputs; infinite when their number differs."""
    if len(actual) != len(expected):
        return float("inf")
    return max((distance(a, b) for a, b in zip(actual, expected, strict=True)), default=0.0)


def is_label(tensor: Tensor) -> bool:
    """Its values are names, not magnitudes."""
    return not tensor.is_floating_point() and not tensor.is_complex()


def as_outputs(value: Any) -> tuple[Tensor, ...]:
    """What a module returned, as its tensors in order."""
    return tuple(tensors_out(value).values())
