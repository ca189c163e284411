"""A 1x1 convolution over one value repeated all over the image, computed once.

ASPP pools a whole image to one value a channel, repeats that at every pixel, joins it to its other branches and
convolves. The convolution of a repeated value is the repeated convolution of the value; so the joined convolution is a
sum of two, and the addition repeats. (Besides, Intel's NPU compiler cannot take a batch of cameras apart where there is
such a `Broadcast`; docs/npu.md.)
"""

from collections.abc import Iterator

import openvino as ov
from openvino import opset13 as ops

from occvino.conversion.upsampled import all_but_last, const, constant, is_constant


def fold_repeated(model: ov.Model) -> int:
    """Rewrite 1x1 convolutions over a `Concat` that ends with a repeated value, in place; how many there were."""
    found = list(_over_repeated(model))
    plain = [1, 1], [0, 0], [0, 0], [1, 1]
    for conv, repeated in found:
        weights, one = constant(conv.input_value(1)), repeated.input_value(0)
        own = weights.shape[1] - one.get_shape()[1]
        rest = all_but_last(conv.input_value(0).get_node())
        parts = [(rest, weights[:, :own]), (one, weights[:, own:])]
        made = ops.add(*(ops.convolution(value, const(part), *plain) for value, part in parts))
        for index, part in enumerate(made.input_values()):
            part.get_node().set_friendly_name(f"{conv.get_friendly_name()}/{index}")
        made.set_friendly_name(conv.get_friendly_name())
        conv.output(0).replace(made.output(0))
    model.validate_nodes_and_infer_types()
    return len(found)


def _over_repeated(model: ov.Model) -> Iterator[tuple[ov.Node, ov.Node]]:
    for conv in model.get_ordered_ops():
        if conv.get_type_name() != "Convolution" or list(conv.input_value(1).get_shape())[2:] != [1, 1]:
            continue
        joined, told = conv.input_value(0).get_node(), conv.get_attributes()
        plain = list(told["strides"]) == [1, 1] and not any([*told["pads_begin"], *told["pads_end"]])
        if not plain or not is_constant(conv.input_value(1)) or joined.get_type_name() != "Concat":
            continue
        if joined.get_attributes()["axis"] != 1:
            continue
        last = joined.input_values()[-1].get_node()
        if last.get_type_name() == "Broadcast" and list(last.get_input_shape(0))[2:] == [1, 1]:
            yield conv, last
