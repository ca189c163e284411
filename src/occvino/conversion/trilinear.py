"""A 1x1x1 convolution over levels that are upsampled and joined, computed level by level before they are upsampled.

The neck of networks of voxels brings coarse levels to full size, joins all, and convolves: 224 channels of 640,000
voxels. The convolution of a `Concat` is a sum of convolutions, and one of 1x1x1 treats every voxel alone, so that it
commutes with upsampling. So each level is convolved at its own size, and 32 channels are upsampled instead of 64 and
128.

On NPUs upsampling is a convolution as well, of 1x1 with the axis as channels and the interpolation matrix as weights,
axis by axis. Intel's compiler has no end with the `Interpolate` of such a volume for platform 3720, nor with products
that large, and its cost model knows no `Interpolate` (docs/npu.md).
"""

from collections.abc import Iterator
from typing import Any

import openvino as ov
from openvino import opset13 as ops

from occvino.conversion.upsampled import bilinear, const, constant, is_constant, is_linear, name_made, reshaped

_PLAIN = [1, 1, 1], [0, 0, 0], [0, 0, 0], [1, 1, 1]


def fold_trilinear(model: ov.Model, *, npu: bool = False) -> int:
    """Rewrite the 1x1x1 convolutions of a model over joined levels of voxels, in place; how many there were.

    Args:
        model: with such convolutions over a `Concat` of channels, some of them from `Interpolate`.
        npu: upsample by convolutions, which is slower on CPUs.
    """
    found, before = list(_over_levels(model)), {node.get_friendly_name() for node in model.get_ops()}
    for conv in found:
        weights, begin, made = constant(conv.input_value(1)), 0, None
        for level in conv.input_value(0).get_node().input_values():
            end = begin + level.get_shape()[1]
            part = _convolved(level, weights[:, begin:end], npu=npu)
            made, begin = part if made is None else ops.add(made, part), end
        assert made is not None, "a Concat has inputs"
        made.set_friendly_name(conv.get_friendly_name())
        conv.output(0).replace(made.output(0))
    name_made(model, before)
    return len(found)


def _over_levels(model: ov.Model) -> Iterator[ov.Node]:
    for conv in model.get_ordered_ops():
        joined = conv.input_value(0).get_node() if conv.get_type_name() == "Convolution" else None
        if joined is None or joined.get_type_name() != "Concat" or joined.get_attributes()["axis"] != 1:
            continue
        shape, told = list(conv.input_value(1).get_shape()), conv.get_attributes()
        plain = tuple(list(told[name]) for name in ("strides", "pads_begin", "pads_end", "dilations")) == _PLAIN
        if shape[2:] != [1, 1, 1] or not plain or not is_constant(conv.input_value(1)):
            continue
        ups = [value for value in joined.input_values() if _is_level(value)]
        if any(up.get_shape()[1] >= shape[0] for up in ups):  # else there would be more to upsample than before
            yield conv


def _is_level(value: ov.Output) -> bool:
    node = value.get_node()
    return node.get_type_name() == "Interpolate" and is_linear(node, 5)


def _convolved(level: ov.Output, weights: Any, *, npu: bool) -> Any:
    """A level [N, C, Z, Y, X], weights [O, C, 1, 1, 1] -> [N, O, Z, Y, X]."""
    if not _is_level(level) or level.get_shape()[1] < len(weights):
        return ops.convolution(level, const(weights), *_PLAIN)
    up, size = level.get_node(), list(level.get_shape())[2:]
    coarse = ops.convolution(up.input_value(0), const(weights), *_PLAIN)
    if npu and level.get_shape()[0] == 1:
        return _by_axes(coarse, size)
    return ops.interpolate(
        coarse, size, "linear_onnx", "sizes", coordinate_transformation_mode="align_corners", axes=[2, 3, 4]
    )


def _by_axes(coarse: Any, size: list[int]) -> Any:
    """[1, C, z, y, x] -> [1, C, Z, Y, X]; z first, since what is transposed grows with each."""
    _, channels, z, y, x = coarse.get_output_shape(0)
    fine_z, fine_y, fine_x = size
    made = reshaped(ops.transpose(coarse, [0, 2, 1, 3, 4]), [1, z, channels * y, x])
    made = reshaped(_along_channels(made, fine_z), [fine_z, channels, y, x])
    made = reshaped(ops.transpose(made, [2, 0, 1, 3]), [1, y, fine_z * channels, x])
    made = reshaped(_along_channels(made, fine_y), [fine_y, fine_z * channels, x])
    made = reshaped(ops.transpose(made, [2, 0, 1]), [1, x, fine_y, fine_z * channels])
    made = reshaped(_along_channels(made, fine_x), [fine_x, fine_y, fine_z, channels])
    return reshaped(ops.transpose(made, [3, 2, 1, 0]), [1, channels, *size])


def _along_channels(values: Any, fine: int) -> Any:
    """[1, a, h, w] -> [1, A, h, w]."""
    weights = bilinear(values.get_output_shape(0)[1], fine)[:, :, None, None]
    return ops.convolution(values, const(weights), [1, 1], [0, 0], [0, 0], [1, 1])
