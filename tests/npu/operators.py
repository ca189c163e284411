"""Models of one operator each, for Intel's NPU compiler: what it takes and what it refuses (`runtime.npu_rules`)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
from openvino import (
    opset1,
    opset2,
    opset3,
    opset4,
    opset5,
    opset7,
    opset8,
    opset9,
    opset11,
    opset12,
    opset13,
    opset14,
    opset15,
)

Builder = Callable[[], tuple[list[Any], Any]]
"""Gives the parameters of a model and its output."""


def _of(shape: list[int], kind: Any = np.float32) -> Any:
    return opset13.parameter(shape, kind)


def _unary(make: Callable[[Any], Any], shape: tuple[int, ...] = (1, 8, 16, 16)) -> Builder:
    def build() -> tuple[list[Any], Any]:
        x = _of(list(shape))
        return [x], make(x)

    return build


def _binary(make: Callable[[Any, Any], Any], kind: Any = np.float32) -> Builder:
    def build() -> tuple[list[Any], Any]:
        a, b = _of([1, 8, 16, 16], kind), _of([1, 8, 16, 16], kind)
        return [a, b], make(a, b)

    return build


def _as_f32(make: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given: opset13.convert(make(*given), "f32")


def _weights(*shape: int) -> Any:
    return opset13.constant(np.random.default_rng(0).normal(size=shape).astype(np.float32))


def _whole(*values: int) -> Any:
    return opset13.constant(np.array(values, np.int64))


_ONE = [1, 1], [0, 0], [0, 0], [1, 1]


def _gather() -> tuple[list[Any], Any]:
    table, index = _of([100, 16]), _of([50], np.int32)
    return [table, index], opset8.gather(table, index, opset13.constant(np.int32(0)))


def _bag(sums: Callable[..., Any]) -> Builder:
    def build() -> tuple[list[Any], Any]:
        table, index, starts, weights = _of([100, 16]), _of([60], np.int32), _of([20], np.int32), _of([60])
        return [table, index, starts, weights], sums(table, index, starts, weights)

    return build


def _scatter_nd(reduction: str | None) -> Builder:
    def build() -> tuple[list[Any], Any]:
        data, index, rows = _of([100, 16]), _of([50, 1], np.int32), _of([50, 16])
        if reduction is None:
            return [data, index, rows], opset4.scatter_nd_update(data, index, rows)
        return [data, index, rows], opset15.scatter_nd_update(data, index, rows, reduction=reduction)

    return build


def _scatter_elements(reduction: str) -> Builder:
    def build() -> tuple[list[Any], Any]:
        data, index, rows = _of([100, 16]), _of([50, 16], np.int32), _of([50, 16])
        axis = opset13.constant(np.int32(0))
        return [data, index, rows], opset12.scatter_elements_update(data, index, rows, axis, reduction)

    return build


def _gather_nd() -> tuple[list[Any], Any]:
    data, index = _of([100, 16]), _of([50, 1], np.int32)
    return [data, index], opset8.gather_nd(data, index)


def _gather_elements() -> tuple[list[Any], Any]:
    data, index = _of([100, 16]), _of([50, 16], np.int32)
    return [data, index], opset8.gather_elements(data, index, 0)


def _grid_sample() -> tuple[list[Any], Any]:
    data, grid = _of([1, 8, 16, 16]), _of([1, 16, 16, 2])
    told = {"align_corners": True, "mode": "bilinear", "padding_mode": "zeros"}
    return [data, grid], opset9.grid_sample(data, grid, told)


def _select() -> tuple[list[Any], Any]:
    a, b = _of([1, 8, 16, 16]), _of([1, 8, 16, 16])
    return [a, b], opset13.select(opset13.less(a, b), a, b)


def _interpolate(mode: str, coordinates: str) -> Builder:
    def make(x: Any) -> Any:
        return opset11.interpolate(
            x, _whole(32, 32), mode, "sizes", coordinate_transformation_mode=coordinates, axes=_whole(2, 3)
        )

    return _unary(make)


def _top_k(axis: int = 1, shape: tuple[int, ...] = (1, 18, 16, 16)) -> Builder:
    def make(x: Any) -> Any:
        found = opset11.topk(x, opset13.constant(np.int64(1)), axis, "max", "index", index_element_type="i32")
        return opset13.convert(found.output(1), "u8")

    return _unary(make, shape)


def _rank6(where: str) -> Builder:
    def build() -> tuple[list[Any], Any]:
        whole, six = [64, 64], [2, 4, 2, 4, 4, 16]
        x = _of(six if where == "input" else whole)
        inside = opset13.transpose(opset13.reshape(x, _whole(*six), False), _whole(0, 2, 1, 3, 5, 4))
        return [x], inside if where == "output" else opset13.reshape(inside, _whole(*whole), False)

    return build


def _rank5(kind: str) -> Builder:
    def make(x: Any) -> Any:
        if kind == "convolution":
            return opset13.convolution(x, _weights(8, 8, 3, 3, 3), [1] * 3, [1] * 3, [1] * 3, [1] * 3)
        return opset13.max_pool(x, [2] * 3, [1] * 3, [0] * 3, [0] * 3, [2] * 3, "floor", "explicit", "i32", 0).output(0)

    return _unary(make, (1, 8, 8, 16, 16))


def _non_zero() -> tuple[list[Any], Any]:
    x = _of([8, 16])
    return [x], opset13.non_zero(x, "i32")


def _dynamic() -> tuple[list[Any], Any]:
    x = opset13.parameter(ov.PartialShape([-1, 8, 16, 16]), np.float32)
    return [x], opset13.relu(x)


def _quantised() -> tuple[list[Any], Any]:
    x = _of([1, 8, 16, 16])
    low, high = opset13.constant(np.float32(-1)), opset13.constant(np.float32(1))
    return [x], opset13.convolution(opset13.fake_quantize(x, low, high, low, high, 256), _weights(8, 8, 1, 1), *_ONE)


def _split(kind: str) -> Builder:
    def make(x: Any) -> Any:
        if kind == "split":
            return opset13.split(x, opset13.constant(np.int64(1)), 2).output(1)
        return opset13.variadic_split(x, opset13.constant(np.int64(1)), _whole(3, 5)).output(1)

    return _unary(make)


def _slice(x: Any) -> Any:
    return opset8.slice(x, _whole(-1), _whole(-(2**31)), _whole(-1), _whole(1))


def _f32(value: Any) -> Any:
    return opset13.convert(value, "f32")


def _positive(count: int) -> Any:
    return opset13.constant(np.linspace(0.5, 1.5, count, dtype=np.float32))


def _whole1(value: int) -> Any:
    return opset13.constant(np.int64(value))


def _deformable() -> tuple[list[Any], Any]:
    x, offsets = _of([1, 8, 16, 16]), _of([1, 18, 16, 16])
    return [x, offsets], opset8.deformable_convolution(x, offsets, _weights(8, 8, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1])


def _packed() -> tuple[list[Any], Any]:
    table, index = _of([100, 16]), _of([20, 3], np.int32)
    return [table, index], opset3.embedding_bag_packed_sum(table, index)


def _segments() -> tuple[list[Any], Any]:
    table, index, segment = _of([100, 16]), _of([60], np.int32), _of([60], np.int32)
    count = opset13.constant(np.int32(20))
    return [table, index, segment], opset3.embedding_segments_sum(table, index, segment, count)


def _nv12(make: Callable[[Any], Any]) -> Builder:
    def build() -> tuple[list[Any], Any]:
        x = _of([1, 24, 16, 1], np.uint8)
        return [x], opset13.convert(make(x), "f32")

    return build


def _one_hot() -> tuple[list[Any], Any]:
    x = _of([8, 16], np.int32)
    on, off = opset13.constant(np.float32(1)), opset13.constant(np.float32(0))
    return [x], opset1.one_hot(x, _whole1(18), on, off, -1)


def _attention() -> tuple[list[Any], Any]:
    q, k, v = (_of([1, 2, 16, 8]) for _ in range(3))
    return [q, k, v], opset13.scaled_dot_product_attention(q, k, v)


def _scatter_update() -> tuple[list[Any], Any]:
    data, index, rows = _of([100, 16]), _of([50], np.int32), _of([50, 16])
    return [data, index, rows], opset3.scatter_update(data, index, rows, opset13.constant(np.int32(0)))


TAKEN: dict[str, Builder] = {
    "Abs-1": _unary(opset1.abs),
    "Add-1": _binary(opset1.add),
    "AvgPool-1": _unary(lambda x: opset1.avg_pool(x, [2, 2], [0, 0], [0, 0], [2, 2], True)),
    "Broadcast-3": _unary(lambda x: opset3.broadcast(x, _whole(4, 8, 16, 16))),
    "Ceiling-1": _unary(opset1.ceiling),
    "Clamp-1": _unary(lambda x: opset1.clamp(x, 0.0, 6.0)),
    "Concat-1": _binary(lambda a, b: opset1.concat([a, b], 1)),
    "Convert-1": _unary(lambda x: opset1.convert(x, "f16")),
    "Convolution-1": _unary(lambda x: opset1.convolution(x, _weights(8, 8, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1])),
    "Convolution-1, rank 5": _rank5("convolution"),
    "CumSum-3": _unary(lambda x: opset3.cum_sum(x, opset13.constant(np.int64(1)))),
    "Divide-1": _binary(opset1.divide),
    "EmbeddingBagOffsetsSum-3": _bag(
        lambda t, i, s, w: opset3.embedding_bag_offsets_sum(t, i, s, opset13.constant(np.int32(0)), w)
    ),
    "Equal-1": _binary(_as_f32(opset1.equal)),
    "Erf-1": _unary(opset1.erf),
    "Exp-1": _unary(opset1.exp),
    "FakeQuantize-1": _quantised,
    "Floor-1": _unary(opset1.floor),
    "Gather-8": _gather,
    "GatherElements-6": _gather_elements,
    "GatherND-8": _gather_nd,
    "Gelu-7": _unary(lambda x: opset8.gelu(x, "erf")),
    "Greater-1": _binary(_as_f32(opset1.greater)),
    "GridSample-9": _grid_sample,
    "Interpolate-11, linear": _interpolate("linear_onnx", "align_corners"),
    "Interpolate-11, nearest": _interpolate("nearest", "asymmetric"),
    "Less-1": _binary(_as_f32(opset1.less)),
    "Log-1": _unary(opset1.log),
    "LogicalAnd-1": _binary(
        lambda a, b: opset13.convert(opset1.logical_and(opset1.less(a, b), opset1.less(b, a)), "f32")
    ),
    "MVN-6": _unary(lambda x: opset8.mvn(x, _whole(-1), True, 1e-5, "inside_sqrt")),
    "MatMul-1": _binary(lambda a, b: opset1.matmul(a, b, False, True)),
    "MaxPool-8": _unary(
        lambda x: opset8.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2], "floor", "explicit", "i32", 0).output(0)
    ),
    "Maximum-1": _binary(opset1.maximum),
    "Minimum-1": _binary(opset1.minimum),
    "Mod-1": _binary(opset1.mod),
    "Multiply-1": _binary(opset1.multiply),
    "NonZero-3": _non_zero,
    "Pad-1": _unary(lambda x: opset1.pad(x, _whole(0, 0, 1, 1), _whole(0, 0, 1, 1), "constant")),
    "Power-1": _unary(lambda x: opset1.power(x, opset13.constant(np.float32(2)))),
    "ReduceMax-1": _unary(lambda x: opset1.reduce_max(x, _whole(1), False)),
    "ReduceMean-1": _unary(lambda x: opset1.reduce_mean(x, _whole(2, 3), True)),
    "ReduceSum-1": _unary(lambda x: opset1.reduce_sum(x, _whole(1), False)),
    "Relu-1": _unary(opset1.relu),
    "Reshape-1": _unary(lambda x: opset1.reshape(x, _whole(1, 16, 8, 16), False)),
    "Roll-7": _unary(lambda x: opset8.roll(x, _whole(2, 2), _whole(2, 3))),
    "Round-5": _unary(lambda x: opset8.round(x, "half_to_even")),
    "ScatterElementsUpdate-12": _scatter_elements("none"),
    "ScatterElementsUpdate-12, sum": _scatter_elements("sum"),
    "ScatterNDUpdate-4": _scatter_nd(None),
    "Select-1": _select,
    "Sigmoid-1": _unary(opset1.sigmoid),
    "Slice-8": _unary(_slice),
    "SoftPlus-4": _unary(opset8.softplus),
    "Softmax-8": _unary(lambda x: opset8.softmax(x, 1)),
    "Split-1": _split("split"),
    "Sqrt-1": _unary(opset1.sqrt),
    "Squeeze-1": _unary(lambda x: opset1.squeeze(x, _whole(0))),
    "Subtract-1": _binary(opset1.subtract),
    "Tile-1": _unary(lambda x: opset1.tile(x, _whole(1, 2, 1, 1))),
    "TopK-11": _top_k(),
    "TopK-11, rank 5": _top_k(2, (1, 4, 18, 16, 16)),
    "Transpose-1": _unary(lambda x: opset1.transpose(x, _whole(0, 2, 3, 1))),
    "Unsqueeze-1": _unary(lambda x: opset1.unsqueeze(x, _whole(0))),
    "VariadicSplit-1": _split("variadic"),
    "rank 6 inside": _rank6("inside"),
    "Acos-1": _unary(opset1.acos),
    "Acosh-4": _unary(opset4.acosh),
    "AdaptiveAvgPool-8": _unary(lambda x: opset8.adaptive_avg_pool(x, _whole(4, 4))),
    "AdaptiveMaxPool-8": _unary(lambda x: opset8.adaptive_max_pool(x, _whole(4, 4), "i32").output(0)),
    "Asin-1": _unary(opset1.asin),
    "Asinh-4": _unary(opset4.asinh),
    "Atan-1": _unary(opset1.atan),
    "Atanh-4": _unary(opset4.atanh),
    "BatchNormInference-5": _unary(lambda x: opset5.batch_norm_inference(x, *(_positive(8) for _ in range(4)), 1e-5)),
    "BatchToSpace-2": _unary(
        lambda x: opset2.batch_to_space(x, _whole(1, 1, 2, 2), _whole(0, 0, 0, 0), _whole(0, 0, 0, 0)), (4, 8, 16, 16)
    ),
    "Bucketize-3": _unary(lambda x: _f32(opset3.bucketize(x, _positive(8), "i32", True))),
    "ConvolutionBackpropData-1": _unary(
        lambda x: opset1.convolution_backprop_data(x, _weights(8, 8, 2, 2), [2, 2], None, [0, 0], [0, 0], [1, 1])
    ),
    "Cos-1": _unary(opset1.cos),
    "Cosh-1": _unary(opset1.cosh),
    "DepthToSpace-1": _unary(lambda x: opset1.depth_to_space(x, "blocks_first", 2)),
    "Elu-1": _unary(lambda x: opset1.elu(x, 1.0)),
    "EmbeddingBagPackedSum-3": _packed,
    "EmbeddingSegmentsSum-3": _segments,
    "Eye-9": _unary(lambda x: opset1.add(x, opset9.eye(_whole1(16), _whole1(16), _whole1(0), "f32"))),
    "FloorMod-1": _binary(opset1.floor_mod),
    "Gather-1": _unary(lambda x: opset1.gather(x, _whole(0, 2), opset13.constant(np.int64(1)))),
    "Gather-7": _unary(lambda x: opset7.gather(x, _whole(0, 2), opset13.constant(np.int64(1)))),
    "Gelu-2": _unary(opset2.gelu),
    "GreaterEqual-1": _binary(_as_f32(opset1.greater_equal)),
    "GroupConvolution-1": _unary(
        lambda x: opset1.group_convolution(x, _weights(8, 1, 1, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1])
    ),
    "GroupConvolutionBackpropData-1": _unary(
        lambda x: opset1.group_convolution_backprop_data(
            x, _weights(2, 4, 4, 2, 2), [2, 2], None, [0, 0], [0, 0], [1, 1]
        )
    ),
    "GroupNormalization-12": _unary(lambda x: opset12.group_normalization(x, _positive(8), _positive(8), 2, 1e-5)),
    "HSigmoid-5": _unary(opset5.hsigmoid),
    "HSwish-4": _unary(opset4.hswish),
    "Inverse-14": _unary(lambda x: opset14.inverse(x, False), (2, 4, 4)),
    "LRN-1": _unary(lambda x: opset1.lrn(x, _whole(1), 1.0, 0.5, 1.0, 3)),
    "LessEqual-1": _binary(_as_f32(opset1.less_equal)),
    "LogSoftmax-5": _unary(lambda x: opset5.log_softmax(x, 1)),
    "LogicalNot-1": _binary(lambda a, b: _f32(opset1.logical_not(opset1.less(a, b)))),
    "LogicalOr-1": _binary(lambda a, b: _f32(opset1.logical_or(opset1.less(a, b), opset1.less(b, a)))),
    "LogicalXor-2": _binary(lambda a, b: _f32(opset1.logical_xor(opset1.less(a, b), opset1.less(b, a)))),
    "MaxPool-1": _unary(lambda x: opset1.max_pool(x, [2, 2], [0, 0], [0, 0], [2, 2])),
    "MaxPool-14": _unary(
        lambda x: opset14.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2], "floor", "explicit", "i32", 0).output(0)
    ),
    "MaxPool-8, rank 5": _rank5("pool"),
    "Mish-4": _unary(opset4.mish),
    "NV12toBGR-8": _nv12(opset8.nv12_to_bgr),
    "NV12toRGB-8": _nv12(opset8.nv12_to_rgb),
    "Negative-1": _unary(opset1.negative),
    "NormalizeL2-1": _unary(lambda x: opset1.normalize_l2(x, _whole(1), 1e-5, "add")),
    "NotEqual-1": _binary(_as_f32(opset1.not_equal)),
    "OneHot-1": _one_hot,
    "PRelu-1": _unary(lambda x: opset1.prelu(x, _positive(8))),
    "Pad-12": _unary(lambda x: opset12.pad(x, _whole(0, 0, 1, 1), _whole(0, 0, -1, 1), "constant")),
    "RDFT-9": _unary(lambda x: opset9.rdft(x, _whole(2, 3))),
    "ReduceL1-4": _unary(lambda x: opset4.reduce_l1(x, _whole(1), False)),
    "ReduceL2-4": _unary(lambda x: opset4.reduce_l2(x, _whole(1), False)),
    "ReduceLogicalAnd-1": _binary(lambda a, b: _f32(opset1.reduce_logical_and(opset1.less(a, b), _whole(1), False))),
    "ReduceLogicalOr-1": _binary(lambda a, b: _f32(opset1.reduce_logical_or(opset1.less(a, b), _whole(1), False))),
    "ReduceMin-1": _unary(lambda x: opset1.reduce_min(x, _whole(1), False)),
    "ReduceProd-1": _unary(lambda x: opset1.reduce_prod(x, _whole(1), False)),
    "ReverseSequence-1": _unary(lambda x: opset1.reverse_sequence(x, _whole(8), 0, 1)),
    "ScaledDotProductAttention-13": _attention,
    "ScatterNDUpdate-15": _scatter_nd("none"),
    "ScatterUpdate-3": _scatter_update,
    "Selu-1": _unary(lambda x: opset1.selu(x, _positive(1), _positive(1))),
    "ShuffleChannels-1": _unary(lambda x: opset3.shuffle_channels(x, 1, 2)),
    "Sign-1": _unary(opset1.sign),
    "Sin-1": _unary(opset1.sin),
    "Sinh-1": _unary(opset1.sinh),
    "Softmax-1": _unary(lambda x: opset1.softmax(x, 1)),
    "SpaceToBatch-2": _unary(
        lambda x: opset2.space_to_batch(x, _whole(1, 1, 2, 2), _whole(0, 0, 0, 0), _whole(0, 0, 0, 0))
    ),
    "SpaceToDepth-1": _unary(lambda x: opset1.space_to_depth(x, "blocks_first", 2)),
    "SquaredDifference-1": _binary(opset1.squared_difference),
    "StridedSlice-1": _unary(
        lambda x: opset1.strided_slice(
            x, _whole(0, 0, 0, 0), _whole(1, 8, 16, 16), _whole(1, 1, 2, 2), [0] * 4, [0] * 4
        )
    ),
    "Swish-4": _unary(lambda x: opset4.swish(x)),
    "Tanh-1": _unary(opset1.tanh),
    "TopK-3": _unary(
        lambda x: opset13.convert(
            opset3.topk(x, opset13.constant(np.int64(1)), 1, "max", "index", index_element_type="i32").output(1), "u8"
        ),
        (1, 18, 16, 16),
    ),
}
"""By operator and opset; some with attributes."""

REFUSED: dict[str, Builder] = {
    "DeformableConvolution-8": _deformable,
    "Tan-1": _unary(opset1.tan),
    "EmbeddingBagOffsets-15": _bag(
        lambda t, i, s, w: opset15.embedding_bag_offsets(t, i, s, opset13.constant(np.int32(0)), w, "sum")
    ),
    "ScatterNDUpdate-15, sum": _scatter_nd("sum"),
    "Unique-10": _unary(lambda x: opset13.unique(x, None, False).output(0), (64,)),
    "a dynamic batch": _dynamic,
    "rank 6 input": _rank6("input"),
    "rank 6 output": _rank6("output"),
}


def model_of(build: Builder) -> ov.Model:
    """The model of one builder."""
    parameters, output = build()
    return ov.Model([output], parameters, "one")
