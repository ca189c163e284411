"""Where the synthetic road runs, what lies beside it, and the painted ground.

Road coordinates: s runs along the centre line, d to the left of it, both in metres. Frame of x and y: global.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from occvino.synth.jit import compiled
from occvino.synth.shapes import Material

LANE = 3.4
PARKING = 2.4
CROSSWALK = (1.0, 4.0)
"""Where a pedestrian crossing begins and ends, metres outside the crossing of two roads."""
_REACH = 64.0
"""How far from the road the ground is painted; beyond it everything is grass."""
_STEP = 0.125

Lot = Literal["town", "suburb", "park", "plaza", "parking", "site"]
LOTS: tuple[Lot, ...] = ("town", "suburb", "park", "plaza", "parking", "site")
_LOT_GROUND = {
    "town": Material.SIDEWALK,
    "suburb": Material.GRASS,
    "park": Material.GRASS,
    "plaza": Material.PAVERS,
    "parking": Material.LOT,
    "site": Material.DIRT,
}

Grid2 = NDArray[np.float32]


@dataclass(frozen=True)
class Road:
    """A smooth centre line, sampled every 0.5 m from `start` on."""

    start: float
    xy: NDArray[np.float64]
    heading: NDArray[np.float64]

    SPACING = 0.5

    @classmethod
    def winding(cls, rng: np.random.Generator, start: float, end: float) -> "Road":
        """A road of gentle bends (radius 90 m or more) that passes s = 0 at a random place and heading."""
        count = int((end - start) / cls.SPACING) + 1
        knots = rng.normal(0, 0.004, max(4, count // 80)).clip(-0.011, 0.011) * (rng.uniform() < 0.7)
        curvature = np.interp(np.linspace(0, 1, count), np.linspace(0, 1, len(knots)), knots)
        heading = rng.uniform(-np.pi, np.pi) + np.cumsum(curvature) * cls.SPACING
        steps = cls.SPACING * np.stack([np.cos(heading), np.sin(heading)], axis=1)
        return cls(start, rng.uniform(300, 1500, 2) + np.cumsum(steps, axis=0), heading)

    def at(self, s: float, d: float) -> tuple[float, float, float]:
        """Global x, y and the road's heading at (s, d)."""
        where = (s - self.start) / self.SPACING
        index = int(np.clip(np.floor(where), 0, len(self.xy) - 2))
        left, heading = where - index, self.heading[index]
        heading += left * (self.heading[index + 1] - heading)
        x, y = self.xy[index] + left * (self.xy[index + 1] - self.xy[index])
        return float(x - d * np.sin(heading)), float(y + d * np.cos(heading)), float(heading)


@dataclass(frozen=True)
class Crossing:
    """A street across the road at `s`; `half` is half its width."""

    s: float
    half: float
    sidewalk: float


@dataclass(frozen=True)
class Block:
    """The land on one side (+1 left, -1 right) of the road from s0 to s1."""

    s0: float
    s1: float
    side: int
    lot: Lot


@dataclass(frozen=True)
class Layout:
    """The cross-section of a road and what lies along it. `hand`: -1 where one drives on the right, +1 on the left."""

    road: Road
    hand: int
    lanes: int
    median: float
    parking: bool
    verge: float
    sidewalk: float
    crossings: tuple[Crossing, ...]
    blocks: tuple[Block, ...]

    @property
    def kerb(self) -> float:
        """|d| of the kerb."""
        return self.median / 2 + self.lanes * LANE + self.parking * PARKING

    @property
    def front(self) -> float:
        """|d| where the lots begin."""
        return self.kerb + self.verge + self.sidewalk

    def lane(self, index: int, direction: int) -> float:
        """The d of a lane's centre; lane 0 is the innermost, direction +1 runs along s."""
        return direction * self.hand * (self.median / 2 + (index + 0.5) * LANE)

    def crossed(self, s: float, margin: float = 0.0) -> bool:
        """Whether s lies in a crossing street, its sidewalks included, or within `margin` of it."""
        return any(abs(s - c.s) < c.half + c.sidewalk + margin for c in self.crossings)


