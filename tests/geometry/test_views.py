"""What cameras see, against what can be worked out on paper."""

import math
from dataclasses import replace

import numpy as np
import pytest

from occvino.geometry.lens import Lens
from occvino.geometry.rig import Rig
from occvino.geometry.views import gaps, horizon, overlaps, views
from tests.geometry.rigs import camera, right_rigs

RIGS = dict(right_rigs())


def test_angles_and_places_are_those_the_rig_was_made_of():
    view = views(Rig((camera("a", 47, [1.2, 0.3, 2.3], pitch=5, roll=2),)))[0]
    assert (view.yaw, view.pitch, view.roll) == pytest.approx((47, 5, 2))
    assert view.place == pytest.approx((1.2, 0.3, 2.3))
    assert (view.width, view.height, view.lens) == (1280, 720, None)


def test_the_field_of_view_of_a_pinhole():
    made = camera("a", 0, [0, 0, 1.5], focal=0.8)
    view = views(Rig((made,)))[0]
    centre = made.intrinsics[0, 2]
    expected = math.atan((centre + 0.5) / 1024) + math.atan((1279.5 - centre) / 1024)
    assert view.across == pytest.approx(math.degrees(expected), abs=0.01)


def test_a_fisheye_may_see_more_than_half_a_turn():
    wide = camera("a", 0, [0, 0, 1.5], focal=0.28, lens=Lens("fisheye", (0, 0, 0, 0)))
    view = views(Rig((wide,)))[0]
    assert view.across == pytest.approx(math.degrees(1280 / (0.28 * 1280)), abs=0.2)  # angle = radius / focal length
    assert view.across > 200


def test_where_a_camera_sees_the_ground_first():
    made = camera("a", 0, [0, 0, 1.5], pitch=10)
    lowest = math.radians(10) + math.atan((719.5 - made.intrinsics[1, 2]) / 1024)
    assert views(Rig((made,)))[0].ground == pytest.approx(1.5 / math.tan(lowest), rel=1e-3)
    assert views(Rig((camera("a", 0, [0, 0, 1.5], pitch=-40),)))[0].ground is None


def test_four_cameras_of_100_degrees_close_the_ring():
    focal = 0.5 / math.tan(math.radians(50))
    four = Rig(tuple(camera(f"c{yaw}", yaw, [0, 0, 1.5], focal=focal) for yaw in (0, 90, 180, -90)))
    assert gaps(four) == []
    assert len(overlaps(four)) == 4
    assert all(sector.width == pytest.approx(10, abs=1) for sector in overlaps(four))


def test_gaps_have_their_neighbours():
    two = Rig((camera("ahead", 0, [0, 0, 1.5]), camera("behind", 180, [0, 0, 1.5])))
    (width,) = {round(views(two)[0].across)}
    found = gaps(two)
    assert [set(gap.cameras) for gap in found] == [{"ahead", "behind"}] * 2
    assert all(gap.width == pytest.approx(180 - width, abs=1.5) for gap in found)
    assert overlaps(two) == []


def test_the_ego_pose_changes_nothing():
    rig = RIGS["synthetic"]
    there = np.eye(4)
    there[:3, 3] = [449.4, 1223.3, 0.0]
    moved = Rig(tuple(replace(each, ego2global=there) for each in rig.cameras))
    assert views(moved) == views(rig)
    assert [gap.width for gap in gaps(moved)] == [gap.width for gap in gaps(rig)]


def test_a_camera_that_looks_down_steeply_has_a_sector_too():
    steep = camera("a", 90, [0, 1, 1.5], pitch=58, focal=0.8)
    shown = horizon(steep)
    assert 0 < shown.sum() < 1440
    middle = (90 + 180) * 4
    assert shown[middle - 20 : middle + 20].all()


@pytest.mark.parametrize("name", RIGS)
def test_plausible_rigs_give_plausible_numbers(name):
    for view in views(RIGS[name]):
        assert 40 < view.across < 200
        assert abs(view.roll) < 2
        assert view.ground is None or view.ground < 25
