"""What stands beside the road: buildings, plants, poles, barriers, cones and clutter, as lists of solids."""

import numpy as np

from occvino.synth.shapes import Kind, Material, Part, Triple
from occvino.synth.vehicles import box, vary, vivid

_METAL = (0.42, 0.43, 0.44)
_CONCRETE = (0.62, 0.61, 0.58)
_WALLS: tuple[Triple, ...] = (
    (0.74, 0.7, 0.62), (0.6, 0.36, 0.28), (0.5, 0.3, 0.24), (0.66, 0.66, 0.68), (0.82, 0.78, 0.7),
    (0.45, 0.45, 0.48), (0.7, 0.58, 0.42), (0.4, 0.5, 0.58),
)  # fmt: skip
_ROOFS: tuple[Triple, ...] = ((0.35, 0.2, 0.16), (0.25, 0.25, 0.27), (0.45, 0.32, 0.25))


def building(rng: np.random.Generator, length: float, depth: float) -> list[Part]:
    """A town building with floors of windows; brick, plaster or glass."""
    wall = vary(rng, _WALLS[rng.integers(8)])
    material = Material.BRICK if wall[0] > 1.35 * wall[2] and rng.uniform() < 0.7 else Material.FACADE
    height = 3.2 * rng.integers(2, 8) + 1.0
    parts = [
        box((-length / 2, length / 2), depth, (0, height), material, wall),
        box((-length / 2 - 0.15, length / 2 + 0.15), depth + 0.3, (height, height + 0.5), Material.PLAIN, _CONCRETE),
    ]
    if rng.uniform() < 0.4:
        awning = vivid(rng, 0.6)
        parts.append(Part(Kind.BOX, (0, depth / 2 + 0.4, 2.9), (length * 0.4, 0.45, 0.15), Material.STRIPES, awning))
    return parts


def house(rng: np.random.Generator, length: float, depth: float) -> list[Part]:
    """A house with a gable roof, chimney and door."""
    wall, height = vary(rng, _WALLS[rng.integers(8)]), rng.uniform(2.9, 5.8)
    rise = rng.uniform(1.6, 2.8)
    return [
        box((-length / 2, length / 2), depth, (0, height), Material.FACADE, wall),
        box(
            (-length / 2 - 0.3, length / 2 + 0.3),
            depth + 0.6,
            (height, height + rise),
            Material.RIBS,
            vary(rng, _ROOFS[rng.integers(3)]),
            (0.0, 0.0, depth / 2 + 0.3),
        ),
        box((length * 0.2, length * 0.2 + 0.8), 0.8, (height, height + rise + 0.6), Material.BRICK, (0.5, 0.3, 0.25)),
    ]


def wall(rng: np.random.Generator, length: float) -> list[Part]:
    """A garden wall or a board fence along x."""
    if rng.uniform() < 0.5:
        return [box((-length / 2, length / 2), 0.25, (0, rng.uniform(0.9, 1.9)), Material.BRICK, vary(rng, _WALLS[1]))]
    colour = vary(rng, ((0.5, 0.37, 0.25), (0.8, 0.8, 0.78), (0.35, 0.36, 0.34))[rng.integers(3)])
    return [box((-length / 2, length / 2), 0.16, (0, rng.uniform(1.1, 1.8)), Material.RIBS, colour)]


def _post(x: float, y: float, height: float, radius: float, colour: Triple) -> Part:
    return Part(Kind.COLUMN, (x, y, height / 2), (radius, radius, height / 2), Material.PLAIN, colour)


def street_lamp(rng: np.random.Generator) -> list[Part]:
    """A lamp post whose arm reaches along +x."""
    height, colour = rng.uniform(6.0, 8.5), vary(rng, _METAL, 0.15)
    return [
        _post(0, 0, height, 0.12, colour),
        box((0, 1.8), 0.16, (height - 0.16, height), Material.PLAIN, colour),
        box((1.2, 1.9), 0.3, (height - 0.32, height - 0.16), Material.LAMP, (0.9, 0.88, 0.78)),
    ]


def traffic_light(rng: np.random.Generator) -> list[Part]:
    """A signal on a post, its lamps towards +x."""
    lit = rng.integers(3)
    colours: list[Triple] = [(0.1, 0.75, 0.25), (0.85, 0.6, 0.1), (0.85, 0.08, 0.06)]
    lamps = [
        box((0.2, 0.28), 0.2, (2.5 + 0.3 * i, 2.72 + 0.3 * i), Material.LAMP, c if i == lit else (0.08, 0.08, 0.08))
        for i, c in enumerate(colours)
    ]
    return [
        _post(0, 0, 3.5, 0.1, (0.16, 0.17, 0.16)),
        box((-0.1, 0.2), 0.38, (2.42, 3.45), Material.PLAIN, (0.1, 0.11, 0.1)),
        *lamps,
    ]


