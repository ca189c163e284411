"""The operator that everything turns on, in its four dialects: NumPy, PyTorch, ONNX, OpenVINO.

Lifting an image into the bird's-eye view (BEV) is a sum. Pixel p of the feature map has a feature vector and a
probability for each depth bin; each (pixel, depth bin) is a point in space that falls in one BEV cell, or in none:

    bev[cell] = sum of feat[pixel of e] * depth[point of e]  over the entries e of that cell

BEVDet's `bev_pool_v2` is a CUDA kernel for it, which neither ONNX nor OpenVINO knows. But it is an **embedding bag**,
an operator that PyTorch and OpenVINO have: the table is the features, the bag of a cell lists the pixels whose rays
cross it, the per-sample weights are depth probabilities, the reduction is a sum.

All four dialects take the same five arrays (`geometry.lift.PoolingPlan` makes the last three, and says how):

    depth            [N, D, fH, fW]   probabilities; P = N*D*fH*fW values; index P stands for one more, a zero
    feat             [N, fH, fW, C]   features, channels last; T = N*fH*fW rows; index T stands for one more, of zeros
    ranks_depth      [E]              which weight entry e uses, 0..P
    ranks_feat       [E]              which row entry e uses, 0..T
    interval_starts  [cells]          where each cell's entries begin: 0 first, strictly ascending

and give `bev` [cells, C]. Ranks are int32 or int64. Torch, ONNX and OpenVINO are imported when their dialect is called.

The second half of the file is for ONNX files from TensorRT exports, which carry `mmdeploy::bev_pool_v2` nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from occvino.errors import OccvinoError

if TYPE_CHECKING:
    import onnx
    import openvino as ov
    import torch

DOMAIN = "occvino"
OP_TYPE = "BevPoolV2"
MMDEPLOY_DOMAIN = "mmdeploy"
MMDEPLOY_OP_TYPE = "bev_pool_v2"


def bev_pool_reference(
    depth: NDArray[np.floating[Any]],  # [N, D, fH, fW]
    feat: NDArray[np.floating[Any]],  # [N, fH, fW, C]
    ranks_depth: NDArray[np.integer[Any]],  # [E]
    ranks_feat: NDArray[np.integer[Any]],  # [E]
    interval_starts: NDArray[np.integer[Any]],  # [cells]
) -> NDArray[np.float64]:
    """The definition, one entry at a time, summed in float64. The other three are tested against it."""
    weights = np.append(depth.reshape(-1), 0.0)  # [P + 1]
    table = np.append(feat.reshape(-1, feat.shape[-1]), np.zeros((1, feat.shape[-1])), axis=0)  # [T + 1, C]
    ends = np.append(interval_starts[1:], len(ranks_feat))
    bev = np.zeros((len(interval_starts), table.shape[1]))  # [cells, C]
    for cell, (start, end) in enumerate(zip(interval_starts, ends, strict=True)):
        for entry in range(start, end):
            bev[cell] += table[ranks_feat[entry]].astype(np.float64) * weights[ranks_depth[entry]]
    return bev


def bev_pool_torch(
    depth: torch.Tensor,  # [N, D, fH, fW]
    feat: torch.Tensor,  # [N, fH, fW, C]
    ranks_depth: torch.Tensor,  # [E]
    ranks_feat: torch.Tensor,  # [E]
    interval_starts: torch.Tensor,  # [cells]
) -> torch.Tensor:  # [cells, C]
    """`torch.nn.functional.embedding_bag`: runs on CPU and CUDA, differentiable, no extension to compile.

    Inside `torch.onnx.export(dynamo=True)` it emits the custom node of `onnx_function` instead, because exporters turn
    `embedding_bag` into a loop over the bags.
    """
    import torch
    import torch.nn.functional as F

    if torch.onnx.is_in_onnx_export():
        return torch.onnx.ops.symbolic(
            f"{DOMAIN}::{OP_TYPE}",
            (depth, feat, ranks_depth, ranks_feat, interval_starts),
            dtype=feat.dtype,
            shape=(interval_starts.shape[0], feat.shape[-1]),
            version=1,
        )
    weights = torch.cat([depth.reshape(-1), depth.new_zeros(1)])  # [P + 1]
    table = torch.cat([feat.reshape(-1, feat.shape[-1]), feat.new_zeros(1, feat.shape[-1])])  # [T + 1, C]
    return F.embedding_bag(
        ranks_feat, table, offsets=interval_starts, per_sample_weights=weights[ranks_depth], mode="sum"
    )


def onnx_function() -> onnx.FunctionProto:
    """The node `occvino::BevPoolV2` spelt out in standard ONNX (opset 18): any runtime that inlines functions runs it.

    ONNX has no bag, so the sum is a scatter-add: a cumulative sum over the starts gives the cell of each entry.
    """
    import onnx.parser

    return onnx.parser.parse_function(f"""
        <domain: "{DOMAIN}", opset_import: ["" : 18]>
        {OP_TYPE} (depth, feat, ranks_depth, ranks_feat, interval_starts) => (bev)
        {{
            zero = Constant <value = float[1] {{0}}> ()
            minus_one = Constant <value = int64[1] {{-1}}> ()
            last_axis = Constant <value = int64[1] {{1}}> ()
            first_axis = Constant <value = int64 {{0}}> ()
            unit = Constant <value = int64[1] {{1}}> ()

            flat_depth = Reshape (depth, minus_one)
            typed_zero = CastLike (zero, depth)
            weights = Concat <axis = 0> (flat_depth, typed_zero)
            entry_weights = Gather <axis = 0> (weights, ranks_depth)
            column = Unsqueeze (entry_weights, last_axis)

            channels = Shape <start = 3, end = 4> (feat)
            table_shape = Concat <axis = 0> (minus_one, channels)
            features = Reshape (feat, table_shape)
            row_shape = Concat <axis = 0> (unit, channels)
            row = ConstantOfShape <value = float[1] {{0}}> (row_shape)
            typed_row = CastLike (row, feat)
            table = Concat <axis = 0> (features, typed_row)
            rows = Gather <axis = 0> (table, ranks_feat)
            products = Mul (rows, column)

            starts = Cast <to = 7> (interval_starts)
            entries = Shape (ranks_feat)
            unmarked = ConstantOfShape <value = int64[1] {{0}}> (entries)
            cells = Shape (interval_starts)
            ones = ConstantOfShape <value = int64[1] {{1}}> (cells)
            marked = ScatterElements <axis = 0> (unmarked, starts, ones)
            counted = CumSum (marked, first_axis)
            cell = Sub (counted, unit)
            cell_index = Unsqueeze (cell, last_axis)

            bev_shape = Concat <axis = 0> (cells, channels)
            empty = ConstantOfShape <value = float[1] {{0}}> (bev_shape)
            typed_empty = CastLike (empty, feat)
            bev = ScatterND <reduction = "add"> (typed_empty, cell_index, products)
        }}
    """)


def bev_pool_openvino(
    depth: ov.Output,  # [N, D, fH, fW]
    feat: ov.Output,  # [N, fH, fW, C]
    ranks_depth: ov.Output,  # [E]
    ranks_feat: ov.Output,  # [E]
    interval_starts: ov.Output,  # [cells]
) -> ov.Output:  # [cells, C]
    """`EmbeddingBagOffsetsSum` of opset 3: stock, run by the CPU and GPU plugins, on the list of the NPU importer.

    Not `EmbeddingBagOffsets` of opset 15, which the NPU importer does not list. The default index is never used, since
    no bag is empty; it is given because plugins take -1, "none", differently.
    """
    import openvino.opset8 as ops
    from openvino import opset3

    table, kind = _table(feat), _type(feat)
    row = ops.constant(np.zeros((1, _channels(feat))), kind)
    return opset3.embedding_bag_offsets_sum(
        ops.concat([table, row], 0),  # [T + 1, C]
        ranks_feat,
        interval_starts,
        ops.constant(np.zeros(()), _type(ranks_feat)),
        ops.gather(_with_a_zero(depth), ranks_depth, ops.constant(0)),
    ).output(0)


_LANES = 32


def _with_a_zero(depth: ov.Output) -> ov.Output:
    """The P values and a zero behind them: [P + 1], or more zeros.

    In rows of 32 where P allows: the GPU plugin starts 32 work items for every row of what it joins, however short.
    """
    import openvino.opset8 as ops

    size = depth.get_partial_shape()
    lanes = _LANES if size.is_static and np.prod([int(each) for each in size.to_shape()]) % _LANES == 0 else 1
    rows = ops.reshape(depth, ops.constant([-1, lanes]), False)
    return _flat(ops.concat([rows, ops.constant(np.zeros((1, lanes)), _type(depth))], 0).output(0))


def openvino_extensions() -> list[Any]:
    """What `openvino.convert_model(..., extension=)` needs to read both kinds of node as the stock operator."""
    from openvino.frontend.onnx import ConversionExtension

    return [
        ConversionExtension(OP_TYPE, DOMAIN, lambda node: [bev_pool_openvino(*(node.get_input(i) for i in range(5)))]),
        ConversionExtension(MMDEPLOY_OP_TYPE, MMDEPLOY_DOMAIN, _mmdeploy_openvino),
    ]


def _flat(value: ov.Output) -> ov.Output:
    import openvino.opset8 as ops

    return ops.reshape(value, ops.constant([-1]), False).output(0)


def _table(feat: ov.Output) -> ov.Output:  # [..., C] -> [T, C]
    import openvino.opset8 as ops

    return ops.reshape(feat, ops.constant([-1, _channels(feat)]), False).output(0)


def _channels(feat: ov.Output) -> int:
    shape = feat.get_partial_shape()
    if shape.rank.is_dynamic or shape[shape.rank.get_length() - 1].is_dynamic:
        raise OccvinoError("bev_pool: the number of feature channels is not known when the model is converted")
    return int(shape[shape.rank.get_length() - 1].get_length())


def _type(value: ov.Output) -> ov.Type:
    return value.get_element_type()


# ---------------------------------------------------------------------------------------------------------------------
# mmdeploy::bev_pool_v2, as TensorRT exports of BEVDet and FlashOCC carry it. Seven inputs: depth, feat, ranks_depth,
# ranks_feat, ranks_bev [points], interval_starts, interval_lengths [intervals]; the size of the BEV is an attribute.
# Only cells that hold points have an interval, so the bags are summed and then put at their cells.


def mmdeploy_reference(
    depth: NDArray[np.floating[Any]],  # [N, D, fH, fW]
    feat: NDArray[np.floating[Any]],  # [N, fH, fW, C]
    ranks_depth: NDArray[np.integer[Any]],  # [points]
    ranks_feat: NDArray[np.integer[Any]],  # [points]
    ranks_bev: NDArray[np.integer[Any]],  # [points]
    interval_starts: NDArray[np.integer[Any]],  # [intervals]
    interval_lengths: NDArray[np.integer[Any]],  # [intervals]
    out_height: int,
    out_width: int,
) -> NDArray[np.float64]:  # [1, out_height, out_width, C]
    """What the CUDA kernel does: each interval is summed and written to the cell of its first point."""
    bev = np.zeros((out_height * out_width, feat.shape[-1]))
    weights, table = depth.reshape(-1), feat.reshape(-1, feat.shape[-1])
    for start, length in zip(interval_starts, interval_lengths, strict=True):
        points = slice(start, start + length)
        products = table[ranks_feat[points]].astype(np.float64) * weights[ranks_depth[points], None]
        bev[ranks_bev[start]] = products.sum(axis=0)
    return bev.reshape(1, out_height, out_width, -1)


def _mmdeploy_openvino(node: Any) -> list[ov.Output]:
    name = f"{MMDEPLOY_DOMAIN}::{MMDEPLOY_OP_TYPE}"
    size = bev_size(name, {key: node.get_attribute(key) for key in SIZES if node.has_attribute(key)})
    return [intervals_openvino(name, [node.get_input(index) for index in range(7)], *size)]


def intervals_openvino(name: str, inputs: Sequence[ov.Output], height: int, width: int) -> ov.Output:
    """Intervals -> bags -> cells of a BEV [1, height, width, C]; what `mmdeploy_reference` says.

    Starts that are constants are sorted, others must ascend; intervals must not overlap; points between an interval's
    end and the next start weigh nothing.

    Args:
        name: of the node, for errors.
        inputs: the seven.
        height: of the BEV, in cells.
        width: of the BEV, in cells.

    Raises:
        OccvinoError: shapes that are not those of a pooler with channels last, or intervals that overlap.
    """
    import openvino.opset8 as ops
    from openvino import opset3

    depth, feat, ranks_depth, ranks_feat, ranks_bev, starts, lengths = inputs
    _check_shapes(name, depth.get_partial_shape(), feat.get_partial_shape())
    starts, lengths = _ascending(starts, lengths)
    _check_intervals(name, _constant(starts), _constant(lengths))
    table, channels = _table(feat), _channels(feat)
    axis, as_i32 = ops.constant(0), lambda value: ops.convert(value, "i32")
    ranks_depth, ranks_feat, ranks_bev, starts, lengths = map(
        as_i32, (ranks_depth, ranks_feat, ranks_bev, starts, lengths)
    )

    points = ops.shape_of(ranks_feat, "i32")
    ones = ops.broadcast(ops.constant(np.int32(1)), ops.shape_of(starts))
    marked = ops.scatter_elements_update(ops.broadcast(ops.constant(np.int32(0)), points), starts, ones, axis)
    interval = ops.subtract(ops.cum_sum(marked, axis), ops.constant(np.int32(1)))  # [points]
    interval = ops.maximum(interval, ops.constant(np.int32(0)))
    order = ops.range(ops.constant(np.int32(0)), ops.squeeze(points, axis), ops.constant(np.int32(1)), "i32")
    offset = ops.subtract(order, ops.gather(starts, interval, axis))  # [points], negative before the first interval
    counts = ops.logical_and(
        ops.less(offset, ops.gather(lengths, interval, axis)),
        ops.greater_equal(offset, ops.constant(np.int32(0))),
    )
    weights = ops.gather(_flat(depth), ranks_depth, axis)
    weights = ops.convert_like(ops.multiply(weights, ops.convert_like(counts, weights)), feat)

    default = ops.constant(np.int32(0))
    bags = opset3.embedding_bag_offsets_sum(table, ranks_feat, starts, default, weights)  # [intervals, C]
    cells = ops.unsqueeze(ops.gather(ranks_bev, starts, axis), ops.constant(1))  # [intervals, 1]
    empty = ops.constant(np.zeros((height * width, channels)), _type(feat))
    bev = ops.scatter_nd_update(empty, cells, bags)
    return ops.reshape(bev, ops.constant([1, height, width, channels]), False).output(0)


def _check_shapes(name: str, depth: ov.PartialShape, feat: ov.PartialShape) -> None:
    """Most files carry [N, fH, fW, C]; BEVDet's own call has [B, N, fH, fW, C], which is the same for B = 1."""
    expected = "expected [N, D, fH, fW] and [N, fH, fW, C], or [1, N, D, fH, fW] and [1, N, fH, fW, C]"
    if feat.rank.is_dynamic or depth.rank.is_dynamic:
        raise OccvinoError(f"{name}: the shapes of depth and feat are not known: {expected}")
    rank = feat.rank.get_length()
    if rank not in (4, 5) or depth.rank.get_length() != rank or (rank == 5 and not feat[0] == depth[0] == 1):
        raise OccvinoError(f"{name}: depth has shape {depth} and feat has shape {feat}, {expected}")
    for of_depth, of_feat in ((rank - 4, rank - 4), (rank - 2, rank - 3), (rank - 1, rank - 2)):
        if not depth[of_depth].compatible(feat[of_feat]):
            raise OccvinoError(f"{name}: depth has shape {depth} and feat has shape {feat}, {expected}")


