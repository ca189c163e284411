import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occvino.errors import RigError
from occvino.geometry import lift, lift_reference
from occvino.geometry.calibration import Calibration
from occvino.geometry.lift import OUTSIDE, EmptyPlanWarning, PoolingPlan
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import pose
from occvino.variant import Axis, Grid, Variant
from occvino.variants import get_variant
from tests.conftest import make_camera

SMALL = Variant(
    name="small",
    summary="for tests",
    input_size=(32, 48),
    depth=Axis(1.0, 9.0, 1.0),
    lift_grid=Grid(Axis(-8, 8, 0.5), Axis(-8, 8, 1.0), Axis(-1, 5.4, 3.2)),
    occupancy_grid=Grid(Axis(-8, 8, 0.5), Axis(-8, 8, 1.0), Axis(-1, 5.4, 0.4)),
    backbone_depth=18,
    neck_channels=8,
    context_channels=4,
    bev_channels=(8, 8, 8),
    trunk_channels=8,
    source_size=(96, 144),
)


def _unit(q):
    return q / np.linalg.norm(q)


@st.composite
def calibrations(draw) -> Calibration:
    """Random rigs of 1 to 4 cameras with turned, flipped and scaled images and an augmented BEV."""
    n = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    intrinsics = np.zeros((n, 3, 3))
    intrinsics[:, 0, 0], intrinsics[:, 1, 1] = rng.uniform(40, 200, (2, n))
    intrinsics[:, :2, 2], intrinsics[:, 2, 2] = rng.uniform(10, 90, (n, 2)), 1
    angle, scale = rng.uniform(-0.3, 0.3, n), rng.uniform(0.2, 0.6, n)
    post_rot = np.tile(np.eye(3), (n, 1, 1))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
    post_rot[:, :2, :2] = scale[:, None, None] * turn
    post_rot[:, 0] *= rng.choice([-1, 1], n)[:, None]
    post_trans = np.concatenate([rng.uniform(-20, 20, (n, 2)), np.zeros((n, 1))], axis=1)
    bda = pose([np.cos(0.1), 0, 0, np.sin(0.1)], [0, 0, 0])[:3, :3] * rng.uniform(0.9, 1.1)
    return Calibration(
        np.array([pose(_unit(rng.standard_normal(4)), rng.uniform(-2, 2, 3)) for _ in range(n)]),
        np.array([pose(_unit(rng.standard_normal(4)), rng.uniform(-2, 2, 3)) for _ in range(n)]),
        intrinsics,
        post_rot,
        post_trans,
        bda,
    )


