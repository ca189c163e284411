"""Lenses: OpenCV is the reference twin."""

import math
import warnings
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occvino.errors import RigError
from occvino.geometry import lift, lift_reference
from occvino.geometry.calibration import Calibration
from occvino.geometry.inputs import GeometryCache, LeftOutWarning, stereo_warps
from occvino.geometry.lens import Lens
from occvino.geometry.lift import OUTSIDE
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import pose
from occvino.variants import get_variant
from tests.conftest import make_camera
from tests.geometry.test_lift import SMALL, calibrations

NANO = get_variant("occvino-nano")
RATIONAL = (8.7, 3.2, 1e-4, -2e-4, 0.16, 9.1, 5.9, 0.9)
"""As of a GoPro: nearly an equidistant lens."""
PRISM = (1e-3, -2e-3, 5e-4, 1e-3)
LENSES = [
    Lens("plumb_bob", (-0.28, 0.07, 2e-4, 1e-5)),
    Lens("plumb_bob", (-0.3, 0.1, 1e-3, -2e-3, 0)),
    Lens("plumb_bob", (0.15, 0.02, -1e-3, 1e-3, 0.01)),
    Lens("rational_polynomial", RATIONAL),
    Lens("rational_polynomial", (*RATIONAL, *PRISM)),
    Lens("rational_polynomial", (*RATIONAL, *PRISM, 0.02, -0.03)),
    Lens("fisheye", (-0.02, 0.001, 0, 0)),
    Lens("fisheye", (0.1, -0.05, 0.02, -0.004)),
    Lens("fisheye", (0, 0, 0, 0)),
]
SIZES = {
    "plumb_bob": [0.4, 0.2, 0.01, 0.01, 0.1],
    "rational_polynomial": [0.5, 0.2, 0.01, 0.01, 0.05, 0.5, 0.2, 0.05],
    "fisheye": [0.1, 0.05, 0.02, 0.01],
}
BENT = Lens("plumb_bob", (-0.3, 0.1, 0, 0, 0))


@pytest.mark.parametrize(
    ("model", "coefficients"),
    [("fisheye", (0.1, 0, 0, 1e-320)), ("fisheye", (0.1, 1e-320, 0, 0)), ("plumb_bob", (0.1, 0.1, 0, 0, 1e-320))],
)
def test_a_coefficient_next_to_nothing_is_nothing(model, coefficients):
    without = tuple(value if value > 1e-300 else 0.0 for value in coefficients)
    assert Lens(model, coefficients).fold == Lens(model, without).fold


def test_coefficients_of_no_lens_are_refused():
    with pytest.raises(RigError, match="are of no lens"):
        Lens("plumb_bob", (1e308, 0.1, 0, 0))


def opencv_pixels(points, lens, k):
    """Where OpenCV puts points of the sensor frame [P, 3]."""
    project = cv2.fisheye.projectPoints if lens.model == "fisheye" else cv2.projectPoints
    return project(points[:, None], np.zeros(3), np.zeros(3), k, np.array(lens.coefficients))[0][:, 0]


def grid(camera):
    v, u = np.mgrid[: camera.height, : camera.width].astype(np.float64)
    return np.stack([u, v], axis=-1).reshape(-1, 2)


@pytest.mark.parametrize("lens", LENSES, ids=lambda lens: f"{lens.model}{len(lens.coefficients)}")
def test_every_pixel_of_the_image_goes_back_to_itself_through_opencv(lens):
    camera = replace(make_camera("CAM_FRONT"), lens=lens)
    pixels = grid(camera)
    rays = camera.rays(pixels)
    assert not np.isnan(rays).any()
    np.testing.assert_allclose(np.linalg.norm(rays, axis=1), 1)
    slopes = rays / rays[:, 2:]
    np.testing.assert_allclose(opencv_pixels(slopes, lens, camera.intrinsics), pixels, atol=1e-6)
    forth = lens.distorted(slopes[:, :2]) @ camera.intrinsics[:2, :2].T + camera.intrinsics[:2, 2]
    np.testing.assert_allclose(forth, pixels, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["plumb_bob", "rational_polynomial", "fisheye"]))
def test_random_lenses_go_there_and_back(seed, model):
    rng = np.random.default_rng(seed)
    lens = Lens(model, tuple(rng.uniform(-1, 1) * np.array(SIZES[model])))
    reach = 0.9 * math.tan(min(lens.fold, math.radians(60)))
    points = rng.uniform(-1, 1, (200, 2)) * reach / math.sqrt(2)
    bent = lens.distorted(points)
    back = lens.slopes(bent)
    # tangential terms may fold where the radial part does not: there is no ray then, and none is made up
    known = ~np.isnan(back[:, 0])
    np.testing.assert_allclose(lens.distorted(back[known]), bent[known], atol=1e-9)
    near = np.linalg.norm(points, axis=1) < 0.5 * math.tan(min(lens.fold, math.radians(60)))
    assert known[near].all()
    np.testing.assert_allclose(back[near], points[near], atol=1e-7)


