"""Voxel pooling recognised by what it does: sums of rows, with or without weights, at cells that an index names.

Nothing is read from the function's name. It is run once more, on random features and on the indices of the call, and
its result is compared with the sums that each reading of the indices gives: which column is which axis of the output.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from occvino.doctor.recipe_sampling import deformable_attention

TOLERANCE = 1e-3
"""Of the largest value: a cumulative sum loses digits that single sums keep."""


@dataclass(frozen=True)
class Behaviour:
    """What a function was seen to do, and the same in stock operators.

    Args:
        said: what it does, in words.
        replacement: takes what the function takes, gives what it gives.
        snippet: the same by hand.
    """

    said: str
    replacement: Callable[..., Any]
    snippet: str


SUM = "index = cell.unsqueeze(-1).expand_as(x)   # [points] -> [points, C]\nbev = x.new_zeros(cells, x.shape[-1])\n" + (
    "bev = bev.scatter_add(0, index, x)"
)
ATTENTION = (
    "y = occvino.doctor.recipe_sampling.deformable_attention(value, shapes, starts, locations, attention)"
    "   # grid_sample a level"
)


def recognised(function: Callable[..., Any], args: tuple[Any, ...]) -> Behaviour | None:
    """What `function(*args)` does, if it is a pooling or deformable attention; None for anything else."""
    for form in (_attention, _runs, _cells):
        try:
            with torch.no_grad():
                found = form(function, args)
        except Exception:  # the form does not fit these arguments, or the function refuses the probe
            continue
        if found is not None:
            return found
    return None


def _probe(args: Sequence[Any]) -> list[Any]:
    """The same call on random features; indices, which must stay valid, are kept."""
    random = torch.Generator().manual_seed(20260)

    def other(value: Any) -> Any:
        if not isinstance(value, Tensor) or not value.is_floating_point():
            return value
        return torch.rand(value.shape, generator=random, dtype=torch.float64).to(value)

    return [other(value) for value in args]


def _close(actual: Any, expected: Any) -> bool:
    if not isinstance(expected, Tensor):
        return bool(actual == expected)
    if actual.shape != expected.shape:
        return False
    largest = float(expected.abs().max()) if expected.numel() else 0.0
    return bool((actual - expected).abs().le(TOLERANCE * largest).all()) if expected.numel() else True


def _attention(function: Callable[..., Any], args: tuple[Any, ...]) -> Behaviour | None:
    value, shapes, _, locations, weights = args[:5]
    if value.dim() != 4 or locations.dim() != 6 or weights.dim() != 5 or shapes.shape[-1] != 2:
        return None
    probe = _probe(args)
    if not _close(deformable_attention(*probe[:5]), function(*probe)):
        return None
    return Behaviour("multi-scale deformable attention", lambda *given: deformable_attention(*given[:5]), ATTENTION)


def _runs(function: Callable[..., Any], args: tuple[Any, ...]) -> Behaviour | None:
    """Sums of the runs of equal ranks, and what lies at the last point of each run."""
    rows = next(i for i, a in enumerate(args) if isinstance(a, Tensor) and a.is_floating_point() and a.dim() == 2)
    probe = _probe(args)
    expected = function(*probe)
    several = isinstance(expected, tuple)
    ranks = [i for i, a in enumerate(args) if _integers(a) and a.dim() == 1 and len(a) == len(args[rows])]
    carried = [None, *[i for i, a in enumerate(args) if _integers(a) and a.dim() >= 1 and len(a) == len(args[rows])]]
    for rank, kept in itertools.product(ranks, itertools.product(carried, repeat=len(expected) if several else 1)):
        if kept.count(None) != 1:
            continue
        trial = _run_sums(rows, rank, kept, several)
        if _all_close(trial(*probe), expected):
            return Behaviour("sums of the runs of equal ranks", trial, SUM)
    return None


def _run_sums(rows: int, rank: int, kept: tuple[int | None, ...], several: bool) -> Callable[..., Any]:
    """The sum where `kept` says None, else the argument of that number, at the last point of each run."""

    def replacement(*given: Any) -> Any:
        x, ranks = given[rows], given[rank]
        changes = (ranks[1:] != ranks[:-1]).long()  # [points - 1]
        edge = torch.ones_like(ranks[:1], dtype=torch.int64)
        run = torch.cat([edge, changes]).cumsum(0) - 1  # [points]
        last = torch.cat([changes, edge]).bool()
        index = run.unsqueeze(-1).expand(-1, x.shape[-1])
        sums = torch.zeros_like(x).scatter_add(0, index, x).gather(0, index)[last]
        parts = tuple(sums if at is None else given[at][last] for at in kept)
        return parts if several else parts[0]

    return replacement


def _all_close(actual: Any, expected: Any) -> bool:
    if isinstance(expected, tuple):
        return len(actual) == len(expected) and all(map(_close, actual, expected))
    return _close(actual, expected)


def _cells(function: Callable[..., Any], args: tuple[Any, ...]) -> Behaviour | None:
    """Sums at the cell that the columns of an integer tensor name."""
    probe = _probe(args)
    expected: Any = function(*probe)
    if not isinstance(expected, Tensor) or not expected.is_floating_point():
        return None
    for plan in _plans(args, expected):
        if _close(plan.first_channel(probe), expected.select(plan.channel, 0)) and _close(plan(*probe), expected):
            kind = "weighted sums" if plan.weight is not None else "sums"
            columns = ", ".join("batch" if c == BATCH else str(c) for c in plan.columns)
            return Behaviour(f"{kind} of rows at the voxel in columns {columns} of its indices", plan, SUM)
    return None


BATCH = -1
"""In the place of a column: the first axis of the indices."""


@dataclass(frozen=True)
class _Plan:
    """A reading of the arguments.

    Args:
        index: which argument holds the columns, [..., k].
        rows: which argument holds the features.
        turned: the features are [n, C, ...], not [..., C].
        weight: which argument holds the weight of each point; None for none.
        shape: of the output.
        channel: axis of the output that holds the channels.
        axes: other axes of the output that are longer than 1.
        columns: what gives the index along each of them.
        limits: of every column, beyond which a point is dropped; empty for those of the output alone.
    """

    index: int
    rows: int
    turned: bool
    weight: int | None
    shape: tuple[int, ...]
    channel: int
    axes: tuple[int, ...]
    columns: tuple[int, ...]
    limits: tuple[int, ...]

    def __call__(self, *args: Any) -> Tensor:
        return self._summed(args, slice(None))

    def first_channel(self, args: Sequence[Any]) -> Tensor:
        """The first channel alone, which tells most readings apart."""
        return self._summed(args, slice(0, 1)).select(self.channel, 0)

    def _summed(self, args: Sequence[Any], channels: slice) -> Tensor:
        columns = args[self.index].long()
        cell, inside = self._cell(columns.flatten(0, -2), columns.shape)
        x = self._points(args, channels)  # [points, C]
        x = torch.where(inside.unsqueeze(-1), x, 0.0)  # a dropped point adds zero to the first cell
        others = [n for axis, n in enumerate(self.shape) if axis != self.channel]
        index = cell.unsqueeze(-1).expand(-1, x.shape[-1])
        pooled = x.new_zeros(math.prod(others), x.shape[-1]).scatter_add(0, index, x)
        return pooled.reshape(*others, x.shape[-1]).movedim(-1, self.channel)

    def _cell(self, columns: Tensor, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Number of each point's cell, and whether it lies in the grid."""
        inside = torch.ones_like(columns[:, 0], dtype=torch.bool)
        for column, limit in enumerate(self.limits):
            inside = inside & (columns[:, column] >= 0) & (columns[:, column] < limit)
        cell = torch.zeros_like(columns[:, 0])
        for axis, column in zip(self.axes, self.columns, strict=True):
            if column == BATCH:
                each = columns.shape[0] // int(shape[0])
                along = torch.arange(int(shape[0]), device=columns.device).repeat_interleave(each)
            else:
                along = columns[:, column]
                inside = inside & (along >= 0) & (along < self.shape[axis])
            cell = cell * self.shape[axis] + along
        return torch.where(inside, cell, torch.zeros_like(cell)), inside

    def _points(self, args: Sequence[Any], channels: slice) -> Tensor:
        x: Tensor = args[self.rows]
        x = x.movedim(1, -1) if self.turned else x
        x = x[..., channels]
        if self.weight is None:
            return x.flatten(0, -2)
        weight: Tensor = args[self.weight]  # [n, D, ...] against the features' [n, ...]
        return (weight.unsqueeze(-1) * x.reshape(x.shape[0], 1, *x.shape[1:])).flatten(0, -2)


