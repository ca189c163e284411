"""Whatever is done to an image or to the bird's-eye view, the matrices say it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occvino.training.augment import BevChange, ImageChange
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


def test_an_image_without_changes_is_the_test_time_one():
    from occvino.geometry.image_transform import ImageTransform

    base = ImageTransform.for_test((396, 704), NANO.input_size)
    rotation, shift = ImageChange(base).matrices()
    assert rotation[0, 0] == pytest.approx(base.scale)
    np.testing.assert_allclose(shift, [-base.crop[0], -base.crop[1], 0])
