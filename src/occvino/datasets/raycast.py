"""Pictures of the procedural street, by casting one ray a pixel.

Fast for one reason: a solid is only tested against the pixels of the rectangle its corners span, so that most pixels
meet a handful of solids. Rays of one camera share their origin; `distance` counts in lengths of the pixel's ray.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from occvino.cameras import Camera, inverse3x3, rigid_inverse
from occvino.datasets.solids import Ball, Box, Floats, Solid
from occvino.datasets.street import Ground

SKY, GROUND = -2, -1
_NEAR = 0.05
_SHADOW_STEP = 0.125
_SHADOW_CELLS = 1024
_BLUR = 2
_HAZE = 240.0
_HORIZON = np.array([0.80, 0.86, 0.92], np.float32)
_ZENITH = np.array([0.30, 0.52, 0.82], np.float32)
_SUNLIGHT = np.array([1.0, 0.95, 0.86], np.float32)
_SKYLIGHT = np.array([0.50, 0.55, 0.63], np.float32)


@dataclass(frozen=True, eq=False)
class World:
    """What there is to see: the ground plane, the solids on it, and the unit vector [3] towards the sun."""

    ground: Ground
    solids: tuple[Solid, ...]
    sun: Floats

    @cached_property
    def shadows(self) -> Floats:
        """How much of the sun each cell of the ground misses [y, x], 0..1; the ego origin is in the middle."""
        lower = -_SHADOW_STEP * _SHADOW_CELLS / 2
        middles = (np.arange(_SHADOW_CELLS, dtype=np.float32) + 0.5) * np.float32(_SHADOW_STEP) + np.float32(lower)
        dark = np.zeros((_SHADOW_CELLS, _SHADOW_CELLS), np.float32)
        for solid in self.solids:
            corners = solid.corners()
            cast = corners[:2] - self.sun[:2, None] * (corners[2] / self.sun[2])
            span = np.concatenate([cast, corners[:2]], axis=1)
            first = np.clip((span.min(axis=1) - lower) // _SHADOW_STEP, 0, _SHADOW_CELLS).astype(int)
            last = np.clip((span.max(axis=1) - lower) // _SHADOW_STEP + 1, 0, _SHADOW_CELLS).astype(int)
            columns, rows = slice(first[0], last[0]), slice(first[1], last[1])
            x, y = np.broadcast_arrays(middles[None, columns], middles[rows, None])
            if x.size:
                entry = solid.entry(np.stack([x, y, np.zeros_like(x)]), self.sun[:, None, None])
                np.maximum(dark[rows, columns], np.isfinite(entry), out=dark[rows, columns])
        return _blur(dark)

    def shadow_at(self, x: Floats, y: Floats) -> Floats:
        """How much of the sun is missing at ground points [n], metres, between the cells of `shadows`."""
        column = np.clip(x / np.float32(_SHADOW_STEP) + _SHADOW_CELLS / 2 - 0.5, 0, _SHADOW_CELLS - 1.001)
        row = np.clip(y / np.float32(_SHADOW_STEP) + _SHADOW_CELLS / 2 - 0.5, 0, _SHADOW_CELLS - 1.001)
        c, r = column.astype(np.int32), row.astype(np.int32)
        right, down = column - c, row - r
        dark = self.shadows
        upper = dark[r, c] * (1 - right) + dark[r, c + 1] * right
        return upper * (1 - down) + (dark[r + 1, c] * (1 - right) + dark[r + 1, c + 1] * right) * down


def rays(camera: Camera) -> tuple[Floats, Floats]:
    """Origin [3] and one direction a pixel [3, H, W], in the ego frame; a direction reaches 1 m along the optical axis."""
    to_ego = camera.sensor2ego[:3, :3] @ inverse3x3(camera.intrinsics)
    u, v = np.arange(camera.width, dtype=np.float32), np.arange(camera.height, dtype=np.float32)
    direction = np.empty((3, camera.height, camera.width), np.float32)
    for axis, (a, b, c) in enumerate(to_ego.astype(np.float32)):
        np.add((a * u)[None, :], (b * v + c)[:, None], out=direction[axis])
    return camera.sensor2ego[:3, 3].astype(np.float32), direction


def trace(camera: Camera, world: World) -> tuple[Floats, NDArray[np.int16]]:
    """What each pixel sees first: distance [H, W] in ray lengths, and the solid's index [H, W], `GROUND` or `SKY`."""
    origin, direction = rays(camera)
    with np.errstate(divide="ignore"):
        distance = np.where(direction[2] < 0, -origin[2] / direction[2], np.float32(np.inf))
    seen = np.where(np.isfinite(distance), GROUND, SKY).astype(np.int16)
    for index, solid in enumerate(world.solids):
        window = _window(camera, solid)
        if window is None:
            continue
        entry = solid.entry(origin[:, None, None], direction[(slice(None), *window)])
        nearer = entry < distance[window]
        distance[window][nearer] = entry[nearer]
        seen[window][nearer] = index
    return distance, seen


def _window(camera: Camera, solid: Solid) -> tuple[slice, slice] | None:
    """Rows and columns that hold every pixel of the solid: all, when it reaches behind the camera; None out of sight."""
    ego2sensor = rigid_inverse(camera.sensor2ego)
    corners = ego2sensor[:3, :3] @ solid.corners() + ego2sensor[:3, 3:]
    behind = corners[2] < _NEAR
    if behind.all():
        return None
    if behind.any():
        return slice(0, camera.height), slice(0, camera.width)
    pixels = (camera.intrinsics @ corners)[:2] / corners[2]  # [2, 8]
    (left, top), (right, bottom) = np.floor(pixels.min(axis=1)), np.ceil(pixels.max(axis=1)) + 1
    if right <= 0 or bottom <= 0 or left >= camera.width or top >= camera.height:
        return None
    return slice(max(0, int(top)), int(bottom)), slice(max(0, int(left)), int(right))


