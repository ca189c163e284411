"""The slow readable twin of `columns`: the same function, one point at a time."""

import numpy as np
from numpy.typing import NDArray

from occvino.geometry.columns import ColumnPlan, ColumnSizes
from occvino.geometry.lift import OUTSIDE


def from_cells(
    cell: NDArray[np.int32], cells: int, sizes: ColumnSizes, *, cameras: int, depth_bins: int, columns: int
) -> ColumnPlan:
    """`ColumnPlan.from_cells` of a rig that fits."""
    rows = cell.size // (cameras * depth_bins * columns)
    point = cell.reshape(cameras, depth_bins, rows, columns)
    mask = np.zeros((cameras * columns, depth_bins, sizes.pieces, rows), np.float16)
    pieces_of: dict[int, list[int]] = {}
    for camera, column, depth in np.ndindex(cameras, columns, depth_bins):
        piece, above = -1, OUTSIDE
        for row in range(rows):
            here = int(point[camera, depth, row, column])
            if here not in (OUTSIDE, above):
                piece += 1
                place = ((camera * columns + column) * depth_bins + depth) * sizes.pieces + piece
                pieces_of.setdefault(here, []).append(place)
            if here != OUTSIDE:
                mask[camera * columns + column, depth, piece, row] = 1
            above = here
    total = mask[..., 0].size
    nothing = min(set(range(total)) - {place for places in pieces_of.values() for place in places})
    pairs, crowds = list[tuple[int, int]](), list[list[int]]()
    source = np.full(cells, nothing, np.int32)
    for owner in sorted(pieces_of):
        places = pieces_of[owner]
        if len(places) == 1:
            source[owner] = places[0]
            continue
        places = [*places, nothing]
        own = [(places[i], places[i + 1]) for i in range(0, len(places) - 1, 2)]
        numbers = list(range(len(pairs), len(pairs) + len(own)))
        pairs += own
        if len(own) == 1:
            source[owner] = total + numbers[0]
        else:
            source[owner] = total + sizes.pairs + len(crowds)
            crowds.append(numbers + [sizes.pairs - 1] * (sizes.crowd - len(numbers)))
    pairs += [(nothing, nothing)] * (sizes.pairs - len(pairs))
    crowds += [[sizes.pairs - 1] * sizes.crowd] * (sizes.crowded - len(crowds))
    halves = np.array(pairs, np.int32).T.reshape(-1)
    return ColumnPlan(mask.reshape(cameras * columns, -1, rows), halves, np.array(crowds, np.int32).reshape(-1), source)
