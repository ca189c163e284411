"""Ray casting: solids and painted ground to images, distances and lidar returns.

All functions with a leading underscore are compiled by numba and release the interpreter lock, so cameras render side
by side in threads. Rays are straight; there is no lens distortion.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occvino.geometry.camera import Camera
from occvino.geometry.transforms import Matrix
from occvino.synth.jit import compiled, first_border, nearest
from occvino.synth.layout import Ground
from occvino.synth.light import Light
from occvino.synth.shade import shade, sky
from occvino.synth.shapes import Shapes

_CELL = 4.0
_FAR = 260.0
"""Nothing is seen beyond this, metres."""
_SHADOW_REACH = 45.0
GROUND, NOTHING = -1, -2
_DARK = -2
"""Surface where a lens shows nothing; that of the sky is -1."""
"""What `_trace` gives in place of a solid's index."""


_Floats, _Ints = NDArray[np.float64], NDArray[np.int32]
_Arrays = tuple[_Floats, _Ints, _Floats, _Ints, _Ints, _Floats]


@dataclass(frozen=True, eq=False)
class Solids:
    """Solids sorted into columns of the x-y plane, and the ground, ready for rays.

    Attributes:
        frame: float64 [6]: lower x, y of the columns; column size; lower x, y of the ground; ground step.
        starts: int32 [nx, ny, 2]: first and last + 1 entry of `items` for each column.
        items: int32: solids, column by column.
        tops: float64 [nx, ny]: the highest point of any solid in the column.
    """

    shapes: Shapes
    ground: Ground
    frame: NDArray[np.float64]
    starts: NDArray[np.int32]
    items: NDArray[np.int32]
    tops: NDArray[np.float64]

    @classmethod
    def of(cls, shapes: Shapes, ground: Ground) -> "Solids":
        """Sort the solids."""
        lower, upper = shapes.extent()
        origin = lower.min(0)[:2] - 1.0 if len(shapes) else np.zeros(2)
        span = (upper.max(0)[:2] + 1.0 if len(shapes) else np.ones(2)) - origin
        nx, ny = (int(n) for n in np.ceil(span / _CELL))
        starts, items, tops = _sort_into_columns(lower, upper, origin, nx, ny)
        frame = np.array([*origin, _CELL, *ground.lower, ground.step], np.float64)
        return cls(shapes, ground, frame, starts, items, tops)

    def arrays(self) -> _Arrays:
        """What `_trace` takes after the ray."""
        return self.shapes.geometry, self.shapes.tags, self.frame, self.starts, self.items, self.tops


@compiled
def _sort_into_columns(
    lower: NDArray[np.float64], upper: NDArray[np.float64], origin: NDArray[np.float64], nx: int, ny: int
) -> Any:
    starts = np.zeros((nx, ny, 2), np.int32)
    tops = np.zeros((nx, ny), np.float64)
    low = np.empty((len(lower), 2), np.int64)
    high = np.empty((len(lower), 2), np.int64)
    total = 0
    for p in range(len(lower)):
        for k in range(2):
            low[p, k] = int((lower[p, k] - origin[k]) / _CELL)
            high[p, k] = int((upper[p, k] - origin[k]) / _CELL)
        for i in range(low[p, 0], high[p, 0] + 1):
            for j in range(low[p, 1], high[p, 1] + 1):
                starts[i, j, 1] += 1
                total += 1
    first = 0
    for i in range(nx):
        for j in range(ny):
            count = starts[i, j, 1]
            starts[i, j, 0] = starts[i, j, 1] = first
            first += count
    items = np.empty(total, np.int32)
    for p in range(len(lower)):
        for i in range(low[p, 0], high[p, 0] + 1):
            for j in range(low[p, 1], high[p, 1] + 1):
                items[starts[i, j, 1]] = p
                starts[i, j, 1] += 1
                tops[i, j] = max(tops[i, j], upper[p, 2])
    return starts, items, tops


