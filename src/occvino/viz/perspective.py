"""Occupancy in perspective: voxels as lit cubes, seen from behind and above the vehicle. NumPy and Pillow alone.

Faces that look at the camera and at no occupied neighbour are projected, sorted from far to near, and painted. Cubes of
one size on a grid that are painted so hide one another rightly. The sun comes from the left and ahead; shadows are
walked over the heights of the columns, and soften with the distance to what casts them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from occvino.variant import Grid
from occvino.viz import drawing
from occvino.viz.bev import check_labels
from occvino.viz.palette import COLOURS, INK, PAGE

Floats = NDArray[np.float64]

_SUPER = 2
_SUN = np.array([0.45, 0.55, 0.70]) / np.linalg.norm([0.45, 0.55, 0.70])
"""Towards the sun, ego frame."""
_NORMALS = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
_AMBIENT, _SUNLIGHT = 0.52, 0.56
_SHADOW_STEPS = 28
_HAZE = 0.35
"""How much of the page's colour the farthest voxels have."""


@dataclass(frozen=True)
class Viewpoint:
    """Where one looks from and at, ego frame, metres, and the vertical field of view in degrees."""

    eye: tuple[float, float, float] = (-30.0, 0.0, 21.0)
    at: tuple[float, float, float] = (7.0, 0.0, 0.0)
    field: float = 44.0


def perspective_picture(
    labels: NDArray[np.uint8],
    grid: Grid,
    class_names: Sequence[str],
    *,
    size: tuple[int, int] = (1280, 720),
    viewpoint: Viewpoint = Viewpoint(),
) -> Image.Image:
    """A picture of labels u8 [Dx, Dy, Dz], ego frame, of `size` (width, height) pixels.

    Raises:
        PictureError: labels of another type or shape than the grid's, a label with no name, or a class with no colour.
    """
    check_labels(labels, grid, class_names)
    free = len(class_names) - 1
    labels = _with_ego(labels, grid, free)
    table = np.array([*(COLOURS.get(name, PAGE) for name in class_names), INK], np.float64)
    faces = _faces(labels, free, grid, np.array(viewpoint.eye))
    light = _light(faces, labels != free, grid)
    canvas = Image.new("RGB", (size[0] * _SUPER, size[1] * _SUPER), PAGE)
    corners, distance = _projected(faces, grid, viewpoint, canvas.size)
    reach = float(np.linalg.norm(np.array(grid.shape) * grid.step)) / 2
    haze = _HAZE * np.clip((distance - 0.4 * reach) / reach, 0, 1)[:, None]
    colours = table[labels[tuple(faces.cell.T)]] * light[:, None]
    colours = np.clip(colours * (1 - haze) + np.array(PAGE) * haze, 0, 255).astype(int)
    draw = ImageDraw.Draw(canvas)
    order = np.argsort(-distance, kind="stable")
    for points, colour in zip(corners[order].reshape(-1, 8).tolist(), colours[order].tolist(), strict=True):
        draw.polygon(points, fill=(colour[0], colour[1], colour[2]))
    return canvas.resize(size, Image.Resampling.BOX)


def _with_ego(labels: NDArray[np.uint8], grid: Grid, free: int) -> NDArray[np.uint8]:
    """The labels with the ego vehicle in free voxels, as a class after `free`."""
    x, y, z = (axis.lower + axis.step * (np.arange(axis.size) + 0.5) for axis in (grid.x, grid.y, grid.z))
    along = (x > -drawing.EGO_REAR) & (x < drawing.EGO_LENGTH - drawing.EGO_REAR)
    cabin = (x > -drawing.EGO_REAR + 0.3) & (x < 0.6 * drawing.EGO_LENGTH - drawing.EGO_REAR)
    across = np.abs(y) < drawing.EGO_WIDTH / 2
    hull = along[:, None] & ((z > 0.2) & (z < 0.9))[None] | cabin[:, None] & ((z >= 0.9) & (z < 1.5))[None]  # [Dx, Dz]
    return np.where(hull[:, None] & across[None, :, None] & (labels == free), free + 1, labels).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class _Faces:
    cell: NDArray[np.intp]  # [F, 3]
    side: NDArray[np.intp]  # [F], index into `_NORMALS`


