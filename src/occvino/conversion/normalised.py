"""The way from images to the first convolution, with as little as can be done to whole images.

The network is exported as its authors wrote it: transpose, swap red and blue, subtract the mean, divide by the
deviation. Swapping colours and dividing are linear in each colour, so they move into the weights of the first
convolution. The mean cannot: the convolution pads with zeros, which stand for the mean. What is left is a subtraction
while colours are still last, where a transpose costs nothing on devices whose convolutions read colours last
(docs/gpu.md).
"""

from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from occvino.conversion.upsampled import const, constant

_CHAIN = ("Transpose", "Slice", "Convert", "Subtract", "Multiply", "Convolution")


def fold_normalising(model: ov.Model, name: str = "images") -> bool:
    """Rewrite, in place, what is between an input u8 [N, H, W, 3] and the convolution that reads it.

    Returns:
        Whether it was there, in just the form in which `networks.flashocc.normalise` is exported.
    """
    images = next((each for each in model.get_parameters() if name in each.output(0).get_names()), None)
    chain = _chain(images) if images is not None else None
    if images is None or chain is None:
        return False
    transpose, flip, _, subtract, multiply, conv = chain
    mean, scale = constant(subtract.input_value(1)), constant(multiply.input_value(1))
    order = [int(axis) for axis in constant(transpose.input_value(1))]
    start, stop, step, axis = (int(constant(flip.input_value(place)).reshape(-1)[0]) for place in range(1, 5))
    if order != [0, 3, 1, 2] or (start, step, axis) != (-1, -1, 1) or stop > -4 or mean.size != 3 or scale.size != 3:
        return False
    weights = (constant(conv.input_value(1)) * scale.reshape(1, 3, 1, 1))[:, ::-1]
    values = ops.subtract(ops.convert(images, "f32"), const(mean.reshape(1, 1, 1, 3)[..., ::-1]))
    given: dict[str, Any] = conv.get_attributes()
    made = ops.convolution(
        ops.transpose(values, np.array(order)),
        const(weights),
        *(list(given[key]) for key in ("strides", "pads_begin", "pads_end", "dilations")),
    )
    made.set_friendly_name(conv.get_friendly_name())
    made.output(0).set_names(conv.output(0).get_names())
    conv.output(0).replace(made.output(0))
    model.validate_nodes_and_infer_types()
    return True


def _chain(node: ov.Node) -> list[ov.Node] | None:
    """The operators of `_CHAIN` that follow a node, each the only reader of the one before."""
    found: list[ov.Node] = []
    for kind in _CHAIN:
        readers = list(node.output(0).get_target_inputs())
        if len(readers) != 1 or readers[0].get_node().get_type_name() != kind or readers[0].get_index() != 0:
            return None
        node = readers[0].get_node()
        found.append(node)
    return found
