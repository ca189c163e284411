from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occvino.errors import RigError
from occvino.geometry import inputs as geometry
from occvino.geometry import inputs_reference as geometry_reference
from occvino.geometry.calibration import Calibration
from occvino.geometry.lift import PoolingPlan
from occvino.geometry.rig import Rig, turned
from occvino.geometry.transforms import pose
from occvino.variant import DepthNet, Stereo
from tests.conftest import make_camera
from tests.geometry.test_lift import SMALL, calibrations

FOUR_D = replace(SMALL, name="four-d", depth_net=DepthNet(), past_frames=2)
FLAT = replace(FOUR_D, input_size=(16, 48))
STEREO = replace(SMALL, name="stereo", depth_net=DepthNet(), past_frames=1, stereo=Stereo())


@st.composite
def scenes(draw, frames) -> Calibration:
    """The cameras of one random rig at several frames: poses on a map drift, and sensors stay where they are."""
    first = draw(calibrations())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    moved = []
    for index in range(frames):
        turn = rng.normal(scale=0.02)
        step = pose([np.cos(turn), 0, 0, np.sin(turn)], [-0.5 * index, *rng.normal(scale=0.05, size=2)])
        moved.append(replace(first, ego2global=first.ego2global.astype(np.float64) @ step))
    return Calibration.join(moved)


@settings(max_examples=30, deadline=None)
@given(scenes(3))
def test_camera_vectors_equal_the_reference(calibration):
    cameras = len(calibration) // 3
    found = geometry.camera_vectors(calibration, FOUR_D)
    assert found.shape == (3 * cameras, geometry_reference_size())
    expected = [geometry_reference.camera_vector(calibration, i, i % cameras) for i in range(3 * cameras)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def geometry_reference_size():
    from occvino.networks.depth_net import CAMERA_VALUES

    return CAMERA_VALUES


@settings(max_examples=30, deadline=None)
@given(scenes(3), st.integers(0, 2**32 - 1))
def test_stereo_warps_equal_the_reference(calibration, seed):
    """Two lifted frames, each matched with the one before it."""
    cameras = len(calibration) // 3
    warps = geometry.stereo_warps(calibration, STEREO)
    assert warps.shape == (2 * cameras, 3, 4)
    rng = np.random.default_rng(seed)
    for camera in range(2 * cameras):
        u, v, depth = rng.uniform(0, 47), rng.uniform(0, 31), rng.uniform(2, 9)
        x, y, z = warps[camera].astype(np.float64) @ [u * depth, v * depth, depth, 1]
        pixel, at = geometry_reference.warped_pixel(calibration, camera, camera + cameras, u, v, depth)
        assert z == pytest.approx(at, abs=1e-3)
        if at > 1:
            np.testing.assert_allclose([x / z, y / z], pixel, atol=2e-2)


@settings(max_examples=20, deadline=None)
@given(scenes(3))
def test_a_plan_of_several_frames_is_each_frames_own_behind_the_other(calibration):
    """The same as one plan each, with the key frame's ego for all: cells, weights and rows are offset by the frame."""
    plan = PoolingPlan.from_calibration(calibration, FOUR_D)
    cameras = len(calibration) // 3
    cells, points = SMALL.lift_grid.cells, SMALL.points(cameras)
    assert plan.points == FOUR_D.points(cameras) == 3 * points
    assert plan.ranks_depth.size == FOUR_D.plan_entries(cameras)
    assert plan.interval_starts.size == FOUR_D.plan_cells() == 3 * cells
    owner = np.repeat(np.arange(3 * cells), np.diff(np.append(plan.interval_starts, plan.ranks_depth.size)))
    real = plan.ranks_depth < plan.points
    assert real.sum() == plan.kept
    np.testing.assert_array_equal(plan.ranks_depth[real] // points, owner[real] // cells)
    np.testing.assert_array_equal(plan.ranks_feat[real] // (points // SMALL.depth_bins), owner[real] // cells)
    assert (plan.ranks_feat[~real] == plan.points // SMALL.depth_bins).all()
    alone = PoolingPlan.from_calibration(calibration.first(cameras), SMALL)
    first = owner < cells
    np.testing.assert_array_equal(plan.ranks_depth[real & first], alone.ranks_depth[alone.ranks_depth < points])


def test_cameras_that_do_not_divide_among_the_frames_are_an_error(rig):
    calibration = rig.calibration(FLAT)
    with pytest.raises(RigError, match="calibration of 4 cameras for four-d, which takes 3 frames"):
        geometry.Geometry.of(calibration.first(4), FLAT)


def test_frames_of_other_cameras_or_another_number_are_refused(rig):
    other = Rig((make_camera("CAM"),))
    with pytest.raises(RigError, match="2 rigs for four-d, which takes 3 frames"):
        geometry.joint_calibration([rig, rig], FLAT)
    with pytest.raises(RigError, match="the frames have different cameras: CAM and CAM_FRONT_LEFT"):
        geometry.joint_calibration([rig, rig, other], FLAT)


def test_frames_far_from_the_maps_origin_share_one(rig):
    """UTM coordinates: what matters is where the frames are to each other."""

    def at(x, y):
        return Rig(tuple(replace(camera, ego2global=pose([1, 0, 0, 0], [x, y, 0])) for camera in rig.cameras))

    near = geometry.joint_calibration([at(2.0, 1.0), at(1.5, 1.0), at(1.0, 1.0)], FLAT)
    far = geometry.joint_calibration([at(5e5 + 2, 5e6 + 1), at(5e5 + 1.5, 5e6 + 1), at(5e5 + 1, 5e6 + 1)], FLAT)
    np.testing.assert_allclose(near.sensor2keyego(), far.sensor2keyego(), atol=1e-6)
    assert np.ptp(far.sensor2keyego()[:, 0, 3]) > 0.9


def test_a_turned_rig_looks_elsewhere_from_the_same_height(rig):
    """By 90 degrees to the left, what looked ahead (x) looks left (y); four quarters are a whole turn."""
    ahead = next(camera for camera in rig.cameras if camera.name == "CAM_FRONT")
    left = next(camera for camera in turned(rig, 90.0).cameras if camera.name == "CAM_FRONT")
    np.testing.assert_allclose(ahead.sensor2ego[:3, 2], [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(left.sensor2ego[:3, 2], [0, 1, 0], atol=1e-9)
    assert left.sensor2ego[2, 3] == ahead.sensor2ego[2, 3]
    again = turned(turned(turned(turned(rig, 90.0), 90.0), 90.0), 90.0)
    for before, after in zip(rig.cameras, again.cameras, strict=True):
        np.testing.assert_allclose(after.sensor2ego, before.sensor2ego, atol=1e-9)
