"""Would an NPU take this IR? Read against what Intel's NPU compiler was seen to do with small models.

`COMPILED` holds operators that compiled in models of one operator each, for platforms 3720, 4000 and 5010; `REFUSED`
those that did not, with the compiler's words (tests/npu asks it again). A graph of the former may still not compile:
`occvino info --device NPU --compiler` asks the compiler itself, where tools/npu has set it up.
"""

import math
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import openvino as ov

COMPILER = "OpenVINO 2026.4.1"
"""Whose compiler was asked."""
MAX_RANK = 5
"""Of inputs and outputs. Inside of a graph rank 6 compiles."""

COMPILED = frozenset(
    f"{kind}-{opset}"
    for opset, kinds in {
        1: "Abs Acos Add Asin Atan AvgPool Ceiling Clamp Concat Convert Convolution ConvolutionBackpropData Cos Cosh "
        "DepthToSpace Divide Elu Equal Erf Exp FakeQuantize Floor FloorMod Gather Greater GreaterEqual "
        "GroupConvolution GroupConvolutionBackpropData LRN Less LessEqual Log LogicalAnd LogicalNot LogicalOr MatMul "
        "MaxPool Maximum Minimum Mod Multiply Negative NormalizeL2 NotEqual OneHot PRelu Pad Power ReduceLogicalAnd "
        "ReduceLogicalOr ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum Relu Reshape ReverseSequence Select Selu "
        "ShuffleChannels Sigmoid Sign Sin Sinh Softmax SpaceToDepth Split Sqrt SquaredDifference Squeeze StridedSlice "
        "Subtract Tanh Tile Transpose Unsqueeze VariadicSplit",
        2: "BatchToSpace Gelu LogicalXor SpaceToBatch",
        3: "Broadcast Bucketize CumSum EmbeddingBagOffsetsSum EmbeddingBagPackedSum EmbeddingSegmentsSum NonZero "
        "ScatterUpdate TopK",
        4: "Acosh Asinh Atanh HSwish Mish ReduceL1 ReduceL2 ScatterNDUpdate SoftPlus Swish",
        5: "BatchNormInference HSigmoid LogSoftmax Round",
        6: "GatherElements MVN",
        7: "Gather Gelu Roll",
        8: "AdaptiveAvgPool AdaptiveMaxPool Gather GatherND MaxPool NV12toBGR NV12toRGB Slice Softmax",
        9: "Eye GridSample RDFT",
        11: "Interpolate TopK",
        12: "GroupNormalization Pad ScatterElementsUpdate",
        13: "ScaledDotProductAttention",
        14: "Inverse MaxPool",
        15: "ScatterNDUpdate",
    }.items()
    for kind in kinds.split()
)

REFUSED = {
    "DeformableConvolution-8": "Attribute strides can't be processed",
    "EmbeddingBagOffsets-15": "String attribute reduction is not supported",
    "Tan-1": "the compiler ends without a word (on 3720 and 4000; on 5010 it compiles)",
    "Unique-10": "String attribute index_element_type is not supported",
}
SCATTER_SUM = "unsupported reduction type"
"""Of ScatterNDUpdate-15 with any reduction but "none"."""

MOST_BAGGED = 2**22 - 1
"""Entries of one `EmbeddingBagOffsetsSum`: so many take a second to compile; with one more there is no end on 3720."""

UNCOSTED = frozenset(
    (
        *("AdaptiveAvgPool", "AdaptiveMaxPool", "BatchToSpace", "Bucketize", "CumSum", "EmbeddingBagOffsetsSum"),
        *("EmbeddingBagPackedSum", "EmbeddingSegmentsSum", "GatherElements", "GatherND", "GridSample", "HSigmoid"),
        *("HSwish", "Inverse", "LRN", "LogSoftmax", "Mod", "NonZero", "NormalizeL2", "OneHot", "ReduceL1", "ReduceL2"),
        *("ReduceLogicalAnd", "ReduceLogicalOr", "ReduceProd", "ReverseSequence", "ScatterElementsUpdate"),
        *("SpaceToBatch", "TopK"),
    )
)
"""Kernels that the compiler's cost model does not know on 4000: what they cost is not in its estimates."""