def _faces(labels: NDArray[np.uint8], free: int, grid: Grid, eye: Floats) -> _Faces:
    """Faces of occupied voxels that look at the eye and at a free neighbour."""
    occupied = np.pad(labels != free, 1)
    inner = (slice(1, -1),) * 3
    cells: list[NDArray[np.intp]] = []
    sides: list[NDArray[np.intp]] = []
    for side, normal in enumerate(_NORMALS):
        neighbour = np.roll(occupied, tuple(-normal), axis=(0, 1, 2))[inner]
        cell = np.argwhere(occupied[inner] & ~neighbour)
        centre = (cell + 0.5 + 0.5 * normal) * grid.step + grid.lower
        cell = cell[(eye - centre) @ normal > 0]
        cells.append(cell)
        sides.append(np.full(len(cell), side))
    return _Faces(np.concatenate(cells), np.concatenate(sides))


@lru_cache(maxsize=1)
def _corners() -> Floats:
    """The four corners of each face of a unit cube, in order round it [6, 4, 3]."""
    found = np.empty((6, 4, 3))
    for side, normal in enumerate(_NORMALS):
        axis = int(np.abs(normal).argmax())
        others = [other for other in range(3) if other != axis]
        for corner, (a, b) in enumerate(((0, 0), (0, 1), (1, 1), (1, 0))):
            found[side, corner, axis] = max(normal[axis], 0)
            found[side, corner, others[0]], found[side, corner, others[1]] = a, b
    return found


def _projected(faces: _Faces, grid: Grid, viewpoint: Viewpoint, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Pixels of the corners [F, 4, 2] and distance of each face [F]; faces behind the eye are far outside."""
    corners = (faces.cell[:, None] + _corners()[faces.side]) * grid.step + grid.lower  # [F, 4, 3]
    eye, ahead = np.array(viewpoint.eye), np.array(viewpoint.at) - np.array(viewpoint.eye)
    ahead = ahead / np.linalg.norm(ahead)
    right = np.cross(ahead, [0, 0, 1])
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(ahead, right), ahead])  # image axes: right, down, into it
    seen = (corners - eye) @ axes.T
    depth = np.where(seen[..., 2] > 0.5, seen[..., 2], 1e-3)
    focal = size[1] / 2 / np.tan(np.radians(viewpoint.field) / 2)
    pixels = seen[..., :2] / depth[..., None] * focal + np.array(size) / 2
    return np.clip(pixels, -1e5, 1e5), np.linalg.norm(corners.mean(axis=1) - eye, axis=1)


def _light(faces: _Faces, occupied: NDArray[np.bool_], grid: Grid) -> Floats:
    """Factor of each face's colour [F]: what the sun gives, where nothing stands before it, and the sky."""
    normals = _NORMALS[faces.side]
    height = np.where(
        occupied.any(axis=2), occupied.shape[2] - occupied[..., ::-1].argmax(axis=2), 0
    )  # cells, [Dx, Dy]
    sun = np.clip(normals @ _SUN, 0, 1) * _sunlit(faces, height.astype(np.float64), grid)
    return _AMBIENT * _sky(faces, occupied) + _SUNLIGHT * sun / _SUN[2]


def _sunlit(faces: _Faces, height: Floats, grid: Grid) -> Floats:
    """1 where the sun reaches the middle of a face, 0 in its full shadow [F]."""
    at = faces.cell + 0.5 + 0.5 * _NORMALS[faces.side]
    step = _SUN / grid.step
    step = step / np.abs(step[:2]).max()
    lit = np.ones(len(at))
    for k in range(1, _SHADOW_STEPS + 1):
        x, y, z = (at + k * step).T
        column = x.astype(np.intp), y.astype(np.intp)
        inside = (x >= 0) & (y >= 0) & (column[0] < height.shape[0]) & (column[1] < height.shape[1])
        above = np.zeros(len(at))
        above[inside] = height[column[0][inside], column[1][inside]] - z[inside]
        lit = np.minimum(lit, 1 - np.clip(above / (0.4 + 0.12 * k), 0, 1))
    return lit


def _sky(faces: _Faces, occupied: NDArray[np.bool_]) -> Floats:
    """How much of the sky a face sees, from the voxels next to the one before it: 0.55 to 1 [F]."""
    padded = np.pad(occupied, 2).astype(np.float32)
    near = np.zeros_like(padded)
    for axis in range(3):
        near += np.roll(padded, 1, axis) + np.roll(padded, -1, axis)
    before = faces.cell + _NORMALS[faces.side] + 2
    return 1 - 0.45 * np.minimum(near[tuple(before.T)] - 1, 3).clip(0) / 3
