"""Convolving before upsampling gives what convolving after it gives: random sizes, both forms, the plain graph."""

import numpy as np
import openvino as ov
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from openvino import opset13 as ops

from occvino.conversion.upsampled import PREFIX, WIDE, WORTH, bilinear, fold_upsampling, shifted

EXACT = {"INFERENCE_PRECISION_HINT": "f32"}


def graph(coarse, size, weights, fine=0, *, mode="align_corners"):
    """Upsample [, join with a fine map], convolve, ReLU."""
    x = ops.parameter(list(coarse), np.float32, name="coarse")
    up = ops.interpolate(
        x, np.array(size), "linear_onnx", "sizes", coordinate_transformation_mode=mode, axes=np.array([2, 3])
    )
    inputs, joined = [x], up
    if fine:
        other = ops.parameter([coarse[0], fine, *size], np.float32, name="fine")
        inputs, joined = [other, x], ops.concat([other, up], 1)
    conv = ops.convolution(joined, ops.constant(weights), [1, 1], [1, 1], [1, 1], [1, 1], name="conv")
    conv.output(0).set_names({"tap"})
    return ov.Model([ops.relu(conv)], inputs, "test")


def run(model, values):
    return ov.Core().compile_model(model, "CPU", EXACT)(values)[0]


def test_the_matrix_is_what_torch_upsamples_with():
    for coarse, fine in ((2, 5), (7, 28), (25, 100), (1, 4), (100, 200), (3, 3)):
        x = torch.eye(coarse, dtype=torch.float64)[None]
        expected = F.interpolate(x, size=fine, mode="linear", align_corners=True)[0].T
        np.testing.assert_allclose(bilinear(coarse, fine), expected, atol=1e-12)


def test_taps_outside_read_zeros():
    matrix = bilinear(4, 9)
    first, middle, last = shifted(matrix)
    assert not first[0].any()
    assert not last[-1].any()
    np.testing.assert_array_equal(first[1:], matrix[:-1])
    np.testing.assert_array_equal(middle, matrix)
    np.testing.assert_array_equal(last[:-1], matrix[1:])


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 3),
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    factor=st.integers(2, 5),
    extra=st.integers(0, 1),
    fine=st.sampled_from([0, 1, 3]),
    seed=st.integers(0, 2**31),
)
def test_both_forms_are_the_convolution_of_the_upsampled_map(n, sizes, factor, extra, fine, seed):
    rng = np.random.default_rng(seed)
    size = tuple(factor * side + extra for side in sizes)
    weights = rng.normal(size=(4, fine + WIDE, 3, 3)).astype(np.float32)
    values = {"coarse": rng.normal(size=(n, WIDE, *sizes)).astype(np.float32)}
    values |= {"fine": rng.normal(size=(n, fine, *size)).astype(np.float32)} if fine else {}
    expected = run(graph((n, WIDE, *sizes), size, weights, fine), values)
    model = graph((n, WIDE, *sizes), size, weights, fine)
    assert fold_upsampling(model, npu=True) == 1
    assert not any(node.get_type_name() == "Interpolate" for node in model.get_ops())
    np.testing.assert_allclose(run(model, values), expected, rtol=1e-4, atol=1e-3)  # of sums of over a thousand
    elsewhere = graph((n, WIDE, *sizes), size, weights, fine)
    assert fold_upsampling(elsewhere) == (np.prod(size) >= WORTH * np.prod(sizes))
    np.testing.assert_allclose(run(elsewhere, values), expected, rtol=1e-4, atol=1e-3)


def test_names_and_taps_stay():
    model = graph((1, 2, 3, 3), (12, 12), np.ones((4, 3, 3, 3), np.float32), 1)
    fold_upsampling(model)
    named = next(node for node in model.get_ops() if node.get_friendly_name() == "conv")
    assert "tap" in named.output(0).get_names()
    assert sum(node.get_friendly_name().startswith(PREFIX) for node in model.get_ops()) > 5


@pytest.mark.parametrize(
    ("model", "npu"),
    [
        (graph((1, WIDE, 4, 4), (8, 8), np.ones((4, WIDE, 3, 3), np.float32)), False),  # a factor of 2: no gain on CPUs
        (graph((1, 2, 4, 4), (8, 8), np.ones((4, 2, 3, 3), np.float32)), True),  # few channels: none on NPUs either
        (graph((1, 2, 4, 4), (16, 16), np.ones((4, 2, 3, 3), np.float32), mode="half_pixel"), True),
        (graph((1, 2, 4, 4), (16, 16), np.ones((4, 2, 1, 1), np.float32)), True),  # grows by the padding
    ],
)
def test_all_else_is_left_alone(model, npu):
    before = [node.get_type_name() for node in model.get_ordered_ops()]
    assert fold_upsampling(model, npu=npu) == 0
    assert [node.get_type_name() for node in model.get_ordered_ops()] == before