def test_a_fisheye_sees_sideways_and_back():
    lens = Lens("fisheye", (0, 0, 0, 0))  # the radius is the angle
    ray = lens.rays(np.array([[math.pi / 2, 0], [0, 2.0], [4.0, 0]]))
    np.testing.assert_allclose(ray[0], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(ray[1], [0, math.sin(2), math.cos(2)], atol=1e-12)
    assert np.isnan(ray[2]).all()  # more than half a turn
    assert np.isnan(lens.slopes(np.array([[math.pi / 2, 0.0], [0.0, 2.0]]))).all()


@pytest.mark.parametrize(
    ("lens", "angle"),
    [
        (Lens("plumb_bob", (-0.6, 0, 0, 0)), math.degrees(math.atan(math.sqrt(1 / 1.8)))),  # 1 - 3 * 0.6 r^2 = 0
        (Lens("fisheye", (-0.5, 0, 0, 0)), math.degrees(math.sqrt(1 / 1.5))),
    ],
)
def test_a_lens_that_folds_back_inside_of_the_image_is_refused_with_the_radius(lens, angle):
    wide = replace(make_camera("CAM_FRONT", focal=140.0), name="CAM_WIDE")
    with pytest.raises(
        RigError, match=rf"CAM_WIDE: the {lens.model} lens folds back at {angle:.0f} degrees.* radius of (\d+)"
    ) as told:
        replace(wide, lens=lens)
    radius = int(str(told.value).split("radius of ")[1].split()[0])
    bend = math.tan(math.radians(angle)) if lens.model == "plumb_bob" else math.radians(angle)
    k = lens.coefficients[0]
    assert radius == pytest.approx(140 * bend * (1 + k * bend**2), abs=1)
    assert replace(wide, lens=lens, intrinsics=np.array([[600, 0, 176], [0, 600, 99], [0, 0, 1.0]])).lens == lens


def test_zeros_are_no_lens_but_a_fisheye_is_one():
    assert replace(make_camera("CAM_FRONT"), lens=Lens("plumb_bob", (0, 0, 0, 0, 0))).lens is None
    assert replace(make_camera("CAM_FRONT"), lens=Lens("fisheye", (0, 0, 0, 0))).lens is not None


@pytest.mark.parametrize(
    ("model", "numbers", "words"),
    [
        ("omni", (0.1,) * 4, "'omni' is not known"),
        ("fisheye", (0.1,) * 5, "has 4 coefficients, and 5 are given"),
        ("rational_polynomial", (0.1,) * 9, "8 or 12 or 14 coefficients, and 9"),
        ("plumb_bob", (0.1, math.inf, 0, 0), "not all finite"),
    ],
)
def test_what_is_no_lens_is_refused(model, numbers, words):
    with pytest.raises(RigError, match=words):
        Lens(model, numbers)


def test_points_are_projected_as_opencv_does():
    camera = replace(make_camera("CAM_FRONT"), lens=BENT)
    rng = np.random.default_rng(0)
    sensor = rng.uniform([-4, -2, 2], [4, 2, 9], (500, 3))
    seen = camera.project(sensor @ camera.sensor2ego[:3, :3].T + camera.sensor2ego[:3, 3])
    expected = opencv_pixels(sensor, BENT, camera.intrinsics)
    inside = (expected >= -0.5).all(1) & (expected < [camera.width - 0.5, camera.height - 0.5]).all(1)
    assert 100 < inside.sum() < 500
    np.testing.assert_allclose(seen, np.column_stack([expected, sensor[:, 2]])[inside], atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(calibrations(), st.integers(0, 2**32 - 1))
def test_fast_cells_equal_the_reference(calibration, seed):
    rng = np.random.default_rng(seed)
    lenses = [None, Lens("plumb_bob", (-0.1, 0.01, 1e-3, 1e-3)), Lens("fisheye", (0.02, 0, 0, 0)), LENSES[5]]
    bent = with_lenses(calibration, tuple(lenses[i] for i in rng.integers(0, len(lenses), len(calibration))))
    fast = lift.cells_of_points(bent, SMALL)
    slow = lift_reference.cells_of_points(bent, SMALL)
    assert (fast != slow).sum() <= 0.002 * slow.size


def with_lenses(calibration, lenses):
    return Calibration(
        calibration.sensor2ego,
        calibration.ego2global,
        calibration.intrinsics,
        calibration.post_rot,
        calibration.post_trans,
        calibration.bda,
        lenses,
    )


def test_a_plan_follows_the_rays_of_the_lens():
    """A point that OpenCV projects to a feature pixel is in the cell of that pixel's frustum point."""
    camera = replace(make_camera("CAM_FRONT"), lens=BENT)
    rig = Rig((camera,))
    cells = lift.cells_of_points(rig.calibration(NANO), NANO).reshape(NANO.depth_bins, -1)
    pixels, depths = lift.frustum(NANO)
    transform = rig.image_transforms(NANO)[0]
    raw = (pixels + np.array(transform.crop[:2])) / transform.scale
    slopes = camera.rays(raw.astype(np.float64))
    slopes = slopes[:, :2] / slopes[:, 2:]
    np.testing.assert_allclose(
        opencv_pixels(np.column_stack([slopes, np.ones(len(slopes))]), BENT, camera.intrinsics), raw, atol=1e-4
    )
    grid = NANO.lift_grid
    wrong = 0
    for bin_, depth in enumerate(depths):
        points = np.column_stack([slopes, np.ones(len(slopes))]) * depth
        ego = points @ camera.sensor2ego[:3, :3].T + camera.sensor2ego[:3, 3]
        index = np.trunc((ego - grid.lower) / grid.step)
        inside = ((ego - grid.lower) / grid.step > -1).all(1) & (index < grid.shape).all(1)
        expected = np.where(inside, index[:, 1] * grid.shape[0] + index[:, 0], OUTSIDE)
        wrong += int((expected != cells[bin_]).sum())
    assert wrong <= 0.002 * cells.size
    straight = lift.cells_of_points(Rig((replace(camera, lens=None),)).calibration(NANO), NANO)
    assert (straight != cells.reshape(-1)).mean() > 0.1


def test_what_looks_sideways_is_left_out_and_told_once():
    wide = replace(make_camera("CAM_FRONT", focal=100.0), lens=Lens("fisheye", (0, 0, 0, 0)))
    rig, cache = Rig((wide,)), GeometryCache(NANO)
    with pytest.warns(LeftOutWarning, match=r"left out: \d+% of CAM_FRONT"):
        geometry = cache([rig])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache([Rig((replace(wide, sensor2ego=pose([1, 0, 0, 0], [0.1, 0, 0]) @ wide.sensor2ego),))])
    share, transform = lift.without_ray(rig.calibration(NANO), NANO)[0], rig.image_transforms(NANO)[0]
    raw = (lift.frustum(NANO)[0] + np.array(transform.crop[:2])) / transform.scale
    radius = np.linalg.norm(raw - wide.intrinsics[:2, 2], axis=1)  # a fisheye of zeros: focal length times angle
    assert share == pytest.approx((radius >= 100 * math.radians(89.99)).mean())
    assert 0 < share < 0.5
    assert 0 < geometry.plan.kept < (1 - share) * NANO.points_per_camera


def test_a_lens_is_part_of_what_a_plan_is_known_by():
    camera = make_camera("CAM_FRONT")
    rigs = [Rig((replace(camera, lens=lens),)) for lens in (None, BENT, LENSES[0])]
    assert len({rig.calibration(NANO).fingerprint() for rig in rigs}) == 3
    assert len({rig.fingerprint() for rig in rigs}) == 3


def test_stereo_refuses_lenses():
    variant = get_variant("flashocc-r50-4d-stereo")
    camera = replace(make_camera("CAM_FRONT"), lens=BENT)
    rig = Rig((camera,)).scaled(4)
    calibration = Calibration.join([rig.calibration(variant)] * variant.frames)
    with pytest.raises(RigError, match="takes straight images: undistort them"):
        stereo_warps(calibration, variant)


@pytest.mark.parametrize("lens", LENSES, ids=lambda lens: f"{lens.model}{len(lens.coefficients)}")
def test_rays_of_any_length_are_placed_where_they_come_from(lens):
    aims = np.stack(np.meshgrid(np.linspace(-0.5, 0.5, 9), np.linspace(-0.3, 0.3, 7)), axis=-1)
    np.testing.assert_allclose(lens.placed(7.0 * lens.rays(aims)), aims, atol=1e-8)


def test_a_fisheye_places_what_is_beside_and_behind_and_a_pinhole_lens_does_not():
    rays = np.array([[1.0, 0, 0], [1, 0, -0.5], [0, 1, -1e-3]])
    angles = np.arctan2(1, rays[:, 2])
    placed = Lens("fisheye", (0, 0, 0, 0)).placed(rays)
    np.testing.assert_allclose(placed, rays[:, :2] * angles[:, None])
    assert np.isnan(BENT.placed(rays)).all()
