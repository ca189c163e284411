"""Exact Occ3D ground truth of a synthetic scene: labels, instances, and which voxels cameras and lidar see.

Volumes are indexed [x, y, z] in the ego frame. A voxel belongs to the solid that covers most of its 64 sample points,
a regular 4x4x4 that reaches its faces, so that a surface passing through occupies it. Where solids cover less than an
eighth of a voxel that the ground passes through, it belongs to the ground. All else is free; what lies under the ground
is free and seen by nobody.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occvino.geometry.camera import Camera
from occvino.geometry.transforms import Matrix, rigid_inverse
from occvino.synth.actors import THINGS
from occvino.synth.jit import compiled, first_border, nearest
from occvino.synth.layout import Ground
from occvino.synth.shapes import FREE, GROUND_LABEL, Shapes
from occvino.variant import Grid

_SAMPLES = 4
"""Sample points along each edge of a voxel."""
_INNER = 0.98
"""The outermost sample points lie this far out, so that a solid that only touches a voxel's face leaves it free."""
_ENDLESS = 1e4
"""Metres; any ray has left the grid by then."""
_GROUND_YIELDS = _SAMPLES**3 // 8
Volume = NDArray[np.uint8]


def label_voxels(shapes: Shapes, ground: Ground, ego2global: Matrix, grid: Grid) -> tuple[Volume, NDArray[np.uint16]]:
    """Classes [X, Y, Z] and instance ids [X, Y, Z] (0: not a thing) of solids and ground given in the global frame."""
    lower, upper = shapes.extent()
    half_x, half_y = (max(abs(axis.lower), abs(axis.upper)) for axis in (grid.x, grid.y))
    centre, reach = ego2global[:2, 3], np.hypot(half_x, half_y)
    near = (lower[:, :2] < centre + reach).all(1) & (upper[:, :2] > centre - reach).all(1)
    count, owner = _cover(
        shapes.geometry,
        shapes.tags,
        np.flatnonzero(near),
        np.ascontiguousarray(ego2global),
        *_ego_boxes(lower, upper, ego2global, grid),
        np.array(grid.lower),
        np.array(grid.step),
        np.array(grid.shape),
    )
    semantics = np.where(count > 0, shapes.tags[owner, 1], FREE).astype(np.uint8)
    instances = np.where((count > 0) & np.isin(semantics, list(THINGS)), shapes.tags[owner, 2], 0).astype(np.uint16)
    i, j, k, labels = _ground_voxels(ground, ego2global, grid)
    bare = count[i, j, k] < _GROUND_YIELDS
    semantics[i[bare], j[bare], k[bare]] = labels[bare]
    instances[i[bare], j[bare], k[bare]] = 0
    return semantics, instances


