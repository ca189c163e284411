"""Vehicles of the synthetic world, each a list of solids in its own frame: x forward, the wheels on z = 0, metres."""

import colorsys

import numpy as np

from occvino.synth.shapes import Kind, Material, Part, Triple

_TYRE = (0.05, 0.05, 0.055)
_DARK = (0.09, 0.09, 0.1)
_CAR_COLOURS: tuple[Triple, ...] = (
    (0.85, 0.85, 0.86), (0.62, 0.63, 0.65), (0.35, 0.36, 0.38), (0.06, 0.06, 0.07), (0.55, 0.05, 0.05),
    (0.08, 0.16, 0.45), (0.1, 0.3, 0.22), (0.72, 0.62, 0.4), (0.75, 0.35, 0.08), (0.2, 0.42, 0.62),
)  # fmt: skip


def vary(rng: np.random.Generator, colour: Triple, amount: float = 0.06) -> Triple:
    """The colour a little lighter or darker, and a little off in each channel."""
    value = np.clip(np.asarray(colour) * (1 + rng.normal(0, amount)) + rng.normal(0, amount / 3, 3), 0.02, 0.97)
    return float(value[0]), float(value[1]), float(value[2])


def vivid(rng: np.random.Generator, value: float = 0.65) -> Triple:
    """A saturated colour of any hue."""
    return colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.45, 0.9), value * rng.uniform(0.6, 1.2))


def box(
    x: tuple[float, float],
    y: float,
    z: tuple[float, float],
    material: Material,
    colour: Triple,
    slope: Triple = (0.0, 0.0, 0.0),
    at_y: float = 0.0,
) -> Part:
    """A box from x[0] to x[1] and z[0] to z[1], `y` wide about `at_y`."""
    centre = ((x[0] + x[1]) / 2, at_y, (z[0] + z[1]) / 2)
    return Part(Kind.BOX, centre, ((x[1] - x[0]) / 2, y / 2, (z[1] - z[0]) / 2), material, colour, slope)


def _wheels(xs: tuple[float, ...], track: float, radius: float, width: float = 0.14) -> list[Part]:
    return [
        Part(Kind.ELLIPSOID, (x, side * (track / 2 - width), radius), (radius, width, radius), Material.PLAIN, _TYRE)
        for x in xs
        for side in (-1, 1)
    ]


def _lights(front: float, rear: float, width: float, z: float) -> list[Part]:
    parts: list[Part] = []
    for side in (-1, 1):
        y = side * (width / 2 - 0.22)
        parts.append(box((front - 0.06, front + 0.03), 0.32, (z, z + 0.14), Material.LAMP, (0.95, 0.95, 0.88), at_y=y))
        parts.append(box((rear - 0.03, rear + 0.06), 0.3, (z, z + 0.18), Material.LAMP, (0.75, 0.05, 0.04), at_y=y))
    return parts


def car(rng: np.random.Generator) -> list[Part]:
    """A sedan, hatchback, sport utility vehicle or van."""
    style = rng.choice(4, p=(0.4, 0.2, 0.28, 0.12))
    length = (4.7, 4.1, 4.8, 5.0)[style] * rng.uniform(0.95, 1.05)
    width = (1.82, 1.76, 1.95, 2.0)[style] * rng.uniform(0.97, 1.03)
    height = (1.46, 1.5, 1.75, 2.05)[style] * rng.uniform(0.97, 1.04)
    paint = vary(rng, _CAR_COLOURS[rng.choice(10, p=(0.2, 0.17, 0.14, 0.15, 0.08, 0.09, 0.04, 0.04, 0.04, 0.05))])
    belt = (0.88, 0.9, 1.02, 1.1)[style]
    cabin = ((-0.36, 0.22), (-0.46, 0.2), (-0.47, 0.2), (-0.49, 0.36))[style]
    slopes = ((0.85, 0.65), (0.7, 0.3), (0.6, 0.25), (0.7, 0.08))[style]
    half = length / 2
    return [
        box((-half, half), width, (0.24, belt), Material.CAR_PAINT, paint, (0.22, 0.1, 0.06)),
        box(
            (cabin[0] * length, cabin[1] * length), width - 0.12, (belt, height), Material.CABIN, paint, (*slopes, 0.2)
        ),
        box((half - 0.1, half + 0.01), width * 0.55, (0.42, 0.62), Material.PLAIN, _DARK),
        *_wheels((-0.31 * length, 0.31 * length), width + 0.06, 0.33),
        *_lights(half - 0.05, -half + 0.02, width, 0.62),
    ]