def _plans(args: tuple[Any, ...], expected: Tensor) -> Iterator[_Plan]:
    floats = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.is_floating_point()]
    indices = [i for i, a in enumerate(args) if _integers(a) and a.dim() >= 2 and 2 <= a.shape[-1] <= 4]
    for index, (rows, turned, weight) in itertools.product(indices, _features(args, floats)):
        columns, x = args[index], args[rows]
        points = math.prod(columns.shape[:-1])
        channels = int(x.shape[1] if turned else x.shape[-1])
        if points != (x.numel() // channels if weight is None else args[weight].numel()):
            continue
        for channel in [axis for axis, n in enumerate(expected.shape) if n == channels]:
            axes = tuple(axis for axis, n in enumerate(expected.shape) if n > 1 and axis != channel)
            sources = [*range(columns.shape[-1]), *([BATCH] if columns.dim() > 2 else [])]
            for named in itertools.permutations(sources, len(axes)):
                for limits in _limits(args, columns.shape[-1]):
                    yield _Plan(index, rows, turned, weight, tuple(expected.shape), channel, axes, named, limits)


def _features(args: tuple[Any, ...], floats: list[int]) -> list[tuple[int, bool, int | None]]:
    """Readings of the floats: features alone, or features and a weight for each point, channels last or second."""
    if len(floats) == 1:
        return [(floats[0], False, None)]
    pairs = [(rows, weight) for rows, weight in itertools.permutations(floats[:2], 2) if args[weight].dim() > 2]
    return [(rows, turned, weight) for rows, weight in pairs for turned in (True, False)]


def _limits(args: tuple[Any, ...], columns: int) -> list[tuple[int, ...]]:
    """Sizes of the grid where one of the arguments holds them, and none."""
    given = [_numbers(value) for value in args]
    return [*[sizes for sizes in given if len(sizes) == columns], ()]


def _numbers(value: Any) -> tuple[int, ...]:
    if _integers(value) and value.dim() == 1 and len(value) <= 4:
        return tuple(value.tolist())
    if isinstance(value, list | tuple) and all(isinstance(n, int) for n in value):
        return tuple(value)
    return ()


def _integers(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype in (torch.int32, torch.int64, torch.int16)
