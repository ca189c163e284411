"""What a stream remembers, and when it forgets."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occvino.errors import FrameError
from occvino.geometry.rig import Rig, UnknownPoseWarning
from occvino.geometry.temporal import MISSING
from occvino.images.inputs import with_past
from occvino.runtime.memory import DroppedFrameWarning, Limits, Memory, SceneCutWarning
from tests.sequences import at, make_frame
from tests.small import SMALL

FOUR_D = next(variant for variant in SMALL if variant.name == "small-4d")
STEREO = next(variant for variant in SMALL if variant.name == "small-stereo")


def rig_at(metres, yaw=0.0):
    _, rig = make_frame(0)
    return Rig(tuple(replace(camera, ego2global=at(metres, yaw)) for camera in rig.cameras))


def step(memory, rig, number, scene=None, time=None):
    """One frame whose state is filled with a number; gives what it was given of the past."""
    recalled = memory.recall(rig, scene, time)
    given = {name: np.array(value) for name, value in recalled.inputs.items()}
    state = memory.room()
    for array in state.values():
        array.fill(number)
    memory.keep(recalled, state, scene, time)
    return recalled, given


@given(st.lists(st.sampled_from(["step", "scene", "reset", "back", "fail"]), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_each_input_is_the_state_of_so_many_frames_ago_and_no_other_scene(actions):
    """Against the plainest twin: a list of the numbers of all frames since the last start."""
    for variant, temporal in ((FOUR_D, "exact"), (FOUR_D, "fast"), (STEREO, "exact"), (STEREO, "fast")):
        memory, since_start, time, scene = Memory(variant, temporal, 2), [], 0.0, 0
        for number, action in enumerate(actions, start=1):
            # many that fail in a row must not add up to a gap in time
            time += {"back": -5.0, "fail": 0.05}.get(action, 0.5)
            scene += action == "scene"
            if action == "reset":
                memory.reset()
            if action in ("scene", "reset") or (action == "back" and since_start):
                since_start = []
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if action == "fail":  # what a call that fails has done by then
                    memory.recall(rig_at(0), str(scene), time)
                    memory.room()
                    continue
                recalled, given = step(memory, rig_at(0), number, str(scene), time)
            newest_first = since_start[::-1]
            slots = len(given[MISSING])
            assert given[MISSING].tolist() == [age > len(since_start) for age in range(1, slots + 1)]
            assert recalled.history.frames == min(len(since_start), slots)
            for name, (_, age) in memory._inputs.items():
                expected = newest_first[age - 1] if age <= len(newest_first) else 0
                assert (given[name] == expected).all(), name
            since_start.append(number)


def test_arrays_go_round_and_none_is_copied():
    memory, seen = Memory(STEREO, "exact", 2), set()
    for number in range(6):
        state = memory.room()
        recalled = memory.recall(rig_at(0))
        assert not {id(array) for array in state.values()} & {id(value) for value in recalled.inputs.values()}
        for name, (kind, age) in memory._inputs.items():
            if age <= len(recalled.past):
                assert recalled.inputs[name] is recalled.past[age - 1].state[kind]
        seen |= {id(array) for array in state.values()}
        memory.keep(recalled, state)
        assert number < 3 or len(seen) == 2 * 3  # two kinds of state, of two frames and the one under way


def test_the_current_rig_stands_in_with_its_frame():
    memory = Memory(FOUR_D, "exact", 2)
    first, second = rig_at(0), rig_at(1)
    assert step(memory, first, 1)[0].rigs == (first,) * 3
    assert step(memory, second, 2)[0].rigs == (second, first, second)


@pytest.mark.parametrize(
    ("then", "message"),
    [
        ((rig_at(0.5), None, 0.4), r"time went from 0\.5 to 0\.4 s"),
        ((rig_at(0.5), None, 0.5), r"time went from 0\.5 to 0\.5 s"),
        ((rig_at(0.5), None, 500000.5), r"5e\+05 s passed \(more than 2 s; times are in seconds\)"),
        ((rig_at(60), None, 1.0), r"the vehicle moved by 60 m in 0\.5 s \(more than 35 m\)"),
        ((rig_at(60), None, None), r"the vehicle moved by 60 m \(more than 35 m\)"),
        ((rig_at(0.5, 2.0), None, 1.0), r"the vehicle turned by 115 degrees"),
    ],
)
def test_a_frame_that_cannot_follow_is_reported_and_the_past_forgotten(then, message):
    memory = Memory(FOUR_D, "fast", 2)
    step(memory, rig_at(0), 1, None, 0.0)
    step(memory, rig_at(0.4), 2, None, 0.5)
    with pytest.warns(SceneCutWarning, match=message):
        recalled, given = step(memory, then[0], 3, *then[1:])
    assert (recalled.history.event, recalled.history.frames) == ("cut", 0)
    assert given[MISSING].all()


def test_another_scene_is_told_without_a_warning():
    memory = Memory(FOUR_D, "fast", 2)
    assert step(memory, rig_at(0), 1, "a", 0.0)[0].history.event == "start"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = step(memory, rig_at(900), 2, "b", 0.5)[0].history
    assert (history.event, history.frames) == ("scene", 0)
    assert "scene b follows a" in history.message


def test_a_scene_that_is_not_told_is_the_one_before():
    memory = Memory(FOUR_D, "fast", 2)
    events = [step(memory, rig_at(index), index, scene)[0].history.event for index, scene in enumerate("abbc")]
    assert events == ["start", "scene", None, "scene"]
    memory.reset()
    named = ("a", None, "a", None, "b")
    events = [step(memory, rig_at(index), index, scene)[0].history.event for index, scene in enumerate(named)]
    assert events == ["start", None, None, None, "scene"]


def test_rigs_that_never_say_where_they_are_are_warned_of():
    nowhere = Rig(tuple(replace(camera, ego2global=np.eye(4)) for camera in rig_at(0).cameras))
    memory = Memory(FOUR_D, "exact", 2)
    step(memory, nowhere, 0)
    with pytest.warns(UnknownPoseWarning, match="as if the vehicle stood still"):
        step(memory, nowhere, 1)
    with pytest.warns(UnknownPoseWarning):
        with_past({}, nowhere, [({}, nowhere)], 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with_past({}, nowhere, [], 3)
        with_past({}, nowhere, [({}, rig_at(0))], 3)


def test_dropped_frames_are_reported_and_the_past_is_used():
    memory = Memory(FOUR_D, "exact", 2)
    for index in range(4):
        assert step(memory, rig_at(index), index, "a", 0.5 * index)[0].history.event in ("start", None)
    with pytest.warns(DroppedFrameWarning, match=r"1\.5 s since the previous frame, 0\.5 s are usual: 2 seem"):
        recalled, _ = step(memory, rig_at(4), 4, "a", 3.0)
    assert (recalled.history.event, recalled.history.frames) == ("dropped", 2)


def test_limits_are_the_users():
    memory = Memory(FOUR_D, "exact", 2, Limits(gap=60.0))
    step(memory, rig_at(0), 1, None, 0.0)
    assert step(memory, rig_at(5), 2, None, 30.0)[0].history.event is None


def test_a_time_that_is_none_is_refused():
    with pytest.raises(FrameError, match="time=nan: expected seconds"):
        Memory(FOUR_D, "exact", 2).recall(rig_at(0), None, float("nan"))
