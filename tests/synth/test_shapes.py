"""Rays against solids: entry points lie on the surface, and what is missed is nowhere on the ray."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from occvino.synth.layout import Ground
from occvino.synth.render import NOTHING, Solids, _hit, cast
from occvino.synth.shapes import Kind, Material, Part, Shapes
from occvino.synth.voxels import _inside

relaxed = settings(deadline=None, max_examples=120)
SIZES = st.floats(0.1, 3.0)


@st.composite
def solids(draw) -> Part:
    kind = draw(st.sampled_from(list(Kind)))
    half = (draw(SIZES), draw(SIZES), draw(SIZES))
    slope = (0.0, 0.0, 0.0)
    if kind == Kind.BOX:
        slope = (
            draw(st.floats(-0.5, 0.9)) * half[0],
            draw(st.floats(-0.5, 0.9)) * half[0],
            draw(st.floats(-0.5, 1.0)) * half[1],
        )
    elif kind == Kind.COLUMN:
        slope = (draw(st.floats(0.0, 1.0)), 0.0, 0.0)
    centre = (draw(st.floats(-2, 2)), draw(st.floats(-2, 2)), draw(st.floats(0, 4)))
    return Part(kind, centre, half, Material.PLAIN, (0.5, 0.5, 0.5), slope, draw(st.floats(-4, 4)))


def contains(shapes: Shapes, index: int, points: np.ndarray) -> np.ndarray:
    """Whether points [K, 3] are in a solid, by the test that labels are made with."""
    g = shapes.geometry[index]
    x, y, z = (points - g[:3]).T
    u, v = x * g[6] + y * g[7], y * g[6] - x * g[7]
    return np.array([_inside(g, int(shapes.tags[index, 0]), *p) for p in zip(u, v, z, strict=True)])


@relaxed
@given(solids(), st.integers(0, 10**6))
def test_a_ray_enters_where_it_says(part, seed):
    shapes = Shapes.of([part], 4)
    rng = np.random.default_rng(seed)
    origin = rng.normal(size=3) * 6
    aim = shapes.geometry[0, :3] + rng.normal(size=3) * shapes.geometry[0, 3:6]
    direction = (aim - origin) / np.linalg.norm(aim - origin)
    if contains(shapes, 0, origin[None])[0]:
        return
    t = _hit(shapes.geometry[0], int(part.kind), origin, direction, 50.0)
    steps = np.linspace(0, 20, 400)
    on_ray = contains(shapes, 0, origin + steps[:, None] * direction)
    if t < 0:
        assert not on_ray[1:-1].all()
        # A thin corner may be cut between two samples, but no run of samples may lie inside.
        assert not (on_ray[1:] & on_ray[:-1]).any()
    else:
        assert not on_ray[steps < t - 1e-6].any()
        around = origin + np.array([t - 1e-4, t + 1e-6])[:, None] * direction
        assert not contains(shapes, 0, around[:1])[0]


@relaxed
@given(st.lists(solids(), min_size=1, max_size=12), st.integers(0, 10**6))
def test_columns_find_what_a_search_through_all_finds(parts, seed):
    shapes = Shapes.joined(
        [Shapes.of([part], 4).placed(7.0 * (i % 4), 5.0 * (i // 4), i) for i, part in enumerate(parts)]
    )
    rng = np.random.default_rng(seed)
    origin = np.array([rng.uniform(-10, 30), rng.uniform(-10, 20), 2.5])
    directions = rng.normal(size=(60, 3)) * (1, 1, 0.2)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    ground = Ground(np.zeros((4, 4), np.uint8), (0.0, 0.0))
    distance, found = cast(Solids.of(shapes, ground), origin, directions, 80.0)
    for d, t, index in zip(directions, distance, found, strict=True):
        limit = min(80.0, -origin[2] / d[2] if d[2] < 0 else np.inf)
        hits = [_hit(g, int(tag[0]), origin, d, limit) for g, tag in zip(shapes.geometry, shapes.tags, strict=True)]
        nearest = min((h for h in hits if h > 0), default=limit)
        assert np.isclose(t, nearest, rtol=0, atol=1e-9)
        assert (index >= 0) == (nearest < limit)
        assert index != NOTHING or limit == 80.0


@relaxed
@given(solids())
def test_extent_holds_the_solid(part):
    shapes = Shapes.of([part], 4)
    lower, upper = shapes.extent()
    points = np.random.default_rng(0).uniform(lower[0] - 1, upper[0] + 1, (300, 3))
    inside = points[contains(shapes, 0, points)]
    assert ((inside >= lower - 1e-9) & (inside <= upper + 1e-9)).all()