def make_layout(rng: np.random.Generator, start: float, end: float) -> Layout:
    """A random road from s = start to s = end."""
    crossings: list[Crossing] = []
    s = start + rng.uniform(10, 70)
    while s < end:
        crossings.append(Crossing(float(s), float(rng.choice((3.4, 5.0, 6.8))), float(rng.uniform(1.6, 3.0))))
        s += rng.uniform(60, 120)
    return Layout(
        road=Road.winding(rng, start, end),
        hand=int(rng.choice((-1, 1), p=(0.75, 0.25))),
        lanes=int(rng.choice((1, 2, 3), p=(0.4, 0.45, 0.15))),
        median=float(rng.choice((0.0, 2.4), p=(0.65, 0.35))),
        parking=bool(rng.uniform() < 0.55),
        verge=float(rng.choice((0.0, 1.6, 2.6), p=(0.45, 0.3, 0.25))),
        sidewalk=float(rng.uniform(1.8, 3.8)),
        crossings=tuple(crossings),
        blocks=_blocks(rng, crossings, start, end),
    )


def _blocks(rng: np.random.Generator, crossings: list[Crossing], start: float, end: float) -> tuple[Block, ...]:
    weights = rng.dirichlet((1.4, 1.1, 0.8, 0.7, 0.6, 0.6))
    edges = [start, *(c.s for c in crossings), end]
    halves = [0.0, *(c.half + c.sidewalk for c in crossings), 0.0]
    blocks: list[Block] = []
    for index in range(len(edges) - 1):
        s0, s1 = edges[index] + halves[index], edges[index + 1] - halves[index + 1]
        for side in (-1, 1):
            s = s0
            while s1 - s > 12:
                stop = s1 if s1 - s < 40 else s + rng.uniform(24, 60)
                blocks.append(Block(float(s), float(stop), side, LOTS[rng.choice(6, p=weights)]))
                s = stop
    return tuple(blocks)


@dataclass(frozen=True)
class Ground:
    """Painted ground: `material[i, j]` covers x from lower[0] + i * step, y from lower[1] + j * step."""

    material: NDArray[np.uint8]
    lower: tuple[float, float]
    step: float = _STEP


def paint_ground(layout: Layout, s0: float, s1: float) -> Ground:
    """Paint everything within reach of the road from s0 to s1."""
    road = layout.road
    first, last = (int((s - road.start) / Road.SPACING) for s in (s0, s1))
    near = road.xy[max(0, first) : last + 1]
    lower, upper = np.floor(near.min(0) - _REACH), np.ceil(near.max(0) + _REACH)
    size = np.ceil((upper - lower) / _STEP).astype(int)
    s, d = _road_coordinates(road.xy, road.heading, lower, size[0], size[1], _STEP)
    s = s * Road.SPACING + road.start
    material = np.full(s.shape, Material.GRASS, np.uint8)
    _paint_lots(material, layout, s, d)
    _paint_strips(material, layout, s, d)
    _paint_crossings(material, layout, s, d)
    return Ground(material, (float(lower[0]), float(lower[1])))


@compiled
def _road_coordinates(
    path: NDArray[np.float64], heading: NDArray[np.float64], lower: NDArray[np.float64], nx: int, ny: int, step: float
) -> Any:
    """For each cell centre: s in samples along the path, and d in metres, [nx, ny] each."""
    along = np.empty((nx, ny), np.float32)
    across = np.empty((nx, ny), np.float32)
    row_start = 0
    for i in range(nx):
        index = row_start
        for j in range(ny):
            x, y = lower[0] + (i + 0.5) * step, lower[1] + (j + 0.5) * step
            if i == 0 and j == 0:
                index = int(np.argmin((path[:, 0] - x) ** 2 + (path[:, 1] - y) ** 2))
            best = (path[index, 0] - x) ** 2 + (path[index, 1] - y) ** 2
            while index + 1 < len(path):
                other = (path[index + 1, 0] - x) ** 2 + (path[index + 1, 1] - y) ** 2
                if other >= best:
                    break
                best, index = other, index + 1
            while index > 0:
                other = (path[index - 1, 0] - x) ** 2 + (path[index - 1, 1] - y) ** 2
                if other >= best:
                    break
                best, index = other, index - 1
            c, sn = np.cos(heading[index]), np.sin(heading[index])
            dx, dy = x - path[index, 0], y - path[index, 1]
            along[i, j] = index + (dx * c + dy * sn) / 0.5
            across[i, j] = dy * c - dx * sn
            if j == 0:
                row_start = index
    return along, across


