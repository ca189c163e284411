import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from occvino.images import resample_reference
from occvino.images.resample import bands, filter_matrix

SIZES = st.integers(1, 60)


@given(SIZES, SIZES)
def test_the_weights_are_those_of_the_reference(source, size):
    np.testing.assert_array_equal(filter_matrix(source, size), resample_reference.filter_matrix(source, size))


@settings(max_examples=30, deadline=None)
@given(st.integers(8, 40), st.floats(0.2, 1.0), st.integers(0, 2**16))
def test_the_reference_is_pillow_where_both_sides_shrink_alike(half, scale, seed):
    """Pillow may take the columns first where that is cheaper; the pipeline never resizes so."""
    image = np.random.default_rng(seed).integers(0, 256, (half, 2 * half, 3), dtype=np.uint8)
    height = max(1, int(half * scale))
    size = height, 2 * height
    expected = Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(resample_reference.resize(image, size), np.asarray(expected))


@pytest.mark.parametrize("length", [1, 7, 100])
def test_bands_hold_every_weight(length):
    matrix = filter_matrix(50, 23)
    built = np.zeros_like(matrix)
    for index, band in enumerate(bands(matrix, length)):
        built[index * length : index * length + len(band.weights), band.start : band.stop] = band.weights
    np.testing.assert_array_equal(built, matrix)
