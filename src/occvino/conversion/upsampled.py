"""A 3x3 convolution over an upsampled map, computed without the upsampled map.

The BEV neck brings a coarse level to the size of a fine one, four times as wide and high, joins the two, and convolves:
nine in ten of its multiplications are over values that bilinear upsampling made of one sixteenth as many. Convolving
and upsampling are both linear, so their order may change. With tap weights W[ky, kx] and upsampling as two matrices,
U [H, h] for rows and V [Wd, w] for columns,

    out[y, x] = sum over ky, kx, i, j of  U[y + ky - 1, i] * V[x + kx - 1, j] * (W[ky, kx] c)[i, j]

where rows of U and V outside of the map are zero, as the padding is. So: nine 1x1 convolutions of the coarse level; a
product with V, which takes (kx, j) to x; and one with U, which takes (ky, i) to y. The result is the same sum in
another order. (M0 on a CPU: the network behind the pooling takes 0.85 of its time in fp32; docs/npu.md.)

`columns` is a middle way for a factor of two, where nine results at the coarse size would be as large as one upsampled
map: upsample along x, convolve with the three rows of taps apart, and let the product with U add them up.
"""

from collections.abc import Container, Iterator
from typing import Any, Literal, TypeAlias

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as ops

PREFIX = "upsampled/"
"""Of the names of the nodes made here."""
WORTH = 9
"""How many times as large the upsampled map must be; below, nine results at the coarse size are no less work."""

WIDE = 128
"""How many channels a map of twice the size must have for `columns` to pay on an NPU."""

Form: TypeAlias = Literal["taps", "columns"]


def bilinear(coarse: int, fine: int) -> NDArray[np.float64]:
    """The matrix [fine, coarse] of linear upsampling that aligns corners."""
    matrix = np.zeros((fine, coarse))
    for row in range(fine):
        position = row * (coarse - 1) / max(fine - 1, 1)
        below = min(int(position), max(coarse - 2, 0))
        matrix[row, below] += 1 - (position - below)
        if position > below:
            matrix[row, below + 1] += position - below
    return matrix


def is_bilinear(matrix: NDArray[np.floating[Any]]) -> bool:
    """Whether a matrix [fine, coarse] is what `bilinear` makes."""
    fine, coarse = matrix.shape
    return fine > coarse > 1 and np.allclose(matrix, bilinear(coarse, fine), atol=1e-6)


