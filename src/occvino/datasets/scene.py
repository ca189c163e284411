"""A small procedural street: pictures of six cameras and the true voxels of the very same scene, from a seed.

No data set can be shipped with the package, and noise says nothing: this gives `occvino demo` frames, a rig and a
truth that belong together. NumPy only.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from occvino.cameras import Camera, Rig
from occvino.datasets import street
from occvino.datasets.raycast import World, picture
from occvino.errors import OccvinoError
from occvino.variants import NUSCENES_CAMERAS, OCC3D_CLASSES, Grid

SOURCE_SIZE = (1600, 900)
"""(width, height) of the rig's pictures."""
_MOUNTS = (
    # yaw in degrees, position in metres, focal length in pixels; rounded from the vehicle that recorded nuScenes
    (55.0, (1.5, 0.5, 1.5), 1266.0),
    (0.0, (1.7, 0.0, 1.5), 1266.0),
    (-55.0, (1.5, -0.5, 1.5), 1266.0),
    (110.0, (1.0, 0.5, 1.55), 1266.0),
    (180.0, (0.0, 0.0, 1.55), 809.0),
    (-110.0, (1.0, -0.5, 1.55), 1266.0),
)
_LEVEL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Sensor axes (right, down, forward) in the ego frame, for a camera that looks along +x."""


class SceneError(OccvinoError, ValueError):
    """A seed or picture size that the procedural scene cannot take."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One street, seen by `rig` from a vehicle that stands still: the ego frame is the global frame."""

    rig: Rig
    world: World

    def render(self, width: int, height: int) -> dict[str, NDArray[np.uint8]]:
        """Pictures by camera name, each [height, width, 3] RGB, as `rig.scaled(width / 1600)` sees them.

        Raises:
            SceneError: the size has not the 16:9 proportions of the rig's pictures.
        """
        if width < 1 or height != max(1, round(width * SOURCE_SIZE[1] / SOURCE_SIZE[0])):
            fitting = max(1, round(max(width, 1) * SOURCE_SIZE[1] / SOURCE_SIZE[0]))
            raise SceneError(
                f"cannot render at {width}x{height}: the cameras are 16:9; "
                f"use {max(width, 1)}x{fitting}, or any width with height = width * 9 / 16"
            )
        cameras = self.rig.scaled(width / SOURCE_SIZE[0]).cameras
        return {camera.name: picture(camera, self.world) for camera in cameras}

    def occupancy(self, grid: Grid) -> NDArray[np.uint8]:
        """Index into `OCC3D_CLASSES` of every voxel [Dx, Dy, Dz] of a grid in the ego frame.

        A voxel takes the class of a solid that shares volume with it (solids are full; of several, the last of
        `world.solids`), else, where it holds z = 0, the class of the ground under its middle, else `free`.
        """
        labels = np.full(grid.shape, OCC3D_CLASSES.index("free"), np.uint8)
        middles = [
            (np.arange(axis.size) * axis.step + axis.lower + axis.step / 2).astype(np.float32)
            for axis in (grid.x, grid.y, grid.z)
        ]
        level = int(np.floor(-grid.z.lower / grid.z.step))
        if 0 <= level < grid.z.size:
            x, y = np.meshgrid(middles[0], middles[1], indexing="ij")
            labels[:, :, level] = _indices(self.world.ground.labels(x, y))
        for solid, corners in zip(self.world.solids, self.world.corners, strict=True):
            reach = [
                slice(*np.searchsorted(middle, [low - step / 2, high + step / 2]))
                for middle, step, low, high in zip(middles, grid.step, corners.min(1), corners.max(1), strict=True)
            ]
            cells = np.stack(np.meshgrid(*(m[r] for m, r in zip(middles, reach, strict=True)), indexing="ij"))
            labels[tuple(reach)][solid.overlaps(cells, grid.step)] = OCC3D_CLASSES.index(solid.label)
        return labels


def make_scene(seed: int = 0) -> Scene:
    """The street of that seed: the same values every time, another street for another seed.

    Raises:
        SceneError: the seed is negative.
    """
    if seed < 0:
        raise SceneError(f"seed {seed} is negative: use 0 or more")
    rng = np.random.default_rng(seed)
    ground, solids = street.plan(rng)
    # behind the vehicle and to one side: what the front cameras see is lit
    bearing, height = rng.choice([-1.0, 1.0]) * rng.uniform(1.7, 2.7), np.deg2rad(rng.uniform(34, 52))
    sun = np.array([np.cos(bearing) * np.cos(height), np.sin(bearing) * np.cos(height), np.sin(height)], np.float32)
    return Scene(_rig(), World(ground, solids, sun))


def _rig() -> Rig:
    width, height = SOURCE_SIZE
    cameras: list[Camera] = []
    for name, (yaw, position, focal) in zip(NUSCENES_CAMERAS, _MOUNTS, strict=True):
        cos, sin = np.cos(np.deg2rad(yaw)), np.sin(np.deg2rad(yaw))
        sensor2ego = np.eye(4)
        sensor2ego[:3, :3] = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]) @ _LEVEL
        sensor2ego[:3, 3] = position
        intrinsics = np.array([[focal, 0.0, width / 2 - 0.5], [0.0, focal, height / 2 - 0.5], [0.0, 0.0, 1.0]])
        cameras.append(Camera(name, width, height, intrinsics, sensor2ego, np.eye(4)))
    return Rig(tuple(cameras))


def _indices(names: NDArray[np.str_]) -> NDArray[np.uint8]:
    unique, inverse = np.unique(names, return_inverse=True)
    return np.array([OCC3D_CLASSES.index(str(name)) for name in unique], np.uint8)[inverse].reshape(names.shape)
