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
_EDGES = np.array([(i, i ^ bit) for i in range(8) for bit in (1, 2, 4)]).T
"""The edges of a box both ways [2, 24], by the order of `corners()`: neighbours differ in one bit."""
_SHADOW_STEP = 0.25
_SHADOW_CELLS = 512
_BLUR = 1
_HAZE = 170.0
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
    def corners(self) -> Floats:
        """Corners [S, 3, 8] of the boxes around the solids."""
        return np.array([solid.corners() for solid in self.solids], np.float32).reshape(-1, 3, 8)

    @cached_property
    def shadows(self) -> Floats:
        """How much of the sun each cell of the ground misses [y, x], 0..1; the ego origin is in the middle."""
        lower = -_SHADOW_STEP * _SHADOW_CELLS / 2
        middles = (np.arange(_SHADOW_CELLS, dtype=np.float32) + 0.5) * np.float32(_SHADOW_STEP) + np.float32(lower)
        dark = np.zeros((_SHADOW_CELLS, _SHADOW_CELLS), bool)
        cast = self.corners[:, :2] - self.sun[:2, None] * (self.corners[:, 2:] / self.sun[2])  # [S, 2, 8]
        span = np.concatenate([cast, self.corners[:, :2]], axis=2)
        bounds = np.stack([span.min(axis=2), span.max(axis=2) + _SHADOW_STEP], axis=1)  # [S, 2, 2]
        cells = np.clip((bounds - lower) // _SHADOW_STEP, 0, _SHADOW_CELLS).astype(np.int64)
        for solid, ((left, top), (right, bottom)) in zip(self.solids, cells.tolist(), strict=True):
            if left < right and top < bottom:
                x, y = np.broadcast_arrays(middles[None, left:right], middles[top:bottom, None])
                entry = solid.entry(np.stack([x, y, np.zeros_like(x)]), self.sun[:, None, None])
                dark[top:bottom, left:right] |= np.isfinite(entry)
        return _blur(dark)

    def shadow_at(self, x: Floats, y: Floats) -> Floats:
        """How much of the sun is missing at ground points [n], metres, between the cells of `shadows`."""
        place = np.stack([x, y]) * np.float32(1 / _SHADOW_STEP) + np.float32(_SHADOW_CELLS / 2 - 0.5)
        place = np.clip(place, 0, np.float32(_SHADOW_CELLS - 1.001))
        (right, down), (c, r) = np.modf(place)[0], place.astype(np.int32)
        dark = self.shadows
        upper = dark[r, c] + (dark[r, c + 1] - dark[r, c]) * right
        lower = dark[r + 1, c] + (dark[r + 1, c + 1] - dark[r + 1, c]) * right
        return upper + (lower - upper) * down


@dataclass(frozen=True, eq=False)
class View:
    """What one camera sees, pixel by pixel; the point of a pixel is `origin + distance * direction`, ego frame."""

    origin: Floats  # [3]
    direction: Floats  # [3, H, W], 1 m along the optical axis
    distance: Floats  # [H, W], in lengths of the direction; infinite in the sky
    seen: NDArray[np.int16]  # [H, W], index into `World.solids`, or GROUND or SKY


def trace(camera: Camera, world: World) -> View:
    """Cast the ray of each pixel of the camera."""
    origin, direction = camera.sensor2ego[:3, 3].astype(np.float32), _directions(camera)
    with np.errstate(divide="ignore"):
        distance = np.where(direction[2] < 0, -origin[2] / direction[2], np.float32(np.inf))
    seen = np.where(np.isfinite(distance), GROUND, SKY).astype(np.int16)
    for index, (left, top, right, bottom) in enumerate(_windows(camera, world.corners).tolist()):
        if left >= right or top >= bottom:
            continue
        window = slice(top, bottom), slice(left, right)
        entry = world.solids[index].entry(origin[:, None, None], direction[:, top:bottom, left:right])
        nearer = entry < distance[window]
        distance[window][nearer] = entry[nearer]
        seen[window][nearer] = index
    return View(origin, direction, distance, seen)


def _directions(camera: Camera) -> Floats:
    to_ego = camera.sensor2ego[:3, :3] @ inverse3x3(camera.intrinsics)
    u, v = np.arange(camera.width, dtype=np.float32), np.arange(camera.height, dtype=np.float32)
    direction = np.empty((3, camera.height, camera.width), np.float32)
    for axis, (a, b, c) in enumerate(to_ego.astype(np.float32)):
        np.add((a * u)[None, :], (b * v + c)[:, None], out=direction[axis])
    return direction


def _windows(camera: Camera, corners: Floats) -> NDArray[np.int64]:
    """Pixels [S, 4] (left, top, right, bottom) that hold all of each solid; empty for one out of sight.

    Edges that reach behind the camera are cut where they come out in front of it.
    """
    ego2sensor = rigid_inverse(camera.sensor2ego)
    at = ego2sensor[:3, :3] @ corners + ego2sensor[:3, 3:]  # [S, 3, 8]
    start, end = at[..., _EDGES[0]], at[..., _EDGES[1]]  # [S, 3, 24]
    leaves = (start[:, 2] < _NEAR) & (end[:, 2] >= _NEAR)  # [S, 24]
    cut = np.divide(_NEAR - start[:, 2], end[:, 2] - start[:, 2], out=np.zeros(leaves.shape), where=leaves)
    point = start + cut[:, None] * (end - start)
    ahead = leaves | (start[:, 2] >= _NEAR)
    depth = np.maximum(point[:, 2:], _NEAR)
    pixels = (camera.intrinsics @ point)[:, :2] / depth  # [S, 2, 24]
    size = np.array([camera.width, camera.height])
    first = np.floor(np.where(ahead[:, None], pixels, np.inf).min(axis=-1))
    last = np.ceil(np.where(ahead[:, None], pixels, -np.inf).max(axis=-1)) + 1
    return np.concatenate([np.clip(first, 0, size), np.clip(last, 0, size)], axis=1).astype(np.int64)


def picture(camera: Camera, world: World) -> NDArray[np.uint8]:
    """The picture [H, W, 3] of one camera."""
    view = trace(camera, world)
    seen = view.seen.ravel()
    order = np.argsort(seen, kind="stable")  # NumPy sorts 16-bit keys by radix
    direction = np.take(view.direction.reshape(3, -1), order, axis=1)
    distance = view.distance.ravel()[order]
    indices, starts = np.unique(seen[order], return_index=True)
    colour = np.empty_like(direction)  # [3, H*W]
    for index, first, last in zip(indices, starts, [*starts[1:], seen.size], strict=True):
        ray, length = direction[:, first:last], distance[first:last]
        colour[:, first:last] = _sky(ray, world.sun) if index == SKY else _thing(index, view.origin, ray, length, world)
    pixels = np.empty((seen.size, 3), np.uint8)
    pixels[order] = (np.clip(colour, 0, 1) * 255 + 0.5).astype(np.uint8).T
    return pixels.reshape(camera.height, camera.width, 3)


def _thing(index: int, origin: Floats, ray: Floats, length: Floats, world: World) -> Floats:
    """Ground or a solid, behind the haze of the way to it."""
    point = np.add(origin[:, None], ray * length, dtype=np.float32)
    metres = length * np.sqrt((ray * ray).sum(axis=0))
    lit = _ground(point, metres, world) if index == GROUND else _solid(world.solids[index], point, world)
    clear = np.exp(-metres / np.float32(_HAZE))
    return lit * clear + _HORIZON[:, None] * (1 - clear)


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
        overhead = overhead + np.float32(0.38) * _leaves(point, world)
    light = _SKYLIGHT[:, None] * (overhead * near_ground) + _SUNLIGHT[:, None] * (np.float32(0.68) * facing)
    return colour * light


def _leaves(point: Floats, world: World) -> Floats:
    """Mottle in -1..1 at the surface of a crown, the same from every camera."""
    cell = np.floor(point * np.float32(11.0)).astype(np.int32)
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


def _blur(shadow: NDArray[np.bool_]) -> Floats:
    """Box blur along both axes: the sun is not a point."""
    dark = shadow.astype(np.float32)
    for axis in (0, 1):
        dark = np.stack([np.roll(dark, shift, axis) for shift in range(-_BLUR, _BLUR + 1)]).mean(axis=0)
    return dark
