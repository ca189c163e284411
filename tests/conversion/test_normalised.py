"""The images' normalisation folded into the first convolution: the same numbers, and nothing else is touched."""

import numpy as np
import openvino as ov
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openvino import opset13 as ops

from occvino.conversion.lower import order_by_index
from occvino.conversion.normalised import fold_normalising

MEAN, STD = np.array([123.675, 116.28, 103.53], np.float32), np.array([58.395, 57.12, 57.375], np.float32)


def exported(size=(9, 11), stride=2, pad=3, kernel=7, seed=0, axis=1):
    """As `networks.flashocc.normalise` and a first convolution are exported."""
    images = ops.parameter([2, *size, 3], np.uint8, name="images")
    images.output(0).set_names({"images"})
    bgr = ops.slice(ops.transpose(images, [0, 3, 1, 2]), [-1], [-(2**63)], [-1], [axis])
    centred = ops.subtract(ops.convert(bgr, "f32"), MEAN.reshape(1, 3, 1, 1))
    weights = np.random.default_rng(seed).normal(size=(4, 3, kernel, kernel)).astype(np.float32)
    conv = ops.convolution(
        ops.multiply(centred, (1 / STD).reshape(1, 3, 1, 1)),
        ops.constant(weights),
        *([stride] * 2, [pad] * 2, [pad] * 2, [1, 1]),
        name="first",
    )
    return ov.Model([ops.relu(conv)], [images], "m")


def run(model, images):
    return ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([images])[0]


@given(
    st.integers(0, 2**31), st.sampled_from([(2, 3, 7), (4, 0, 4), (1, 1, 3)]), st.integers(7, 20), st.integers(7, 20)
)
@settings(max_examples=20, deadline=None)
def test_it_gives_the_same_at_the_borders_too(seed, form, height, width):
    stride, pad, kernel = form
    images = np.random.default_rng(seed).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    plain, folded = (exported((height, width), stride, pad, kernel, seed) for _ in range(2))
    assert fold_normalising(folded)
    expected = run(plain, images)
    np.testing.assert_allclose(run(folded, images), expected, atol=3e-6 * np.abs(expected).max() + 1e-5)


def test_what_is_left_of_it():
    model = exported()
    assert fold_normalising(model)
    kinds = [op.get_type_name() for op in model.get_ordered_ops() if op.get_type_name() != "Constant"]
    assert kinds == ["Parameter", "Convert", "Subtract", "Transpose", "Convolution", "Relu", "Result"]
    assert "first" in {op.get_friendly_name() for op in model.get_ops()}
    assert not fold_normalising(model), "once is enough"


def test_another_order_of_operations_stays_as_it_is():
    """A flip along rows is no swap of colours."""
    model = exported(size=(9, 9), axis=2)
    images = np.random.default_rng(0).integers(0, 256, (2, 9, 9, 3), dtype=np.uint8)
    expected = run(model, images)
    assert not fold_normalising(model)
    np.testing.assert_array_equal(run(model, images), expected)


def test_the_shipped_model_is_in_that_form(nano):
    model = ov.Core().read_model(nano.path / "model.xml")
    (convert,) = [each.get_node() for each in model.input("images").get_target_inputs()]
    (subtract,) = [each.get_node() for each in convert.output(0).get_target_inputs()]
    assert (convert.get_type_name(), subtract.get_type_name()) == ("Convert", "Subtract")


@pytest.mark.parametrize(
    ("shape", "axis", "k", "sort"),
    [
        ((5, 7, 18, 16), 2, 1, "index"),
        ((5, 18, 7), 1, 1, "index"),
        ((5, 7, 18), 2, 1, "value"),  # the CPU plugin takes any of equals there otherwise
        ((5, 18, 7), 1, 2, "value"),
    ],
)
def test_the_largest_is_found_without_ordering_by_size_and_of_equals_the_first(shape, axis, k, sort):
    scores = ops.parameter(list(shape), np.float32)
    found = ops.topk(scores, ops.constant(k), axis, "max", "value", "i32", stable=True)
    model = ov.Model([found.output(1)], [scores], "m")
    values = np.random.default_rng(0).integers(-3, 3, shape).astype(np.float32)
    before = run(model, values)
    order_by_index(model)
    (node,) = [op for op in model.get_ops() if op.get_type_name() == "TopK"]
    assert node.get_attributes()["sort"] == sort
    np.testing.assert_array_equal(run(model, values), before)
    np.testing.assert_array_equal(before.take(0, axis), values.argmax(axis))