@compiled
def _hit(g: NDArray[np.float64], kind: int, o: NDArray[np.float64], d: NDArray[np.float64], limit: float) -> float:
    """Distance along the ray (o, d) to where it enters the solid, or -1: missed, behind, or beyond `limit`."""
    px, py, oz = o[0] - g[0], o[1] - g[1], o[2] - g[2]
    ox, oy = px * g[6] + py * g[7], py * g[6] - px * g[7]
    dx, dy, dz = d[0] * g[6] + d[1] * g[7], d[1] * g[6] - d[0] * g[7], d[2]
    near, far = 1e-6, limit
    if kind != 1:  # between two horizontal planes
        if abs(dz) < 1e-12:
            if abs(oz) > g[5]:
                return -1.0
        else:
            a, b = (-g[5] - oz) / dz, (g[5] - oz) / dz
            near, far = max(near, min(a, b)), min(far, max(a, b))
            if near > far:
                return -1.0
    if kind == 0:
        for side in range(4):
            if side < 2:
                sign = 1.0 - 2.0 * side
                slope, half, od, dd = g[8 + side], g[3], ox * sign, dx * sign
            else:
                sign = 5.0 - 2.0 * side
                slope, half, od, dd = g[10], g[4], oy * sign, dy * sign
            rise = slope / (2.0 * g[5])
            f0, fd = od + rise * (oz + g[5]) - half, dd + rise * dz
            if abs(fd) < 1e-12:
                if f0 > 0:
                    return -1.0
            elif fd < 0:
                near = max(near, -f0 / fd)
            else:
                far = min(far, -f0 / fd)
            if near > far:
                return -1.0
        return near if near > 1e-6 else -1.0
    x, y, u, v = ox / g[3], oy / g[4], dx / g[3], dy / g[4]
    if kind == 1:
        z, w = oz / g[5], dz / g[5]
        a, b, c = u * u + v * v + w * w, x * u + y * v + z * w, x * x + y * y + z * z - 1.0
    else:
        rise = g[8] / (2.0 * g[5])
        r, q = 1.0 - rise * (oz + g[5]), -rise * dz
        a, b, c = u * u + v * v - q * q, x * u + y * v - r * q, x * x + y * y - r * r
    if abs(a) < 1e-14:
        return -1.0
    root = b * b - a * c
    if root < 0:
        return -1.0
    root = np.sqrt(root)
    t = (-b - root) / a
    if a > 0:
        t, far = max(t, near if kind == 2 else t), min(far, (-b + root) / a)
    elif near > 1e-6 and c + near * (2 * b + a * near) < 0:  # steeper than the cone's side, and in through its base
        t = near
    return t if max(near, 1e-6) <= t <= far else -1.0


@compiled
def _trace(
    o: NDArray[np.float64],
    d: NDArray[np.float64],
    limit: float,
    any_hit: bool,
    geometry: NDArray[np.float64],
    tags: NDArray[np.int32],
    frame: NDArray[np.float64],
    starts: NDArray[np.int32],
    items: NDArray[np.int32],
    tops: NDArray[np.float64],
) -> Any:
    """The nearest thing along a ray: (distance, solid's index, GROUND or NOTHING). `any_hit` stops at the first."""
    best, found = limit, NOTHING
    if d[2] < -1e-9 and -o[2] / d[2] < best:
        best, found = -o[2] / d[2], GROUND
    nx, ny = tops.shape
    enter, leave = 0.0, best
    for k in range(2):
        low, high = frame[k], frame[k] + frame[2] * (nx if k == 0 else ny)
        if abs(d[k]) < 1e-12:
            if o[k] < low or o[k] > high:
                return best, found
        else:
            a, b = (low - o[k]) / d[k], (high - o[k]) / d[k]
            enter, leave = max(enter, min(a, b)), min(leave, max(a, b))
    if enter > leave:
        return best, found
    i = min(max(int((o[0] + d[0] * enter - frame[0]) / frame[2]), 0), nx - 1)
    j = min(max(int((o[1] + d[1] * enter - frame[1]) / frame[2]), 0), ny - 1)
    step_i, step_j = (1 if d[0] > 0 else -1), (1 if d[1] > 0 else -1)
    next_i, wide_i = first_border((o[0] - frame[0]) / frame[2], d[0] / frame[2], i)
    next_j, wide_j = first_border((o[1] - frame[1]) / frame[2], d[1] / frame[2], j)
    t = enter
    while 0 <= i < nx and 0 <= j < ny and t <= best:
        end = min(next_i, next_j)
        if starts[i, j, 1] > starts[i, j, 0] and min(o[2] + d[2] * t, o[2] + d[2] * end) <= tops[i, j]:
            for k in range(starts[i, j, 0], starts[i, j, 1]):
                p = items[k]
                hit = _hit(geometry[p], tags[p, 0], o, d, best)
                if 0 < hit < best:
                    best, found = hit, p
                    if any_hit:
                        return best, found
        t = end
        along_i, _ = nearest(next_i, next_j, np.inf)
        if along_i:
            i += step_i
            next_i += wide_i
        else:
            j += step_j
            next_j += wide_j
    return best, found