def _paint_lots(material: NDArray[np.uint8], layout: Layout, s: Grid2, d: Grid2) -> None:
    for block in layout.blocks:
        q = d * block.side
        inside = (s >= block.s0) & (s < block.s1) & (q > layout.front) & (q < layout.front + 36)
        material[inside] = _LOT_GROUND[block.lot]
        if block.lot == "park":
            wave = layout.front + 6 + 3 * np.sin(s / 9)
            material[inside & (np.abs(q - wave) < 1.1)] = Material.GRAVEL
        elif block.lot == "suburb":
            material[inside & (np.mod(s - block.s0, 17) < 3) & (q < layout.front + 9)] = Material.LOT
        elif block.lot == "parking":
            stall = (np.mod(s - block.s0, 2.8) < 0.14) & (np.mod(q - layout.front, 11) < 4.8)
            material[inside & stall] = Material.WHITE_PAINT


def _paint_strips(material: NDArray[np.uint8], layout: Layout, s: Grid2, d: Grid2) -> None:
    """Sidewalks, verges, lanes and their lines."""
    q = np.abs(d)
    kerb, inner = layout.kerb, layout.median / 2
    material[(q < layout.front) & (q >= kerb)] = Material.SIDEWALK
    material[(q < kerb + layout.verge) & (q >= kerb + 0.25)] = Material.GRASS
    material[(q < kerb + 0.25) & (q >= kerb)] = Material.CURB
    material[q < kerb] = Material.ASPHALT
    if inner > 0:
        material[q < inner] = Material.PAVERS if layout.parking else Material.GRASS
        material[(q < inner) & (q >= inner - 0.2)] = Material.CURB
        material[(q > inner + 0.2) & (q < inner + 0.36)] = Material.YELLOW_PAINT
    else:
        material[(q > 0.1) & (q < 0.26)] = Material.YELLOW_PAINT
    dashes = np.mod(s, 9) < 3.5
    for lane in range(1, layout.lanes):
        material[(np.abs(q - inner - lane * LANE) < 0.09) & dashes] = Material.WHITE_PAINT
    if layout.parking:
        material[np.abs(q - inner - layout.lanes * LANE) < 0.09] = Material.WHITE_PAINT


def _paint_crossings(material: NDArray[np.uint8], layout: Layout, s: Grid2, d: Grid2) -> None:
    q, kerb = np.abs(d), layout.kerb
    near, far = CROSSWALK
    for crossing in layout.crossings:
        a = np.abs(s - crossing.s)
        across, outside = a < crossing.half, q - kerb
        material[(a < crossing.half + crossing.sidewalk) & (q > kerb)] = Material.SIDEWALK
        material[(a < crossing.half + 0.25) & (a >= crossing.half) & (q > kerb)] = Material.CURB
        material[across] = Material.ASPHALT
        material[(a < crossing.half + far + 1.2) & (q < kerb) & (material != Material.CURB)] = Material.ASPHALT
        material[across & (a < 0.1) & (outside > far + 1)] = Material.YELLOW_PAINT
        stripes = np.mod(d, 1.2) < 0.6
        zebra = (a > crossing.half + near) & (a < crossing.half + far) & (q < kerb)
        material[zebra & stripes] = Material.WHITE_PAINT
        zebra = across & (outside > near) & (outside < far)
        material[zebra & (np.mod(s, 1.2) < 0.6)] = Material.WHITE_PAINT
        approach = np.where(s < crossing.s, d, -d) * layout.hand > layout.median / 2
        stop = (a > crossing.half + far + 0.7) & (a < crossing.half + far + 1.15) & (q < kerb) & approach
        material[stop] = Material.WHITE_PAINT
