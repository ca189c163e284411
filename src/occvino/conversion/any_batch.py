"""A graph that does not say how many cameras there are, where it need not.

Intel's NPU compiler takes a model of six cameras apart into six of one only if nothing in it says six; and those fit
its memory. (M0's image network, fp16, on platform 4000: 40.8 ms with that six, 28.0 without, by its cost model. Nothing
changes elsewhere.) Exporters write it in two places: as the size of all four axes of an upsampling, and in the indices
of a gather that puts a pooled tensor back as it was (`as_strided`).
"""

import numpy as np
import openvino as ov
from openvino import opset11, opset13


def forget_the_batch(model: ov.Model) -> int:
    """Rewrite both, in place; how many there were."""
    return name_spatial_sizes(model) + drop_gathers_of_all(model)


def drop_gathers_of_all(model: ov.Model) -> int:
    """Leave out each flattening whose values are then gathered in their own order and shape; how many there were."""
    count = 0
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Gather" or node.input_value(1).get_node().get_type_name() != "Constant":
            continue
        flat, index = node.input_value(0).get_node(), np.array(node.input_value(1).get_node().data)
        if flat.get_type_name() != "Reshape" or list(flat.get_input_shape(0)) != list(node.get_output_shape(0)):
            continue
        if list(flat.get_output_shape(0)) == [index.size] and np.array_equal(index.ravel(), np.arange(index.size)):
            names = node.output(0).get_names()
            node.output(0).replace(flat.input_value(0))
            flat.input_value(0).add_names(names)
            count += 1
    model.validate_nodes_and_infer_types()
    return count


def name_spatial_sizes(model: ov.Model) -> int:
    """Rewrite each `Interpolate` of 4 axes that leaves the first two as they are, in place; how many there were."""
    count = 0
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Interpolate" or not _names_all_axes(node):
            continue
        told, (_, _, height, width) = node.get_attributes(), node.get_output_shape(0)
        made = opset11.interpolate(
            node.input_value(0),
            opset13.constant(np.array([height, width])),
            told["mode"],
            "sizes",
            coordinate_transformation_mode=told["coordinate_transformation_mode"],
            nearest_mode=told["nearest_mode"],
            antialias=told["antialias"],
            pads_begin=told["pads_begin"],
            pads_end=told["pads_end"],
            cube_coeff=told["cube_coeff"],
            axes=opset13.constant(np.array([2, 3])),
        )
        made.set_friendly_name(node.get_friendly_name())
        names = node.output(0).get_names()
        node.output(0).replace(made.output(0))
        made.output(0).set_names(names)
        count += 1
    model.validate_nodes_and_infer_types()
    return count


def _names_all_axes(node: ov.Node) -> bool:
    inputs, told = node.input_values(), node.get_attributes()
    given, made = list(node.get_input_shape(0)), list(node.get_output_shape(0))
    return (
        told["shape_calculation_mode"] == "sizes"
        and len(given) == 4
        and len(inputs) == 2
        and given[:2] == made[:2]
        and not any(told["pads_begin"])
        and not any(told["pads_end"])
    )
