"""What `lower` does to any graph, on graphs of a few operators."""

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from occvino.conversion.lower import look_up


def graph(*, given: bool):
    """Rows of a table by number, added to an input."""
    table = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    x = ops.parameter([5, 3], np.float32, name="x")
    which = ops.parameter([5, 1], np.int64, name="which")
    numbers = ops.constant(np.array([[6], [0], [3], [3], [1]])) if not given else which
    return ov.Model([ops.add(x, ops.gather_nd(ops.constant(table), numbers))], [x, which] if given else [x], "m")


def test_stored_numbers_are_looked_up_once():
    model, x = graph(given=False), np.ones((5, 3), np.float32)
    expected = ov.Core().compile_model(model.clone(), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([x])[0]
    look_up(model)
    assert not any(op.get_type_name() == "GatherND" for op in model.get_ops())
    found = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([x])[0]
    np.testing.assert_array_equal(found, expected)


def test_numbers_that_are_given_are_not():
    model = graph(given=True)
    look_up(model)
    assert any(op.get_type_name() == "GatherND" for op in model.get_ops())