@compiled
def _colour(
    o: NDArray[np.float64],
    d: NDArray[np.float64],
    pixel: float,
    scratch: NDArray[np.float64],
    out: NDArray[np.float64],
    light: NDArray[np.float64],
    colour: NDArray[np.float32],
    material: NDArray[np.uint8],
    geometry: NDArray[np.float64],
    tags: NDArray[np.int32],
    frame: NDArray[np.float64],
    starts: NDArray[np.int32],
    items: NDArray[np.int32],
    tops: NDArray[np.float64],
) -> Any:
    """Colour of one ray into `out` [3]; gives the distance and a number that differs between surfaces."""
    t, found = _trace(o, d, _FAR, False, geometry, tags, frame, starts, items, tops)
    if found == NOTHING:
        sky(d, light, out)
        return t, -1
    point, start = scratch[0], scratch[1]
    for k in range(3):
        point[k] = o[k] + t * d[k]
    cosine, nx, ny, nz, glow, ambient, surface = shade(
        found, point, d, t * pixel, out, light, colour, material, geometry, tags, frame
    )
    lit = 1.0
    if light[3] > 0.15 and cosine > 0.0 and t < 90.0:
        start[0], start[1], start[2] = point[0] + 0.02 * nx, point[1] + 0.02 * ny, point[2] + 0.02 * nz
        shadow, _ = _trace(start, light[:3], _SHADOW_REACH, True, geometry, tags, frame, starts, items, tops)
        lit = 0.0 if shadow < _SHADOW_REACH else 1.0
    haze = 1.0 - np.exp(-light[15] * t)
    for k in range(3):
        power = light[6 + k] * ambient + light[3 + k] * cosine * lit + glow
        out[k] = out[k] * power * (1.0 - haze) + light[12 + k] * haze
    return t, surface