@settings(max_examples=30, deadline=None)
@given(calibrations())
def test_fast_cells_equal_the_reference(calibration):
    fast = lift.cells_of_points(calibration, SMALL)
    slow = lift_reference.cells_of_points(calibration, SMALL)
    assert fast.shape == slow.shape == (SMALL.points(len(calibration)),)
    # a point within float32 rounding of a border may fall on either side
    assert (fast != slow).sum() <= 0.002 * slow.size


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(1, 5), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_a_plan_holds_every_point_once_and_no_empty_cell(cells, depth_bins, pixels, seed):
    cell = np.random.default_rng(seed).integers(OUTSIDE, cells, 3 * depth_bins * pixels).astype(np.int32)
    plan = PoolingPlan.from_cells(cell, cells, depth_bins=depth_bins, pixels=pixels)
    assert plan.ranks_depth.size == plan.ranks_feat.size == cell.size + cells
    assert plan.interval_starts[0] == 0
    ends = np.append(plan.interval_starts[1:], plan.ranks_depth.size)
    assert (ends > plan.interval_starts).all()
    weighted = [
        sorted(point for point in plan.ranks_depth[start:end] if point < plan.points)
        for start, end in zip(plan.interval_starts, ends, strict=True)
    ]
    assert weighted == lift_reference.points_of_cells(cell, cells)
    real = plan.ranks_depth < plan.points
    assert (plan.ranks_feat[~real] == cell.size // depth_bins).all()
    point = plan.ranks_depth[real]
    np.testing.assert_array_equal(plan.ranks_feat[real], point // (depth_bins * pixels) * pixels + point % pixels)
    assert plan.kept == (cell != OUTSIDE).sum() == real.sum()


def test_more_cells_than_16_bits_sort_alike():
    cell = np.random.default_rng(0).integers(OUTSIDE, 70_000, 50_000).astype(np.int32)
    plan = PoolingPlan.from_cells(cell, 70_000, depth_bins=5, pixels=100)
    owner = np.repeat(np.arange(70_000), np.diff(np.append(plan.interval_starts, plan.ranks_depth.size)))
    real = plan.ranks_depth < plan.points
    np.testing.assert_array_equal(owner[real], cell[plan.ranks_depth[real]])


def test_truncation_takes_points_up_to_one_cell_below_the_grid():
    """Where floor and truncation differ: the official code takes -7.4..5.4 m in a pillar of 6.4 m that starts at -1."""
    variant = get_variant("occvino-nano")
    camera = make_camera("CAM", focal=60.0)
    cell = lift.cells_of_points(Rig((camera,)).calibration(variant), variant)
    direction, origin = lift.rays(Rig((camera,)).calibration(variant), variant)
    _, depth = lift.frustum(variant)
    z = (origin[:, 2, None, None] + depth[:, None] * direction[:, 2, None, :]).reshape(-1)
    below = (z < -1.0 - 1e-3) & (z > -7.4 + 1e-3)
    assert (cell[below] != OUTSIDE).any()
    assert (cell[z < -7.4 - 1e-3] == OUTSIDE).all()
    assert (cell[z > 5.4 + 1e-3] == OUTSIDE).all()


def test_a_point_straight_ahead_lands_ahead():
    variant = get_variant("occvino-nano")
    camera = make_camera("CAM", yaw=90.0)  # looks left
    cell = lift.cells_of_points(Rig((camera,)).calibration(variant), variant).reshape(variant.depth_bins, 8, 22)
    ten_metres = cell[9, 0, 10]  # depth bin 9 is 10 m, column 10 is near the middle
    y, x = divmod(int(ten_metres), variant.lift_grid.shape[0])
    assert y == pytest.approx((10 + 40) / 0.4, abs=2)
    assert x == pytest.approx(40 / 0.4, abs=2)


@pytest.mark.parametrize("cameras", [1, 4, 6, 12])
def test_any_camera_count_from_1_to_12(cameras):
    variant = get_variant("occvino-nano")
    rig = Rig(tuple(make_camera(f"CAM_{i}", yaw=i * 360 / cameras) for i in range(cameras)))
    plan = PoolingPlan.from_rig(rig, variant)
    assert plan.ranks_depth.size == variant.plan_entries(cameras)
    assert 0 < plan.kept < plan.points


def test_a_rig_that_misses_the_grid_warns_and_sums_nothing(rig):
    far = Rig(tuple(replace(camera, sensor2ego=pose([1, 0, 0, 0], [0, 0, 500.0])) for camera in rig.cameras))
    with pytest.warns(EmptyPlanWarning, match="none of the 46464 frustum points falls in the grid of occvino-nano"):
        plan = PoolingPlan.from_rig(far, get_variant("occvino-nano"))
    assert plan.kept == 0
    assert (plan.ranks_depth == plan.points).all()


def test_an_image_transform_that_changes_depth_is_refused(rig):
    nano = get_variant("occvino-nano")
    calibration = rig.calibration(nano)
    tilted = calibration.post_rot.copy()
    tilted[:, 2, 0] = 0.1
    with pytest.raises(RigError, match="the image transform must keep depth"):
        lift.rays(replace(calibration, post_rot=tilted), nano)
    with pytest.raises(RigError, match="post_rot of camera 0 is singular"):
        lift.rays(replace(calibration, post_rot=calibration.post_rot * np.float32([0, 0, 1])), nano)


def test_far_map_coordinates_give_the_same_plan(rig):
    """UTM northings are millions of metres, where float32 steps by half a metre."""
    variant = get_variant("occvino-nano")

    def at(x, y):
        moved = [pose([1, 0, 0, 0], [x + 0.1 * i, y - 0.05 * i, 0.0]) for i in range(6)]
        cameras = (replace(camera, ego2global=ego) for camera, ego in zip(rig.cameras, moved, strict=True))
        return PoolingPlan.from_rig(Rig(tuple(cameras)), variant)

    near, far = at(0.0, 0.0), at(500_000.0, 4_500_000.0)
    assert (near.ranks_depth != far.ranks_depth).mean() < 1e-3


def test_cameras_exposed_together_plan_the_same_wherever_the_vehicle_is(rig):
    variant = get_variant("occvino-nano")
    elsewhere = Rig(tuple(replace(camera, ego2global=pose([0.6, 0, 0, 0.8], [50, 70, 0])) for camera in rig.cameras))
    assert elsewhere.calibration(variant).fingerprint() == rig.calibration(variant).fingerprint()


def test_calibration_names_the_array_of_a_wrong_shape(rig):
    with pytest.raises(RigError, match=r"intrinsics has shape \(5, 3, 3\), expected \(6, 3, 3\)"):
        replace(rig.calibration(get_variant("occvino-nano")), intrinsics=np.zeros((5, 3, 3)))


def test_a_tenth_of_a_degree_moves_more_than_5_percent_of_the_points(rig):
    """Why calibration is an input: see design, 0.1 degree of yaw."""
    variant = get_variant("flashocc-r50-M0")
    wide = Rig(tuple(replace(camera, width=1600, height=900) for camera in rig.scaled(1600 / 352).cameras))
    half = np.radians(0.1) / 2
    turned = Rig(
        tuple(
            replace(camera, sensor2ego=pose([np.cos(half), 0, 0, np.sin(half)], [0, 0, 0]) @ camera.sensor2ego)
            for camera in wide.cameras
        )
    )
    before = lift.cells_of_points(wide.calibration(variant), variant)
    after = lift.cells_of_points(turned.calibration(variant), variant)
    assert (before != after).mean() > 0.05


def test_a_plan_for_a_moved_rig_takes_well_under_a_frame(rig):
    """The measured figure is in docs/benchmarks.md; this bound is loose enough for a busy machine."""
    variant = get_variant("flashocc-r50-M0")
    calibration = rig.calibration(variant)
    PoolingPlan.from_calibration(calibration, variant)
    times = []
    for _ in range(15):
        start = time.perf_counter()
        PoolingPlan.from_calibration(calibration, variant)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.030