def shifted(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """[3, fine, coarse]: what tap k reads for row y is row y + k - 1, or the zeros of the padding."""
    padded = np.pad(matrix, ((1, 1), (0, 0)))
    return np.stack([padded[k : k + len(matrix)] for k in range(3)])


def fold_upsampling(model: ov.Model, *, npu: bool = False) -> int:
    """Rewrite the convolutions of a model that read an upsampled map, in place; how many there were.

    Args:
        model: with 3x3 convolutions over `Interpolate`, or over a `Concat` that ends with one.
        npu: as is best on NPUs: also those of many channels that read a map of twice the size, which is slower on CPUs.
    """
    found, before = list(_upsampled(model)), {node.get_friendly_name() for node in model.get_ops()}
    count = 0
    for conv, up in found:
        weights = constant(conv.input_value(1))
        coarse, (_, _, height, width) = up.input_value(0), up.get_output_shape(0)
        factor = height * width / np.prod(tuple(coarse.get_shape())[2:])
        joined = conv.input_value(0).get_node()
        form: Form = "taps" if factor >= WORTH else "columns"
        if form == "columns" and not (npu and coarse.get_shape()[1] >= WIDE):
            continue
        fine = weights.shape[1] - coarse.get_shape()[1]
        made = _convolved(coarse, weights[:, fine:], (height, width), form, npu=npu)
        if fine:
            rest = all_but_last(joined)
            made = ops.add(ops.convolution(rest, const(weights[:, :fine]), [1, 1], [1, 1], [1, 1], [1, 1]), made)
        made.set_friendly_name(conv.get_friendly_name())
        conv.output(0).replace(made.output(0))
        count += 1
    name_made(model, before)
    return count


def name_made(model: ov.Model, before: Container[str]) -> None:
    """Name the nodes that a model did not have before, and bring its shapes up to date."""
    for index, node in enumerate(model.get_ordered_ops()):
        if node.get_friendly_name() not in before:
            node.set_friendly_name(f"{PREFIX}{index}_{node.get_type_name()}")
    model.validate_nodes_and_infer_types()


def _convolved(coarse: ov.Output, weights: NDArray[Any], size: tuple[int, int], form: Form, *, npu: bool) -> Any:
    """`coarse` [N, C, h, w], weights [O, C, 3, 3] -> [N, O, H, W]."""
    (n, channels, h, w), (height, width), out = coarse.get_shape(), size, len(weights)
    rows = np.concatenate(list(shifted(bilinear(h, height))), axis=1)  # [H, (ky, i)]
    if form == "taps":
        taps = weights.transpose(3, 2, 0, 1).reshape(9 * out, -1, 1, 1)  # (kx, ky, out)
        each = ops.convolution(coarse, const(taps), [1, 1], [0, 0], [0, 0], [1, 1])
        each = reshaped(ops.transpose(each, [0, 2, 3, 1]), [n * h, w * 3, 3 * out])  # [(n, i), (j, kx), (ky, out)]
        columns = shifted(bilinear(w, width)).transpose(1, 2, 0).reshape(width, w * 3)  # [W, (j, kx)]
        wide = ops.matmul(const(columns), each, False, False)  # [(n, i), W, (ky, out)]
        if not npu:  # a product for each x: for a single one the GPU plugin has a reference kernel at best
            parts = ops.transpose(reshaped(wide, [n, h, width, 3, out]), [0, 2, 3, 1, 4])  # [n, W, ky, i, out]
            made = ops.matmul(const(rows), reshaped(parts, [n * width, 3 * h, out]), False, False)  # [(n, x), H, out]
            return ops.transpose(reshaped(made, [n, width, height, out]), [0, 3, 2, 1])
        parts = ops.transpose(reshaped(wide, [n, h, width, 3, out]), [0, 3, 1, 2, 4])  # [n, ky, i, W, out]
    else:
        along = reshaped(ops.transpose(coarse, [0, 2, 3, 1]), [n * h, w, channels])
        wide = ops.matmul(const(bilinear(w, width)), along, False, False)  # [(n, i), W, C]
        wide = ops.transpose(reshaped(wide, [n, h, width, channels]), [0, 3, 1, 2])
        taps = [
            ops.convolution(wide, const(weights[:, :, k : k + 1]), [1, 1], [0, 1], [0, 1], [1, 1]) for k in range(3)
        ]  # each [n, out, i, W]
        # joined along rows, not along channels: what each convolution writes then lies in one piece
        parts = ops.concat([reshaped(ops.transpose(tap, [0, 2, 3, 1]), [n, h, width * out]) for tap in taps], 1)
    joined = reshaped(parts, [n, 3 * h, width * out])  # [n, (ky, i), (W, out)]
    made = ops.matmul(const(rows), joined if n > 1 else reshaped(joined, [3 * h, width * out]), False, False)
    return ops.transpose(reshaped(made, [n, height, width, out]), [0, 3, 1, 2])


def _upsampled(model: ov.Model) -> Iterator[tuple[ov.Node, ov.Node]]:
    """Convolutions and the `Interpolate` that each reads."""
    for conv in model.get_ordered_ops():
        if conv.get_type_name() != "Convolution" or not _is_3x3(conv):
            continue
        source = conv.input_value(0).get_node()
        if source.get_type_name() == "Concat" and source.get_attributes()["axis"] == 1:
            source = source.input_values()[-1].get_node()
        if source.get_type_name() == "Interpolate" and is_linear(source, 4):
            yield conv, source


def _is_3x3(conv: ov.Node) -> bool:
    attributes, kernel = conv.get_attributes(), list(conv.input_value(1).get_shape())[2:]
    ones = all(list(attributes[name]) == [1, 1] for name in ("strides", "dilations", "pads_begin", "pads_end"))
    return kernel == [3, 3] and ones and is_constant(conv.input_value(1))


def is_linear(up: ov.Node, rank: int) -> bool:
    """Whether it upsamples linearly, corners aligned, along all axes of a map of that rank, and not along channels."""
    attributes = up.get_attributes()
    shapes = list(up.input_value(0).get_shape()), list(up.get_output_shape(0))
    plain = not any([*attributes["pads_begin"], *attributes["pads_end"], attributes["antialias"]])
    return (
        plain
        and attributes["mode"] == "linear_onnx"
        and attributes["coordinate_transformation_mode"] == "align_corners"
        and len(shapes[0]) == rank
        and shapes[0][:2] == shapes[1][:2]
    )


def all_but_last(joined: ov.Node) -> Any:
    """What a `Concat` of channels joins before its last input."""
    others = joined.input_values()[:-1]
    return others[0] if len(others) == 1 else ops.concat(others, 1)


def is_constant(value: ov.Output) -> bool:
    """Whether a value is stored in the model, in whichever precision."""
    node = value.get_node()
    while node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return node.get_type_name() == "Constant"


def constant(value: ov.Output) -> NDArray[np.float32]:
    """The numbers of a value that is stored in the model."""
    node: Any = value.get_node()
    while node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return np.array(node.data, dtype=np.float32)


def const(array: NDArray[Any]) -> Any:
    """A node that stores numbers, in fp32."""
    return ops.constant(np.ascontiguousarray(array, np.float32))


def reshaped(value: Any, shape: list[int]) -> Any:
    """A value in another shape."""
    return ops.reshape(value, shape, False)
