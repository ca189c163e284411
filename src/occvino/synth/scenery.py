"""Filling a scene: lots, street furniture, parked and moving traffic, people."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from occvino.synth import furniture as furniture
from occvino.synth import people as people
from occvino.synth import vehicles as vehicles
from occvino.synth.actors import Actor, Motion, Speed, make_actor
from occvino.synth.layout import CROSSWALK, LANE, PARKING, Block, Layout
from occvino.synth.shapes import Material, Part

_ACROSS = np.pi / 2
_EGO = (6.5, 2.6)
"""Length and width of the ego vehicle and the room it keeps, metres, about a point 1 m ahead of its origin."""
_BUILDERS = {
    "bicycle": people.bicycle,
    "bus": vehicles.bus,
    "car": vehicles.car,
    "construction_vehicle": vehicles.construction_vehicle,
    "motorcycle": people.motorcycle,
    "pedestrian": people.pedestrian,
    "trailer": vehicles.trailer,
    "truck": vehicles.truck,
}
_FLOW = ("car", "truck", "bus", "motorcycle", "bicycle", "trailer", "construction_vehicle")
_FLOW_SHARE = (0.5, 0.13, 0.1, 0.08, 0.07, 0.07, 0.05)
_PARKED = ("car", "truck", "motorcycle", "trailer", "construction_vehicle", "bicycle", "bus")
_PARKED_SHARE = (0.6, 0.1, 0.08, 0.07, 0.06, 0.05, 0.04)


@dataclass
class _Builder:
    """Collects actors and keeps those that stand still from standing in each other."""

    rng: np.random.Generator
    layout: Layout
    actors: list[Actor] = field(default_factory=list)
    taken: list[tuple[float, float, float]] = field(default_factory=list)

    def add(self, name: str, parts: list[Part], motion: Motion, *, room: float = 0.0) -> Actor | None:
        """Add an object; with `room` (metres) only where no other that asked for room is that near."""
        if room > 0:
            if any((motion.s - s) ** 2 + (motion.d - d) ** 2 < (room + r) ** 2 for s, d, r in self.taken):
                return None
            self.taken.append((motion.s, motion.d, room))
        actor = make_actor(name, parts, motion, len(self.actors) + 1)
        self.actors.append(actor)
        return actor

    def build(self, name: str) -> list[Part]:
        """A random object of a class that has one builder."""
        return _BUILDERS[name](self.rng)

    def chance(self, probability: float) -> bool:
        return bool(self.rng.uniform() < probability)

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def steps(self, start: float, stop: float, low: float, high: float) -> Iterator[float]:
        """Places from start to stop, low to high metres apart."""
        s = start + self.between(0, high)
        while s < stop:
            yield s
            s += self.between(low, high)


def fill(
    rng: np.random.Generator,
    layout: Layout,
    lane_d: float,
    speed: Speed,
    duration: float,
    reach: tuple[float, float],
) -> list[Actor]:
    """Everything that stands or moves along the road within `reach` (s from, s to), clear of the ego vehicle."""
    b = _Builder(rng, layout)
    for block in layout.blocks:
        if block.s1 > reach[0] and block.s0 < reach[1]:
            _LOT[block.lot](b, block)
    _street(b, reach)
    _roadworks(b, reach)
    if layout.parking:
        _parked(b, reach)
    _flow(b, lane_d, speed, reach)
    _crossing_traffic(b, speed, reach)
    _walkers(b, speed, reach)
    times = np.arange(0.0, duration + 0.1, 0.1) - 0.05
    return [actor for actor in b.actors if not _in_the_way(actor, lane_d, speed, times)]


def _in_the_way(actor: Actor, lane_d: float, speed: Speed, times: NDArray[np.float64]) -> bool:
    """Whether the ego vehicle would run into it."""
    m = actor.motion
    travel = np.array([speed.travel(float(t)) for t in times])
    moved = m.follow * travel + m.speed * times
    s, d = (m.s + moved, m.d) if m.axis == "s" else (m.s, m.d + moved)
    length, width = actor.size[:2] if abs(np.sin(m.turn)) < 0.7 else actor.size[1::-1]
    near = (np.abs(s - travel - 1.0) < length / 2 + _EGO[0] / 2) & (np.abs(d - lane_d) < width / 2 + _EGO[1] / 2)
    return bool(near.any())


# --- lots -------------------------------------------------------------------------------------------------------


def _facing(side: int) -> float:
    """Turn of an object whose +y looks at the road from `side`."""
    return np.pi if side > 0 else 0.0


def _town(b: _Builder, block: Block) -> None:
    s = block.s0 + 0.3
    while s < block.s1 - 6:
        length = min(b.between(9, 22), block.s1 - s)
        depth, set_back = b.between(9, 14), b.between(0.2, 1.4)
        if b.chance(0.9):
            q = b.layout.front + set_back + depth / 2
            motion = Motion(s + length / 2, block.side * q, _facing(block.side))
            b.add("manmade", furniture.building(b.rng, length - 0.4, depth), motion)
        s += length + (b.between(2, 6) if b.chance(0.25) else 0)


def _suburb(b: _Builder, block: Block) -> None:
    front, side = b.layout.front, block.side
    for s in np.arange(block.s0 + 8.0, block.s1 - 6, 17.0):
        q, depth = front + b.between(9, 12), b.between(7, 9)
        motion = Motion(float(s) + 2, side * (q + depth / 2), _facing(side) + b.between(-0.1, 0.1))
        b.add("manmade", furniture.house(b.rng, b.between(8, 11), depth), motion, room=5)
        if b.chance(0.5):
            b.add("car", b.build("car"), Motion(float(s) - 6.5, side * (front + 4.5), side * _ACROSS), room=1.5)
    for s in b.steps(block.s0, block.s1, 5, 9):
        if np.mod(s - block.s0, 17) > 6 and b.chance(0.6):
            edge = furniture.hedge(b.rng, 4.5) if b.chance(0.5) else furniture.wall(b.rng, 4.5)
            name = "vegetation" if edge[0].material == Material.LEAVES else "manmade"
            b.add(name, edge, Motion(s, side * (front + 0.6)))
    _plants(b, block, 0.012, 0.012)


def _park(b: _Builder, block: Block) -> None:
    _plants(b, block, 0.02, 0.02)
    for s in b.steps(block.s0, block.s1, 6, 16):
        q = b.layout.front + b.between(11, 28)
        b.add("terrain", furniture.mound(b.rng, Material.GRASS), Motion(s, block.side * q))
    _people_around(b, block, 0.006)


def _plaza(b: _Builder, block: Block) -> None:
    front, side = b.layout.front, block.side
    length = min(block.s1 - block.s0 - 1, 40.0)
    motion = Motion((block.s0 + block.s1) / 2, side * (front + 22), _facing(side))
    b.add("manmade", furniture.building(b.rng, length, 10), motion)
    for s in b.steps(block.s0 + 1, block.s1 - 1, 4, 9):
        motion = Motion(s, side * (front + b.between(2, 14)))
        if b.chance(0.6):
            name, parts = ("vegetation", furniture.tree(b.rng)) if b.chance(0.6) else _litter(b)
            b.add(name, parts, motion, room=0.8)
    _people_around(b, block, 0.014)
    _bicycle_row(b, block, front + 1.5)


def _litter(b: _Builder) -> tuple[str, list[Part]]:
    return "others", furniture.clutter(b.rng)


def _car_park(b: _Builder, block: Block) -> None:
    front, side = b.layout.front, block.side
    for row in range(2):
        for s in np.arange(block.s0 + 1.4, block.s1 - 1.5, 2.8):
            if b.chance(0.62):
                name = _PARKED[b.rng.choice(3, p=(0.88, 0.05, 0.07))]
                turn = _ACROSS * (1 if b.chance(0.5) else -1) + b.between(-0.05, 0.05)
                parts = vehicles.car(b.rng) if name == "truck" else b.build(name)
                b.add(
                    "car" if name == "truck" else name, parts, Motion(float(s), side * (front + 2.4 + 11 * row), turn)
                )
    for s in b.steps(block.s0 + 6, block.s1 - 6, 14, 22):
        name = ("trailer", "truck", "bus")[b.rng.integers(3)]
        b.add(name, b.build(name), Motion(s, side * (front + 24), b.between(-0.1, 0.1)), room=5)
    motion = Motion((block.s0 + block.s1) / 2, side * (front + 34), _facing(side))
    b.add("manmade", furniture.building(b.rng, block.s1 - block.s0 - 2, 9), motion)


def _site(b: _Builder, block: Block) -> None:
    front, side, style = b.layout.front, block.side, int(b.rng.integers(4))
    for s in np.arange(block.s0 + 1.2, block.s1 - 1, 2.05):
        if b.chance(0.85):
            b.add("barrier", furniture.barrier(b.rng, style), Motion(float(s), side * (front + 0.5)))
    for s in b.steps(block.s0 + 4, block.s1 - 4, 7, 13):
        name = _SITE[b.rng.choice(5, p=(0.4, 0.15, 0.15, 0.15, 0.15))]
        motion = Motion(s, side * (front + b.between(5, 14)), b.between(-3.1, 3.1))
        if name == "terrain":
            b.add(name, furniture.mound(b.rng, Material.DIRT), motion, room=2.5)
        elif name == "manmade":
            b.add(name, furniture.container(b.rng), motion, room=3)
        else:
            b.add(name, b.build(name), motion, room=3.5)
    for s in b.steps(block.s0 + 1, block.s1 - 1, 2, 5):
        b.add("traffic_cone", furniture.cone(b.rng), Motion(s, side * (front + b.between(1.4, 4))), room=0.4)
    _people_around(b, block, 0.006)


_SITE = ("construction_vehicle", "terrain", "manmade", "trailer", "truck")
_LOT = {
    "town": _town,
    "suburb": _suburb,
    "park": _park,
    "plaza": _plaza,
    "parking": _car_park,
    "site": _site,
}


def _plants(b: _Builder, block: Block, trees: float, bushes: float) -> None:
    """Trees and bushes, that many a square metre."""
    area = (block.s1 - block.s0) * 26
    for _ in range(b.rng.poisson(area * trees)):
        motion = Motion(b.between(block.s0, block.s1), block.side * (b.layout.front + b.between(1.5, 27)))
        b.add("vegetation", furniture.tree(b.rng), motion, room=1.2)
    for _ in range(b.rng.poisson(area * bushes)):
        motion = Motion(b.between(block.s0, block.s1), block.side * (b.layout.front + b.between(0.8, 27)))
        b.add("vegetation", furniture.bush(b.rng), motion, room=0.6)


def _people_around(b: _Builder, block: Block, density: float) -> None:
    for _ in range(b.rng.poisson((block.s1 - block.s0) * 14 * density)):
        motion = Motion(
            b.between(block.s0, block.s1), block.side * (b.layout.front + b.between(1, 15)), b.between(-3.1, 3.1)
        )
        b.add("pedestrian", b.build("pedestrian"), motion, room=0.4)


def _bicycle_row(b: _Builder, block: Block, q: float) -> None:
    first = b.between(block.s0 + 2, block.s1 - 4)
    for index in range(b.rng.integers(2, 7)):
        motion = Motion(first + 0.8 * index, block.side * q, _ACROSS)
        b.add("bicycle", b.build("bicycle"), motion, room=0.35)


# --- the street -------------------------------------------------------------------------------------------------


def _street(b: _Builder, reach: tuple[float, float]) -> None:
    layout, rng = b.layout, b.rng
    post = layout.kerb + 0.55
    for side in (-1, 1):
        for s in b.steps(*reach, 22, 32):
            if not layout.crossed(s, 1):
                b.add("manmade", furniture.street_lamp(rng), Motion(s, side * post, -side * _ACROSS), room=0.5)
        for s in b.steps(*reach, 14, 40):
            if not layout.crossed(s, 1):
                b.add("manmade", furniture.sign(rng), Motion(s, side * post, _to_traffic(layout, side)), room=0.5)
        for s in b.steps(*reach, 7, 12):
            if layout.verge > 0 and not layout.crossed(s, 2):
                name, parts = "vegetation", furniture.tree(rng) if b.chance(0.8) else furniture.bush(rng)
                b.add(name, parts, Motion(s, side * (layout.kerb + layout.verge / 2 + 0.1)), room=0.8)
        for s in b.steps(*reach, 9, 24):
            if not layout.crossed(s, 1):
                motion = Motion(s, side * (layout.front - 0.5), b.between(-3.1, 3.1))
                b.add(*_litter(b), motion, room=0.6)
        for s in b.steps(*reach, 60, 140):
            if not layout.crossed(s, 5):
                b.add("manmade", furniture.shelter(rng), Motion(s, side * (layout.front - 1), _facing(side)), room=2)
    for crossing in layout.crossings:
        for along in (-1, 1):
            for side in (-1, 1):
                motion = Motion(crossing.s + along * (crossing.half + 0.8), side * post, 0.0 if along < 0 else np.pi)
                b.add("manmade", furniture.traffic_light(rng), motion, room=0.3)
    if layout.median > 0:
        _median(b, reach)


def _to_traffic(layout: Layout, side: int) -> float:
    """Turn of a sign whose +x looks at the traffic that passes on `side`."""
    return np.pi if side == layout.hand else 0.0


def _median(b: _Builder, reach: tuple[float, float]) -> None:
    style = int(b.rng.integers(5))
    for s in np.arange(reach[0], reach[1], 2.05):
        if b.layout.crossed(float(s), CROSSWALK[1] + 1):
            continue
        if style in (0, 3):
            b.add("barrier", furniture.barrier(b.rng, style), Motion(float(s), 0.0))
        elif b.chance(0.25):
            b.add("vegetation", furniture.tree(b.rng) if style == 1 else furniture.bush(b.rng), Motion(float(s), 0.0))


def _roadworks(b: _Builder, reach: tuple[float, float]) -> None:
    """Cones and barriers that close the kerb side of the road for a stretch."""
    layout = b.layout
    for s0 in b.steps(*reach, 45, 110):
        side, style = (1 if b.chance(0.5) else -1), int(b.rng.integers(3))
        length, q = b.between(8, 24), layout.kerb - (PARKING if layout.parking else 0.5)
        for s in np.arange(s0, s0 + length, 2.05):
            if layout.crossed(float(s), 1):
                continue
            if b.chance(0.5):
                b.add("traffic_cone", furniture.cone(b.rng), Motion(float(s), side * q), room=0.3)
            else:
                b.add("barrier", furniture.barrier(b.rng, style), Motion(float(s), side * (q + 0.35)), room=0.9)
        middle = s0 + length / 2
        if layout.parking and b.chance(0.6) and not layout.crossed(middle, 4):
            parts = b.build("construction_vehicle")
            b.add("construction_vehicle", parts, Motion(middle, side * (layout.kerb - 1.2)), room=3.2)


def _parked(b: _Builder, reach: tuple[float, float]) -> None:
    layout = b.layout
    for side in (-1, 1):
        for s in b.steps(*reach, 6, 11):
            name = _PARKED[b.rng.choice(7, p=_PARKED_SHARE)]
            long = name in ("truck", "trailer", "bus")
            if not layout.crossed(s, CROSSWALK[1] + (6 if long else 3)) and b.chance(0.75):
                turn = 0.0 if side == layout.hand else np.pi
                motion = Motion(s, side * (layout.kerb - 1.15), turn + b.between(-0.03, 0.03))
                b.add(name, b.build(name), motion, room=5.6 if long else 2.6)


def _flow(b: _Builder, lane_d: float, speed: Speed, reach: tuple[float, float]) -> None:
    """Traffic in every lane. Lanes that run with the ego vehicle keep in step with it or stand when it stands."""
    layout = b.layout
    width = reach[1] - reach[0]
    for direction in (-1, 1):
        for lane in range(layout.lanes):
            d = layout.lane(lane, direction)
            own = direction == 1 and abs(d - lane_d) < LANE / 2
            follow = direction * (1.0 if own else b.between(0.75, 1.25))
            gap = b.between(8, 30)
            s = reach[0] - (width / 2 if follow > 0 else 0)
            while s < reach[1] + (0 if follow > 0 else width / 2):
                s += b.between(0.7, 1.3) * gap + 5
                if (own and abs(s) < 11) or (speed.start == 0 and layout.crossed(s, CROSSWALK[1] + 4)):
                    continue
                s = _vehicle(b, s, d, direction, follow)


def _vehicle(b: _Builder, s: float, d: float, direction: int, follow: float) -> float:
    """Put a vehicle, or a lorry with its trailer, in a lane; give the s where it ends."""
    turn = 0.0 if direction > 0 else np.pi
    name = _FLOW[b.rng.choice(7, p=_FLOW_SHARE)]
    sideways = b.between(-0.25, 0.25)
    if name != "trailer":
        actor = b.add(name, b.build(name), Motion(s, d + sideways, turn, follow))
        return s + (actor.size[0] - 4 if actor else 0)
    tractor = make_actor("truck", b.build("truck"), Motion(0, 0), 0).size[0]
    parts = b.build("trailer")
    towed = make_actor("trailer", parts, Motion(0, 0), 0).size[0]
    back = direction * (tractor + towed) / 2
    b.add("truck", vehicles.truck(b.rng), Motion(s + back / 2, d + sideways, turn, follow))
    b.add("trailer", parts, Motion(s + back / 2 - back - direction * 1.2, d + sideways, turn, follow))
    return s + tractor + towed


def _crossing_traffic(b: _Builder, speed: Speed, reach: tuple[float, float]) -> None:
    """In side streets vehicles wait at the line; they go when the ego vehicle stands."""
    layout = b.layout
    for crossing in layout.crossings:
        if not reach[0] < crossing.s < reach[1]:
            continue
        for direction in (-1, 1):
            s = crossing.s - direction * layout.hand * crossing.half / 2
            d = -direction * (layout.kerb + CROSSWALK[1] + 5)
            pace = direction * b.between(4, 9) if speed.start == 0 else 0.0
            for _ in range(b.rng.integers(0, 4)):
                name = _FLOW[b.rng.choice(5, p=(0.68, 0.1, 0.08, 0.08, 0.06))]
                b.add(name, b.build(name), Motion(s, d, direction * _ACROSS, 0.0, pace, "d"))
                d -= direction * b.between(9, 14)


def _walkers(b: _Builder, speed: Speed, reach: tuple[float, float]) -> None:
    layout = b.layout
    for side in (-1, 1):
        for s in b.steps(*reach, 5, 18):
            pace = b.between(0.8, 1.7) * (1 if b.chance(0.5) else -1) * b.chance(0.7)
            q = layout.kerb + layout.verge + b.between(0.9, max(1.0, layout.sidewalk - 0.7))
            turn = 0.0 if pace >= 0 else np.pi
            for i in range(1 + b.rng.poisson(0.4)):
                motion = Motion(s + 0.35 * i, side * (q + 0.5 * i), turn + b.between(-0.2, 0.2), 0.0, pace)
                b.add("pedestrian", b.build("pedestrian"), motion)
        for s in b.steps(*reach, 18, 45):
            name = "bicycle" if b.chance(0.7) else "motorcycle"
            if not layout.crossed(s, 2):
                motion = Motion(s, side * (layout.kerb + layout.verge + 0.6), b.between(-0.3, 0.3))
                b.add(name, b.build(name), motion, room=0.7)
    for crossing in layout.crossings:
        for along in (-1, 1):
            if b.chance(0.5):
                where = crossing.s + along * (crossing.half + sum(CROSSWALK) / 2)
                goes = b.between(0.9, 1.6) * (1 if b.chance(0.5) else -1)
                start, turn = -np.sign(goes) * (layout.kerb + 0.5), np.sign(goes) * _ACROSS
                pace = goes if speed.start == 0 else 0.0
                b.add("pedestrian", b.build("pedestrian"), Motion(where, float(start), float(turn), 0.0, pace, "d"))
