"""What stands or moves along the road, and how it moves. Times are seconds from the first key frame."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from occvino.synth.shapes import LABEL, Part, Shapes, Triple

THINGS = frozenset(
    LABEL[name]
    for name in ("bicycle", "bus", "car", "construction_vehicle", "motorcycle", "pedestrian", "trailer", "truck")
)
"""Classes that panoptic labels count one by one."""


@dataclass(frozen=True)
class Speed:
    """Distance covered by the ego vehicle: steady, speeding up or slowing down, never backwards."""

    start: float
    acceleration: float

    def travel(self, t: float) -> float:
        """Metres since t = 0."""
        if self.acceleration < 0:
            t = min(t, -self.start / self.acceleration)
        return self.start * t + 0.5 * self.acceleration * t * t


@dataclass(frozen=True)
class Motion:
    """Where an object is: at (s, d) at t = 0, then moving along s or d.

    `follow` times the ego vehicle's travel is added along s; `speed` (m/s) along the axis. `turn` is the heading
    relative to the road's.
    """

    s: float
    d: float
    turn: float = 0.0
    follow: float = 0.0
    speed: float = 0.0
    axis: Literal["s", "d"] = "s"

    @property
    def moves(self) -> bool:
        """Whether the place depends on time."""
        return self.follow != 0.0 or self.speed != 0.0


@dataclass(frozen=True)
class Actor:
    """One object: its solids, class, size (length, width, height) and motion. `instance` counts from 1 in a scene."""

    name: str
    shapes: Shapes = field(repr=False)
    size: Triple
    motion: Motion
    instance: int

    @property
    def label(self) -> int:
        """Its Occ3D class."""
        return LABEL[self.name]


def make_actor(name: str, parts: list[Part], motion: Motion, instance: int) -> Actor:
    """An actor of class `name`; its size is that of its solids."""
    shapes = Shapes.of(parts, LABEL[name], instance)
    lower, upper = shapes.extent()
    low, high = lower.min(0), upper.max(0)
    # Boxes are centred on the object's origin in x and y, as placement is.
    length, width = 2 * np.maximum(np.abs(low), np.abs(high))[:2]
    return Actor(name, shapes, (float(length), float(width), float(high[2])), motion, instance)
