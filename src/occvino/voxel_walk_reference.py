"""The slow readable twin of `voxel_walk`: one ray in plain Python, a cell at a time."""

import math
from collections.abc import Iterator, Sequence

Cell = tuple[int, int, int]


def cells_on_ray(start: Sequence[float], direction: Sequence[float], first: Cell) -> Iterator[tuple[Cell, float]]:
    """Cells that a ray passes, without end, and the t at which it leaves each one.

    Args:
        start: where the ray starts, cell units [3].
        direction: how far it goes while t grows by 1, cell units [3].
        first: the cell that it starts in.
    """
    cell = list(first)
    border = [math.inf] * 3
    for axis in range(3):
        if direction[axis] > 0:
            border[axis] = (cell[axis] + 1 - start[axis]) / direction[axis]
        elif direction[axis] < 0:
            border[axis] = (cell[axis] - start[axis]) / direction[axis]
    while True:
        leave = min(border)
        yield (cell[0], cell[1], cell[2]), leave
        axis = max(axis for axis in range(3) if border[axis] == leave)
        cell[axis] += 1 if direction[axis] > 0 else -1
        border[axis] += abs(1 / direction[axis]) if direction[axis] else math.inf
