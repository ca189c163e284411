"""Whatever is done to an image or to the bird's-eye view, the matrices say it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occvino.geometry.calibration import Calibration
from occvino.training.augment import BevChange, ImageChange
from occvino.training.examples import NO_DEPTH, depth_bins
from occvino.variants import get_variant

NANO = get_variant("occvino-nano")


@given(seed=st.integers(0, 10_000), u=st.integers(120, 230), v=st.integers(120, 170))
@settings(max_examples=40, deadline=None)
def test_a_dot_lands_where_the_matrices_put_it(seed, u, v):
    change = ImageChange.random((198, 352), NANO.input_size, np.random.default_rng(seed))
    image = np.zeros((198, 352, 3), np.uint8)
    image[v - 3 : v + 4, u - 3 : u + 4] = 255
    moved = change.apply(image)[:, :, 0].astype(float)
    assert moved.shape == NANO.input_size
    rotation, shift = change.matrices()
    expected = (rotation @ [u, v, 1.0] + shift)[:2]
    inside = (expected > 8).all() and expected[0] < 343 and expected[1] < 119
    if inside:
        rows, columns = np.mgrid[: moved.shape[0], : moved.shape[1]]
        found = np.array([(columns * moved).sum(), (rows * moved).sum()]) / moved.sum()
        # the official matrices leave out half pixels, and a whole one when mirroring
        assert np.abs(found - expected).max() < 1.7


@given(st.booleans(), st.booleans())
def test_labels_are_mirrored_as_points_are(mirror_x, mirror_y):
    change = BevChange(mirror_x, mirror_y)
    volume = np.arange(200 * 200 * 2).reshape(200, 200, 2)
    index = np.array([13, 150, 1])
    middle = (index + 0.5) * 0.4 - 40.0
    moved = np.floor(((change.matrix() @ middle)[:2] + 40.0) / 0.4).astype(int)
    assert change.apply(volume)[moved[0], moved[1], 1] == volume[tuple(index)]


def test_depth_bins_equal_their_plain_twin():
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
    found = depth_bins(points, calibration, NANO)
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


def test_without_points_every_pixel_is_unknown():
    calibration = Calibration(
        np.eye(4)[None], np.eye(4)[None], np.eye(3)[None], np.eye(3)[None], np.zeros((1, 3)), np.eye(3)
    )
    assert (depth_bins((np.empty((0, 3), np.float32),), calibration, NANO) == NO_DEPTH).all()


def test_an_image_without_changes_is_the_test_time_one():
    from occvino.geometry.image_transform import ImageTransform

    base = ImageTransform.for_test((396, 704), NANO.input_size)
    rotation, shift = ImageChange(base).matrices()
    assert rotation[0, 0] == pytest.approx(base.scale)
    np.testing.assert_allclose(shift, [-base.crop[0], -base.crop[1], 0])
