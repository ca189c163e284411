"""The pooling of `bev_pool` for cells that are computed in the graph: a scatter that sums, with no plan and no sort.

Every point has the number of its cell. Numbers from `cells` on are of points that lie in none: their sums are cut off
again, and they are dealt round over many so that a GPU's atomic additions do not all wait for one place.

    point form     bev[cell[p]] += depth[p] * feat[pixel of p]          one row for each point
    pieces         piece[b, d*J + j] = sum over rows h of depth[b, d, h] * (number[b, d, h] == j) * feat[b, h]    MatMul
                   bev[cell of the piece] += piece                      one row for each piece

A *piece* is, as in `bev_pool_columns`, a run of points of one image column b and one depth bin d that lie in one cell;
J of them have a place. Points of later pieces would be lost, and are counted: `lost` must be 0.

`ScatterElementsUpdate` of opset 12 sums on every plugin. `ScatterNDUpdate` of opset 15, which takes one index a row, is
refused by the GPU plugin and by the NPU compiler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import openvino as ov

SPARE = 1024
"""How many rows the points outside of all cells are dealt to."""


def bev_pool_scatter_reference(
    depth: NDArray[np.floating[Any]],  # [N, D, fH, fW]
    feat: NDArray[np.floating[Any]],  # [N, fH, fW, C]
    cell: NDArray[Any],  # [N, D, fH, fW]
    cells: int,
    pieces: int | None = None,
) -> tuple[NDArray[np.float64], int]:
    """Both forms, one point at a time, in float64: [cells, C], and how many points were lost."""
    bev, lost = np.zeros((cells, feat.shape[-1])), 0
    n, bins, rows, width = depth.shape
    for camera, d, w in np.ndindex(n, bins, width):
        number, before = 0, -1
        for h in range(rows):
            here = int(cell[camera, d, h, w])
            number += here < cells and here != before
            before = here
            if here >= cells:
                continue
            if pieces is not None and number > pieces:
                lost += 1
            else:
                bev[here] += feat[camera, h, w].astype(np.float64) * float(depth[camera, d, h, w])
    return bev, lost


def dealt(shape: tuple[int, ...], cells: int) -> NDArray[np.float32]:
    """A number for each point or piece that is in no cell: from `cells` on, dealt round."""
    count = int(np.prod(shape))
    return (cells + np.arange(count) % SPARE).astype(np.float32).reshape(shape)


def bev_pool_points_openvino(
    depth: ov.Output,  # [N, D, fH, fW]
    feat: ov.Output,  # [N, fH, fW, C]
    cell: ov.Output,  # [N*D*fH*fW] i32
    cells: int,
) -> ov.Output:  # [cells, C]
    """The point form, of stock operators."""
    import openvino.opset8 as ops

    (n, bins, rows, width), channels = depth.get_shape(), feat.get_shape()[3]
    weights = _shaped(depth, n, bins, rows * width, 1)
    products = ops.multiply(weights, _shaped(feat, n, 1, rows * width, channels))
    return _scattered(_shaped(products, -1, channels), cell, cells)


def bev_pool_pieces_openvino(
    depth: ov.Output,  # [N, D, fH, fW]
    feat: ov.Output,  # [N, fH, fW, C]
    cell: ov.Output,  # [N*fW, D, fH] f32
    cells: int,
    pieces: int,
) -> tuple[ov.Output, ov.Output]:  # [cells, C], lost i32 [1]
    """Pieces, of stock operators: `mask_of_pieces`, one MatMul, one scatter."""
    import openvino.opset8 as ops

    (n, bins, rows, width), channels = depth.get_shape(), feat.get_shape()[3]
    columns = n * width
    mask, of_piece, lost = mask_of_pieces(cell, cells, pieces)
    upright = _shaped(ops.transpose(depth, _i64(0, 3, 1, 2)), columns, bins, 1, rows)
    mask = ops.convert(mask, depth.get_element_type().get_type_name())
    weights = _shaped(ops.multiply(upright, mask), columns, bins * pieces, rows)
    table = _shaped(ops.transpose(feat, _i64(0, 2, 1, 3)), columns, rows, channels)
    made = _shaped(ops.matmul(weights, table, False, False), columns * bins * pieces, channels)
    return _scattered(made, of_piece, cells), lost


def mask_of_pieces(cell: ov.Output, cells: int, pieces: int) -> tuple[Any, ov.Output, ov.Output]:
    """From the cells alone [B, D, fH] f32: which points each piece has, its cell, and how many points have no place.

    Returns:
        mask [B, D, J, fH] f32 of 0 and 1, cell of each piece [B*D*J] i32, points lost i32 [1].
    """
    import openvino.opset8 as ops

    columns, bins, rows = cell.get_shape()
    end = ops.constant(np.float32(cells))
    inside = ops.less(cell, end)
    above = ops.concat(
        [
            ops.constant(np.full((columns, bins, 1), -1, np.float32)),
            ops.slice(cell, _i64(0), _i64(rows - 1), _i64(1), _i64(2)),
        ],
        2,
    )
    begins = ops.convert(ops.logical_and(inside, ops.not_equal(cell, above)), "f32")
    up_to = ops.constant(np.triu(np.ones((rows, rows), np.float32)))
    number = ops.multiply(ops.matmul(begins, up_to, False, False), ops.convert(inside, "f32"))  # 1, 2, ...; 0 outside
    wanted = ops.constant(np.arange(1, pieces + 1, dtype=np.float32).reshape(1, 1, pieces, 1))
    mask = ops.convert(ops.equal(ops.unsqueeze(number, _i64(2)), wanted), "f32")  # [B, D, J, fH]
    # a piece's cell is smaller than every number that is dealt; what is no piece keeps its own
    spare = ops.constant(dealt((columns, bins, pieces, 1), cells))
    below = ops.multiply(mask, ops.subtract(ops.unsqueeze(cell, _i64(2)), spare))
    of_piece = ops.add(ops.reduce_min(below, _i64(3), True), spare)
    late = ops.greater(number, ops.constant(np.float32(pieces)))
    lost = ops.reduce_sum(ops.convert(late, "i32"), _i64(0, 1, 2), False)
    return mask, ops.convert(_shaped(of_piece, -1), "i32").output(0), _shaped(lost, 1)


def _scattered(rows: ov.Output, cell: ov.Output, cells: int) -> ov.Output:
    """Sums of the rows [R, C] with the same number [R]: [cells, C]."""
    import openvino.opset8 as ops
    from openvino import opset12

    count, channels = rows.get_shape()
    empty = ops.constant(np.zeros((cells + SPARE, channels)), rows.get_element_type())
    index = ops.broadcast(ops.unsqueeze(cell, _i64(1)), _i64(count, channels))
    axis = ops.constant(np.int64(0))
    sums = opset12.scatter_elements_update(empty, index, rows, axis, reduction="sum")
    return ops.slice(sums, _i64(0), _i64(cells), _i64(1), _i64(0)).output(0)


def _i64(*values: int) -> Any:
    import openvino.opset8 as ops

    return ops.constant(np.array(values, np.int64))


def _shaped(value: Any, *shape: int) -> Any:
    import openvino.opset8 as ops

    return ops.reshape(value, _i64(*shape), False).output(0)