_NO_WORK = ("Parameter", "Constant", "Result")


@dataclass(frozen=True)
class RuleCheck:
    """Findings by rule; empty ones are passes. `operators` counts each kind with its opset.

    Attributes:
        refused: operators that the compiler refused, each with its words.
        untried: kinds that it was never asked about.
        unbounded: names of operators with a dimension that is neither fixed nor has an upper bound.
        rank: inputs and outputs of too high a rank.
        uncosted: kinds whose cost no estimate holds; no rule is broken.
    """

    operators: dict[str, int]
    refused: tuple[str, ...]
    untried: tuple[str, ...]
    unbounded: tuple[str, ...]
    rank: tuple[str, ...]
    uncosted: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether no rule was broken."""
        return not (self.refused or self.untried or self.unbounded or self.rank)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        words = f"rule check, by what the NPU compiler of {COMPILER} was seen to do; it was not asked about this IR"
        return {**asdict(self), "ok": self.ok, "kind": words}


def check_npu_rules(model: str | Path | ov.Model) -> RuleCheck:
    """Check operators, bounds of shapes, and ranks of inputs and outputs of an IR or a model."""
    read = model if isinstance(model, ov.Model) else ov.Core().read_model(model)
    nodes = read.get_ops()
    operators = Counter(_kind(node) for node in nodes)
    worked = [kind for kind in sorted(operators) if kind.rsplit("-", 1)[0] not in _NO_WORK]
    return RuleCheck(
        operators=dict(sorted(operators.items())),
        refused=tuple(words for node in nodes if (words := why_refused(node))),
        untried=tuple(kind for kind in worked if kind not in COMPILED and kind not in REFUSED),
        unbounded=tuple(node.get_friendly_name() for node in nodes if any(map(_is_unbounded, _shapes(node)))),
        rank=tuple(
            f"{value.get_node().get_friendly_name()} of rank {value.get_partial_shape().rank.get_length()}"
            for value in (*read.inputs, *read.outputs)
            if not value.get_partial_shape().rank.is_dynamic and value.get_partial_shape().rank.get_length() > MAX_RANK
        ),
        uncosted=tuple(kind for kind in worked if kind.rsplit("-", 1)[0] in UNCOSTED),
    )


def why_refused(node: ov.Node) -> str | None:
    """The operator's name and kind, and the compiler's words; None for one that it was not seen to refuse."""
    kind = _kind(node)
    words = REFUSED.get(kind)
    if kind == "ScatterNDUpdate-15" and node.get_attributes()["reduction"] != "none":
        words = SCATTER_SUM
    if kind == "EmbeddingBagOffsetsSum-3" and (entries := _most_values(node.input_value(1))) > MOST_BAGGED:
        words = f"{entries:,} entries: with more than {MOST_BAGGED:,} the compiler comes to no end on 3720"
    return words and f"{node.get_friendly_name()} ({kind}): {words}"


def _kind(node: ov.Node) -> str:
    return f"{node.get_type_name()}-{node.get_type_info().version_id.removeprefix('opset')}"


def _most_values(value: ov.Output) -> int:
    """How many values there are at most; 0 where there is no bound, which is a finding of its own."""
    sizes = [size.get_max_length() for size in value.get_partial_shape()]
    return math.prod(sizes) if all(size >= 0 for size in sizes) else 0


def _is_unbounded(shape: ov.PartialShape) -> bool:
    return shape.rank.is_dynamic or any(size.is_dynamic and size.get_max_length() < 0 for size in shape)


def _shapes(node: ov.Node) -> list[ov.PartialShape]:
    inputs = [value.get_source_output().get_partial_shape() for value in node.inputs()]
    return inputs + [value.get_partial_shape() for value in node.outputs()]
