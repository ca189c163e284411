"""Lidar-like rays through a voxel volume: which voxel each one meets first, and how far away that is.

Follows the definition that RayIoU was published with (SparseOcc; `ray_metrics.py` and `dvr.cu` of FlashOCC): a ray
walks from voxel to voxel (Amanatides and Woo 1987), and its distance is where it **leaves** the first occupied voxel.
A ray that meets none counts where it leaves the volume, with the class `free`.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from occvino.variant import Grid
from occvino.variants import get_variant
from occvino.voxel_walk import first_border, nearest

GRID = get_variant("flashocc-r50-M0").occupancy_grid
_BLOCK = 8192
"""Rays walked together: few enough to stay in the processor's cache."""
_COMPACT_EVERY = 8
"""Steps after which rays that have ended are dropped."""


class Rays(NamedTuple):
    """Rays in voxel units, as the published code rounds them: float32 ends, float64 from there on."""

    start: NDArray[np.float64]
    """[T, 3]"""
    direction: NDArray[np.float64]
    """Unit length, [T, R, 3]"""


class Hits(NamedTuple):
    """Where R rays end."""

    voxel: NDArray[np.int64]
    """[R, 3]; (0, 0, 0) for a ray that never enters the volume."""
    distance: NDArray[np.float32]
    """Metres, [R]; -1 voxel for a ray that never enters the volume."""


def lidar_rays() -> NDArray[np.float32]:
    """Unit directions of the published metric: 39 pitches from -45 to about 12 degrees by 360 azimuths, [14040, 3].

    The ten lowest beams meet flat ground 1 m apart; the rest go on with the last step.
    """
    pitches = [math.atan(k + 1) - math.pi / 2 for k in range(10)]
    while pitches[-1] < 0.21:
        pitches.append(2 * pitches[-1] - pitches[-2])
    azimuth = np.deg2rad(np.arange(360))
    rays = [
        np.stack([np.cos(p) * np.cos(azimuth), np.cos(p) * np.sin(azimuth), np.full(360, np.sin(p))], axis=1)
        for p in pitches
    ]
    return np.concatenate(rays).astype(np.float32)


def rays_from(origins: NDArray[np.floating[Any]], directions: NDArray[np.float32], grid: Grid = GRID) -> Rays:
    """Rays along `directions` [R, 3] from each of `origins` [T, 3] in metres, in the voxel units of `grid`."""
    lower, step = np.array(grid.lower, np.float32), np.array(grid.step, np.float32)
    origins = origins.astype(np.float64)
    start = ((origins - lower) / step).astype(np.float32).astype(np.float64)
    end = ((directions[None] + origins[:, None] - lower) / step).astype(np.float32).astype(np.float64)
    way = end - start[:, None]
    return Rays(start, way / np.sqrt((way**2).sum(-1, keepdims=True)))


def first_hits(occupied: NDArray[np.bool_], rays: Rays, step: float = GRID.x.step) -> Hits:
    """Walk all rays at once through `occupied` [X, Y, Z]; voxels are cubes of `step` metres, T * R hits."""
    volume = _Volume.of(occupied)
    start = np.repeat(rays.start, rays.direction.shape[1], axis=0).T  # [3, T * R]
    direction = rays.direction.reshape(-1, 3).T
    walks = [
        _Walk(volume, start[:, first : first + _BLOCK], direction[:, first : first + _BLOCK])
        for first in range(0, start.shape[1], _BLOCK)
    ]
    for walk in walks:
        while len(walk.ray):
            walk.go(_COMPACT_EVERY)
    distance = np.concatenate([walk.distance for walk in walks]).astype(np.float32)
    return Hits(volume.indices(np.concatenate([walk.last for walk in walks])), distance * np.float32(step))


