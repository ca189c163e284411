"""What cameras see: against angles worked out by hand, and against where `Camera.project` puts points."""

import math
from dataclasses import replace

import numpy as np
import pytest

from occvino.geometry.lens import Lens
from occvino.geometry.rig import Rig
from occvino.geometry.views import Gap, gaps, overlaps, views
from tests.geometry.rigs import OPTICAL, camera, real_rig, right_rigs, turn

RIGHT = dict(right_rigs())
NAMES = ("real", *RIGHT)
STRAIGHT_FISHEYE = Lens("fisheye", (0.0, 0.0, 0.0, 0.0))


def mounted(name, yaw, *, across=90.0, pitch=0.0, roll=0.0, height=1.5, size=(800, 600), lens=None):
    """A camera whose principal point is the very middle of its image, and whose view is `across` degrees wide."""
    width, rows = size
    half = math.radians(across) / 2
    focal = width / 2 / (half if lens else math.tan(half))
    made = camera(name, yaw, [0.0, 0.0, height], pitch=pitch, roll=roll, size=size, lens=lens)
    k = np.array([[focal, 0, (width - 1) / 2], [0, focal, (rows - 1) / 2], [0, 0, 1]])
    return replace(made, intrinsics=k)


def one(*given, **options):
    return views(Rig((mounted("cam", *given, **options),)))[0]


@pytest.fixture
def rig(request, name):
    if name != "real":
        return RIGHT[name]
    found = real_rig(request.getfixturevalue("real_frame"))
    return Rig(tuple(replace(each, ego2global=np.eye(4)) for each in found.cameras))


@pytest.mark.parametrize("across", [20, 64, 120])
def test_the_view_of_a_pinhole_is_twice_the_arc_tangent(across):
    seen = one(0, across=across)
    assert seen.horizontal == pytest.approx(across)
    assert seen.vertical == pytest.approx(2 * math.degrees(math.atan(0.75 * math.tan(math.radians(across / 2)))))
    assert seen.lens is None


@pytest.mark.parametrize("across", [90, 170, 200, 280])
def test_the_view_of_an_equidistant_lens_is_radius_over_focal_length(across):
    seen = one(0, across=across, lens=STRAIGHT_FISHEYE)
    assert (seen.horizontal, seen.vertical) == pytest.approx((across, 0.75 * across))
    assert seen.azimuths == pytest.approx((-across / 2, across / 2))
    assert seen.lens == "fisheye"


def test_a_principal_point_aside_moves_the_view_and_not_its_width_alone():
    straight = mounted("cam", 0)
    moved = replace(straight, intrinsics=straight.intrinsics + np.array([[0, 0, 100], [0] * 3, [0] * 3]))
    seen = views(Rig((moved,)))[0]
    right, left = (math.degrees(math.atan(pixels / 400)) for pixels in (300, 500))
    assert seen.azimuths == pytest.approx((-right, left))
    assert seen.horizontal == pytest.approx(right + left)


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll"), [(0, 0, 0), (30, 10, 5), (-150, -20, -30), (179, 45, 90), (9, 3, 175)]
)
def test_angles_are_those_that_it_was_mounted_with(yaw, pitch, roll):
    seen = one(yaw, pitch=pitch, roll=roll, height=2.5)
    assert (seen.yaw, seen.pitch, seen.roll) == pytest.approx((yaw, pitch, roll), abs=1e-9)
    assert seen.place == (0.0, 0.0, 2.5)
    assert seen.above_ground == 2.5


@pytest.mark.parametrize("yaw", [0.0, 60.0, -170.0])
def test_straight_down_the_upper_edge_says_the_yaw(yaw):
    seen = one(yaw, pitch=90)
    assert (seen.yaw, seen.pitch, seen.roll) == pytest.approx((yaw, 90, 0), abs=1e-4)
    assert seen.azimuths is None


@pytest.mark.parametrize(("pitch", "height"), [(0, 1.5), (10, 1.5), (-5, 3.0)])
def test_the_first_ground_is_height_over_the_tangent(pitch, height):
    down = pitch + one(0).vertical / 2
    assert one(0, pitch=pitch, height=height).ground == pytest.approx(height / math.tan(math.radians(down)))


def test_who_looks_straight_below_itself_sees_ground_at_once_and_who_looks_up_sees_none():
    assert one(0, pitch=80).ground == pytest.approx(0, abs=0.01)
    assert one(0, pitch=-60).ground is None
    assert one(0, height=-0.5).ground is None


def test_of_a_rolled_camera_the_line_that_goes_down_sees_the_ground():
    upright, rolled, over = one(0), one(0, roll=90), one(0, roll=180)
    assert over.ground == pytest.approx(upright.ground)
    assert rolled.ground == pytest.approx(1.5 / math.tan(math.radians(45)))
    half = upright.vertical / 2
    assert rolled.azimuths == pytest.approx((-half, half))
    assert over.azimuths == pytest.approx((-45, 45))


