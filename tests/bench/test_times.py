"""Percentiles are numpy's where there are samples enough for them, and nothing where there are not."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occvino.bench.calls import LEAST, Budget
from occvino.bench.streams import Throughput
from occvino.bench.times import PERCENTS, Times, needed

seconds = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=150)


@given(seconds, st.randoms())
def test_percentiles_are_those_of_numpy_in_any_order(taken, random):
    shuffled = list(taken)
    random.shuffle(shuffled)
    for percent in PERCENTS:
        found = Times.of_seconds(shuffled).percentile(percent)
        if len(taken) < needed(percent):
            assert found is None
        else:
            assert found == pytest.approx(1e3 * np.percentile(taken, percent))


@given(seconds)
def test_figures_stand_in_order_and_json_has_their_units(taken):
    times = Times.of_seconds(taken)
    told = json.loads(json.dumps(times.to_dict(each=True)))
    assert told["count"] == len(taken)
    assert told["each_ms"] == pytest.approx([1e3 * each for each in taken])
    ordered = [value for name in ("best_ms", "p50_ms", "p90_ms", "p99_ms") if (value := told[name]) is not None]
    assert ordered == sorted(ordered)
    assert told["best_ms"] <= told["mean_ms"] * (1 + 1e-9)
    assert max(ordered) <= 1e3 * max(taken) * (1 + 1e-9)


def test_a_99th_percentile_takes_a_hundred_samples():
    assert [needed(percent) for percent in PERCENTS] == [2, 10, 100]
    assert Times((1.0,) * 99).percentile(99) is None
    assert Times((1.0,) * 100).percentile(99) == 1.0


@pytest.mark.parametrize(("calls", "time", "expected"), [(7, 60.0, 7), (7, 0.0, LEAST), (2, 0.0, 2), (1, 60.0, 1)])
def test_a_budget_ends_by_calls_or_by_time_but_not_before_a_few(calls, time, expected):
    numbers = iter(range(100))
    assert Budget(calls, time).take(lambda: next(numbers)) == list(range(expected))


def test_a_ratio_is_that_of_neighbours():
    """The machine slowed down by half after the first turn: both fell, and their ratio stayed."""
    told = Throughput(4, loop=(10.0, 5.0, 5.0), stream=(12.0, 6.0, 7.0)).to_dict()
    assert told["loop_frames_per_s"] == 5.0
    assert told["stream_over_loop"] == pytest.approx(1.2)
    assert (told["stream_over_loop_least"], told["stream_over_loop_most"]) == pytest.approx((1.2, 1.4))
