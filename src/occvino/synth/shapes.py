"""What the synthetic world is made of: boxes with sloping sides, ellipsoids and round columns, in flat arrays.

Shapes stand upright and turn about z only. Frame: x forward, y left, z up, metres; the ground is the plane z = 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from occvino.variant import OCC3D_CLASSES

LABEL = {name: index for index, name in enumerate(OCC3D_CLASSES)}
FREE = LABEL["free"]


class Kind(IntEnum):
    """The three solids. `Part.slope` means something else for each."""

    BOX = 0
    """Slope: how far the front, rear and side faces have moved inwards at the top, metres."""
    ELLIPSOID = 1
    """Slope is not used."""
    COLUMN = 2
    """Elliptic, upright. Slope[0]: 0 is a cylinder, 1 a cone."""


class Material(IntEnum):
    """How a surface looks. Those below `PLAIN` occur on the ground only; see `GROUND_LABEL`."""

    GRASS = 0
    DIRT = 1
    ASPHALT = 2
    WHITE_PAINT = 3
    YELLOW_PAINT = 4
    LOT = 5
    PAVERS = 6
    GRAVEL = 7
    SIDEWALK = 8
    CURB = 9
    PLAIN = 16
    FACADE = 17
    BRICK = 18
    LEAVES = 19
    BARK = 20
    CAR_PAINT = 21
    CABIN = 22
    GLASS_BAND = 23
    STRIPES = 24
    RINGS = 25
    RIBS = 26
    CLOTH = 27
    LAMP = 28
    GLASS = 29


GROUND_LABEL: NDArray[np.uint8] = np.full(256, LABEL["terrain"], np.uint8)
"""Class of each ground material."""
for _material in (Material.ASPHALT, Material.WHITE_PAINT, Material.YELLOW_PAINT, Material.LOT):
    GROUND_LABEL[_material] = LABEL["driveable_surface"]
for _material in (Material.PAVERS, Material.GRAVEL):
    GROUND_LABEL[_material] = LABEL["other_flat"]
for _material in (Material.SIDEWALK, Material.CURB):
    GROUND_LABEL[_material] = LABEL["sidewalk"]

Triple = tuple[float, float, float]


class Part(NamedTuple):
    """One solid of an object, in the object's frame."""

    kind: Kind
    centre: Triple
    half: Triple
    material: Material
    colour: Triple
    slope: Triple = (0.0, 0.0, 0.0)
    yaw: float = 0.0


@dataclass(frozen=True)
class Shapes:
    """P solids as arrays that compiled code can read.

    Attributes:
        geometry: float64 [P, 11]: centre x, y, z; half sizes x, y, z; cosine and sine of yaw; three slopes.
        tags: int32 [P, 4]: kind, class, number of the object, material.
        colour: float32 [P, 3], 0..1.
    """

    geometry: NDArray[np.float64]
    tags: NDArray[np.int32]
    colour: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.geometry)

    @classmethod
    def of(cls, parts: Sequence[Part], label: int, number: int = 0) -> "Shapes":
        """The parts of one object of class `label`."""
        rows = [(*p.centre, *p.half, np.cos(p.yaw), np.sin(p.yaw), *p.slope) for p in parts]
        return cls(
            np.array(rows, np.float64).reshape(-1, 11),
            np.array([(p.kind, label, number, p.material) for p in parts], np.int32).reshape(-1, 4),
            np.array([p.colour for p in parts], np.float32).reshape(-1, 3),
        )

    @classmethod
    def joined(cls, several: Sequence["Shapes"]) -> "Shapes":
        """All of them as one."""
        several = several or [cls.of((), FREE)]
        return cls(
            np.concatenate([s.geometry for s in several]),
            np.concatenate([s.tags for s in several]),
            np.concatenate([s.colour for s in several]),
        )

    def placed(self, x: float, y: float, yaw: float) -> "Shapes":
        """The same solids turned by `yaw` (radians) about the origin, then moved to (x, y)."""
        c, s = np.cos(yaw), np.sin(yaw)
        old = self.geometry
        new = old.copy()
        new[:, 0] = x + c * old[:, 0] - s * old[:, 1]
        new[:, 1] = y + s * old[:, 0] + c * old[:, 1]
        new[:, 6] = c * old[:, 6] - s * old[:, 7]
        new[:, 7] = s * old[:, 6] + c * old[:, 7]
        return Shapes(new, self.tags, self.colour)

    def extent(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper corners of each solid's upright bounding box, [P, 3] each."""
        g = self.geometry
        cos, sin = np.abs(g[:, 6]), np.abs(g[:, 7])
        front, rear, side = (np.maximum(0.0, -g[:, 8 + i]) * (self.tags[:, 0] == Kind.BOX) for i in range(3))
        hx, hy = g[:, 3] + np.maximum(front, rear), g[:, 4] + side
        reach = np.stack([hx * cos + hy * sin, hx * sin + hy * cos, g[:, 5]], axis=1)
        return g[:, :3] - reach, g[:, :3] + reach
