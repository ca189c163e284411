"""Images put together by their time stamps."""

import numpy as np
import pytest

from occvino.datasets.bags.messages import CompressedImage
from occvino.datasets.bags.moments import Moments, Taken

MS = 10**6
NAMES = ("left", "front", "right")


def run(images, **options):
    """Moments of (name, stamp in ms, recorded in ms), in the order of recording."""
    values = {"period": 100 * MS, "window": 50 * MS, "patience": 300 * MS, **options}
    moments = Moments(NAMES, **values)
    found = []
    for name, stamp, log, *jumps in sorted(images, key=lambda each: each[2]):
        key = (*jumps, stamp * MS) if jumps else (0, stamp * MS)
        moments.add(name, Taken(key, log * MS, CompressedImage(stamp * MS, "", "png", b"")))
        found += moments.ready(log * MS)
    found += moments.ready(10**18, end=True)
    return moments, found


def steady(count, offsets=(0, 20, 40), delay=5, start=1000):
    return [
        (name, start + 100 * index + offset, start + 100 * index + offset + delay)
        for index in range(count)
        for name, offset in zip(NAMES, offsets, strict=True)
    ]


def stamps(moment):
    return [moment.images[name].key[1] // MS if name in moment.images else None for name in NAMES]


def test_each_moment_has_the_nearest_image_of_each_camera():
    moments, found = run(steady(5))
    assert [stamps(each) for each in found] == [[t, t + 20, t + 40] for t in range(1000, 1500, 100)]
    assert not +moments.missing
    assert not +moments.late


@pytest.mark.parametrize("name", NAMES)
def test_a_camera_that_drops_a_frame(name):
    images = [each for each in steady(6) if not (each[0] == name and 1200 <= each[1] < 1300)]
    moments, found = run(images)
    assert len(found) == 6
    lost = [each for each in found if each.missing]
    assert [(each.key[1] // MS, each.missing) for each in lost] == [(1200, (name,))]
    assert moments.missing == {name: 1}


@pytest.mark.parametrize("name", NAMES)
def test_a_camera_that_stops_for_good_does_not_hold_up_the_others(name):
    images = [each for each in steady(30) if not (each[0] == name and each[1] >= 1500)]
    moments = Moments(NAMES, 100 * MS, 50 * MS, 300 * MS)
    most = 0
    done = 0
    for which, stamp, log in images:
        moments.add(which, Taken((0, stamp * MS), log * MS, CompressedImage(0, "", "", b"")))
        done += len(list(moments.ready(log * MS)))
        most = max(most, sum(map(len, moments._queues.values())))
    done += len(list(moments.ready(10**18, end=True)))
    assert done == 30
    assert moments.missing[name] == 25
    assert most < 16, "memory does not grow with the bag"


def test_images_that_are_recorded_late_are_waited_for_but_not_for_ever():
    images = [(name, stamp, log + 250 * (name == "right")) for name, stamp, log in steady(12)]
    moments, found = run(images)
    assert not any(each.missing for each in found)
    assert not +moments.late
    images = [(name, stamp, log + 550 * (name == "right")) for name, stamp, log in steady(12)]
    moments, found = run(images)
    assert {each.missing for each in found[:8]} == {("right",)}
    assert moments.late["right"] >= 8


def test_a_faster_camera_gives_its_nearest_images():
    fast = [("front", 1000 + 33 * index, 1003 + 33 * index) for index in range(16)]
    moments, found = run([each for each in steady(5) if each[0] != "front"] + fast)
    assert not any(each.missing for each in found)
    assert max(abs(each.images["front"].key[1] - each.key[1]) for each in found) < 17 * MS
    assert moments.unused["front"] == 11


def test_a_small_window_takes_no_image_from_far():
    _, found = run(steady(3), window=30 * MS)
    assert [each.missing for each in found] == [("right",)] * 3


def test_after_a_jump_of_the_clock_all_goes_on():
    first = steady(4, start=5000)
    again = [(name, stamp, log + 5000, 1) for name, stamp, log in steady(4, start=1000)]
    images = [(name, stamp, log - 4000) for name, stamp, log in first] + again
    _, found = run(images)
    assert [each.key for each in found] == [
        *((0, stamp * MS) for stamp in range(5000, 5400, 100)),
        *((1, stamp * MS) for stamp in range(1000, 1400, 100)),
    ]
    assert not any(each.missing for each in found)


def test_a_pause_of_all_cameras_is_no_row_of_failures():
    _, found = run(steady(3) + steady(3, start=9000))
    assert len(found) == 6
    assert not any(each.missing for each in found)


def test_jitter_of_the_first_camera():
    rng = np.random.default_rng(3)
    images = [(name, stamp + int(rng.integers(-4, 5)), log + 30) for name, stamp, log in steady(40)]
    _, found = run(images)
    assert len(found) == 40
    assert not any(each.missing for each in found)
