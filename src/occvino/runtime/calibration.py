"""The part of an IR that computes with the cameras' description alone: gates of depth nets, sampling grids of stereo.

Of one that takes matrices (docs/contract.md), the cells of all points too.

Half precision is not enough for it: it has focal lengths of 1,000 beside rotations of 1, and pixels times depths. GPUs
and CPUs honour OpenVINO's marks that keep operators in fp32 (`conversion.rewrite`). NPUs do not, so there it is a model
of its own, which runs on the CPU (docs/npu.md).
"""

from collections.abc import Mapping

import openvino as ov
from openvino import opset8

from occvino.geometry.matrices import MATRIX_INPUTS

CALIBRATION = "calibration"
"""Name of the stage."""
INPUTS = ("cameras", "warps", *MATRIX_INPUTS)
"""Inputs that describe the cameras as a network reads them."""
_PASSIVE = ("Parameter", "Constant", "Result")


def calibration_nodes(model: ov.Model) -> list[ov.Node]:
    """What follows from the description of the cameras alone; where it meets image features, it ends."""
    inputs = upstream_inputs(model)
    return [op for op in model.get_ordered_ops() if _is_calibration(op, inputs)]


def _is_calibration(op: ov.Node, inputs: Mapping[str, set[str]]) -> bool:
    found = inputs[op.get_friendly_name()]
    return bool(found) and found <= set(INPUTS) and not _repeats_an_index(op)


def _repeats_an_index(op: ov.Node) -> bool:
    """Whether it brings the index of a scatter to the size of what is scattered: that is to be done where that is."""
    readers = [each.get_node().get_type_name() for value in op.outputs() for each in value.get_target_inputs()]
    return op.get_type_name() == "Broadcast" and readers == ["ScatterElementsUpdate"]


def upstream_inputs(model: ov.Model) -> dict[str, set[str]]:
    """Names of the inputs of the IR that each operator is computed from."""
    found: dict[str, set[str]] = {}
    for op in model.get_ordered_ops():
        name = op.get_friendly_name()
        if op.get_type_name() == "Parameter":
            found[name] = set(op.output(0).get_names())
        else:
            found[name] = set().union(*(found[value.get_node().get_friendly_name()] for value in op.input_values()))
    return found


def cut_calibration(model: ov.Model) -> tuple[ov.Model, ov.Model] | None:
    """The part that computes with calibration alone, and all the rest; None if there is none. `model` stays as it is.

    What the first gives are inputs of the second, named `calibration/` and a number: whole numbers as they are, all
    others rounded to f16 at its end. Outputs of the network that follow from calibration alone are the first's.
    """
    rest = model.clone()
    names = {op.get_friendly_name() for op in calibration_nodes(rest) if op.get_type_name() not in _PASSIVE}
    ends = [value for op in rest.get_ordered_ops() if op.get_friendly_name() in names for value in op.outputs()]
    results: list[ov.Node] = [
        op for op in rest.get_results() if op.input_value(0).get_node().get_friendly_name() in names
    ]
    for result in results:
        rest.remove_result(result)
    stand_ins: list[ov.Node] = []
    for value in ends:
        leaving = [
            each
            for each in value.get_target_inputs()
            if each.get_node().get_friendly_name() not in names and each.get_node().get_type_name() != "Result"
        ]
        if leaving:
            name = f"{CALIBRATION}/{len(stand_ins)}"
            kind = value.get_element_type()
            handed = ov.Type.f16 if kind.is_real() else kind
            stand_in = opset8.parameter(value.get_shape(), handed, name=name)
            stand_in.output(0).set_names({name})
            widened = opset8.convert(stand_in, kind.get_type_name()) if handed != kind else stand_in
            for each in leaving:
                each.replace_source_output(widened.output(0))
            given = opset8.convert(value, handed.get_type_name())
            given.output(0).set_names({name})
            results.append(opset8.result(given))
            stand_ins.append(stand_in)
    if not stand_ins:
        return None
    inputs = [each for each in rest.get_parameters() if set(INPUTS) & each.output(0).get_names()]
    part = ov.Model(results, inputs, CALIBRATION)  # pyright: ignore[reportGeneralTypeIssues]  # its stub cannot be built
    for each in inputs:
        if _feeds(each, names):
            rest.remove_parameter(each)
    rest.add_parameters(stand_ins)
    rest.validate_nodes_and_infer_types()
    return part, rest


def _feeds(parameter: ov.Node, names: set[str]) -> bool:
    """Whether nothing but these operators reads an input."""
    readers = (each.get_node().get_friendly_name() for each in parameter.output(0).get_target_inputs())
    return all(name in names for name in readers)
