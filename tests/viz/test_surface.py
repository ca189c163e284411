import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from occvino.viz.surface import INVENTED, MISSED, WRONG, differences, surface

FREE = 3


def slow_surface(occupied):
    """One voxel at a time."""
    found = np.zeros_like(occupied)
    for place in np.argwhere(occupied):
        for axis in range(3):
            for step in (-1, 1):
                at = place.copy()
                at[axis] += step
                inside = (at >= 0).all() and (at < occupied.shape).all()
                found[tuple(place)] |= not inside or not occupied[tuple(at)]
    return found


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 0.99))
def test_the_surface_is_what_has_a_free_neighbour(seed, share):
    occupied = np.random.default_rng(seed).random((6, 5, 4)) < share
    np.testing.assert_array_equal(surface(occupied), slow_surface(occupied))


def test_a_full_grid_has_its_shell():
    assert surface(np.ones((5, 5, 5), bool)).sum() == 5**3 - 3**3


def test_differences():
    truth = np.array([[[0, 1, FREE, FREE, 2]]], np.uint8)
    labels = np.array([[[0, FREE, FREE, 2, 1]]], np.uint8)
    assert differences(labels, truth, FREE).tolist() == [[[-1, MISSED, -1, INVENTED, WRONG]]]
    mask = np.array([[[True, False, True, True, True]]])
    assert differences(labels, truth, FREE, mask).tolist() == [[[-1, -1, -1, INVENTED, WRONG]]]
