"""Convolving levels of voxels before upsampling gives what convolving after it gives: random sizes, both forms."""

import numpy as np
import openvino as ov
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openvino import opset13 as ops

from occvino.conversion.floats import UPSAMPLING, kept_float
from occvino.conversion.trilinear import fold_trilinear

EXACT = {"INFERENCE_PRECISION_HINT": "f32"}
OUT = 4


def graph(batch, levels, size, *, kernel=1, mode="align_corners", out=OUT, seed=0):
    """Levels (channels, z, y, x), of which those that are smaller than `size` are upsampled, joined and convolved."""
    inputs, joined = [], []
    for index, (channels, *own) in enumerate(levels):
        x = ops.parameter([batch, channels, *own], np.float32, name=f"level{index}")
        inputs.append(x)
        up = ops.interpolate(
            x, np.array(size), "linear_onnx", "sizes", coordinate_transformation_mode=mode, axes=np.array([2, 3, 4])
        )
        joined.append(x if own == list(size) else up)
    total = sum(channels for channels, *_ in levels)
    weights = np.random.default_rng(seed).normal(size=(out, total, kernel, kernel, kernel)).astype(np.float32)
    pads = [kernel // 2] * 3
    conv = ops.convolution(ops.concat(joined, 1), ops.constant(weights), [1] * 3, pads, pads, [1] * 3, name="conv")
    conv.output(0).set_names({"tap"})
    return ov.Model([ops.relu(conv)], inputs, "test")


def run(model, values):
    return ov.Core().compile_model(model, "CPU", EXACT)(values)[0]


@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 2),
    size=st.tuples(st.integers(2, 6), st.integers(3, 7), st.integers(3, 7)),
    channels=st.lists(st.integers(1, 9), min_size=2, max_size=3),
    seed=st.integers(0, 2**31),
)
def test_both_forms_are_the_convolution_of_the_joined_levels(batch, size, channels, seed):
    rng = np.random.default_rng(seed)
    coarse = [[int(rng.integers(1, side)) for side in size] for _ in channels[1:]]
    levels = [(channels[0], *size), *((count, *own) for count, own in zip(channels[1:], coarse, strict=True))]
    values = [rng.normal(size=(batch, *level)).astype(np.float32) for level in levels]
    expected = run(graph(batch, levels, size, seed=seed), values)
    fewer = any(count >= OUT for count in channels[1:])
    for npu in (False, True):
        model = graph(batch, levels, size, seed=seed)
        assert fold_trilinear(model, npu=npu) == fewer
        left = sum(node.get_type_name() == "Interpolate" for node in model.get_ops())
        assert left == (sum(count < OUT for count in channels[1:]) if npu and batch == 1 and fewer else len(coarse))
        np.testing.assert_allclose(run(model, values), expected, rtol=1e-4, atol=1e-4)


def test_names_and_taps_stay_and_weights_of_upsampling_are_not_rounded():
    model = graph(1, [(2, 4, 6, 6), (8, 2, 3, 3)], (4, 6, 6))
    fold_trilinear(model, npu=True)
    named = next(node for node in model.get_ops() if node.get_friendly_name() == "conv")
    assert "tap" in named.output(0).get_names()
    assert list(kept_float(model).values()).count(UPSAMPLING) == 3  # one convolution an axis


@pytest.mark.parametrize(
    "model",
    [
        graph(1, [(2, 4, 6, 6), (8, 2, 3, 3)], (4, 6, 6), kernel=3),
        graph(1, [(2, 4, 6, 6), (8, 2, 3, 3)], (4, 6, 6), mode="half_pixel"),
        graph(1, [(2, 4, 6, 6), (8, 2, 3, 3)], (4, 6, 6), out=9),  # more to upsample than before
        graph(1, [(2, 4, 6, 6), (8, 4, 6, 6)], (4, 6, 6)),
    ],
)
def test_all_else_is_left_alone(model):
    before = [node.get_type_name() for node in model.get_ordered_ops()]
    assert fold_trilinear(model, npu=True) == 0
    assert [node.get_type_name() for node in model.get_ordered_ops()] == before