def truck(rng: np.random.Generator) -> list[Part]:
    """A lorry with a box or flat bed, or a pickup."""
    paint = vary(rng, _CAR_COLOURS[rng.integers(10)])
    if rng.uniform() < 0.3:
        return _pickup(rng, paint)
    length, height = rng.uniform(6.5, 9.0), rng.uniform(2.9, 3.7)
    half, cab = length / 2, rng.uniform(1.7, 2.2)
    cargo = vary(rng, (0.86, 0.86, 0.84)) if rng.uniform() < 0.5 else vivid(rng)
    parts = [
        box((half - cab, half), 2.3, (0.5, 1.45), Material.CAR_PAINT, paint, (0.08, 0.0, 0.03)),
        box((half - cab, half - 0.05), 2.24, (1.45, 2.55), Material.CABIN, paint, (0.35, 0.0, 0.08)),
        box((-half, half - cab), 1.0, (0.5, 0.95), Material.PLAIN, _DARK),
        *_wheels((half - 0.95, -half + 1.1, -half + 2.2), 2.4, 0.48, 0.18),
        *_lights(half, -half + 0.03, 2.3, 0.7),
    ]
    if rng.uniform() < 0.75:
        parts.append(box((-half, half - cab - 0.15), 2.45, (0.95, height), Material.RIBS, cargo))
    else:
        load = vary(rng, (0.45, 0.36, 0.25))
        parts.append(box((-half, half - cab - 0.15), 2.4, (0.95, 1.5), Material.RIBS, paint))
        parts.append(box((-half + 0.3, half - cab - 0.6), 2.0, (1.5, 2.2), Material.PLAIN, load, (0.4, 0.4, 0.3)))
    return parts


def _pickup(rng: np.random.Generator, paint: Triple) -> list[Part]:
    length, width, height = rng.uniform(5.4, 6.0), 2.0, rng.uniform(1.85, 2.0)
    half = length / 2
    return [
        box((-half, half), width, (0.4, 1.08), Material.CAR_PAINT, paint, (0.12, 0.0, 0.04)),
        box((-0.1 * length, 0.24 * length), width - 0.14, (1.08, height), Material.CABIN, paint, (0.6, 0.15, 0.15)),
        box((-half + 0.12, -0.1 * length - 0.1), width - 0.25, (1.05, 1.1), Material.PLAIN, _DARK),
        *_wheels((-0.3 * length, 0.32 * length), width + 0.08, 0.42, 0.16),
        *_lights(half - 0.03, -half + 0.02, width, 0.78),
    ]


def bus(rng: np.random.Generator) -> list[Part]:
    """A city bus: a long box with a band of windows."""
    length, height = rng.uniform(9.5, 12.5), rng.uniform(3.0, 3.4)
    half, paint = length / 2, vivid(rng, 0.75) if rng.uniform() < 0.7 else vary(rng, (0.85, 0.85, 0.82))
    return [
        box((-half, half), 2.55, (0.35, 1.3), Material.CAR_PAINT, paint),
        box((-half, half), 2.53, (1.3, height), Material.GLASS_BAND, paint, (0.12, 0.05, 0.05)),
        box((-half + 1.0, half - 2.5), 1.7, (height, height + 0.25), Material.PLAIN, (0.75, 0.75, 0.75)),
        *_wheels((half - 2.6, -half + 3.0), 2.6, 0.5, 0.16),
        *_lights(half, -half, 2.5, 0.6),
    ]