def picture(camera: Camera, world: World) -> NDArray[np.uint8]:
    """The picture [H, W, 3] of one camera."""
    origin, direction = rays(camera)
    distance, seen = (array.ravel() for array in trace(camera, world))
    direction = direction.reshape(3, -1)
    colour = np.empty_like(direction)  # [3, H*W]
    order = np.argsort(seen, kind="stable")  # NumPy sorts 16-bit keys by radix
    indices, starts = np.unique(seen[order], return_index=True)
    for index, pixels in zip(indices, np.split(order, starts[1:]), strict=True):
        ray = direction[:, pixels]
        if index == SKY:
            colour[:, pixels] = _sky(ray, world.sun)
            continue
        point = origin[:, None] + ray * distance[pixels]
        metres = distance[pixels] * np.sqrt((ray * ray).sum(axis=0))
        lit = _ground(point, metres, world) if index == GROUND else _solid(world.solids[index], point, world)
        clear = np.exp(-metres / np.float32(_HAZE))
        colour[:, pixels] = lit * clear + _HORIZON[:, None] * (1 - clear)
    shape = (camera.height, camera.width, 3)
    return (np.clip(colour, 0, 1) * 255 + 0.5).astype(np.uint8).T.reshape(shape)


def _sky(ray: Floats, sun: Floats) -> Floats:
    unit = ray / np.sqrt((ray * ray).sum(axis=0))
    height = np.sqrt(np.clip(unit[2], 0, 1))
    colour = _HORIZON[:, None] + (_ZENITH - _HORIZON)[:, None] * height
    facing = np.clip(sun @ unit, 0, 1)
    return colour + _SUNLIGHT[:, None] * (np.float32(0.18) * facing**6 + np.float32(0.6) * facing**400)


def _ground(point: Floats, metres: Floats, world: World) -> Floats:
    colour = world.ground.colours(point[0], point[1], metres)
    sun = 1 - world.shadow_at(point[0], point[1])
    return colour * (_SKYLIGHT[:, None] + _SUNLIGHT[:, None] * (np.float32(0.62) * sun))


def _solid(solid: Solid, point: Floats, world: World) -> Floats:
    colour = np.array(solid.colour, np.float32)[:, None]
    if isinstance(solid, Box) and solid.finish == "facade":
        colour = _facade(solid, point)
    normal = solid.normal(point)
    facing = np.maximum(world.sun @ normal, 0)
    overhead = np.float32(0.8) + np.float32(0.2) * normal[2]
    near_ground = np.minimum(np.float32(0.72) + np.float32(0.4) * point[2], 1)
    if isinstance(solid, Ball) and solid.finish == "leaves":
        facing = facing * np.float32(0.8) + np.float32(0.1)
        overhead = overhead + np.float32(0.55) * _leaves(point, world)
    light = _SKYLIGHT[:, None] * (overhead * near_ground) + _SUNLIGHT[:, None] * (np.float32(0.68) * facing)
    return colour * light


def _leaves(point: Floats, world: World) -> Floats:
    """Mottle in -1..1 at the surface of a crown, the same from every camera."""
    cell = np.floor(point * np.float32(7.0)).astype(np.int32)
    return world.ground.noise[0, (cell[0] + 37 * cell[2]) & 255, (cell[1] + 91 * cell[2]) & 255]


def _facade(box: Box, point: Floats) -> Floats:
    """Walls with rows of windows, 3 m a storey, and a dark plinth; colours [3, n]."""
    local = box.to_local(point - np.array(box.centre, np.float32)[:, None])
    along = np.where(np.abs(local[0]) / box.half[0] > np.abs(local[1]) / box.half[1], local[1], local[0])
    along = along + np.float32(100.0)  # whole windows on both sides of the middle
    column, row = np.floor(along / 2.2), np.floor((point[2] - 0.6) / 3.0)
    across, up = along / np.float32(2.2) - column, (point[2] - 0.6) / np.float32(3.0) - row
    frame = (np.abs(across - 0.5) < 0.31) & (up > 0.22) & (up < 0.80) & (row >= 0) & (point[2] < 2 * box.half[2] - 0.6)
    glass = frame & (np.abs(across - 0.5) < 0.27) & (up > 0.26) & (up < 0.77) & (np.abs(across - 0.5) > 0.015)
    tint = np.mod(np.sin(column * 12.99 + row * 78.23 + box.centre[0]) * 437.5, 1.0).astype(np.float32)
    wall = np.repeat(np.array(box.colour, np.float32)[:, None], point.shape[1], axis=1)
    wall[:, point[2] < 0.6] *= np.float32(0.7)
    wall[:, frame] = np.array([[0.82], [0.80], [0.76]], np.float32)
    wall[:, glass] = np.array([[0.20], [0.27], [0.34]], np.float32) * (np.float32(0.6) + tint[glass])
    return wall


def _blur(dark: Floats) -> Floats:
    """Box blur along both axes: the sun is not a point."""
    width = 2 * _BLUR + 1
    for axis in (0, 1):
        dark = sum((np.roll(dark, shift, axis) for shift in range(-_BLUR, _BLUR + 1)), np.zeros_like(dark)) / width
    return dark
