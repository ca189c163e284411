"""What is rewritten so that a graph does not say how many cameras there are: the same numbers, and any batch."""

import numpy as np
import openvino as ov
import pytest
from openvino import opset11
from openvino import opset13 as ops

from occvino.conversion.any_batch import forget_the_batch
from occvino.conversion.repeated import fold_repeated
from occvino.runtime.npu_parts import of_one_image

RNG = np.random.default_rng(0)
ONES = [1, 1], [0, 0], [0, 0], [1, 1]


def run(model: ov.Model, x: np.ndarray) -> np.ndarray:
    return ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(x)[0]


def upsampled():
    x = ops.parameter([3, 4, 5, 6], np.float32)
    up = opset11.interpolate(
        x,
        np.array([3, 4, 10, 12]),
        "nearest",
        "sizes",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    return ov.Model([ops.relu(up)], [x], "m")


def gathered():
    x = ops.parameter([3, 4, 1, 1], np.float32)
    flat = ops.reshape(x, np.array([-1]), False)
    return ov.Model([ops.relu(ops.gather(flat, np.arange(12).reshape(3, 4, 1, 1), ops.constant(0)))], [x], "m")


def pooled():
    """ASPP's last step: three branches and one value a channel, joined and convolved."""
    x = ops.parameter([3, 4, 5, 6], np.float32)
    one = ops.reduce_mean(x, np.array([2, 3]), True)
    repeated = ops.broadcast(one, ops.constant(np.array([1, 1, 5, 6])), broadcast_spec="BIDIRECTIONAL")
    joined = ops.concat([x, ops.relu(x), repeated], 1)
    weights = RNG.normal(size=(7, 12, 1, 1)).astype(np.float32)
    return ov.Model([ops.relu(ops.convolution(joined, ops.constant(weights), *ONES))], [x], "m")


@pytest.mark.parametrize(
    ("make", "rewrite"), [(upsampled, forget_the_batch), (gathered, forget_the_batch), (pooled, fold_repeated)]
)
def test_the_same_numbers_and_once(make, rewrite):
    model = make()
    x = RNG.normal(size=model.input(0).shape).astype(np.float32)
    before = run(model, x)
    assert rewrite(model) == 1
    assert rewrite(model) == 0
    np.testing.assert_allclose(run(model, x), before, atol=1e-6)


@pytest.mark.parametrize("make", [upsampled, gathered])
def test_then_cameras_can_be_taken_one_by_one(make):
    model = make()
    assert of_one_image(model) is None
    forget_the_batch(model)
    assert of_one_image(model) is not None


def test_a_gather_in_another_order_stays():
    x = ops.parameter([3, 4, 1, 1], np.float32)
    flat = ops.reshape(x, np.array([-1]), False)
    order = np.arange(12)[::-1].reshape(3, 4, 1, 1).copy()
    assert forget_the_batch(ov.Model([ops.gather(flat, order, ops.constant(0))], [x], "m")) == 0


def test_what_mixes_images_is_not_taken_apart():
    x = ops.parameter([3, 4], np.float32)
    assert of_one_image(ov.Model([ops.reduce_sum(x, np.array([0]), False)], [x], "m")) is None
    y = ops.parameter([1, 4], np.float32)
    assert of_one_image(ov.Model([ops.relu(y)], [y], "m")) is None
