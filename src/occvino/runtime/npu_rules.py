"""Would an NPU take this IR? No NPU compiler runs here: this reads the IR against rules, and says no more than that.

The list of operators is that of the NPU compiler's importer (openvinotoolkit/npu_compiler, `frontend/IE.cpp`, as of
December 2024): an operator of the list is parsed, which does not prove that it compiles or is right on an NPU.
"""

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import openvino as ov

MAX_RANK = 4
"""Of a tensor that a convolution, pooling, interpolation or bag takes or gives; NPU tensors of image kind are NCHW."""

IMPORTER = frozenset(
    f"{kind}-{opset}"
    for opset, kinds in {
        1: "Abs Acos Add Asin Atan AvgPool Ceiling Clamp Concat Constant Convert ConvertLike Convolution "
        "ConvolutionBackpropData Cos Cosh DepthToSpace Divide Elu Equal Erf Exp FakeQuantize Floor FloorMod Greater "
        "GreaterEqual GroupConvolution GroupConvolutionBackpropData Less LessEqual Log LogicalAnd LogicalNot LogicalOr "
        "LogicalXor LRN MatMul Maximum MaxPool Minimum Mod Multiply Negative NormalizeL2 NotEqual OneHot Pad Parameter "
        "Power PRelu ReduceLogicalAnd ReduceLogicalOr ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum Relu Reshape "
        "Result ReverseSequence Select Selu ShapeOf ShuffleChannels Sigmoid Sign Sin Sinh SpaceToDepth Split Sqrt "
        "SquaredDifference Squeeze StridedSlice Subtract Tan Tanh Tile TopK Transpose Unsqueeze",
        2: "BatchToSpace Gelu SpaceToBatch",
        3: "Broadcast Bucketize CumSum EmbeddingBagOffsetsSum EmbeddingBagPackedSum EmbeddingSegmentsSum NonZero "
        "ScatterElementsUpdate ScatterUpdate TopK",
        4: "Acosh Asinh Atanh HSwish Interpolate Mish MVN ReduceL1 ReduceL2 ScatterNDUpdate SoftPlus Swish",
        5: "BatchNormInference HSigmoid LogSoftmax Loop Round",
        6: "GatherElements MVN",
        7: "Roll",
        8: "AdaptiveAvgPool AdaptiveMaxPool DeformableConvolution Gather GatherND If MaxPool NV12toBGR NV12toRGB "
        "Softmax",
        9: "Eye GridSample RDFT",
        12: "GroupNormalization ScatterElementsUpdate",
    }.items()
    for kind in kinds.split()
)

REWRITTEN = {
    "Gather-1": "Gather-8",
    "Gather-7": "Gather-8",
    "Interpolate-11": "Interpolate-4",
    "MaxPool-14": "MaxPool-8",
    "Slice-8": "StridedSlice-1",
    "Softmax-1": "Softmax-8",
    "TopK-11": "TopK-3",
}
"""What OpenVINO's common transformations, which every plugin runs before its importer, make of an operator."""

HINTS = {
    "EmbeddingBagOffsets": "opset 15's node is not in the importer's list; opset 3's EmbeddingBagOffsetsSum is",
    "Inverse": "not in the importer's list",
    "NonZero": "gives a shape that depends on the data; the NPU compiles static shapes",
    "Unique": "gives a shape that depends on the data; the NPU compiles static shapes",
    "NonMaxSuppression": "gives a shape that depends on the data; the NPU compiles static shapes",
    "Loop": "the importer parses it; that the compiler takes it is not known",
    "If": "the importer parses it; that the compiler takes it is not known",
}
"""What the doctor says of operators in anyone's graph, by type: the few that networks of this field run into."""

_RANK_MATTERS = ("Convolution", "MaxPool", "AvgPool", "Interpolate", "EmbeddingBagOffsetsSum")


@dataclass(frozen=True)
class RuleCheck:
    """Findings by rule; empty ones are passes. `operators` counts each kind with its opset."""

    operators: dict[str, int]
    rewritten: dict[str, str]
    unknown: tuple[str, ...]
    dynamic: tuple[str, ...]
    rank: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether no rule was broken."""
        return not (self.unknown or self.dynamic or self.rank)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "ok": self.ok, "kind": "rule check: no NPU and no NPU compiler was used"}


def check_npu_rules(xml: str | Path) -> RuleCheck:
    """Check operators, static shapes and ranks of an IR."""
    nodes = ov.Core().read_model(xml).get_ops()
    operators = Counter(_kind(node) for node in nodes)
    return RuleCheck(
        operators=dict(sorted(operators.items())),
        rewritten={kind: REWRITTEN[kind] for kind in sorted(operators) if kind in REWRITTEN},
        unknown=tuple(kind for kind in sorted(operators) if REWRITTEN.get(kind, kind) not in IMPORTER),
        dynamic=tuple(node.get_friendly_name() for node in nodes if any(shape.is_dynamic for shape in _shapes(node))),
        rank=tuple(
            f"{node.get_friendly_name()} ({_kind(node)})"
            for node in nodes
            if node.get_type_name() in _RANK_MATTERS
            and any(not shape.rank.is_dynamic and shape.rank.get_length() > MAX_RANK for shape in _shapes(node))
        ),
    )


def _kind(node: ov.Node) -> str:
    return f"{node.get_type_name()}-{node.get_type_info().version_id.removeprefix('opset')}"


def _shapes(node: ov.Node) -> list[ov.PartialShape]:
    inputs = [value.get_source_output().get_partial_shape() for value in node.inputs()]
    return inputs + [value.get_partial_shape() for value in node.outputs()]