@pytest.mark.parametrize("name", NAMES)
def test_ground_and_edges_are_where_points_come_into_the_image(rig, name):
    for each, seen in zip(rig.cameras, views(rig), strict=True):
        ahead = np.array([math.cos(math.radians(seen.yaw)), math.sin(math.radians(seen.yaw)), 0.0])
        below = np.array([*seen.place[:2], 0.0])
        # the middle column is a little beside the principal point, hence a few percent
        assert len(each.project((below + (0.05 + 1.04 * seen.ground) * ahead)[None])) == 1
        assert len(each.project((below + 0.9 * seen.ground * ahead)[None])) == 0
        assert seen.horizontal > seen.vertical
        if abs(seen.pitch) < 2:
            begin, end = np.radians(seen.azimuths)
            for azimuth, inside in ((begin + 0.02, 1), (begin - 0.02, 0), (end - 0.02, 1), (end + 0.02, 0)):
                far = 1e4 * np.array([math.cos(azimuth), math.sin(azimuth), 0]) + np.array(seen.place)
                assert len(each.project(far[None])) == inside


@pytest.mark.parametrize("name", NAMES)
def test_gaps_are_what_no_camera_sees(rig, name):
    around = np.arange(-180, 180, 0.01) + 0.005
    intervals = [view.azimuths for view in views(rig)]
    count = np.sum([((around - begin) % 360) < end - begin for begin, end in intervals], axis=0)
    found = gaps(rig)
    assert sum(gap.degrees for gap in found) == pytest.approx((count == 0).mean() * 360, abs=0.1)
    for gap in found:
        middle = sum(gap.azimuths) / 2
        assert count[int(((middle + 180) % 360) * 100)] == 0
        assert gap.azimuths[1] - gap.azimuths[0] == pytest.approx(gap.degrees)
    if name in ("single", "robot", "stereo", "truck"):
        assert found


def ring(yaws, **options):
    return Rig(tuple(mounted(f"cam{yaw}", yaw, **options) for yaw in yaws))


def test_four_cameras_of_90_degrees_make_a_ring():
    assert gaps(ring([0, 90, 180, -90])) == []
    assert overlaps(ring([0, 90, 180, -90])) == []


def test_the_order_in_the_file_does_not_matter():
    wide = overlaps(ring([180, 0, -90, 90], across=100))
    assert {frozenset(each.cameras): pytest.approx(each.degrees) for each in wide} == {
        frozenset(pair): 10
        for pair in (("cam0", "cam90"), ("cam90", "cam180"), ("cam180", "cam-90"), ("cam-90", "cam0"))
    }
    narrow = gaps(ring([180, 0, -90, 90], across=70))
    assert [each.cameras for each in narrow] == [
        ("cam-90", "cam0"), ("cam0", "cam90"), ("cam90", "cam180"), ("cam180", "cam-90")
    ]  # fmt: skip
    assert [each.degrees for each in narrow] == pytest.approx([20] * 4)


def test_a_missing_camera_is_a_gap_between_its_neighbours():
    (gap,) = gaps(ring([0, 90, -90]))
    assert gap == Gap(("cam90", "cam-90"), pytest.approx(90), (pytest.approx(135), pytest.approx(225)))


def test_a_single_camera_has_one_gap_and_no_neighbour():
    assert gaps(ring([30])) == [Gap(("cam30", "cam30"), pytest.approx(270), (pytest.approx(75), pytest.approx(345)))]
    assert overlaps(ring([30])) == []


def test_two_that_meet_on_both_sides_share_both():
    pair = ring([0, 180], across=200, lens=STRAIGHT_FISHEYE)
    (shared,) = overlaps(pair)
    assert set(shared.cameras) == {"cam0", "cam180"}
    assert shared.degrees == pytest.approx(40)
    assert gaps(pair) == []


def test_a_narrow_camera_within_the_view_of_a_wide_one_is_beside_it():
    both = Rig((mounted("tele", 2, across=30), *ring([0, 90, 180, -90], across=100).cameras))
    assert gaps(both) == []
    shared = {frozenset(each.cameras): each.degrees for each in overlaps(both)}
    assert shared[frozenset(("cam0", "tele"))] == pytest.approx(30)
    assert shared[frozenset(("cam0", "cam90"))] == pytest.approx(10)
    assert len(shared) == 5


def test_two_of_the_same_view_overlap_wholly():
    assert [each.degrees for each in overlaps(Rig((mounted("a", 20), mounted("b", 20))))] == [pytest.approx(90)]


def test_cameras_that_look_steeply_down_are_not_in_the_ring():
    steep = mounted("below", 90, pitch=70)
    assert gaps(Rig((*ring([0, 180]).cameras, steep))) == gaps(ring([0, 180]))
    assert gaps(Rig((steep,))) == overlaps(Rig((steep,))) == []


def test_a_pitched_camera_sees_more_azimuths():
    begin, end = one(0, pitch=50).azimuths
    half = math.degrees(math.atan(1 / math.cos(math.radians(50))))
    assert (begin, end) == pytest.approx((-half, half))
    rays = turn(pitch=50) @ OPTICAL @ np.array([[-1.0, 1], [0, 0], [1, 1]])  # its left and right edge
    assert np.degrees(np.arctan2(rays[1], rays[0])) == pytest.approx((end, begin))
