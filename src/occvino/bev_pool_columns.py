"""The pooling of `bev_pool` without bags: the same sums from matrix products and gathers, for NPUs.

`EmbeddingBagOffsetsSum` compiles for NPUs, but becomes one task on one of their small processors. This form is made of
what they are built for. `geometry.columns.ColumnPlan` makes the four arrays, and says what pieces, pairs and crowded
cells are. With B = N*fW columns of the image features, all cameras together:

    piece[b, d*J + j] = sum over rows h of  depth[b, d, h] * column_mask[b, d*J + j, h] * feat[b, h]    one MatMul
    pair[s]           = piece[pair_pieces[s]] + piece[pair_pieces[S + s]]                               one Gather
    crowded[x]        = sum over k of pair[crowd_pairs[x*K + k]]                                        one Gather
    bev[cell]         = (pieces, then pairs, then crowded cells)[cell_source[cell]]                     one Gather

What is to add nothing has a piece whose mask is all zeros. So, unlike in `bev_pool`, an infinite feature there makes a
NaN; features that a network gives are finite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import openvino as ov


def bev_pool_columns_reference(
    depth: NDArray[np.floating[Any]],  # [N, D, fH, fW]
    feat: NDArray[np.floating[Any]],  # [N, fH, fW, C]
    column_mask: NDArray[Any],  # [B, D*J, fH]
    pair_pieces: NDArray[np.integer[Any]],  # [2*S]
    crowd_pairs: NDArray[np.integer[Any]],  # [X*K]
    cell_source: NDArray[np.integer[Any]],  # [cells]
    crowd: int,
) -> NDArray[np.float64]:  # [cells, C]
    """The four lines above, one sum at a time, in float64. `crowd`: K."""
    (_, bins, _, width), channels = depth.shape, feat.shape[-1]
    pieces_of_bin = column_mask.shape[1] // bins
    piece = np.zeros((column_mask.shape[0] * column_mask.shape[1], channels))
    for place, members in enumerate(column_mask.reshape(-1, column_mask.shape[2])):
        column, part = divmod(place, column_mask.shape[1])
        camera, w = divmod(column, width)
        for h in np.flatnonzero(members):
            piece[place] += float(depth[camera, part // pieces_of_bin, h, w]) * feat[camera, h, w].astype(np.float64)
    pair = piece[pair_pieces].reshape(2, -1, channels).sum(axis=0)
    crowded = pair[crowd_pairs].reshape(-1, crowd, channels).sum(axis=1)
    return np.concatenate([piece, pair, crowded])[cell_source]


def bev_pool_columns_openvino(
    depth: ov.Output,  # [N, D, fH, fW]
    feat: ov.Output,  # [N, fH, fW, C]
    column_mask: ov.Output,  # [B, D*J, fH]
    pair_pieces: ov.Output,  # [2*S]
    crowd_pairs: ov.Output,  # [X*K]
    cell_source: ov.Output,  # [cells]
    crowd: int,
) -> ov.Output:  # [cells, C]
    """Stock operators: Transpose, Broadcast, Multiply, MatMul, Gather, ReduceSum. `crowd`: K."""
    import openvino.opset8 as ops

    (n, bins, rows, width), channels = depth.get_shape(), feat.get_shape()[3]
    columns, places, kind = n * width, column_mask.get_shape()[1], depth.get_element_type()
    pieces, axis = places // bins, ops.constant(np.int32(0))

    def shaped(value: Any, *shape: int) -> Any:
        return ops.reshape(value, ops.constant(np.array(shape, np.int64)), False)

    upright = shaped(ops.transpose(depth, np.array([0, 3, 1, 2])), columns, bins, 1, rows)
    repeated = ops.broadcast(upright, np.array([columns, bins, pieces, rows], np.int64))
    weights = ops.multiply(shaped(repeated, columns, places, rows), ops.convert(column_mask, kind.get_type_name()))
    table = shaped(ops.transpose(feat, np.array([0, 2, 1, 3])), columns, rows, channels)
    piece = shaped(ops.matmul(weights, table, False, False), columns * places, channels)
    pairs = shaped(ops.gather(piece, pair_pieces, axis), 2, -1, channels)
    pair = ops.reduce_sum(pairs, np.array([0]), False)
    crowds = shaped(ops.gather(pair, crowd_pairs, axis), -1, crowd, channels)
    crowded = ops.reduce_sum(crowds, np.array([1]), False)
    return ops.gather(ops.concat([piece, pair, crowded], 0), cell_source, axis).output(0)