def trailer(rng: np.random.Generator) -> list[Part]:
    """A semi-trailer without its tractor."""
    length, height = rng.uniform(7.0, 12.0), rng.uniform(3.2, 3.9)
    half = length / 2
    colour = vary(rng, (0.82, 0.82, 0.8)) if rng.uniform() < 0.5 else vivid(rng, 0.55)
    return [
        box((-half, half), 2.5, (1.15, height), Material.RIBS, colour),
        box((-half, half), 1.1, (0.85, 1.15), Material.PLAIN, _DARK),
        box((half - 2.4, half - 2.2), 1.6, (0.0, 1.15), Material.PLAIN, (0.3, 0.3, 0.3)),
        *_wheels((-half + 0.9, -half + 2.0), 2.5, 0.5, 0.2),
        box((-half - 0.04, -half), 2.3, (0.85, 1.05), Material.STRIPES, (0.8, 0.1, 0.08)),
    ]


def construction_vehicle(rng: np.random.Generator) -> list[Part]:
    """An excavator or a wheel loader in one of the usual signal colours."""
    colour = vary(rng, ((0.88, 0.62, 0.05), (0.85, 0.4, 0.05), (0.75, 0.7, 0.12), (0.7, 0.25, 0.1))[rng.integers(4)])
    return _excavator(rng, colour) if rng.uniform() < 0.55 else _loader(colour)


def _excavator(rng: np.random.Generator, colour: Triple) -> list[Part]:
    reach = rng.uniform(0.85, 1.15)
    return [
        box((-1.7, 1.7), 0.6, (0.0, 0.9), Material.RIBS, _DARK, (0.3, 0.3, 0.0), at_y=1.0),
        box((-1.7, 1.7), 0.6, (0.0, 0.9), Material.RIBS, _DARK, (0.3, 0.3, 0.0), at_y=-1.0),
        box((-2.0, 1.3), 2.5, (0.95, 1.9), Material.PLAIN, colour, (0.0, 0.25, 0.1)),
        box((0.0, 1.4), 1.1, (1.9, 2.95), Material.CABIN, colour, (0.3, 0.0, 0.06), at_y=0.65),
        box((-1.9, -0.5), 2.3, (1.9, 2.35), Material.PLAIN, colour, (0.2, 0.3, 0.2)),
        box((1.0, 1.6), 0.4, (1.7, 4.2), Material.PLAIN, colour, (-1.7 * reach, 1.9 * reach, 0.0), at_y=-0.4),
        box((2.75 * reach, 3.15 * reach), 0.4, (1.2, 4.2), Material.PLAIN, colour, (0.6, -0.6, 0.0), at_y=-0.4),
        box((2.3 * reach, 3.4 * reach), 0.9, (0.2, 1.2), Material.PLAIN, _DARK, (0.2, -0.3, 0.0), at_y=-0.4),
    ]


def _loader(colour: Triple) -> list[Part]:
    return [
        box((-2.8, 0.4), 1.9, (0.8, 1.9), Material.PLAIN, colour, (0.0, 0.4, 0.2)),
        box((-0.9, 0.5), 1.5, (1.9, 3.2), Material.CABIN, colour, (0.25, 0.1, 0.1)),
        box((0.4, 2.6), 0.9, (0.8, 1.4), Material.PLAIN, colour, (0.8, 0.0, 0.0)),
        box((2.4, 3.5), 2.6, (0.1, 1.3), Material.PLAIN, vary_down(colour), (-0.1, 0.8, 0.0)),
        *_wheels((-1.6, 1.4), 2.6, 0.75, 0.3),
    ]


def vary_down(colour: Triple) -> Triple:
    """The same colour in shadow and dirt."""
    return colour[0] * 0.5, colour[1] * 0.5, colour[2] * 0.5
