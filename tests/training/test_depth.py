"""The depth that a pixel should find: of lidar returns, and of labels, each against a plain twin."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occvino.geometry.calibration import Calibration
from occvino.geometry.lift import rays
from occvino.training.augment import BevChange, ImageChange
from occvino.training.depth import NO_DEPTH, bins_of_labels, bins_of_returns
from occvino.variants import get_variant
from occvino.voxel_walk_reference import cells_on_ray
from tests.conftest import make_camera

NANO = get_variant("occvino-nano")
SMALL = replace(NANO, input_size=(64, 96))
GROWING = replace(SMALL, name="growing", growing_depth=True)


def test_returns_equal_their_plain_twin():
    rng = np.random.default_rng(3)
    cameras = 2
    points = tuple(
        np.column_stack([rng.uniform(-20, 372, 4000), rng.uniform(0, 198, 4000), rng.uniform(0.2, 60, 4000)]).astype(
            np.float32
        )
        for _ in range(cameras)
    )
    matrices = [ImageChange.random((198, 352), NANO.input_size, rng).matrices() for _ in range(cameras)]
    calibration = Calibration(
        np.tile(np.eye(4), (cameras, 1, 1)),
        np.tile(np.eye(4), (cameras, 1, 1)),
        np.tile(np.eye(3), (cameras, 1, 1)),
        np.array([rotation for rotation, _ in matrices]),
        np.array([shift for _, shift in matrices]),
        np.eye(3),
    )
    found = bins_of_returns(points, calibration, NANO)
    rows, columns = NANO.feature_size
    nearest = np.full((cameras, rows, columns), np.inf)
    for camera, seen in enumerate(points):
        for u, v, depth in seen:
            x, y = calibration.post_rot[camera, :2, :2] @ np.array([u, v]) + calibration.post_trans[camera, :2]
            row, column = int(np.floor(y / 16)), int(np.floor(x / 16))
            if 0 <= row < rows and 0 <= column < columns:
                nearest[camera, row, column] = min(nearest[camera, row, column], depth)
    assert (found != NO_DEPTH).any()
    assert (found == NO_DEPTH).any()
    for place in np.ndindex(nearest.shape):
        depth = nearest[place]
        expected = int(depth - 1.0) if 1.0 <= depth < 45.0 else NO_DEPTH
        if abs(depth - round(depth)) > 1e-3 or depth == np.inf:  # float32 points at an edge may fall either side
            assert found[place] == expected, (place, depth)


def test_without_returns_every_pixel_is_unknown():
    calibration = Calibration(
        np.eye(4)[None], np.eye(4)[None], np.eye(3)[None], np.eye(3)[None], np.zeros((1, 3)), np.eye(3)
    )
    assert (bins_of_returns((np.empty((0, 3), np.float32),), calibration, NANO) == NO_DEPTH).all()


def _looking(yaw, rng, bev):
    """Calibration of two cameras, with a random image change each."""
    cameras = [make_camera(name, yaw + turn) for name, turn in (("ahead", 0.0), ("aside", 70.0))]
    matrices = [ImageChange.random((198, 352), SMALL.input_size, rng).matrices() for _ in cameras]
    return Calibration(
        np.stack([camera.sensor2ego for camera in cameras]),
        np.stack([camera.ego2global for camera in cameras]),
        np.stack([camera.intrinsics for camera in cameras]),
        np.array([rotation for rotation, _ in matrices]),
        np.array([shift for _, shift in matrices]),
        bev.matrix(),
    )


def _bin_of_labels(semantics, origin, direction, variant):
    """Voxel by voxel along one ray; the bin by looking at each bin's edges."""
    grid = variant.occupancy_grid
    start = (origin - grid.lower) / grid.step
    for cell, _ in cells_on_ray(start, direction / grid.step, tuple(np.floor(start).astype(int))):
        if any(not 0 <= index < size for index, size in zip(cell, grid.shape, strict=True)):
            return NO_DEPTH
        if semantics[cell] != 17:
            centre = np.array(grid.lower) + (np.array(cell) + 0.5) * grid.step
            depth = (centre - origin) @ direction / (direction @ direction)
            edges = [*variant.depths(), variant.depth.upper]
            inside = [k for k in range(variant.depth_bins) if edges[k] <= depth < edges[k + 1]]
            return inside[0] if inside else NO_DEPTH
    raise AssertionError("a ray has no end")


@pytest.mark.parametrize("variant", [SMALL, GROWING], ids=lambda variant: variant.name)
@given(seed=st.integers(0, 10_000), yaw=st.floats(-180, 180), solid=st.sampled_from([0.0, 0.002, 0.02]))
@settings(max_examples=8, deadline=None)
def test_labels_equal_their_plain_twin(variant, seed, yaw, solid):
    rng = np.random.default_rng(seed)
    calibration = _looking(yaw, rng, BevChange.random(rng))
    semantics = np.where(rng.random(variant.occupancy_grid.shape) < solid, 4, 17)
    found = bins_of_labels(semantics, 2, calibration, variant)
    directions, origins = (array.astype(np.float64) for array in rays(calibration, variant))
    expected = [
        _bin_of_labels(semantics, origins[camera], directions[camera, :, pixel], variant)
        for camera in range(2)
        for pixel in range(directions.shape[2])
    ]
    same = found.ravel() == expected
    assert same.mean() > 0.98  # rays that graze an edge go on in either voxel: they are walked in float32
    assert (found != NO_DEPTH).any() == (solid > 0)


def test_a_wall_is_as_far_as_it_is():
    semantics = np.full(SMALL.occupancy_grid.shape, 17)
    semantics[150:] = 15  # x from 20 m on
    ahead = make_camera("ahead", 0.0)
    change = ImageChange.random((198, 352), SMALL.input_size, np.random.default_rng(0))
    rotation, shift = change.matrices()
    calibration = Calibration(
        ahead.sensor2ego[None], np.eye(4)[None], ahead.intrinsics[None], rotation[None], shift[None], np.eye(3)
    )
    found = bins_of_labels(semantics, 1, calibration, SMALL)
    assert set(np.unique(found)) <= {NO_DEPTH, 18, 19, 20}  # 20.2 m ahead; nothing where a ray leaves the volume first
    assert (found != NO_DEPTH).mean() > 0.3
