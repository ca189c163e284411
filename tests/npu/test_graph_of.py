"""Whether two IRs are the same to a compiler: benchmarks.npu compiles a graph once."""

from xml.etree import ElementTree

import numpy as np
import openvino as ov
import openvino.opset15 as op

from benchmarks.npu import graph_of


def _saved(folder, number=1.0):
    """x - relu(y) * number."""
    x, y = op.parameter([2, 3], np.float32, name="x"), op.parameter([2, 3], np.float32, name="y")
    made = op.subtract(x, op.multiply(op.relu(y), np.full([2, 3], number, np.float32)))
    ov.save_model(ov.Model([made], [x, y]), folder / "a.xml", compress_to_fp16=False)
    return folder / "a.xml"


def test_names_numbers_and_order_are_not_in_it(tmp_path):
    graph = graph_of(_saved(tmp_path))
    assert graph_of(_saved(tmp_path, number=2.0)) == graph

    tree = ElementTree.parse(_saved(tmp_path))
    layers = tree.getroot().find("layers")
    written = [layer.attrib["id"] for layer in layers]
    inputs = [layer for layer in layers if layer.attrib["type"] in ("Parameter", "Const")]
    for layer in inputs:  # as if they had been met in another order
        layers.remove(layer)
    for layer in inputs:
        layers.insert(0, layer)
    renamed = {layer.attrib["id"]: str(place) for place, layer in enumerate(layers)}
    assert list(renamed) != written
    for layer in layers:
        layer.attrib["id"] = renamed[layer.attrib["id"]]
    for edge in tree.getroot().iter("edge"):
        for end in ("from-layer", "to-layer"):
            edge.attrib[end] = renamed[edge.attrib[end]]
    tree.write(tmp_path / "other.xml")
    assert graph_of(tmp_path / "other.xml") == graph


def test_shapes_operators_and_connections_are(tmp_path):
    graph = graph_of(_saved(tmp_path))
    x = op.parameter([2, 3], np.float32)
    for other in (
        op.subtract(x, op.multiply(op.relu(op.parameter([2, 3], np.float32)), np.ones([3], np.float32))),
        op.subtract(x, op.multiply(op.sigmoid(op.parameter([2, 3], np.float32)), np.ones([2, 3], np.float32))),
        op.subtract(x, op.multiply(op.relu(x), np.ones([2, 3], np.float32))),
        op.subtract(op.multiply(op.relu(op.parameter([2, 3], np.float32)), np.ones([2, 3], np.float32)), x),
    ):
        model = ov.Model([other], _parameters(other))
        ov.save_model(model, tmp_path / "other.xml", compress_to_fp16=False)
        assert graph_of(tmp_path / "other.xml") != graph


def _parameters(node):
    if node.get_type_name() == "Parameter":
        return [node]
    found = [each for value in node.input_values() for each in _parameters(value.get_node())]
    return list({each.get_friendly_name(): each for each in found}.values())
