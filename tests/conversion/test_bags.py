"""One bag for each frame gives what one for all gives: random cameras, empty cells, cells of many points."""

import numpy as np
import openvino as ov
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openvino import opset13 as ops
from openvino.opset3 import embedding_bag_offsets_sum

from occvino.conversion.bags import cut_bags
from occvino.geometry.lift import OUTSIDE, PoolingPlan
from occvino.runtime.npu_rules import MOST_BAGGED, check_npu_rules

BINS, PIXELS, CELLS = 3, 8, 11


def graph(plan):
    """Pooling as in an IR: the table has a row of zeros, and so have the weights."""
    pixels, entries, cells = (
        PIXELS * len(plan.interval_starts) // CELLS,
        len(plan.ranks_depth),
        len(plan.interval_starts),
    )
    depth, table = ops.parameter([pixels * BINS + 1], np.float32), ops.parameter([pixels + 1, 2], np.float32)
    ranks = [ops.parameter([size], np.int32) for size in (entries, entries, cells)]
    weights = ops.gather(depth, ranks[0], np.int64(0))
    bag = embedding_bag_offsets_sum(table, ranks[1], ranks[2], ops.constant(np.int32(-1)), weights, name="bag")
    bag.output(0).set_names({"bev"})
    return ov.Model([ops.relu(bag)], [depth, table, *ranks], "test")


def run(model, values):
    return ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(values)[0]


@settings(max_examples=25, deadline=None)
@given(frames=st.integers(2, 4), empty=st.floats(0, 1), seed=st.integers(0, 2**31))
def test_both_give_the_same(frames, empty, seed):
    rng = np.random.default_rng(seed)
    cell = rng.integers(0, CELLS, [frames, BINS * PIXELS]).astype(np.int32)
    cell[rng.random(cell.shape) < empty] = OUTSIDE
    plan = PoolingPlan.stack([PoolingPlan.from_cells(each, CELLS, depth_bins=BINS, pixels=PIXELS) for each in cell])
    depth = np.append(rng.random(frames * BINS * PIXELS), 0).astype(np.float32)
    table = np.vstack([rng.normal(size=(frames * PIXELS, 2)), np.zeros([1, 2])]).astype(np.float32)
    values = [depth, table, plan.ranks_depth, plan.ranks_feat, plan.interval_starts]
    model = graph(plan)
    expected = run(model, values)
    assert cut_bags(model, frames, most=0) == 1
    assert sum(node.get_type_name() == "EmbeddingBagOffsetsSum" for node in model.get_ops()) == frames
    assert any("bev" in node.output(0).get_names() for node in model.get_ops() if node.get_output_size())
    np.testing.assert_array_equal(run(model, values), expected)


@pytest.mark.parametrize(("frames", "most"), [(1, 0), (2, MOST_BAGGED)])
def test_a_bag_that_is_small_or_of_one_frame_stays(frames, most):
    cell = np.zeros([frames, BINS * PIXELS], np.int32)
    plan = PoolingPlan.stack([PoolingPlan.from_cells(each, CELLS, depth_bins=BINS, pixels=PIXELS) for each in cell])
    assert cut_bags(graph(plan), frames, most) == 0


def test_info_names_a_bag_that_is_too_large():
    def model_of(entries):
        ranks = [ops.parameter([size], np.int32) for size in (entries, 4)]
        table, weights = ops.parameter([5, 2], np.float32), ops.parameter([entries], np.float32)
        bag = embedding_bag_offsets_sum(table, *ranks, ops.constant(np.int32(-1)), weights, name="bag")
        return ov.Model([bag], [table, *ranks, weights], "test")

    assert check_npu_rules(model_of(MOST_BAGGED)).ok
    (finding,) = check_npu_rules(model_of(MOST_BAGGED + 1)).refused
    assert finding.startswith("bag (EmbeddingBagOffsetsSum-3): 4,194,304 entries")
