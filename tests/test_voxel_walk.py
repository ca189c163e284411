"""The one walk, in NumPy and compiled, against its slow twin; and the twin against a list of borders."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from occvino.voxel_walk import first_border, nearest
from occvino.voxel_walk_reference import cells_on_ray

STEPS = 25
relaxed = settings(deadline=None, max_examples=100)
# eighths: rays that pass through edges and corners, and along axes, are common
COORDINATE = st.integers(0, 64).map(lambda n: n / 8)
WAY = st.one_of(st.integers(-8, 8).map(float), st.floats(-1, 1), st.just(-0.0))


def walk(start, direction, borders, choose):
    """Cells and the t at which each is left, by the two shared steps."""
    cell = [math.floor(s) for s in start]
    line = [borders(s, d, c) for s, d, c in zip(start, direction, cell, strict=True)]
    border, width = ([pair[k] for pair in line] for k in (0, 1))
    for _ in range(STEPS):
        along_x, along_y = choose(*border)
        axis = 0 if along_x else 1 if along_y else 2
        yield tuple(cell), border[axis]
        cell[axis] += 1 if direction[axis] > 0 else -1
        border[axis] += width[axis]


def numpy_borders(start, direction, cell):
    with np.errstate(divide="ignore"):
        return first_border(np.float64(start), np.float64(direction), cell)


def compiled(which):
    jit = pytest.importorskip("occvino.synth.jit")
    return getattr(jit, which)


@relaxed
@given(st.tuples(*[COORDINATE] * 3), st.tuples(*[WAY] * 3))
def test_all_forms_walk_as_the_twin_does(start, direction):
    assume(any(direction))
    first = tuple(math.floor(s) for s in start)
    slow = list(itertools.islice(cells_on_ray(start, direction, first), STEPS))
    assert list(walk(start, direction, numpy_borders, nearest)) == slow
    assert list(walk(start, direction, compiled("first_border"), compiled("nearest"))) == slow


@relaxed
@given(st.tuples(*[st.floats(0, 8)] * 3), st.tuples(*[st.floats(-1, 1)] * 3))
def test_the_twin_crosses_every_border_in_order(start, direction):
    assume(min(abs(d) for d in direction) > 1e-3)
    cell = [math.floor(s) for s in start]
    crossings = sorted(
        ((cell[axis] + (k + 1 if d > 0 else -k) - start[axis]) / d, axis)
        for axis, d in enumerate(direction)
        for k in range(STEPS)
    )[:STEPS]
    assume(all(b[0] - a[0] > 1e-9 for a, b in itertools.pairwise(crossings)))
    expected = []
    for t, axis in crossings:
        expected.append((tuple(cell), t))
        cell[axis] += 1 if direction[axis] > 0 else -1
    found = list(itertools.islice(cells_on_ray(start, direction, expected[0][0]), STEPS))
    assert [cell for cell, _ in found] == [cell for cell, _ in expected]
    np.testing.assert_allclose([t for _, t in found], [t for _, t in expected], atol=1e-9)


@given(st.tuples(*[st.sampled_from([0.5, 1.0, 2.0, math.inf])] * 3))
def test_equal_borders_go_to_z_then_y(border):
    along_x, along_y = nearest(*border)
    first = min(border)
    axis = max(axis for axis in range(3) if border[axis] == first)
    assert (along_x, along_y) == (axis == 0, axis == 1)
    arrays = nearest(*(np.array([b, b]) for b in border))
    assert [a.tolist() for a in arrays] == [[along_x] * 2, [along_y] * 2]