def _ego_boxes(
    lower: NDArray[np.float64], upper: NDArray[np.float64], ego2global: Matrix, grid: Grid
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First voxel and last voxel + 1 that each solid may touch, [P, 3] each."""
    global2ego = rigid_inverse(ego2global)
    centre = (lower + upper) / 2 @ global2ego[:3, :3].T + global2ego[:3, 3]
    reach = (upper - lower) / 2 @ np.abs(global2ego[:3, :3]).T
    first = np.floor((centre - reach - grid.lower) / grid.step).astype(np.int64)
    last = np.ceil((centre + reach - grid.lower) / grid.step).astype(np.int64)
    return np.clip(first, 0, grid.shape), np.clip(last, 0, grid.shape)


def _ground_voxels(ground: Ground, ego2global: Matrix, grid: Grid) -> tuple[NDArray[Any], ...]:
    """Indices i, j, k of the voxels that the ground plane z = 0 passes at their centre line, and their labels."""
    nx, ny, nz = grid.shape
    i, j = (index.ravel() for index in np.indices((nx, ny)))
    x = grid.x.lower + (i + 0.5) * grid.x.step
    y = grid.y.lower + (j + 0.5) * grid.y.step
    r, t = ego2global[:3, :3], ego2global[:3, 3]
    z = -(r[2, 0] * x + r[2, 1] * y + t[2]) / r[2, 2]
    k = np.floor((z - grid.z.lower) / grid.z.step).astype(int)
    there = np.stack([x, y, z], axis=1) @ r.T[:, :2] + t[:2]
    cell = np.floor((there - ground.lower) / ground.step).astype(int)
    painted = ((cell >= 0) & (cell < ground.material.shape)).all(1)
    material = np.zeros(len(i), np.uint8)
    material[painted] = ground.material[cell[painted, 0], cell[painted, 1]]
    inside = (k >= 0) & (k < nz)
    return i[inside], j[inside], k[inside], GROUND_LABEL[material[inside]]


@compiled
def _inside(g: NDArray[np.float64], kind: int, x: float, y: float, z: float) -> bool:
    """Whether a point in the solid's own frame is in it."""
    if kind == 1:
        return (x / g[3]) ** 2 + (y / g[4]) ** 2 + (z / g[5]) ** 2 <= 1
    if abs(z) > g[5]:
        return False
    up = (z + g[5]) / (2 * g[5])
    if kind == 2:
        r = 1 - g[8] * up
        return (x / g[3]) ** 2 + (y / g[4]) ** 2 <= r * r
    return x <= g[3] - g[8] * up and -x <= g[3] - g[9] * up and abs(y) <= g[4] - g[10] * up


@compiled
def _deep(g: NDArray[np.float64], kind: int, x: float, y: float, z: float, margin: float) -> bool:
    """Whether everything within `margin` of the point is surely in the solid (boxes with upright sides only)."""
    upright = kind == 0 and g[8] == 0 and g[9] == 0 and g[10] == 0
    return upright and abs(x) < g[3] - margin and abs(y) < g[4] - margin and abs(z) < g[5] - margin


@compiled
def _cover(
    geometry: NDArray[np.float64],
    tags: NDArray[np.int32],
    solids: NDArray[np.int64],
    ego2global: NDArray[np.float64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    lower: NDArray[np.float64],
    step: NDArray[np.float64],
    shape: NDArray[np.int64],
) -> Any:
    """For each voxel, how many of its sample points the best solid covers, and which one that is."""
    count = np.zeros((shape[0], shape[1], shape[2]), np.uint8)
    owner = np.zeros((shape[0], shape[1], shape[2]), np.int32)
    margin = 0.5 * np.sqrt(step[0] ** 2 + step[1] ** 2 + step[2] ** 2)
    p, c = np.empty(3), np.empty(3)
    for solid in solids:
        g, kind = geometry[solid], tags[solid, 0]
        for i in range(first[solid, 0], last[solid, 0]):
            for j in range(first[solid, 1], last[solid, 1]):
                for k in range(first[solid, 2], last[solid, 2]):
                    c[0] = lower[0] + (i + 0.5) * step[0]
                    c[1] = lower[1] + (j + 0.5) * step[1]
                    c[2] = lower[2] + (k + 0.5) * step[2]
                    _to_local(ego2global, g, c, p)
                    covered = 0
                    if p[2] + g[2] > margin and _deep(g, kind, p[0], p[1], p[2], margin):
                        covered = _SAMPLES**3
                    else:
                        covered = _samples_inside(ego2global, g, kind, c, step, p)
                    if covered > count[i, j, k]:
                        count[i, j, k] = covered
                        owner[i, j, k] = solid
    return count, owner


@compiled
def _to_local(
    ego2global: NDArray[np.float64], g: NDArray[np.float64], point: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """A point of the ego frame in a solid's frame."""
    m = ego2global
    x = m[0, 0] * point[0] + m[0, 1] * point[1] + m[0, 2] * point[2] + m[0, 3] - g[0]
    y = m[1, 0] * point[0] + m[1, 1] * point[1] + m[1, 2] * point[2] + m[1, 3] - g[1]
    out[0], out[1] = x * g[6] + y * g[7], y * g[6] - x * g[7]
    out[2] = m[2, 0] * point[0] + m[2, 1] * point[1] + m[2, 2] * point[2] + m[2, 3] - g[2]


@compiled
def _samples_inside(
    ego2global: NDArray[np.float64],
    g: NDArray[np.float64],
    kind: int,
    centre: NDArray[np.float64],
    step: NDArray[np.float64],
    p: NDArray[np.float64],
) -> int:
    """How many sample points of a voxel lie in a solid and above the ground."""
    at = np.empty(3)
    covered = 0
    for a in range(_SAMPLES):
        at[0] = centre[0] + (a / (_SAMPLES - 1) - 0.5) * _INNER * step[0]
        for b in range(_SAMPLES):
            at[1] = centre[1] + (b / (_SAMPLES - 1) - 0.5) * _INNER * step[1]
            for c in range(_SAMPLES):
                at[2] = centre[2] + (c / (_SAMPLES - 1) - 0.5) * _INNER * step[2]
                _to_local(ego2global, g, at, p)
                if p[2] + g[2] >= 0 and _inside(g, kind, p[0], p[1], p[2]):
                    covered += 1
    return covered


def camera_mask(semantics: Volume, cameras: Sequence[Camera], ego2global: Matrix, grid: Grid) -> Volume:
    """1 where some camera sees the voxel [X, Y, Z].

    A free voxel is seen when nothing stands between its centre and the camera, an occupied one when that holds for the
    centre of one of its faces. `ego2global` is the pose of the frame that the labels are in.

    Raises:
        ValueError: a lens distorts, of which this knows nothing.
    """
    occupied, seen = semantics != FREE, np.zeros(semantics.shape, np.uint8)
    for camera in cameras:
        if camera.lens is not None:
            raise ValueError(f"{camera.name}: the mask of a camera with a lens is not made here")
        sensor2ego = rigid_inverse(ego2global) @ camera.ego2global @ camera.sensor2ego
        voxel2ego = np.diag([*grid.step, 1.0])
        voxel2ego[:3, 3] = grid.lower
        projection = camera.intrinsics @ rigid_inverse(sensor2ego)[:3] @ voxel2ego
        size = np.array([camera.width, camera.height])
        _mark_seen(occupied, seen, (sensor2ego[:3, 3] - grid.lower) / grid.step, projection, size)
    return seen


@compiled
def _mark_seen(
    occupied: NDArray[np.bool_],
    seen: NDArray[np.uint8],
    start: NDArray[np.float64],
    projection: NDArray[np.float64],
    size: NDArray[np.int64],
) -> None:
    """Mark what one camera sees; its place `start` and its projection take voxel units."""
    target, index = np.empty(3), np.empty(3, np.int64)
    for i in range(seen.shape[0]):
        for j in range(seen.shape[1]):
            for k in range(seen.shape[2]):
                if seen[i, j, k] == 1:
                    continue
                index[0], index[1], index[2] = i, j, k
                for face in range(3 if occupied[i, j, k] else 1):
                    for a in range(3):
                        target[a] = index[a] + 0.5
                    if occupied[i, j, k]:
                        # Just outside the face that looks at the camera, so that the voxel does not hide itself.
                        # `_clear` meets a neighbour that covers that face at its first step.
                        if start[face] > index[face] + 1:
                            target[face] = index[face] + 1 + 1e-4
                        elif start[face] < index[face]:
                            target[face] = index[face] - 1e-4
                        else:
                            continue
                    if _in_image(projection, size, target) and _clear(occupied, start, target):
                        seen[i, j, k] = 1
                        break


@compiled
def _in_image(p: NDArray[np.float64], size: NDArray[np.int64], target: NDArray[np.float64]) -> bool:
    """Whether a point in voxel units lies in the image of the camera with projection `p` [3, 4]."""
    x, y, z = target[0], target[1], target[2]
    depth = p[2, 0] * x + p[2, 1] * y + p[2, 2] * z + p[2, 3]
    u = p[0, 0] * x + p[0, 1] * y + p[0, 2] * z + p[0, 3]
    v = p[1, 0] * x + p[1, 1] * y + p[1, 2] * z + p[1, 3]
    right, bottom = (size[0] - 0.5) * depth, (size[1] - 0.5) * depth
    return depth > 0.1 and -0.5 * depth <= u < right and -0.5 * depth <= v < bottom


@compiled
def _clear(occupied: NDArray[np.bool_], camera: NDArray[np.float64], target: NDArray[np.float64]) -> bool:
    """Whether no occupied voxel lies on the segment; both ends in voxel units.

    It is walked from the target: what hides a voxel is mostly near it.
    """
    return _walk(occupied, occupied, False, target, camera[0] - target[0], camera[1] - target[1], camera[2] - target[2])


@compiled
def _walk(
    occupied: NDArray[np.bool_],
    seen: NDArray[Any],
    mark: bool,
    start: NDArray[np.float64],
    dx: float,
    dy: float,
    dz: float,
) -> bool:
    """Go from `start` by (dx, dy, dz), voxel units; False at the first occupied voxel. `mark` sets `seen` on the way.

    Plain numbers instead of small arrays: this loop is most of the time that ground truth takes.
    """
    nx, ny, nz = occupied.shape
    i, j, k = int(np.floor(start[0])), int(np.floor(start[1])), int(np.floor(start[2]))
    si, sj, sk = (1 if dx > 0 else -1), (1 if dy > 0 else -1), (1 if dz > 0 else -1)
    ti, wi = first_border(start[0], dx, i)
    tj, wj = first_border(start[1], dy, j)
    tk, wk = first_border(start[2], dz, k)
    while 0 <= i < nx and 0 <= j < ny and 0 <= k < nz:
        if mark:
            seen[i, j, k] = 1
        if occupied[i, j, k]:
            return False
        if min(ti, tj, tk) >= 1.0:
            return True
        along_i, along_j = nearest(ti, tj, tk)
        if along_i:
            i += si
            ti += wi
        elif along_j:
            j += sj
            tj += wj
        else:
            k += sk
            tk += wk
    return True


def lidar_mask(semantics: Volume, origins: NDArray[np.float64], directions: NDArray[np.float64], grid: Grid) -> Volume:
    """1 where a ray from one of `origins` [T, 3] along `directions` [R, 3] passes or ends, in the ego frame."""
    seen = np.zeros(semantics.shape, np.uint8)
    _mark_passed(semantics != FREE, seen, origins, directions, np.array(grid.lower), np.array(grid.step))
    return seen


@compiled
def _mark_passed(
    occupied: NDArray[np.bool_],
    seen: NDArray[np.uint8],
    origins: NDArray[np.float64],
    directions: NDArray[np.float64],
    lower: NDArray[np.float64],
    size: NDArray[np.float64],
) -> None:
    for t in range(len(origins)):
        start = (origins[t] - lower) / size
        for r in range(len(directions)):
            d = directions[r] / size * _ENDLESS
            _walk(occupied, seen, True, start, d[0], d[1], d[2])
