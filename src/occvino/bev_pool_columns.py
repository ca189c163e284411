"""The pooling of `bev_pool` without bags: the same sums from matrix products and gathers, for NPUs.

`EmbeddingBagOffsetsSum` compiles for NPUs, but becomes one task on one of their small processors. This form is made of
what they are built for. `geometry.columns.ColumnPlan` makes the four arrays, and says what pieces, pairs and crowded
cells are. Each of the F frames is pooled apart from the others, with numbers of its own. With B = N*fW columns of the
image features of a frame, all its cameras together, in each frame

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

OFFSETS = "offsets_of_frames/"
"""How the names of the constants begin that number places on from frame to frame."""


def bev_pool_columns_reference(
    depth: NDArray[np.floating[Any]],  # [F*N, D, fH, fW]
    feat: NDArray[np.floating[Any]],  # [F*N, fH, fW, C]
    column_mask: NDArray[Any],  # [F*B, D*J, fH]
    pair_pieces: NDArray[np.integer[Any]],  # [F*2*S]
    crowd_pairs: NDArray[np.integer[Any]],  # [F*X*K]
    cell_source: NDArray[np.integer[Any]],  # [F*cells]
    crowd: int,
    frames: int = 1,
) -> NDArray[np.float64]:  # [F*cells, C]
    """The four lines above, one sum at a time, in float64. `crowd`: K. `frames`: F."""
    arrays = (depth, feat, column_mask, pair_pieces, crowd_pairs, cell_source)
    apart = zip(*(np.split(array, frames) for array in arrays), strict=True)
    return np.concatenate(
        [_of_one_frame(d, f, mask, pairs, crowds, source, crowd) for d, f, mask, pairs, crowds, source in apart]
    )


def _of_one_frame(
    depth: NDArray[np.floating[Any]],
    feat: NDArray[np.floating[Any]],
    column_mask: NDArray[Any],
    pair_pieces: NDArray[np.integer[Any]],
    crowd_pairs: NDArray[np.integer[Any]],
    cell_source: NDArray[np.integer[Any]],
    crowd: int,
) -> NDArray[np.float64]:  # [cells, C]
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
    depth: ov.Output,  # [F*N, D, fH, fW]
    feat: ov.Output,  # [F*N, fH, fW, C]
    column_mask: ov.Output,  # [F*B, D*J, fH]
    pair_pieces: ov.Output,  # [F*2*S]
    crowd_pairs: ov.Output,  # [F*X*K]
    cell_source: ov.Output,  # [F*cells]
    crowd: int,
    frames: int = 1,
) -> ov.Output:  # [F*cells, C]
    """Stock operators: Transpose, Broadcast, Multiply, MatMul, Gather, Add, ReduceSum. `crowd`: K. `frames`: F.

    Beside the offsets that number places on from frame to frame, nothing says how many frames there are: `one_frame`.
    (Gathers with a batch would need none, but OpenVINO 2026.4.1 on a CPU crashes in some with a batch of one.)
    """
    import openvino.opset8 as ops

    (images, bins, rows, width), channels = depth.get_shape(), feat.get_shape()[3]
    places, kind, axis = column_mask.get_shape()[1], depth.get_element_type(), ops.constant(np.int32(0))

    def shaped(value: Any, *shape: int) -> Any:
        return ops.reshape(value, ops.constant(np.array(shape, np.int64)), False)

    def numbered(which: Any, table: int) -> Any:
        """Numbers of rows of a frame's own table, to those of all frames' tables, one after another."""
        if frames == 1:
            return which
        kind = which.get_element_type().to_dtype()
        first = ops.constant(np.arange(frames, dtype=kind).reshape(-1, 1) * table, name=f"{OFFSETS}{table}")
        return shaped(ops.add(shaped(which, frames, -1), first), -1)

    upright = shaped(ops.transpose(depth, np.array([0, 3, 1, 2])), -1, bins, 1, rows)
    repeated = ops.broadcast(upright, np.array([1, 1, places // bins, 1], np.int64), broadcast_spec="BIDIRECTIONAL")
    weights = ops.multiply(shaped(repeated, -1, places, rows), ops.convert(column_mask, kind.get_type_name()))
    table = shaped(ops.transpose(feat, np.array([0, 2, 1, 3])), -1, rows, channels)
    pieces, pairs = images // frames * width * places, pair_pieces.get_shape()[0] // frames // 2
    crowds = crowd_pairs.get_shape()[0] // frames // crowd
    piece = shaped(ops.matmul(weights, table, False, False), -1, channels)
    halves = ops.gather(piece, numbered(pair_pieces, pieces), axis)
    pair = ops.reduce_sum(shaped(halves, -1, 2, pairs, channels), np.array([1]), False)  # [F, S, C]
    members = ops.gather(shaped(pair, -1, channels), numbered(crowd_pairs, pairs), axis)
    crowded = ops.reduce_sum(shaped(members, -1, crowds, crowd, channels), np.array([2]), False)  # [F, X, C]
    steps = ops.concat([shaped(piece, -1, pieces, channels), pair, crowded], 1)
    source = numbered(cell_source, pieces + pairs + crowds)
    return ops.gather(shaped(steps, -1, channels), source, axis).output(0)


def one_frame(model: ov.Model) -> None:
    """Leave out the offsets, in place: once its inputs are reshaped to one frame, the model pools that."""
    for op in model.get_ops():
        if op.get_type_name() == "Add" and op.input_value(1).get_node().get_friendly_name().startswith(OFFSETS):
            (numbered,) = op.output(0).get_target_inputs()
            own = op.input_value(0).get_node().input_value(0)
            numbered.get_node().output(0).replace(own)