def sign(rng: np.random.Generator) -> list[Part]:
    """A traffic sign facing +x."""
    colour: Triple = ((0.75, 0.08, 0.07), (0.1, 0.25, 0.65), (0.85, 0.75, 0.1), (0.1, 0.42, 0.25))[rng.integers(4)]
    size = rng.uniform(0.6, 1.0)
    return [
        _post(0, 0, 2.6, 0.08, (0.5, 0.5, 0.5)),
        box((0.06, 0.2), size, (2.6 - size * 0.4, 2.6 + size * 0.5), Material.STRIPES, colour),
    ]


def shelter(rng: np.random.Generator) -> list[Part]:
    """A bus shelter open towards +y."""
    colour = vary(rng, (0.25, 0.28, 0.3), 0.3)
    return [
        box((-2.0, 2.0), 0.16, (0.2, 2.3), Material.GLASS, (0.35, 0.42, 0.45), at_y=-0.7),
        box((-2.1, 2.1), 1.7, (2.3, 2.5), Material.PLAIN, colour),
        box((-1.4, 1.4), 0.4, (0.4, 0.55), Material.PLAIN, (0.45, 0.32, 0.2), at_y=-0.4),
        _post(-1.95, 0.6, 2.3, 0.08, colour),
        _post(1.95, 0.6, 2.3, 0.08, colour),
    ]


def tree(rng: np.random.Generator) -> list[Part]:
    """A broad-leaved tree or a conifer."""
    bark = vary(rng, (0.3, 0.23, 0.17), 0.2)
    green = vary(rng, ((0.2, 0.36, 0.12), (0.28, 0.4, 0.14), (0.14, 0.28, 0.12), (0.45, 0.38, 0.12))[rng.integers(4)])
    if rng.uniform() < 0.25:
        height, radius = rng.uniform(5, 9), rng.uniform(1.2, 2.0)
        dark = (green[0] * 0.6, green[1] * 0.7, green[2] * 0.7)
        cones = [
            Part(
                Kind.COLUMN,
                (0, 0, height * (0.38 + 0.2 * i)),
                (radius * (1 - 0.25 * i), radius * (1 - 0.25 * i), height * 0.24),
                Material.LEAVES,
                dark,
                (0.85, 0, 0),
            )
            for i in range(3)
        ]
        return [_post(0, 0, height * 0.4, 0.15, bark)._replace(material=Material.BARK), *cones]
    trunk, crown = rng.uniform(1.9, 3.2), rng.uniform(1.3, 2.4)
    leaves = [
        Part(
            Kind.ELLIPSOID,
            (
                float(rng.normal(0, crown * 0.4)),
                float(rng.normal(0, crown * 0.4)),
                trunk + crown * float(rng.uniform(0.4, 1.3)),
            ),
            (crown * rng.uniform(0.55, 0.95), crown * rng.uniform(0.55, 0.95), crown * rng.uniform(0.5, 0.8)),
            Material.LEAVES,
            vary(rng, green, 0.1),
        )
        for _ in range(rng.integers(3, 6))
    ]
    post = _post(0, 0, trunk + crown * 0.5, rng.uniform(0.13, 0.25), bark)
    return [post._replace(material=Material.BARK), *leaves]


def bush(rng: np.random.Generator) -> list[Part]:
    """A round bush."""
    green = vary(rng, ((0.22, 0.38, 0.14), (0.3, 0.36, 0.16), (0.16, 0.3, 0.14))[rng.integers(3)], 0.12)
    r = rng.uniform(0.4, 0.95)
    return [Part(Kind.ELLIPSOID, (0, 0, r * 0.6), (r, r * rng.uniform(0.8, 1.2), r * 0.8), Material.LEAVES, green)]


def hedge(rng: np.random.Generator, length: float) -> list[Part]:
    """A clipped hedge along x."""
    green = vary(rng, (0.18, 0.33, 0.13), 0.15)
    return [box((-length / 2, length / 2), 0.8, (0, rng.uniform(0.8, 1.7)), Material.LEAVES, green, (0.05, 0.05, 0.1))]


