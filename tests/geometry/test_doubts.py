"""Rigs that are possible and can hardly be right: each must be told, and a right one never."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from occvino.datasets.shipped import shipped_scene
from occvino.geometry import doubts as module
from occvino.geometry.camera import Camera
from occvino.geometry.doubts import DoubtfulRigWarning, doubts, shares_in_grid, usual_share
from occvino.geometry.inputs import Geometry, GeometryCache
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import pose, rigid_inverse
from occvino.synth.rig import make_rig
from occvino.variant import NUSCENES_CAMERAS
from occvino.variants import get_variant, variants
from tests.conftest import YAWS, make_camera

NANO = get_variant("occvino-nano")
OPTICAL = pose([0.5, -0.5, 0.5, -0.5], [0, 0, 0])
"""Optical axes (z forward, x right, y down) in body axes (x forward, y left, z up)."""
EVERY = set(NUSCENES_CAMERAS)


def found(rig, variant=NANO):
    """Which kinds of doubt there are about which cameras, as a plan of this rig tells them."""
    told: dict[str, set[str]] = {}
    plan = Geometry.of(rig.calibration(variant), variant).plan
    for doubt in doubts(rig, variant, plan):
        told.setdefault(doubt.camera, set()).add(doubt.kind)
    return told


def change(rig, make, names=NUSCENES_CAMERAS):
    return Rig(tuple(make(camera) if camera.name in names else camera for camera in rig.cameras))


def moved_to(camera, place):
    matrix = camera.sensor2ego.copy()
    matrix[:3, 3] = place
    return replace(camera, sensor2ego=matrix)


@pytest.fixture(scope="module")
def placed(rig):
    """Six cameras as on a car, at their places, with an ego pose."""
    places = {name: [1.5 * np.cos(np.radians(YAWS[name])), 0.5 * np.sin(np.radians(YAWS[name])), 1.5] for name in YAWS}
    there = pose([np.cos(0.4), 0, 0, np.sin(0.4)], [449.4, 1223.3, 0.0])
    return Rig(tuple(replace(moved_to(c, places[c.name]), ego2global=there) for c in rig.cameras))


def test_right_rigs_raise_no_doubt(rig, placed):
    for name in variants():
        variant = get_variant(name)
        for right in (placed.scaled(4), shipped_scene()[0].rig.scaled(2)):
            assert doubts(right, variant) == []
            shares = np.array(list(shares_in_grid(right, variant).values()))
            assert (shares > 0.75 * usual_share(variant)).all(), name
            assert (shares < 1.1 * usual_share(variant)).all(), name
    assert found(rig) == found(placed) == {}
    for seed in range(20):
        mounts = make_rig(np.random.default_rng(seed), 352).mounts
        assert found(Rig(tuple(mount.camera(np.eye(4)) for mount in mounts))) == {}


def test_the_real_rig_raises_no_doubt(real_frame):
    real = Rig.load(real_frame / "calibration.json").select(NUSCENES_CAMERAS)
    assert found(real, get_variant("flashocc-r50-M0")) == {}


def test_one_front_camera_alone_is_right():
    assert found(Rig((make_camera("CAM_FRONT"),))) == {}


def test_wide_and_long_lenses_are_right():
    for focal in (100.0, 280.0, 1500.0):  # 120, 64 and 13 degrees wide
        assert found(Rig((make_camera("CAM_FRONT", focal=focal),))) == {}, focal


def test_the_plan_counts_the_points_of_each_camera(placed):
    half_out = change(placed, lambda c: moved_to(c, [35.0, 0, 1.5]), ["CAM_FRONT"])
    plan = Geometry.of(half_out.calibration(NANO), NANO).plan
    shares = shares_in_grid(half_out, NANO)
    assert [kept / NANO.points_per_camera for kept in plan.kept_of] == pytest.approx(list(shares.values()))
    assert shares["CAM_FRONT"] < 0.5 * shares["CAM_BACK"]
    assert sum(plan.kept_of) == plan.kept


def test_body_axes_instead_of_optical_ones_are_told(placed):
    told = found(change(placed, lambda c: replace(c, sensor2ego=c.sensor2ego @ rigid_inverse(OPTICAL))))
    assert told == {name: {"points", "elevation"} for name in EVERY}


def test_the_inverse_of_an_extrinsic_is_told(placed):
    told = found(change(placed, lambda c: replace(c, sensor2ego=rigid_inverse(c.sensor2ego))))
    assert len(told) >= 4
    assert {"height", "roll"} <= set().union(*told.values())


def test_the_other_order_of_a_quaternion_is_told(placed):
    def other_order(camera):
        half = np.radians(YAWS[camera.name]) / 2
        # the quaternion of the turn times that of OPTICAL, in the order x, y, z, w where w, x, y, z is expected
        w, x, y, z = (
            0.5 * (np.cos(half) + np.sin(half)),
            -0.5 * (np.cos(half) + np.sin(half)),
            0.5 * (np.cos(half) - np.sin(half)),
            -0.5 * (np.cos(half) - np.sin(half)),
        )
        np.testing.assert_allclose(pose([w, x, y, z], [0, 0, 0])[:3, :3], camera.sensor2ego[:3, :3], atol=1e-12)
        return replace(camera, sensor2ego=pose([x, y, z, w], camera.sensor2ego[:3, 3]))

    told = found(change(placed, other_order))
    assert EVERY - {"CAM_FRONT"} <= set(told)


def test_one_camera_in_millimetres_is_told(placed):
    told = found(change(placed, lambda c: moved_to(c, c.sensor2ego[:3, 3] * 1000), ["CAM_FRONT"]))
    assert told == {"CAM_FRONT": {"points", "far"}}


@pytest.mark.parametrize("name", ["CAM_FRONT_LEFT", "CAM_BACK"])
def test_one_old_pose_is_told_and_not_those_of_all_others(placed, name):
    def old(camera):
        there = camera.ego2global.copy()
        there[:3, 3] -= [60.0, 20.0, 0.0]
        return replace(camera, ego2global=there)

    told = found(change(placed, old, [name]))
    assert {camera for camera, kinds in told.items() if "ego2global" in kinds} == {name}


def test_an_ego_frame_that_does_not_begin_on_the_ground_is_told(placed):
    told = found(change(placed, lambda c: moved_to(c, c.sensor2ego[:3, 3] - [0, 0, 1.6])))
    assert all("height" in kinds for kinds in told.values())
    assert set(told) == EVERY


def test_a_camera_that_hangs_upside_down_is_told(placed):
    told = found(
        change(placed, lambda c: replace(c, sensor2ego=c.sensor2ego @ np.diag([-1.0, -1, 1, 1])), ["CAM_BACK"])
    )
    assert "roll" in told["CAM_BACK"]


@pytest.mark.parametrize(
    ("name", "yaw", "doubtful"),
    [
        ("CAM_FRONT_LEFT", -55, True),
        ("camera_left", -90, True),
        ("REAR", 10, True),
        ("CAM_FRONT_LEFT", 100, False),
        ("stereo_left", -3, False),
        ("LEFT_REPEATER", 150, False),
        ("BRIGHT_CAM", 90, False),
        ("front_rear_facing", 180, False),
        ("CAM_0", 170, False),
    ],
)
def test_a_name_is_held_against_the_direction_only_where_it_says_the_opposite(name, yaw, doubtful):
    assert (found(Rig((make_camera(name, yaw=yaw),))) == {name: {"name"}}) is doubtful


def test_left_and_right_swapped_are_told(placed):
    swapped = {"CAM_FRONT_LEFT": "CAM_FRONT_RIGHT", "CAM_FRONT_RIGHT": "CAM_FRONT_LEFT"}
    told = found(Rig(tuple(replace(c, name=swapped.get(c.name, c.name)) for c in placed.cameras)))
    assert told == {name: {"name"} for name in swapped}


def test_one_warning_names_cameras_shares_and_what_to_check(placed):
    body = change(placed, lambda c: replace(c, sensor2ego=c.sensor2ego @ rigid_inverse(OPTICAL)), ["CAM_BACK"])
    with pytest.warns(DoubtfulRigWarning) as told:
        Geometry.of_rigs([body], NANO)
    assert len(told) == 1
    assert told[0].filename == __file__
    message = str(told[0].message)
    for words in (
        "CAM_BACK: 7% of its points are in the grid (usual: 81%)",
        "looks 90 degrees up",
        "likely: sensor2ego is that of a body frame",
    ):
        assert words in message
    assert "CAM_FRONT" not in message


def test_a_moving_rig_is_told_once_and_only_a_moved_one_is_looked_at(placed, monkeypatch):
    looked = []
    monkeypatch.setattr("occvino.geometry.inputs.doubts", lambda *a: looked.append(1) or doubts(*a))
    cache = GeometryCache(NANO)
    far = change(placed, lambda c: moved_to(c, [500.0, 0, 1.5]), ["CAM_FRONT"])

    def driven(metres):
        # the other cameras are exposed a little later each time, so that every plan is another
        return change(
            far, lambda c: replace(c, ego2global=c.ego2global @ pose([1, 0, 0, 0], [metres, 0, 0])), ["CAM_BACK"]
        )

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for metres in (0.1, 0.2, 0.3, 0.3, 0.3):
            cache([driven(metres)])
        assert len(told) == 1
        assert len(looked) == 3
        upside_down = change(driven(0.4), lambda c: replace(c, sensor2ego=c.sensor2ego @ np.diag([-1.0, -1, 1, 1])))
        cache([upside_down])
    assert len(told) == 2, "a new doubt is told"
    assert "500 m" not in str(told[1].message)


def test_the_usual_share_is_found_once(monkeypatch):
    usual_share(NANO)
    monkeypatch.setattr(module, "points_in_grid", None)
    assert usual_share(NANO) > 0.5


def test_a_horizon_at_the_edge_of_what_the_network_sees_is_told():
    three_to_two = Camera(
        "CAM",
        360,
        240,
        np.array([[280.0, 0, 180], [0, 280, 120], [0, 0, 1]]),
        pose([0.5, -0.5, 0.5, -0.5], [1, 0, 1.5]),
        np.eye(4),
    )
    (told,) = doubts(Rig((three_to_two,)), NANO)
    # 352x234 once resized, 106 rows cut from the top; the principal point is in row 120 / 240 * 234.7 - 106
    assert told.kind == "horizon"
    assert "the horizon is in row 11 of the 128 that the network sees" in told.words
    assert "the crop 'top' cuts 106 rows above and 0 below" in told.words
    assert doubts(Rig((three_to_two,)), replace(NANO, crop="middle")) == []


def test_the_horizon_goes_by_the_pose():
    level = make_camera("CAM_FRONT")
    pitch = np.radians(8)  # down: the horizon is 280 * tan(8 degrees) = 39 rows higher, above the image
    down = np.array(
        [[1, 0, 0, 0], [0, np.cos(pitch), np.sin(pitch), 0], [0, -np.sin(pitch), np.cos(pitch), 0], [0, 0, 0, 1]]
    )
    lowered = replace(level, sensor2ego=level.sensor2ego @ down)
    (told,) = doubts(Rig((lowered,)), NANO)
    assert "the horizon is in row -10 of the 128" in told.words