def _ascending(starts: ov.Output, lengths: ov.Output) -> tuple[ov.Output, ov.Output]:
    """Intervals in the order of their starts, where those are in the file: a sum does not ask which comes first."""
    import openvino.opset8 as ops

    known, sizes = _constant(starts), _constant(lengths)
    if known is None or bool((known[1:] >= known[:-1]).all()):
        return starts, lengths
    order = np.argsort(known, kind="stable")
    at = ops.constant(order.astype(np.int32))
    given = ops.constant(sizes[order]) if sizes is not None else ops.gather(lengths, at, ops.constant(0))
    return ops.constant(known[order]).output(0), given.output(0)


def _check_intervals(name: str, starts: NDArray[Any] | None, lengths: NDArray[Any] | None) -> None:
    """Bags begin where the one before ends: what is in two of them would be pooled into one."""
    if starts is None:
        return
    ends = starts if lengths is None else starts + np.maximum(lengths, 1) - 1
    wrong = np.flatnonzero(starts[1:] <= np.maximum(starts, ends)[:-1])
    if wrong.size:
        at = int(wrong[0])
        of = f" of {lengths[at]}" if lengths is not None else ""
        raise OccvinoError(
            f"{name}: intervals overlap: interval {at} starts at {starts[at]}{of}, the next at {starts[at + 1]}. "
            "Each point must be in one interval only: sort the points by ranks_bev, and make the intervals from that"
        )


def _constant(value: ov.Output) -> NDArray[Any] | None:
    """Numbers that are in the file, through conversions of their type; None where they are an input or computed."""
    node: Any = value.get_node()
    while node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return np.array(node.data) if node.get_type_name() == "Constant" else None


SIZES = tuple(f"{prefix}_{axis}" for prefix in ("out", "output") for axis in ("height", "width", "z"))
"""Mmdeploy and BEVDet write `out_height`, `out_width`; FlashOCC `output_height`, `output_width`, `output_z`."""


def bev_size(name: str, attributes: Mapping[str, Any]) -> tuple[int, int]:
    """Height and width of the BEV by the attributes of a node.

    Raises:
        OccvinoError: they are not there, or the BEV is more than one cell high.
    """
    sizes = {key.rpartition("_")[2]: int(value) for key, value in attributes.items() if key in SIZES}
    if "height" not in sizes or "width" not in sizes:
        raise OccvinoError(f"{name}: the node has no attributes out_height and out_width")
    if sizes.get("z", 1) != 1:
        raise OccvinoError(f"{name}: output_z is {sizes['z']}; only a BEV one cell high is supported")
    return sizes["height"], sizes["width"]