def barrier(rng: np.random.Generator, style: int) -> list[Part]:
    """One 2 m element along x. Style 0: concrete; 1: water-filled plastic; 2: striped board; 3: guard rail."""
    if style == 0:
        return [box((-0.98, 0.98), 0.6, (0, 0.85), Material.PLAIN, vary(rng, (0.68, 0.67, 0.64), 0.04), (0, 0, 0.2))]
    if style == 1:
        colour: Triple = ((0.85, 0.25, 0.08), (0.88, 0.88, 0.86))[rng.integers(2)]
        return [box((-0.95, 0.95), 0.5, (0, 0.95), Material.RIBS, vary(rng, colour, 0.04), (0, 0, 0.12))]
    if style == 2:
        return [
            box((-0.9, 0.9), 0.16, (0.55, 1.0), Material.STRIPES, (0.82, 0.18, 0.08)),
            box((-0.8, -0.64), 0.5, (0, 0.6), Material.PLAIN, (0.85, 0.85, 0.85), (0, 0, 0.15)),
            box((0.64, 0.8), 0.5, (0, 0.6), Material.PLAIN, (0.85, 0.85, 0.85), (0, 0, 0.15)),
        ]
    return [
        box((-1.0, 1.0), 0.16, (0.45, 0.8), Material.RIBS, vary(rng, (0.6, 0.61, 0.62), 0.04)),
        box((-0.1, 0.1), 0.18, (0, 0.6), Material.PLAIN, _METAL),
    ]


def cone(rng: np.random.Generator) -> list[Part]:
    """A traffic cone, or a taller delineator of the same colours."""
    height = rng.uniform(0.6, 0.8) if rng.uniform() < 0.75 else rng.uniform(0.95, 1.1)
    colour = vary(rng, (0.92, 0.33, 0.05), 0.05)
    return [
        box((-0.2, 0.2), 0.4, (0, 0.08), Material.PLAIN, (0.12, 0.1, 0.1)),
        Part(Kind.COLUMN, (0, 0, height / 2), (0.17, 0.17, height / 2), Material.RINGS, colour, (0.8, 0, 0)),
    ]


def clutter(rng: np.random.Generator) -> list[Part]:
    """Class `others`: a wheeled bin, a skip, a pile of bags, a handcart or a dog."""
    style = rng.integers(5)
    if style == 0:
        colour = vary(rng, ((0.1, 0.3, 0.16), (0.12, 0.2, 0.42), (0.2, 0.2, 0.21), (0.45, 0.3, 0.1))[rng.integers(4)])
        return [
            box((-0.3, 0.3), 0.6, (0.05, 1.0), Material.PLAIN, colour, (-0.06, -0.06, -0.06)),
            box((-0.38, 0.38), 0.72, (1.0, 1.1), Material.PLAIN, (0.1, 0.1, 0.1)),
        ]
    if style == 1:
        return [box((-1.4, 1.4), 1.5, (0, 1.3), Material.RIBS, vivid(rng, 0.4), (-0.3, -0.3, 0))]
    if style == 2:
        bag = vary(rng, (0.1, 0.1, 0.11), 0.3)
        return [
            Part(Kind.ELLIPSOID, (0.4 * i - 0.4, 0.15 * (i % 2), 0.28), (0.34, 0.3, 0.32), Material.CLOTH, bag)
            for i in range(3)
        ]
    if style == 3:
        return [
            box((-0.45, 0.45), 0.55, (0.35, 0.95), Material.RIBS, vivid(rng, 0.5), (-0.1, -0.1, 0)),
            box((-0.35, 0.35), 0.45, (0, 0.35), Material.PLAIN, (0.3, 0.3, 0.3)),
        ]
    fur = vary(rng, ((0.35, 0.25, 0.15), (0.12, 0.1, 0.1), (0.7, 0.62, 0.5))[rng.integers(3)])
    return [
        Part(Kind.ELLIPSOID, (0, 0, 0.45), (0.38, 0.14, 0.16), Material.PLAIN, fur),
        Part(Kind.ELLIPSOID, (0.42, 0, 0.62), (0.17, 0.11, 0.13), Material.PLAIN, fur),
        box((-0.3, 0.3), 0.18, (0, 0.4), Material.PLAIN, fur),
    ]


def mound(rng: np.random.Generator, material: Material) -> list[Part]:
    """Class `terrain`: a low hill or a heap of earth."""
    r = rng.uniform(1.6, 4.5)
    half = (r, r * rng.uniform(0.7, 1.2), rng.uniform(0.4, 1.3))
    colour: Triple = (0.33, 0.42, 0.2) if material == Material.GRASS else (0.45, 0.36, 0.26)
    return [Part(Kind.ELLIPSOID, (0, 0, 0), half, material, vary(rng, colour, 0.1))]


def container(rng: np.random.Generator) -> list[Part]:
    """Class `manmade`: a site hut or shipping container."""
    return [box((-3, 3), 2.4, (0, 2.6), Material.RIBS, vivid(rng, 0.5))]
