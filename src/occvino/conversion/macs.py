"""Where a network multiplies, how often, and in which precision: read from the IR, and from what a plugin compiled.

A multiply-accumulate (MAC) is counted in convolutions, matrix products and the pooling bags. Element-wise operations,
resampling and sums are not counted: they are a few in a thousand.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import openvino as ov

KINDS = {
    "Convolution": "convolution",
    "GroupConvolution": "convolution",
    "ConvolutionBackpropData": "convolution",
    "GroupConvolutionBackpropData": "convolution",
    "MatMul": "matrix product",
    "EmbeddingBagOffsetsSum": "pooling",
}
"""Operators that multiply and add, by the kind of layer that they are."""

MOVES_ONLY = frozenset(
    (
        *("Broadcast", "Concat", "Convert", "Gather", "MaxPool", "Pad", "ReduceMax", "Reshape", "Roll", "Slice"),
        *("Split", "Squeeze", "StridedSlice", "Tile", "Transpose", "Unsqueeze", "VariadicSplit"),
    )
)
"""Operators that move values and make no new ones: what went in as 8 bits comes out as 8 bits."""

_SCALED = "/DequantizationMultiply"
"""What OpenVINO appends to the name of a layer when it moves the scale of 8-bit values behind it."""


@dataclass(frozen=True)
class Layer:
    """One operator that multiplies.

    Attributes:
        name: of the operator in the IR.
        kind: one of the values of `KINDS`.
        part: the first of the network's named places that it leads to, as "trunk"; "labels" behind all of them.
        macs: multiply-accumulates of one frame.
        int8: whether both of its inputs are 8 bits wide.
    """

    name: str
    kind: str
    part: str
    macs: int
    int8: bool


@dataclass(frozen=True)
class Share:
    """Multiply-accumulates of one kind of layer: all of them, and those that run in int8."""

    layers: int
    int8_layers: int
    macs: int
    int8_macs: int

    @property
    def int8(self) -> float:
        """The share that runs in int8, 0..1."""
        return self.int8_macs / self.macs if self.macs else 0.0


def layers(model: ov.Model, places: Sequence[str] = ()) -> tuple[Layer, ...]:
    """The layers of an IR in which multiply-accumulates happen, in order.

    Args:
        model: with static shapes, quantised or not.
        places: names of tensors along the network, in order; they say which part a layer belongs to.
    """
    parts = _parts(model, places)
    return tuple(
        Layer(
            name=op.get_friendly_name(),
            kind=KINDS[op.get_type_name()],
            part=parts.get(op.get_friendly_name(), "labels"),
            macs=_macs(op),
            int8=op.get_type_name() != "EmbeddingBagOffsetsSum" and all(_quantised(op.input_value(i)) for i in (0, 1)),
        )
        for op in model.get_ordered_ops()
        if op.get_type_name() in KINDS
    )


def by_kind(found: Iterable[Layer]) -> dict[str, Share]:
    """Sums for each kind of layer that occurs, and under "all" those of all together."""
    found = tuple(found)
    kinds = [kind for kind in dict.fromkeys(KINDS.values()) if any(layer.kind == kind for layer in found)]
    groups = {kind: [layer for layer in found if layer.kind == kind] for kind in kinds} | {"all": list(found)}
    return {
        kind: Share(
            layers=len(group),
            int8_layers=sum(layer.int8 for layer in group),
            macs=sum(layer.macs for layer in group),
            int8_macs=sum(layer.macs for layer in group if layer.int8),
        )
        for kind, group in groups.items()
    }


def executed_int8(compiled: ov.CompiledModel, found: Iterable[Layer]) -> float | None:
    """Share of the multiply-accumulates that a plugin says it computes in 8 bits, 0..1.

    This asks the compiled model, and not the IR: the two should agree. None where the plugin does not tell.
    """
    precisions: dict[str, str] = {}
    for op in compiled.get_runtime_model().get_ops():
        info = op.get_rt_info()
        if "runtimePrecision" in info and "originalLayersNames" in info:
            for name in str(info["originalLayersNames"].astype(str)).split(","):
                precisions[name.removesuffix(_SCALED)] = str(info["runtimePrecision"].astype(str))
    found = tuple(found)
    told = [layer for layer in found if layer.name in precisions]
    if not told:
        return None
    return sum(layer.macs for layer in told if precisions[layer.name] in ("i8", "u8")) / sum(
        layer.macs for layer in found
    )


def upstream(values: Iterable[ov.Node]) -> dict[str, ov.Node]:
    """The operators that some operators are computed from, themselves among them, by name."""
    found: dict[str, ov.Node] = {}
    waiting = list(values)
    while waiting:
        op = waiting.pop()
        if op.get_friendly_name() not in found:
            found[op.get_friendly_name()] = op
            waiting += [value.get_node() for value in op.input_values()]
    return found


def producers(model: ov.Model, names: Iterable[str]) -> dict[str, ov.Node]:
    """The operator that makes each named tensor, of those that there are."""
    wanted = set(names)
    return {
        name: op for op in model.get_ordered_ops() for out in op.outputs() for name in out.get_names() if name in wanted
    }


def _parts(model: ov.Model, places: Sequence[str]) -> Mapping[str, str]:
    made_by = producers(model, places)
    parts: dict[str, str] = {}
    for place in places:
        if place in made_by:
            for name in upstream([made_by[place]]):
                parts.setdefault(name, place)
    return parts


def _macs(op: ov.Node) -> int:
    outputs = math.prod(op.get_output_shape(0))
    kind = op.get_type_name()
    if kind == "MatMul":
        shape = list(op.get_input_shape(0))
        return outputs * shape[-2 if op.get_attributes()["transpose_a"] else -1]
    if kind == "EmbeddingBagOffsetsSum":
        entries = math.prod(op.get_input_shape(1))
        return entries * op.get_output_shape(0)[-1]
    weights = list(op.get_input_shape(1))
    if kind == "Convolution":  # [out, in, ...]
        return outputs * math.prod(weights[1:])
    if kind == "GroupConvolution":  # [groups, out, in, ...]
        return outputs * math.prod(weights[2:])
    inputs = math.prod(op.get_input_shape(0))  # a transposed convolution spreads each input over the kernel
    return inputs * math.prod(weights[1:] if kind == "ConvolutionBackpropData" else weights[2:])


def _quantised(value: ov.Output) -> bool:
    """Whether a value is one of at most 256: from a FakeQuantize, or a stored 8-bit constant that is scaled."""
    op = value.get_node()
    kind = op.get_type_name()
    if kind == "FakeQuantize":
        return int(op.get_attributes()["levels"]) <= 256
    if kind in ("Multiply", "Subtract"):  # a stored weight: (Convert(i8) - zero point) * scale
        return _stored_in_8_bits(op)
    if kind == "Concat":
        return all(_quantised(entry) for entry in op.input_values())
    return kind in MOVES_ONLY and _quantised(op.input_value(0))


def _stored_in_8_bits(op: ov.Node) -> bool:
    while op.get_type_name() in ("Multiply", "Subtract", "Convert"):
        op = op.input_value(0).get_node()
    return op.get_type_name() == "Constant" and op.get_element_type() in (ov.Type.i8, ov.Type.u8)
