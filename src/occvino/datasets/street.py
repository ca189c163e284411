"""The plan of the procedural street: where road, pavement and grass lie, and what stands on them.

The ego vehicle drives along +x in the lane around y = 0. A street crosses ahead at `crossing` metres.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from occvino.datasets import objects
from occvino.datasets.solids import Floats, Solid, Vector

LANE = 3.5
_ROAD = (-7.6, 11.1)
"""y of the kerbs: two lanes each way, and a row of parked cars on either side."""
_MIDDLE = 1.75
_SIDE_STREET = 5.5
"""Half the width of the crossing street."""
_PAVEMENT = 3.2
_KERB = 0.18
_REACH = 95.0
"""How far houses and trees go on; the occupancy grids end at 40 m."""

_PAINTS: tuple[Vector, ...] = (
    (0.72, 0.74, 0.76),
    (0.14, 0.15, 0.17),
    (0.62, 0.10, 0.10),
    (0.12, 0.25, 0.50),
    (0.88, 0.88, 0.86),
    (0.30, 0.33, 0.36),
    (0.16, 0.36, 0.32),
)
_COATS: tuple[Vector, ...] = ((0.70, 0.16, 0.16), (0.16, 0.28, 0.60), (0.86, 0.70, 0.20), (0.30, 0.45, 0.35))
_WALLS: tuple[Vector, ...] = (
    (0.66, 0.50, 0.41),
    (0.74, 0.68, 0.58),
    (0.58, 0.56, 0.54),
    (0.70, 0.60, 0.46),
    (0.52, 0.42, 0.38),
)
_ASPHALT: Vector = (0.27, 0.275, 0.285)
_SLABS: Vector = (0.56, 0.545, 0.52)
_PLAZA: Vector = (0.50, 0.44, 0.39)
_GRASS: Vector = (0.29, 0.39, 0.17)
_PAINT: Vector = (0.86, 0.86, 0.83)


@dataclass(frozen=True)
class Ground:
    """The plane z = 0: which class each point is, and its colour. `noise` [2, 256, 256] is fine and coarse grain."""

    crossing: float
    plaza: tuple[float, float, float, float]
    """x and y from and to of a paved yard, in metres: the class `other_flat`."""
    noise: Floats

    def labels(self, x: Floats, y: Floats) -> NDArray[np.str_]:
        """Class names at points in metres."""
        road, pavement, plaza = self._zones(x, y)
        return np.select([road, pavement, plaza], ["driveable_surface", "sidewalk", "other_flat"], default="terrain")

    def colours(self, x: Floats, y: Floats, distance: Floats) -> Floats:
        """Colours [3, n] of points [n] seen from that far, in metres: grain that is finer than a pixel fades."""
        road, pavement, plaza = self._zones(x, y)
        choice = np.full(x.shape, 3)
        choice[plaza], choice[pavement], choice[road] = 2, 1, 0
        table = np.array([_ASPHALT, _SLABS, _PLAZA, _GRASS, _PAINT, _SLABS], np.float32)
        choice[road & self._painted(x, y)] = 4
        colour = table[choice].T
        joints = (pavement | plaza) & ((np.mod(x, 0.8) < 0.04) | (np.mod(y, 0.8) < 0.04))
        kerb = pavement & (self._outside_road(x, y) < _KERB)
        light = np.float32(1.0) + np.float32(0.2) * self._grain(0, x, y, 24.0) * np.exp(-distance / 9)
        light += np.where(choice == 3, np.float32(0.5), np.float32(0.16)) * self._grain(1, x, y, 2.5)
        light -= np.float32(0.18) * joints * np.exp(-distance / 10)
        light += np.float32(0.25) * kerb
        return colour * light

    def _outside_road(self, x: Floats, y: Floats) -> Floats:
        """Metres from the nearer street's kerb; negative on the road."""
        main = np.maximum(_ROAD[0] - y, y - _ROAD[1])
        return np.minimum(main, np.abs(x - np.float32(self.crossing)) - np.float32(_SIDE_STREET))

    def _zones(self, x: Floats, y: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
        outside = self._outside_road(x, y)
        x0, x1, y0, y1 = self.plaza
        plaza = (x > x0) & (x < x1) & (y > y0) & (y < y1) & (outside >= _PAVEMENT)
        return outside < 0, (outside >= 0) & (outside < _PAVEMENT), plaza

    def _painted(self, x: Floats, y: Floats) -> NDArray[np.bool_]:
        """Lane dashes, the double middle line, stop lines and zebra crossings."""
        to_crossing = np.abs(x - np.float32(self.crossing)) - np.float32(_SIDE_STREET)
        lane = np.mod(np.abs(y - np.float32(_MIDDLE)) + 0.07, LANE) < 0.14
        dashed = lane & (np.mod(x, 9.0) < 3.5) & (np.abs(y - _MIDDLE) > 1) & (np.abs(y - _MIDDLE) < 6)
        double = np.abs(np.abs(y - np.float32(_MIDDLE)) - 0.14) < 0.06
        parking = (np.abs(np.abs(y - np.float32(_MIDDLE)) - 7.05) < 0.05) & (np.mod(x, 6.2) < 5.6)
        zebra = (to_crossing > 0.8) & (to_crossing < 3.6) & (np.mod(y, 1.1) < 0.55) & (np.abs(y - _MIDDLE) < 7)
        oncoming = (x > self.crossing) == (y > _MIDDLE)
        stop = (np.abs(to_crossing - 5.0) < 0.22) & oncoming & (np.abs(y - _MIDDLE) < 7)
        return ((dashed | double | parking) & (to_crossing > 6)) | zebra | stop

    def _grain(self, layer: int, x: Floats, y: Floats, per_metre: float) -> Floats:
        column = np.floor(x * np.float32(per_metre)).astype(np.int32) & 255
        row = np.floor(y * np.float32(per_metre)).astype(np.int32) & 255
        return self.noise[layer, row, column]


def plan(rng: np.random.Generator) -> tuple[Ground, tuple[Solid, ...]]:
    """Ground and solids of one street; small things come last, as the last solid names a voxel they share."""
    crossing = float(rng.uniform(21, 27))
    side = float(rng.choice([-1.0, 1.0]))
    plaza_y = sorted((_kerb(side) + side * _PAVEMENT, _kerb(side) + side * 26.0))
    plaza_x = float(rng.uniform(-16, -8))
    ground = Ground(crossing, (plaza_x - 9, plaza_x + 9, plaza_y[0], plaza_y[1]), _noise(rng))
    solids: list[Solid] = []
    solids += _houses(ground, rng)
    solids += _greenery(ground, rng)
    solids += _traffic(ground, rng)
    solids += _roadworks(rng)
    solids += _people(ground, rng)
    return ground, tuple(solids)


def _kerb(side: float) -> float:
    return _ROAD[1] if side > 0 else _ROAD[0]


def _houses(ground: Ground, rng: np.random.Generator) -> list[Solid]:
    solids: list[Solid] = []
    near = _SIDE_STREET + _PAVEMENT + 2.0
    for side in (-1.0, 1.0):
        for start, direction in ((ground.crossing + near, 1.0), (ground.crossing - near, -1.0)):
            x = start
            while abs(x) < _REACH:
                length, width = rng.uniform(9, 16), rng.uniform(10, 15)
                height, setback = rng.choice([6.5, 9.5, 9.5, 12.5, 15.5]), rng.uniform(4.5, 7)
                wall = _WALLS[rng.integers(len(_WALLS))]
                middle = x + direction * length / 2
                x += direction * (length + rng.choice([0.6, 0.6, 5.0]))
                if _touches(ground.plaza, middle, length / 2) and side * ground.plaza[3] > side * _MIDDLE:
                    continue
                y = _kerb(side) + side * (_PAVEMENT + setback + width / 2)
                solids += objects.building(middle, y, (length, width, height), wall)
    return solids


def _touches(plaza: tuple[float, float, float, float], x: float, reach: float) -> bool:
    return plaza[0] - reach < x < plaza[1] + reach


def _greenery(ground: Ground, rng: np.random.Generator) -> list[Solid]:
    solids: list[Solid] = []
    for side in (-1.0, 1.0):
        line = _kerb(side) + side * (_PAVEMENT + 2.0)
        for slot in np.arange(-60.0, 90.0, 9.5):
            x = slot + rng.uniform(-1.5, 1.5)
            if abs(x - ground.crossing) < _SIDE_STREET + _PAVEMENT + 2 or rng.random() < 0.2:
                continue
            solids += objects.tree(x, line + rng.uniform(-0.4, 0.4), rng)
            if rng.random() < 0.4:
                solids += objects.hedge(x + 4.7, line + side * 0.6, rng.uniform(2.0, 5.0))
        for x in np.arange(-45.0, 80.0, 24.0) + rng.uniform(0, 4):
            if abs(x - ground.crossing) > _SIDE_STREET + 1:
                solids += objects.lamp_post(float(x), _kerb(side) + side * 0.7, -side * np.pi / 2)
    return solids


def _traffic(ground: Ground, rng: np.random.Generator) -> list[Solid]:
    """Moving cars lane by lane, a bus and a truck for certain, parked cars along the kerbs, one in the side street."""
    solids: list[Solid] = []
    bus_x, truck_x = rng.uniform(9, 14), ground.crossing + rng.uniform(11, 16)
    solids += objects.bus(bus_x, 2 * LANE, np.pi, _PAINTS[2] if rng.random() < 0.5 else _COATS[2])
    solids += objects.truck(truck_x, -LANE, 0.0, _paint(rng))
    taken = {2 * LANE: (bus_x, 10.5), -LANE: (truck_x, 8.5), 0.0: (0.0, 10.0), LANE: (0.0, 0.0)}
    for y, (where, reach) in taken.items():
        yaw = 0.0 if y < _MIDDLE else np.pi
        for slot in np.arange(-50.0, 75.0, 12.5):
            x = slot + rng.uniform(-3, 3)
            roadworks = y == -LANE and -4 < x < 19
            on_zebra = abs(x - ground.crossing) < _SIDE_STREET + 5
            if abs(x - where) > reach and not roadworks and not on_zebra and rng.random() < 0.55:
                solids += objects.car(x, y + rng.uniform(-0.25, 0.25), yaw + rng.normal(0, 0.01), _paint(rng))
    for y, yaw in ((_ROAD[0] + 1.15, 0.0), (_ROAD[1] - 1.15, np.pi)):
        for x in np.arange(-54.0, 80.0, 6.2) + 2.8:
            if abs(x - ground.crossing) > _SIDE_STREET + 8 and rng.random() < 0.5:
                solids += objects.car(x, y, yaw + rng.normal(0, 0.015), _paint(rng))
    solids += objects.car(ground.crossing + 2.6, _ROAD[1] + rng.uniform(5, 9), -np.pi / 2, _paint(rng))
    turning = rng.uniform(0.5, 1.0)
    solids += objects.car(ground.crossing - 1.0, -1.2, -turning, _paint(rng))
    return solids


def _roadworks(rng: np.random.Generator) -> list[Solid]:
    """A closed stretch of the right lane: barriers behind a taper of cones."""
    start = rng.uniform(6, 8)
    solids: list[Solid] = []
    for i in range(4):
        solids += objects.cone(start + 1.6 * i, -4.9 + 0.85 * i)
    for i in range(3):
        solids += objects.barrier(start + 6.2, -2.6 - 1.05 * i, np.pi / 2)
    return solids


def _people(ground: Ground, rng: np.random.Generator) -> list[Solid]:
    solids: list[Solid] = []
    for _ in range(9):
        side = float(rng.choice([-1.0, 1.0]))
        x, y = rng.uniform(-25, ground.crossing - 10), _kerb(side) + side * rng.uniform(1.2, 2.8)
        solids += objects.pedestrian(x, y, rng.uniform(-np.pi, np.pi), _coat(rng))
    zebra = ground.crossing - _SIDE_STREET - 2.2
    for y in (rng.uniform(1.8, 2.6), rng.uniform(3.6, 4.6)):
        solids += objects.pedestrian(zebra + rng.uniform(-0.6, 0.6), y, np.pi / 2, _coat(rng))
    solids += objects.bicycle(-9.0 + rng.uniform(-2, 2), -1.9, 0.0, _coat(rng))
    solids += objects.bicycle(rng.uniform(4.5, 6.0), 8.9, np.pi, _coat(rng))
    return solids


def _paint(rng: np.random.Generator) -> Vector:
    return _PAINTS[rng.integers(len(_PAINTS))]


def _coat(rng: np.random.Generator) -> Vector:
    return _COATS[rng.integers(len(_COATS))]


def _noise(rng: np.random.Generator) -> Floats:
    """Two periodic grains [2, 256, 256] in -1..1: white, and the same smoothed to patches."""
    fine = rng.uniform(-1, 1, (256, 256))
    coarse = rng.uniform(-1, 1, (256, 256))
    for axis in (0, 1):
        coarse = sum(np.roll(coarse, shift, axis) for shift in range(-4, 5)) / 9
    return np.stack([fine, coarse / np.abs(coarse).max()]).astype(np.float32)