@compiled
def _look(
    rays: NDArray[np.float64], bent: NDArray[np.float64], u: int, v: int, sub: int, d: NDArray[np.float64]
) -> bool:
    """The unit ray of a pixel (`sub` 0) or of a quarter of it (1 to 4), into `d`; False where the lens shows none."""
    x, y, z = float(u), float(v), 1.0
    if bent.shape[0]:
        x, y, z = bent[sub, v, u, 0], bent[sub, v, u, 1], bent[sub, v, u, 2]
    elif sub:
        x += -0.25 + 0.5 * ((sub - 1) % 2)
        y += -0.25 + 0.5 * ((sub - 1) // 2)
    for k in range(3):
        d[k] = rays[k, 0] * x + rays[k, 1] * y + rays[k, 2] * z
    d /= np.sqrt(d[0] ** 2 + d[1] ** 2 + d[2] ** 2)
    return not np.isnan(d[0])


@compiled
def _image(
    origin: NDArray[np.float64],
    rays: NDArray[np.float64],
    bent: NDArray[np.float64],
    light: NDArray[np.float64],
    colour: NDArray[np.float32],
    material: NDArray[np.uint8],
    geometry: NDArray[np.float64],
    tags: NDArray[np.int32],
    frame: NDArray[np.float64],
    starts: NDArray[np.int32],
    items: NDArray[np.int32],
    tops: NDArray[np.float64],
    width: int,
    height: int,
) -> Any:
    """Colours and distances; pixels at the border of two surfaces are averaged over four more rays.

    `rays` [3, 3] maps homogeneous pixels to global directions whose length along the optical axis is 1. `bent`
    [5, height, width, 3] are the homogeneous pixels at which a pinhole would see what each pixel and its four quarters
    see through a lens; [0, ...] for a pinhole.
    """
    image = np.empty((height, width, 3), np.float64)
    distance = np.empty((height, width), np.float32)
    surface = np.empty((height, width), np.int64)
    pixel = np.sqrt(rays[0, 0] ** 2 + rays[1, 0] ** 2 + rays[2, 0] ** 2)
    out, d, scratch = np.empty(3), np.empty(3), np.empty((2, 3))
    for v in range(height):
        for u in range(width):
            if not _look(rays, bent, u, v, 0, d):
                distance[v, u], surface[v, u], image[v, u] = np.inf, _DARK, 0.0
                continue
            t, surface[v, u] = _colour(
                origin, d, pixel, scratch, out, light, colour, material, geometry, tags, frame, starts, items, tops
            )
            distance[v, u] = t
            image[v, u] = out
    for v in range(height):
        for u in range(width):
            here = surface[v, u]
            if not (
                (u > 0 and surface[v, u - 1] != here)
                or (u + 1 < width and surface[v, u + 1] != here)
                or (v > 0 and surface[v - 1, u] != here)
                or (v + 1 < height and surface[v + 1, u] != here)
            ):
                continue
            for sub in range(1, 5):
                if not _look(rays, bent, u, v, sub, d):
                    continue  # dark, as beside a fisheye's circle
                _colour(
                    origin, d, pixel, scratch, out, light, colour, material, geometry, tags, frame, starts, items, tops
                )
                image[v, u] += out
            image[v, u] /= 5.0
    return image, distance


def render(
    solids: Solids, light: Light, camera: Camera, seed: int | list[int]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """What a camera sees.

    Args:
        solids: in the global frame, at the camera's time.
        light: of the scene.
        camera: any size and lens; the noise of its sensor follows from `seed`. Black where its lens shows nothing.
        seed: of the sensor noise.

    Returns:
        RGB image [height, width, 3] and the distance along each pixel's ray in metres [height, width].
    """
    sensor2global = camera.ego2global @ camera.sensor2ego
    rays: Matrix = np.ascontiguousarray(sensor2global[:3, :3] @ np.linalg.inv(camera.intrinsics))
    image, distance = _image(
        np.ascontiguousarray(sensor2global[:3, 3]),
        rays,
        _bent(camera),
        light.values,
        solids.shapes.colour,
        solids.ground.material,
        *solids.arrays(),
        camera.width,
        camera.height,
    )
    image = np.clip(image * light.tint, 0, None) ** light.gamma
    image += np.random.default_rng(seed).normal(0, light.noise, image.shape[:2])[..., None]
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8), distance


def _bent(camera: Camera) -> Matrix:
    if camera.lens is None:
        return np.empty((0, 0, 0, 3))
    u, v = np.meshgrid(np.arange(camera.width, dtype=np.float64), np.arange(camera.height, dtype=np.float64))
    quarters = [(0, 0), *((x, y) for y in (-0.25, 0.25) for x in (-0.25, 0.25))]
    pixels = np.stack([np.stack([u + x, v + y], axis=-1) for x, y in quarters])  # [5, height, width, 2]
    return camera.rays(pixels) @ camera.intrinsics.T


@compiled
def _cast(
    origin: NDArray[np.float64],
    directions: NDArray[np.float64],
    reach: float,
    geometry: NDArray[np.float64],
    tags: NDArray[np.int32],
    frame: NDArray[np.float64],
    starts: NDArray[np.int32],
    items: NDArray[np.int32],
    tops: NDArray[np.float64],
) -> Any:
    distance = np.empty(len(directions), np.float64)
    found = np.empty(len(directions), np.int32)
    for r in range(len(directions)):
        distance[r], found[r] = _trace(origin, directions[r], reach, False, geometry, tags, frame, starts, items, tops)
    return distance, found


def cast(
    solids: Solids, origin: NDArray[np.float64], directions: NDArray[np.float64], reach: float
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Distance [R] in metres and what was hit [R] (index of a solid, `GROUND` or `NOTHING`) for unit rays [R, 3]."""
    return _cast(origin, np.ascontiguousarray(directions), reach, *solids.arrays())
