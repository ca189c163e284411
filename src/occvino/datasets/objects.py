"""What stands in the procedural street, each built of a few solids: a function a kind.

`x`, `y` (metres, ego frame) is the middle of the thing's footprint on the ground, `yaw` (radians, left) its heading.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from occvino.datasets.solids import Ball, Box, Solid, Vector

_TYRE: Vector = (0.07, 0.07, 0.08)
_GLASS: Vector = (0.16, 0.21, 0.26)
_STEEL: Vector = (0.34, 0.36, 0.38)
_BARK: Vector = (0.32, 0.25, 0.19)
_LAMP_WHITE: Vector = (0.98, 0.96, 0.88)
_LAMP_RED: Vector = (0.80, 0.08, 0.08)
_ORANGE: Vector = (0.95, 0.36, 0.08)
_WHITE: Vector = (0.92, 0.92, 0.90)
_SKIN: Vector = (0.78, 0.58, 0.46)


def car(x: float, y: float, yaw: float, colour: Vector) -> tuple[Solid, ...]:
    """A saloon, 4.5 x 1.85 x 1.46 m. The first solid is its body."""
    parts = [
        Box("car", (0.0, 0.0, 0.6), (4.5, 1.85, 0.56), colour),
        Box("car", (-0.05, 0.0, 0.92), (4.2, 1.76, 0.1), colour),
        Box("car", (-0.25, 0.0, 1.07), (2.6, 1.64, 0.24), _GLASS),
        Box("car", (-0.3, 0.0, 1.3), (2.1, 1.56, 0.22), _GLASS),
        Box("car", (-0.33, 0.0, 1.43), (1.7, 1.5, 0.05), colour),
        *_wheels("car", 1.38, 0.79, 0.62),
        *_lamps("car", 2.24, 0.68, 0.72),
    ]
    return tuple(_place(parts, x, y, yaw))


def bus(x: float, y: float, yaw: float, colour: Vector) -> tuple[Solid, ...]:
    """A city bus, 11.5 x 2.55 x 3.1 m. The first solid is its body."""
    parts = [
        Box("bus", (0.0, 0.0, 0.95), (11.5, 2.55, 1.2), colour),
        Box("bus", (0.0, 0.0, 2.08), (11.44, 2.49, 1.06), _GLASS),
        Box("bus", (0.0, 0.0, 2.86), (11.5, 2.55, 0.5), colour),
        *_wheels("bus", 3.4, 1.13, 0.95),
        *_lamps("bus", 5.74, 1.0, 0.8),
    ]
    return tuple(_place(parts, x, y, yaw))


def truck(x: float, y: float, yaw: float, colour: Vector) -> tuple[Solid, ...]:
    """A box truck, 7.6 x 2.45 x 3.3 m. The first solid is its box."""
    parts = [
        Box("truck", (-0.9, 0.0, 2.0), (5.8, 2.45, 2.6), _WHITE),
        Box("truck", (2.95, 0.0, 1.15), (1.7, 2.3, 1.3), colour),
        Box("truck", (2.85, 0.0, 2.1), (1.45, 2.2, 0.6), _GLASS),
        Box("truck", (0.0, 0.0, 0.6), (7.3, 1.0, 0.25), _STEEL),
        *_wheels("truck", 2.6, 1.0, 0.9),
        *_lamps("truck", 3.79, 0.95, 0.75),
    ]
    return tuple(_place(parts, x, y, yaw))


def bicycle(x: float, y: float, yaw: float, colour: Vector) -> tuple[Solid, ...]:
    """A bicycle with its rider, 1.75 m long. The first solid is the rider."""
    parts = [
        Box("bicycle", (-0.05, 0.0, 1.25), (0.32, 0.46, 0.62), colour),
        Box("bicycle", (0.0, 0.0, 0.72), (0.3, 0.3, 0.5), _GLASS),
        Box("bicycle", (0.0, 0.0, 0.55), (1.1, 0.07, 0.09), _STEEL),
        Box("bicycle", (0.55, 0.0, 0.34), (0.64, 0.07, 0.64), _TYRE),
        Box("bicycle", (-0.55, 0.0, 0.34), (0.64, 0.07, 0.64), _TYRE),
        Ball("bicycle", (0.05, 0.0, 1.7), 0.15, _WHITE),
    ]
    return tuple(_place(parts, x, y, yaw))


def pedestrian(x: float, y: float, yaw: float, colour: Vector) -> tuple[Solid, ...]:
    """Somebody 1.75 m tall. The first solid is the coat."""
    parts = [
        Box("pedestrian", (0.0, 0.0, 1.13), (0.3, 0.5, 0.68), colour),
        Box("pedestrian", (0.08, 0.11, 0.4), (0.18, 0.17, 0.8), _GLASS),
        Box("pedestrian", (-0.08, -0.11, 0.4), (0.18, 0.17, 0.8), _GLASS),
        Ball("pedestrian", (0.0, 0.0, 1.61), 0.14, _SKIN),
    ]
    return tuple(_place(parts, x, y, yaw))


def cone(x: float, y: float) -> tuple[Solid, ...]:
    """A traffic cone, 0.75 m."""
    widths = ((0.04, 0.42, _ORANGE), (0.22, 0.28, _ORANGE), (0.46, 0.2, _WHITE), (0.66, 0.12, _ORANGE))
    heights = (0.08, 0.28, 0.2, 0.2)
    parts = [
        Box("traffic_cone", (0.0, 0.0, z), (width, width, height), colour)
        for (z, width, colour), height in zip(widths, heights, strict=True)
    ]
    return tuple(_place(parts, x, y, 0.0))


def barrier(x: float, y: float, yaw: float) -> tuple[Solid, ...]:
    """Two metres of red and white road barrier, 1 m high."""
    stripes = [
        Box("barrier", (-0.8 + 0.4 * i, 0.0, 0.82), (0.4, 0.12, 0.3), _LAMP_RED if i % 2 else _WHITE) for i in range(5)
    ]
    feet = [Box("barrier", (side, 0.0, 0.34), (0.1, 0.5, 0.68), _STEEL) for side in (-0.75, 0.75)]
    return tuple(_place([*stripes, *feet], x, y, yaw))


def lamp_post(x: float, y: float, yaw: float) -> tuple[Solid, ...]:
    """A street lamp of 7 m whose arm reaches along `yaw`."""
    parts = [
        Box("manmade", (0.0, 0.0, 3.5), (0.16, 0.16, 7.0), _STEEL),
        Box("manmade", (0.9, 0.0, 6.95), (1.9, 0.1, 0.1), _STEEL),
        Box("manmade", (1.7, 0.0, 6.86), (0.6, 0.24, 0.1), _LAMP_WHITE),
    ]
    return tuple(_place(parts, x, y, yaw))


def building(x: float, y: float, size: Vector, colour: Vector) -> tuple[Solid, ...]:
    """A house with windows, a plinth and a roof edge; `size` is (along x, along y, height)."""
    length, width, height = size
    edge: Vector = (colour[0] * 0.7, colour[1] * 0.7, colour[2] * 0.7)
    return (
        Box("manmade", (x, y, height / 2), size, colour, finish="facade"),
        Box("manmade", (x, y, height), (length + 0.4, width + 0.4, 0.5), edge),
    )


def tree(x: float, y: float, rng: np.random.Generator) -> tuple[Solid, ...]:
    """A trunk under a crown of several balls, 5 to 7 m."""
    height = rng.uniform(2.2, 3.0)
    green = np.array([0.24, 0.42, 0.16]) * rng.uniform(0.85, 1.2) + np.array([0.08, 0.02, 0.0]) * rng.uniform(0, 1)
    crown = [Ball("vegetation", (x, y, height + 1.3), 1.5, _rgb(green), "leaves")]
    for angle in np.arange(5) * 1.257 + rng.uniform(0, 1):
        radius, reach = rng.uniform(0.85, 1.25), rng.uniform(0.8, 1.2)
        centre = (x + reach * np.cos(angle), y + reach * np.sin(angle), height + rng.uniform(0.6, 2.3))
        crown.append(Ball("vegetation", centre, radius, _rgb(green * rng.uniform(0.85, 1.15)), "leaves"))
    trunk = Box("vegetation", (x, y, height / 2), (0.32, 0.32, height), _BARK)
    return (trunk, *crown)


def hedge(x: float, y: float, length: float) -> tuple[Solid, ...]:
    """A row of bushes along x, 1 m high."""
    count = max(1, round(length / 0.8))
    return tuple(
        Ball("vegetation", (x + (i - (count - 1) / 2) * 0.8, y, 0.45), 0.62, (0.2, 0.36, 0.15), "leaves")
        for i in range(count)
    )


def _wheels(label: str, reach: float, track: float, size: float) -> Iterator[Box]:
    for x in (-reach, reach):
        for y in (-track, track):
            yield Box(label, (x, y, size / 2), (size, 0.24, size), _TYRE)


def _lamps(label: str, reach: float, spread: float, height: float) -> Iterator[Box]:
    for y in (-spread, spread):
        yield Box(label, (reach, y, height), (0.06, 0.34, 0.16), _LAMP_WHITE)
        yield Box(label, (-reach, y, height), (0.06, 0.34, 0.16), _LAMP_RED)


def _place(parts: Iterable[Solid], x: float, y: float, yaw: float) -> Iterator[Solid]:
    """The parts, built around the origin, where the thing stands."""
    cos, sin = float(np.cos(yaw)), float(np.sin(yaw))
    for part in parts:
        px, py, pz = part.centre
        centre = (x + cos * px - sin * py, y + sin * px + cos * py, pz)
        yield replace(part, centre=centre, yaw=yaw) if isinstance(part, Box) else replace(part, centre=centre)


def _rgb(colour: np.ndarray) -> Vector:
    red, green, blue = (float(value) for value in colour)
    return red, green, blue
