"""Put the calibration into an IR that takes it as an input."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from occvino.conversion.rewrite import read_to_change, write_ir
from occvino.errors import OccvinoError


def bake_in(xml_path: Path, geometry: Mapping[str, NDArray[np.generic]]) -> None:
    """Make inputs of the IR in a file constants; the file is replaced.

    Args:
        xml_path: of the IR.
        geometry: arrays of the inputs, by name: `Geometry.inputs` of one rig.

    Raises:
        OccvinoError: the IR has no input of such a name, type and shape.
    """
    model = read_to_change(xml_path)
    inputs = {parameter.output(0).get_any_name(): parameter for parameter in model.get_parameters()}
    for name, array in geometry.items():
        constant = ov.opset8.constant(np.ascontiguousarray(array))
        parameter = inputs.get(name)
        if parameter is None or _kind(parameter) != _kind(constant):
            raise OccvinoError(
                f"{xml_path} has no input {name} of {_kind(constant)} to bake: its inputs are "
                + ", ".join(f"{other} {_kind(each)}" for other, each in inputs.items())
            )
        parameter.output(0).replace(constant.output(0))
        model.remove_parameter(parameter)
    model.validate_nodes_and_infer_types()
    write_ir(model, xml_path)


def _kind(node: ov.Node) -> str:
    return f"{node.get_output_element_type(0).get_type_name()} {list(node.get_output_shape(0))}"
