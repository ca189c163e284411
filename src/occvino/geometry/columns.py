"""The plan of the column form of pooling (`bev_pool_columns`): the same sums as a `PoolingPlan`, cut another way.

An image column of features sees one depth bin along a line that is nearly upright: its fH points fall in one BEV cell,
or in a few, one after another. So a *piece* is a run of points of one column and one depth bin that lie in one cell.
Summing within pieces is a matrix product with a mask. Most cells have one piece and are done; the others add theirs up
in *pairs*, and cells of more than one pair, which are *crowded*, add up their pairs.

(nuScenes' rig, flashocc-r50-M0: 151,532 points make 14,102 pieces in 11,932 cells, of which 332 are crowded.)

Shapes must be static, so that each step has a fixed number of places, `ColumnSizes`, chosen when a model is converted.
Where several frames are lifted, each has a plan of its own, of the same sizes, stacked.
A slow readable twin is in `columns_reference.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occvino.errors import RigError
from occvino.geometry.lift import OUTSIDE
from occvino.variant import Variant

COLUMN_INPUTS = ("column_mask", "pair_pieces", "crowd_pairs", "cell_source")
"""Names of the arrays of a `ColumnPlan`, as inputs of a network."""
_ROUND = 64


@dataclass(frozen=True)
class ColumnSizes:
    """How many places each step of the column form has, in each frame.

    Attributes:
        pieces: J, of one column and depth bin.
        pairs: S; the last one adds nothing.
        crowded: X, cells of more than one pair.
        crowd: K, pairs of one crowded cell.
    """

    pieces: int
    pairs: int
    crowded: int
    crowd: int

    @classmethod
    def needed(
        cls, cell: NDArray[np.int32], *, cells: int, cameras: int, depth_bins: int, columns: int
    ) -> "ColumnSizes":
        """Just enough for the cells of all points of one frame (see `cells_of_points`)."""
        of_columns = _of_columns(cell, cameras, depth_bins, columns)
        begins = _begins(of_columns)
        return _needed(begins, _pairs(np.bincount(of_columns[begins], minlength=cells)))

    def with_margin(self) -> "ColumnSizes":
        """Room for rigs of the same make: cameras turned by 2 degrees, moved by 0.2 m, focal lengths 5 % off.

        tests/geometry/test_columns.py holds it to that.
        """
        return ColumnSizes(
            self.pieces + 1,
            _round_up(self.pairs * 1.5),
            _round_up(self.crowded * 1.5),
            max(self.crowd * 3 // 2, 2),
        )

    @classmethod
    def from_json(cls, found: Any) -> "ColumnSizes | None":
        """Read what `to_dict` gave, or None."""
        return None if found is None else cls(**{each.name: int(found[each.name]) for each in fields(cls)})

    def to_dict(self) -> dict[str, int]:
        """Plain values, for JSON."""
        return asdict(self)


def _round_up(value: float) -> int:
    return _ROUND * max(1, ceil(value / _ROUND))


@dataclass(frozen=True, eq=False)
class ColumnPlan:
    """Which points make up each piece, and which pieces each BEV cell sums. `inputs` gives the arrays by name.

    A frame has B columns, camera after camera, from left to right, and M = B*D*J places for pieces. Places of a step
    are numbered on after those of the step before: pieces from 0, pairs from M, crowded cells from M + S.
    """

    column_mask: NDArray[np.float16]  # [F*B, D*J, fH], 1 where the point belongs to the piece, else 0
    pair_pieces: NDArray[np.int32]  # [F*2*S], pieces: the first of each pair, then the second of each
    crowd_pairs: NDArray[np.int32]  # [F*X*K], pairs, counted from 0: K for each crowded cell
    cell_source: NDArray[np.int32]  # [F*cells], a piece, a pair or a crowded cell

    @classmethod
    def from_cells(
        cls,
        cell: NDArray[np.int32],
        cells: int,
        sizes: ColumnSizes,
        *,
        cameras: int,
        depth_bins: int,
        columns: int,
    ) -> "ColumnPlan":
        """Plan of one frame from the cell of each point [N*D*fH*fW] (`OUTSIDE` for none).

        Raises:
            RigError: the rig needs more places than the model was converted with.
        """
        of_columns = _of_columns(cell, cameras, depth_bins, columns)  # [B, D, fH]
        begins = _begins(of_columns)
        owner = of_columns[begins]  # the cell of each piece, in order
        count = np.bincount(owner, minlength=cells)  # [cells], pieces
        pairs = _pairs(count)
        _check(_needed(begins, pairs), sizes)

        bins, rows = of_columns.shape[1:]
        piece = np.cumsum(begins, axis=-1, dtype=np.int8) - np.int8(1)  # [B, D, fH], of a point that is inside
        inside = of_columns != OUTSIDE
        mask = np.zeros((len(of_columns), bins, sizes.pieces, rows), np.float16)
        for j in range(sizes.pieces):
            np.logical_and(piece == j, inside, out=mask[:, :, j], casting="unsafe")
        places = np.flatnonzero(begins)  # in (B, D, fH)
        place = places // rows * sizes.pieces + piece.reshape(-1)[places]  # of each piece, in 0..M
        total = len(of_columns) * bins * sizes.pieces
        free = np.ones(total, bool)
        free[place] = False
        nothing = int(np.argmax(free))

        order = np.argsort(owner.astype(np.uint16) if cells <= 1 << 16 else owner, kind="stable")
        rank = np.arange(owner.size) - np.repeat(np.cumsum(count) - count, count)  # within its cell
        first_pair = np.cumsum(pairs) - pairs  # [cells]
        paired = np.repeat(pairs > 0, count)
        halves = np.full((2, sizes.pairs), nothing, np.int32)
        halves[rank[paired] % 2, (first_pair[owner[order]] + rank // 2)[paired]] = place[order][paired]
        crowded = np.flatnonzero(pairs > 1)
        crowds = np.full((sizes.crowded, sizes.crowd), sizes.pairs - 1, np.int32)
        within = np.arange(sizes.crowd)
        have = within < pairs[crowded, None]
        crowds[: crowded.size][have] = (first_pair[crowded, None] + within)[have]
        source = np.full(cells, nothing, np.int32)
        source[owner] = place  # of cells with one piece; the others are overwritten
        several = np.flatnonzero(pairs)
        source[several] = total + first_pair[several]
        source[crowded] = total + sizes.pairs + np.arange(crowded.size)
        return cls(mask.reshape(len(of_columns), -1, rows), halves.reshape(-1), crowds.reshape(-1), source)

    @classmethod
    def stack(cls, plans: Sequence["ColumnPlan"]) -> "ColumnPlan":
        """The plan of several frames, newest first, from those of each."""
        return cls(*(np.concatenate([getattr(plan, name) for plan in plans]) for name in COLUMN_INPUTS))

    def inputs(self) -> dict[str, NDArray[np.generic]]:
        """The arrays by the names that networks give their inputs."""
        return {name: getattr(self, name) for name in COLUMN_INPUTS}


def column_inputs(
    bags: Mapping[str, NDArray[Any]], variant: Variant, sizes: ColumnSizes
) -> dict[str, NDArray[np.generic]]:
    """The inputs of the column form from those of the bags (`PoolingPlan.inputs`): the same sums.

    Raises:
        RigError: the rig needs more places than the model was converted with.
    """
    cells = variant.lift_grid.cells
    frames, shape = _cells_and_shape(bags, variant)
    return ColumnPlan.stack([ColumnPlan.from_cells(cell, cells, sizes, **shape) for cell in frames]).inputs()


def sizes_needed(bags: Mapping[str, NDArray[Any]], variant: Variant) -> ColumnSizes:
    """Just enough for the inputs of a `PoolingPlan`."""
    frames, shape = _cells_and_shape(bags, variant)
    found = [ColumnSizes.needed(cell, cells=variant.lift_grid.cells, **shape) for cell in frames]
    return ColumnSizes(*(max(getattr(sizes, each.name) for sizes in found) for each in fields(ColumnSizes)))


def _cells_and_shape(
    bags: Mapping[str, NDArray[Any]], variant: Variant
) -> tuple[list[NDArray[np.int32]], dict[str, int]]:
    """The cell of each point of each frame, which the bags say, and how the points of a frame are numbered."""
    ranks, starts = bags["ranks_depth"], bags["interval_starts"]
    points, cells = ranks.size - starts.size, variant.lift_grid.cells
    owner = np.repeat(np.arange(starts.size, dtype=np.int32) % cells, np.diff(starts, append=ranks.size))
    cell = np.full(points + 1, OUTSIDE, np.int32)
    cell[ranks] = owner
    frames = np.split(cell[:-1], variant.lifted_frames)
    cameras = frames[0].size // variant.points_per_camera
    return frames, {"cameras": cameras, "depth_bins": variant.depth_bins, "columns": variant.feature_size[1]}


def _pairs(count: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many pairs a cell of so many pieces takes; one piece takes none."""
    return np.where(count > 1, (count + 1) // 2, 0)


def _of_columns(cell: NDArray[np.int32], cameras: int, depth_bins: int, columns: int) -> NDArray[np.int32]:
    """[N*D*fH*fW] -> [N*fW, D, fH]."""
    points = cell.reshape(cameras, depth_bins, -1, columns).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(points).reshape(cameras * columns, depth_bins, -1)


def _begins(of_columns: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether a piece begins at a point [B, D, fH]: it is in a cell, and the point above is not in that one."""
    begins = of_columns != OUTSIDE
    begins[..., 1:] &= of_columns[..., 1:] != of_columns[..., :-1]
    return begins


def _needed(begins: NDArray[np.bool_], pairs: NDArray[np.int64]) -> ColumnSizes:
    """Of where pieces begin [B, D, fH] and how many pairs each cell takes.

    A place for a piece and one for a pair stay free: these stand for zeros.
    """
    pieces = begins.sum(axis=-1)  # [B, D]
    most = int(pieces.max(initial=0))
    full = bool((pieces == most).all())
    return ColumnSizes(most + full, int(pairs.sum()) + 1, int((pairs > 1).sum()), int(pairs.max(initial=0)))


def _check(needed: ColumnSizes, sizes: ColumnSizes) -> None:
    short = [
        f"{each.name} {getattr(needed, each.name)} of {getattr(sizes, each.name)}"
        for each in fields(ColumnSizes)
        if getattr(needed, each.name) > getattr(sizes, each.name)
    ]
    if short:
        raise RigError(
            f"this rig does not fit the column pooling of the artifact, which needs {', '.join(short)}: convert again "
            "with --rig RIG.json of this vehicle, or with --pooling bag"
        )
