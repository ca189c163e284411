"""Depths of a cost volume in turn: the same numbers, each depth behind the one before, and nothing else touched."""

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from occvino.conversion import convert
from occvino.runtime.sampling_order import in_turn
from tests.small import SMALL, known

SIZE = (1, 4, 6, 8)


WARP = {"align_corners": True, "mode": "bilinear", "padding_mode": "zeros"}


def grid(number, offset=None):
    base = ops.constant(np.random.default_rng(number).uniform(-1.2, 1.2, (1, 6, 8, 2)).astype(np.float32))
    return base if offset is None else ops.add(offset, base)


def volume(depths=5, *, of_the_one_before=False):
    """A small cost volume; or one in which a depth is sampled by what the one before gave."""
    current, previous = (ops.parameter(SIZE, np.float32, name=name) for name in ("current", "previous"))
    costs = []
    for number in range(depths):
        offset = ops.reduce_max(costs[-1], [0, 1, 2, 3], keep_dims=True) if costs and of_the_one_before else None
        sampled = ops.grid_sample(previous, grid(number, offset), WARP)
        first = ops.slice(sampled, [0], [1], [1], [1])
        unseen = ops.convert(ops.equal(first, ops.constant(np.float32(0))), "f32")
        cost = ops.reduce_sum(ops.abs(ops.subtract(current, sampled)), [1], keep_dims=True)
        costs.append(ops.add(cost, unseen))
    return ov.Model([ops.concat(costs, 1)], [current, previous], "volume")


def run(model, inputs):
    return ov.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(inputs)


def upstream(op):
    seen, left = set(), [op]
    while left:
        for value in left.pop().input_values():
            node = value.get_node()
            if node.get_friendly_name() not in seen:
                seen.add(node.get_friendly_name())
                left.append(node)
    return seen


def samplings(model):
    return [op for op in model.get_ordered_ops() if op.get_type_name() == "GridSample"]


def in_a_row(model):
    """How many samplings need another one."""
    names = {op.get_friendly_name() for op in samplings(model)}
    return sum(bool(upstream(op) & names) for op in samplings(model))


@pytest.mark.parametrize("special", [0.0, np.inf, -np.inf, np.nan])
def test_numbers_stay_and_each_depth_needs_the_one_before(special):
    model, rng = volume(), np.random.default_rng(0)
    inputs = [rng.normal(size=SIZE).astype(np.float32) for _ in range(2)]
    inputs[0][0, 0, 0, 0] = special
    made = in_turn(model)
    assert (in_a_row(model), in_a_row(made)) == (0, 4)
    for before, after in zip(run(model, inputs).values(), run(made, inputs).values(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_where_a_depth_follows_from_another_nothing_is_changed():
    model = volume(of_the_one_before=True)
    assert len(in_turn(model).get_ops()) == len(model.get_ops())


def test_a_model_without_a_cost_volume_is_itself():
    image, grids = ops.parameter(SIZE, np.float32), [grid(number) for number in range(3)]
    sampled = [ops.grid_sample(image, each, WARP) for each in grids]
    model = ov.Model([ops.concat(sampled, 1)], [image], "warps")
    assert len(in_turn(model).get_ops()) == len(model.get_ops())
    single = ov.Model([sampled[0]], [image], "one")
    assert in_turn(single) is single


@pytest.mark.slow
@pytest.mark.parametrize("name", ["small-stereo", "small-swin"])
def test_our_stereo_networks_have_one(tmp_path, name):
    with known(*SMALL):
        artifact = convert(name, None, tmp_path / "a")
    model = ov.Core().read_model(artifact.path / "model.xml")
    assert in_a_row(model) == 0
    assert in_a_row(in_turn(model)) == len(samplings(model)) - 1 > 5
