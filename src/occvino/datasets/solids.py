"""The two shapes that the procedural street is made of, and what rendering and voxels ask of them.

Everything is in the ego frame, metres. Vectors come as [3, ...], one component after another, so that NumPy works on
long contiguous rows; `origin` and `direction` broadcast against each other.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Vector: TypeAlias = tuple[float, float, float]

_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32).T  # [3, 8]


@dataclass(frozen=True)
class Box:
    """A box that stands upright: `size` is (length, width, height), the length points along `yaw` (radians, left)."""

    label: str
    centre: Vector
    size: Vector
    colour: Vector
    yaw: float = 0.0
    finish: Literal["plain", "facade"] = "plain"

    @cached_property
    def half(self) -> Floats:
        """Half of each side [3]."""
        return np.array(self.size, np.float32) * np.float32(0.5)

    @cached_property
    def _turn(self) -> tuple[np.float32, np.float32]:
        return np.float32(np.cos(self.yaw)), np.float32(np.sin(self.yaw))

    def to_local(self, vector: Floats) -> Floats:
        """Directions [3, ...] of the ego frame, turned into the box's own."""
        cos, sin = self._turn
        return np.stack([cos * vector[0] + sin * vector[1], cos * vector[1] - sin * vector[0], vector[2]])

    def from_local(self, vector: Floats) -> Floats:
        """Directions [3, ...] of the box's own frame, turned into the ego frame."""
        cos, sin = self._turn
        return np.stack([cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1], vector[2]])

    def corners(self) -> Floats:
        """Corners [3, 8]."""
        return self.from_local(_CORNERS * self.half[:, None]) + _column(self.centre, 2)

    def entry(self, origin: Floats, direction: Floats) -> Floats:
        """How many `direction`s [3, ...] from `origin` [3, ...] the ray enters, infinite where it misses."""
        start = self.to_local(origin - _column(self.centre, origin.ndim))
        step = self.to_local(direction)
        near, far = np.float32(0.0), np.float32(np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            for axis, half in enumerate(self.half):
                inverse = 1.0 / step[axis]
                one, other = (-half - start[axis]) * inverse, (half - start[axis]) * inverse
                near = np.maximum(near, np.minimum(one, other))
                far = np.minimum(far, np.maximum(one, other))
            return np.where((near < far) & (near > 0), near, np.float32(np.inf))

    def normal(self, point: Floats) -> Floats:
        """Outward unit normals [3, n] at points [3, n] of the surface."""
        local = self.to_local(point - _column(self.centre, 2)) / self.half[:, None]
        axis = np.abs(local).argmax(axis=0)  # [n]
        normal = np.zeros_like(local)
        column = np.arange(local.shape[1])
        normal[axis, column] = np.sign(local[axis, column])
        return self.from_local(normal)

    def overlaps(self, centre: Floats, step: Vector) -> NDArray[np.bool_]:
        """Whether cells of size `step` around `centre` [3, ...] share volume with the box: separating axes, exact."""
        offset = centre - _column(self.centre, centre.ndim)
        local = self.to_local(offset)
        cos, sin = (abs(part) for part in self._turn)
        length, width, height = self.half
        x, y, z = (side / 2 for side in step)
        return (
            (np.abs(offset[0]) < x + cos * length + sin * width)
            & (np.abs(offset[1]) < y + sin * length + cos * width)
            & (np.abs(offset[2]) < z + height)
            & (np.abs(local[0]) < length + cos * x + sin * y)
            & (np.abs(local[1]) < width + sin * x + cos * y)
        )


@dataclass(frozen=True)
class Ball:
    """A sphere."""

    label: str
    centre: Vector
    radius: float
    colour: Vector
    finish: Literal["plain", "leaves"] = "plain"

    def corners(self) -> Floats:
        """Corners [3, 8] of the box around it."""
        return _CORNERS * np.float32(self.radius) + _column(self.centre, 2)

    def entry(self, origin: Floats, direction: Floats) -> Floats:
        """How many `direction`s [3, ...] from `origin` [3, ...] the ray enters, infinite where it misses."""
        offset = origin - _column(self.centre, origin.ndim)
        a = np.einsum("i...,i...->...", direction, direction)
        b = (offset * direction).sum(axis=0)
        c = np.einsum("i...,i...->...", offset, offset) - np.float32(self.radius**2)
        inside = b * b - a * c
        near = (-b - np.sqrt(np.maximum(inside, 0))) / a
        return np.where((inside > 0) & (near > 0), near, np.float32(np.inf))

    def normal(self, point: Floats) -> Floats:
        """Outward unit normals [3, n] at points [3, n] of the surface."""
        return (point - _column(self.centre, 2)) * np.float32(1 / self.radius)

    def overlaps(self, centre: Floats, step: Vector) -> NDArray[np.bool_]:
        """Whether cells of size `step` around `centre` [3, ...] share volume with the ball: nearest point, exact."""
        offset = np.abs(centre - _column(self.centre, centre.ndim))
        nearest = np.maximum(offset - _column(step, centre.ndim) / 2, 0)
        return (nearest * nearest).sum(axis=0) < self.radius**2


Solid: TypeAlias = Box | Ball


def _column(vector: Vector, ndim: int) -> Floats:
    """A vector as [3, 1, ...] with that many axes."""
    return np.array(vector, np.float32).reshape(3, *[1] * (ndim - 1))