class _Volume(NamedTuple):
    """A volume as flat arrays, with a border one voxel wide: rays may step out before they are stopped."""

    size: NDArray[np.int64]
    strides: NDArray[np.int64]
    solid: NDArray[np.bool_]
    inside: NDArray[np.bool_]

    @classmethod
    def of(cls, occupied: NDArray[np.bool_]) -> "_Volume":
        _, ny, nz = occupied.shape
        strides = np.array([(ny + 2) * (nz + 2), nz + 2, 1])
        return cls(
            np.array(occupied.shape), strides, np.pad(occupied, 1).ravel(), np.pad(np.ones_like(occupied), 1).ravel()
        )

    def indices(self, cell: NDArray[np.int64]) -> NDArray[np.int64]:
        """x, y, z of places in the flat arrays, [R, 3]."""
        return np.stack(np.unravel_index(cell, tuple(self.size + 2)), axis=1) - 1


class _Walk:
    """Rays under way, one entry for each that has not ended; `last` and `distance` keep an entry for every ray.

    x, y and z are separate arrays: the next border's distance, the distance between borders, and the step in memory.
    """

    def __init__(self, volume: _Volume, start: NDArray[np.float64], direction: NDArray[np.float64]) -> None:
        self.volume = volume
        self.last = np.full(start.shape[1], volume.strides.sum())  # voxel (0, 0, 0)
        self.distance = np.full(start.shape[1], -1.0)
        cell = start.astype(np.int64)  # towards zero, as in the published code
        sign = np.where(direction >= 0, 1, -1)
        with np.errstate(divide="ignore"):
            border, width = first_border(start, direction, cell)
        entered = _enter(cell, border, width, sign, volume.size)
        self.ray = np.flatnonzero(entered)
        self.cell = volume.strides @ (cell[:, entered] + 1)
        self.border = tuple(border[:, entered])
        self.width = tuple(width[:, entered])
        self.jump = tuple((sign * volume.strides[:, None])[:, entered])

    def go(self, steps: int) -> None:
        """Take that many steps with every ray, then drop those that have ended."""
        (x, y, z), (wx, wy, wz), (jx, jy, jz) = self.border, self.width, self.jump
        cell, going = self.cell, np.ones(len(self.ray), bool)
        for _ in range(steps):
            along_x, along_y = nearest(x, y, z)
            along_z = ~(along_x | along_y)
            ahead = cell + np.where(along_x, jx, np.where(along_y, jy, jz))
            ends = going & (self.volume.solid[cell] | ~self.volume.inside[ahead])
            if ends.any():
                ray = self.ray[ends]
                self.last[ray] = cell[ends]
                self.distance[ray] = np.minimum(np.minimum(x, y), z)[ends]
                going &= ~ends
            cell = np.where(going, ahead, cell)
            np.add(x, wx, out=x, where=along_x)
            np.add(y, wy, out=y, where=along_y)
            np.add(z, wz, out=z, where=along_z)
        self.ray, self.cell = self.ray[going], cell[going]
        self.border, self.width, self.jump = (
            tuple(part[going] for part in parts) for parts in (self.border, self.width, self.jump)
        )


def _enter(
    cell: NDArray[np.int64],
    border: NDArray[np.float64],
    width: NDArray[np.float64],
    sign: NDArray[np.int64],
    size: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Walk rays that start outside until they are in or can no longer be. Gives which are in, [R]."""
    edge = size[:, None]
    entered = _inside(cell, edge)
    outside = np.flatnonzero(~entered)
    while len(outside):
        columns = np.arange(len(outside))
        at, wide, way = border[:, outside], width[:, outside], sign[:, outside]
        along_x, along_y = nearest(*at)
        axis = np.where(along_x, 0, np.where(along_y, 1, 2))
        cell[axis, outside] += way[axis, columns]
        border[axis, outside] += wide[axis, columns]
        here = cell[:, outside]
        entered[outside] = _inside(here, edge)
        lost = np.logical_or.reduce(np.where(way > 0, here >= edge, here < 0), axis=0)
        outside = outside[~entered[outside] & ~lost]
    return entered


def _inside(cell: NDArray[np.int64], edge: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the cells [3, R] are in a volume of the size `edge` [3, 1]."""
    within: NDArray[np.bool_] = np.logical_and.reduce((cell >= 0) & (cell < edge), axis=0)
    return within
