"""Models of one operator each, for Intel's NPU compiler: what it takes and what it refuses (`runtime.npu_rules`)."""

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
    opset12,
    opset13,
    opset14,
    opset15,
)

from tests.npu.builders import (
    Builder,
    as_f32,
    attention,
    bag,
    binary,
    deformable,
    dynamic,
    f32,
    gather,
    gather_elements,
    gather_nd,
    grid_sample,
    interpolate,
    non_zero,
    nv12,
    one_hot,
    packed,
    positive,
    quantised,
    rank5,
    rank6,
    scatter_elements,
    scatter_nd,
    scatter_update,
    segments,
    select,
    sliced,
    split,
    top_k,
    unary,
    weights,
    whole,
    whole1,
)

TAKEN: dict[str, Builder] = {
    "Abs-1": unary(opset1.abs),
    "Add-1": binary(opset1.add),
    "AvgPool-1": unary(lambda x: opset1.avg_pool(x, [2, 2], [0, 0], [0, 0], [2, 2], True)),
    "Broadcast-3": unary(lambda x: opset3.broadcast(x, whole(4, 8, 16, 16))),
    "Ceiling-1": unary(opset1.ceiling),
    "Clamp-1": unary(lambda x: opset1.clamp(x, 0.0, 6.0)),
    "Concat-1": binary(lambda a, b: opset1.concat([a, b], 1)),
    "Convert-1": unary(lambda x: opset1.convert(x, "f16")),
    "Convolution-1": unary(lambda x: opset1.convolution(x, weights(8, 8, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1])),
    "Convolution-1, rank 5": rank5("convolution"),
    "CumSum-3": unary(lambda x: opset3.cum_sum(x, opset13.constant(np.int64(1)))),
    "Divide-1": binary(opset1.divide),
    "EmbeddingBagOffsetsSum-3": bag(
        lambda t, i, s, w: opset3.embedding_bag_offsets_sum(t, i, s, opset13.constant(np.int32(0)), w)
    ),
    "Equal-1": binary(as_f32(opset1.equal)),
    "Erf-1": unary(opset1.erf),
    "Exp-1": unary(opset1.exp),
    "FakeQuantize-1": quantised,
    "Floor-1": unary(opset1.floor),
    "Gather-8": gather,
    "GatherElements-6": gather_elements,
    "GatherND-8": gather_nd,
    "Gelu-7": unary(lambda x: opset8.gelu(x, "erf")),
    "Greater-1": binary(as_f32(opset1.greater)),
    "GridSample-9": grid_sample,
    "Interpolate-11, linear": interpolate("linear_onnx", "align_corners"),
    "Interpolate-11, nearest": interpolate("nearest", "asymmetric"),
    "Less-1": binary(as_f32(opset1.less)),
    "Log-1": unary(opset1.log),
    "LogicalAnd-1": binary(
        lambda a, b: opset13.convert(opset1.logical_and(opset1.less(a, b), opset1.less(b, a)), "f32")
    ),
    "MVN-6": unary(lambda x: opset8.mvn(x, whole(-1), True, 1e-5, "inside_sqrt")),
    "MatMul-1": binary(lambda a, b: opset1.matmul(a, b, False, True)),
    "MaxPool-8": unary(
        lambda x: opset8.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2], "floor", "explicit", "i32", 0).output(0)
    ),
    "Maximum-1": binary(opset1.maximum),
    "Minimum-1": binary(opset1.minimum),
    "Mod-1": binary(opset1.mod),
    "Multiply-1": binary(opset1.multiply),
    "NonZero-3": non_zero,
    "Pad-1": unary(lambda x: opset1.pad(x, whole(0, 0, 1, 1), whole(0, 0, 1, 1), "constant")),
    "Power-1": unary(lambda x: opset1.power(x, opset13.constant(np.float32(2)))),
    "ReduceMax-1": unary(lambda x: opset1.reduce_max(x, whole(1), False)),
    "ReduceMean-1": unary(lambda x: opset1.reduce_mean(x, whole(2, 3), True)),
    "ReduceSum-1": unary(lambda x: opset1.reduce_sum(x, whole(1), False)),
    "Relu-1": unary(opset1.relu),
    "Reshape-1": unary(lambda x: opset1.reshape(x, whole(1, 16, 8, 16), False)),
    "Roll-7": unary(lambda x: opset8.roll(x, whole(2, 2), whole(2, 3))),
    "Round-5": unary(lambda x: opset8.round(x, "half_to_even")),
    "ScatterElementsUpdate-12": scatter_elements("none"),
    "ScatterElementsUpdate-12, sum": scatter_elements("sum"),
    "ScatterNDUpdate-4": scatter_nd(None),
    "Select-1": select,
    "Sigmoid-1": unary(opset1.sigmoid),
    "Slice-8": unary(sliced),
    "SoftPlus-4": unary(opset8.softplus),
    "Softmax-8": unary(lambda x: opset8.softmax(x, 1)),
    "Split-1": split("split"),
    "Sqrt-1": unary(opset1.sqrt),
    "Squeeze-1": unary(lambda x: opset1.squeeze(x, whole(0))),
    "Subtract-1": binary(opset1.subtract),
    "Tile-1": unary(lambda x: opset1.tile(x, whole(1, 2, 1, 1))),
    "TopK-11": top_k(),
    "TopK-11, rank 5": top_k(2, (1, 4, 18, 16, 16)),
    "Transpose-1": unary(lambda x: opset1.transpose(x, whole(0, 2, 3, 1))),
    "Unsqueeze-1": unary(lambda x: opset1.unsqueeze(x, whole(0))),
    "VariadicSplit-1": split("variadic"),
    "rank 6 inside": rank6("inside"),
    "Acos-1": unary(opset1.acos),
    "Acosh-4": unary(opset4.acosh),
    "AdaptiveAvgPool-8": unary(lambda x: opset8.adaptive_avg_pool(x, whole(4, 4))),
    "AdaptiveMaxPool-8": unary(lambda x: opset8.adaptive_max_pool(x, whole(4, 4), "i32").output(0)),
    "Asin-1": unary(opset1.asin),
    "Asinh-4": unary(opset4.asinh),
    "Atan-1": unary(opset1.atan),
    "Atanh-4": unary(opset4.atanh),
    "BatchNormInference-5": unary(lambda x: opset5.batch_norm_inference(x, *(positive(8) for _ in range(4)), 1e-5)),
    "BatchToSpace-2": unary(
        lambda x: opset2.batch_to_space(x, whole(1, 1, 2, 2), whole(0, 0, 0, 0), whole(0, 0, 0, 0)), (4, 8, 16, 16)
    ),
    "Bucketize-3": unary(lambda x: f32(opset3.bucketize(x, positive(8), "i32", True))),
    "ConvolutionBackpropData-1": unary(
        lambda x: opset1.convolution_backprop_data(x, weights(8, 8, 2, 2), [2, 2], None, [0, 0], [0, 0], [1, 1])
    ),
    "Cos-1": unary(opset1.cos),
    "Cosh-1": unary(opset1.cosh),
    "DepthToSpace-1": unary(lambda x: opset1.depth_to_space(x, "blocks_first", 2)),
    "Elu-1": unary(lambda x: opset1.elu(x, 1.0)),
    "EmbeddingBagPackedSum-3": packed,
    "EmbeddingSegmentsSum-3": segments,
    "Eye-9": unary(lambda x: opset1.add(x, opset9.eye(whole1(16), whole1(16), whole1(0), "f32"))),
    "FloorMod-1": binary(opset1.floor_mod),
    "Gather-1": unary(lambda x: opset1.gather(x, whole(0, 2), opset13.constant(np.int64(1)))),
    "Gather-7": unary(lambda x: opset7.gather(x, whole(0, 2), opset13.constant(np.int64(1)))),
    "Gelu-2": unary(opset2.gelu),
    "GreaterEqual-1": binary(as_f32(opset1.greater_equal)),
    "GroupConvolution-1": unary(
        lambda x: opset1.group_convolution(x, weights(8, 1, 1, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1])
    ),
    "GroupConvolutionBackpropData-1": unary(
        lambda x: opset1.group_convolution_backprop_data(
            x, weights(2, 4, 4, 2, 2), [2, 2], None, [0, 0], [0, 0], [1, 1]
        )
    ),
    "GroupNormalization-12": unary(lambda x: opset12.group_normalization(x, positive(8), positive(8), 2, 1e-5)),
    "HSigmoid-5": unary(opset5.hsigmoid),
    "HSwish-4": unary(opset4.hswish),
    "Inverse-14": unary(lambda x: opset14.inverse(x, False), (2, 4, 4)),
    "LRN-1": unary(lambda x: opset1.lrn(x, whole(1), 1.0, 0.5, 1.0, 3)),
    "LessEqual-1": binary(as_f32(opset1.less_equal)),
    "LogSoftmax-5": unary(lambda x: opset5.log_softmax(x, 1)),
    "LogicalNot-1": binary(lambda a, b: f32(opset1.logical_not(opset1.less(a, b)))),
    "LogicalOr-1": binary(lambda a, b: f32(opset1.logical_or(opset1.less(a, b), opset1.less(b, a)))),
    "LogicalXor-2": binary(lambda a, b: f32(opset1.logical_xor(opset1.less(a, b), opset1.less(b, a)))),
    "MaxPool-1": unary(lambda x: opset1.max_pool(x, [2, 2], [0, 0], [0, 0], [2, 2])),
    "MaxPool-14": unary(
        lambda x: opset14.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2], "floor", "explicit", "i32", 0).output(0)
    ),
    "MaxPool-8, rank 5": rank5("pool"),
    "Mish-4": unary(opset4.mish),
    "NV12toBGR-8": nv12(opset8.nv12_to_bgr),
    "NV12toRGB-8": nv12(opset8.nv12_to_rgb),
    "Negative-1": unary(opset1.negative),
    "NormalizeL2-1": unary(lambda x: opset1.normalize_l2(x, whole(1), 1e-5, "add")),
    "NotEqual-1": binary(as_f32(opset1.not_equal)),
    "OneHot-1": one_hot,
    "PRelu-1": unary(lambda x: opset1.prelu(x, positive(8))),
    "Pad-12": unary(lambda x: opset12.pad(x, whole(0, 0, 1, 1), whole(0, 0, -1, 1), "constant")),
    "RDFT-9": unary(lambda x: opset9.rdft(x, whole(2, 3))),
    "ReduceL1-4": unary(lambda x: opset4.reduce_l1(x, whole(1), False)),
    "ReduceL2-4": unary(lambda x: opset4.reduce_l2(x, whole(1), False)),
    "ReduceLogicalAnd-1": binary(lambda a, b: f32(opset1.reduce_logical_and(opset1.less(a, b), whole(1), False))),
    "ReduceLogicalOr-1": binary(lambda a, b: f32(opset1.reduce_logical_or(opset1.less(a, b), whole(1), False))),
    "ReduceMin-1": unary(lambda x: opset1.reduce_min(x, whole(1), False)),
    "ReduceProd-1": unary(lambda x: opset1.reduce_prod(x, whole(1), False)),
    "ReverseSequence-1": unary(lambda x: opset1.reverse_sequence(x, whole(8), 0, 1)),
    "ScaledDotProductAttention-13": attention,
    "ScatterNDUpdate-15": scatter_nd("none"),
    "ScatterUpdate-3": scatter_update,
    "Selu-1": unary(lambda x: opset1.selu(x, positive(1), positive(1))),
    "ShuffleChannels-1": unary(lambda x: opset3.shuffle_channels(x, 1, 2)),
    "Sign-1": unary(opset1.sign),
    "Sin-1": unary(opset1.sin),
    "Sinh-1": unary(opset1.sinh),
    "Softmax-1": unary(lambda x: opset1.softmax(x, 1)),
    "SpaceToBatch-2": unary(
        lambda x: opset2.space_to_batch(x, whole(1, 1, 2, 2), whole(0, 0, 0, 0), whole(0, 0, 0, 0))
    ),
    "SpaceToDepth-1": unary(lambda x: opset1.space_to_depth(x, "blocks_first", 2)),
    "SquaredDifference-1": binary(opset1.squared_difference),
    "StridedSlice-1": unary(
        lambda x: opset1.strided_slice(x, whole(0, 0, 0, 0), whole(1, 8, 16, 16), whole(1, 1, 2, 2), [0] * 4, [0] * 4)
    ),
    "Swish-4": unary(lambda x: opset4.swish(x)),
    "Tanh-1": unary(opset1.tanh),
    "TopK-3": unary(
        lambda x: opset13.convert(
            opset3.topk(x, opset13.constant(np.int64(1)), 1, "max", "index", index_element_type="i32").output(1), "u8"
        ),
        (1, 18, 16, 16),
    ),
}
"""By operator and opset; some with attributes."""

REFUSED: dict[str, Builder] = {
    "DeformableConvolution-8": deformable,
    "Tan-1": unary(opset1.tan),
    "EmbeddingBagOffsets-15": bag(
        lambda t, i, s, w: opset15.embedding_bag_offsets(t, i, s, opset13.constant(np.int32(0)), w, "sum")
    ),
    "ScatterNDUpdate-15, sum": scatter_nd("sum"),
    "Unique-10": unary(lambda x: opset13.unique(x, None, False).output(0), (64,)),
    "a dynamic batch": dynamic,
    "rank 6 input": rank6("input"),
    "rank 6 output": rank6("output"),
}


def model_of(build: Builder) -> ov.Model:
    """The model of one builder."""
    parameters, output = build()
    return ov.Model([output], parameters, "one")
