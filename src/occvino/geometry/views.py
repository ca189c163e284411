"""What each camera of a rig sees, in numbers that a person can check: heights, directions, fields of view, overlaps."""

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from occvino.geometry.camera import Camera
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import Matrix


@dataclass(frozen=True)
class View:
    """One camera. Angles are in degrees, lengths in metres, in the ego frame.

    Attributes:
        name: of the camera.
        width: of its image, pixels.
        height: of its image, pixels.
        place: x, y, z; z is the height above the ground.
        yaw: where it looks, to the left of ahead, -180 to 180.
        pitch: how far it looks down.
        roll: how far its image is turned clockwise.
        across: field of view along the image's middle row, through the lens.
        down: field of view along its middle column.
        lens: model of the lens; None for a straight image.
        ground: from below the camera to where the lowest pixel of the middle column sees the ground; None if it sees
            none.
    """

    name: str
    width: int
    height: int
    place: tuple[float, float, float]
    yaw: float
    pitch: float
    roll: float
    across: float
    down: float
    lens: str | None
    ground: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def views(rig: Rig) -> list[View]:
    """The cameras of a rig, in its order."""
    return [_view(camera) for camera in rig.cameras]


def _view(camera: Camera) -> View:
    right, _, forward = camera.sensor2ego[:3, 0], camera.sensor2ego[:3, 1], camera.sensor2ego[:3, 2]
    pitch = float(np.arcsin(np.clip(-forward[2], -1, 1)))
    level = max(float(np.cos(pitch)), 1e-9)
    x, y, z = (float(value) for value in camera.sensor2ego[:3, 3])
    return View(
        name=camera.name,
        width=camera.width,
        height=camera.height,
        place=(x, y, z),
        yaw=float(np.degrees(np.arctan2(forward[1], forward[0]))),
        pitch=float(np.degrees(pitch)),
        roll=float(np.degrees(np.arcsin(np.clip(-right[2] / level, -1, 1)))),
        across=_angle(_row(camera)),
        down=_angle(_column(camera)),
        lens=camera.lens.model if camera.lens else None,
        ground=_ground(camera),
    )


def _row(camera: Camera) -> Matrix:
    """Rays along the middle row [K, 3], sensor frame, from the image's left border to its right one."""
    u = np.linspace(-0.5, camera.width - 0.5, 257)
    rays = camera.rays(np.stack([u, np.full_like(u, (camera.height - 1) / 2)], axis=1))
    return rays[np.isfinite(rays).all(axis=1)]


def _column(camera: Camera) -> Matrix:
    """The same along the middle column, from top to bottom."""
    v = np.linspace(-0.5, camera.height - 0.5, 257)
    rays = camera.rays(np.stack([np.full_like(v, (camera.width - 1) / 2), v], axis=1))
    return rays[np.isfinite(rays).all(axis=1)]


def _angle(rays: Matrix) -> float:
    """From the first ray to the last, step by step, so that it may be more than 180 degrees."""
    cosines = np.clip((rays[1:] * rays[:-1]).sum(axis=1), -1, 1)
    return float(np.degrees(np.arccos(cosines).sum()))


def _ground(camera: Camera) -> float | None:
    lowest = (_column(camera) @ camera.sensor2ego[:3, :3].T)[-1]
    height = float(camera.sensor2ego[2, 3])
    if lowest[2] >= 0 or height <= 0:
        return None
    return float(np.hypot(lowest[0], lowest[1]) * height / -lowest[2])


@dataclass(frozen=True)
class Sector:
    """A part of the circle round the vehicle. `begin`, `width`: degrees, to the left of ahead."""

    cameras: tuple[str, ...]
    begin: float
    width: float


def overlaps(rig: Rig) -> list[Sector]:
    """What two cameras see in common of the horizon, for each pair that has some, the widest first."""
    seen = {camera.name: horizon(camera) for camera in rig.cameras}
    names = list(seen)
    found = [
        Sector((a, b), *_widest(seen[a] & seen[b]))
        for index, a in enumerate(names)
        for b in names[index + 1 :]
        if (seen[a] & seen[b]).any()
    ]
    return sorted(found, key=lambda sector: -sector.width)


def gaps(rig: Rig) -> list[Sector]:
    """What no camera sees of the horizon, each gap with the cameras on its right and left."""
    seen = {camera.name: horizon(camera) for camera in rig.cameras}
    covered = np.any(list(seen.values()), axis=0)
    found: list[Sector] = []
    for begin, count in _runs(~covered):
        before, after = (begin - 1) % _STEPS, (begin + count) % _STEPS
        beside = tuple(
            dict.fromkeys(
                next((name for name, mask in seen.items() if mask[index]), "nothing") for index in (before, after)
            )
        )
        found.append(Sector(beside, begin * 360 / _STEPS - 180, count * 360 / _STEPS))
    return found


_STEPS = 1440


def horizon(camera: Camera) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which directions of the horizon its image shows, from -180 degrees on in steps of a quarter, [1440]."""
    angles = np.radians((np.arange(_STEPS) + 0.5) * 360 / _STEPS - 180)
    far = 1e6 * np.stack([np.cos(angles), np.sin(angles), np.zeros(_STEPS)], axis=1)
    level = far + camera.sensor2ego[:3, 3] * [0, 0, 1]
    points = level @ camera.ego2global[:3, :3].T + camera.ego2global[:3, 3]
    shown = camera.sees(points)
    if shown.any():
        return shown
    # it looks so steeply that its image has no horizon: what it shows of the ground stands for it
    rays = _row(camera) @ camera.sensor2ego[:3, :3].T
    yaw = np.degrees(np.arctan2(rays[:, 1], rays[:, 0]))
    index = ((yaw + 180) * _STEPS / 360).astype(int) % _STEPS
    for a, b in pairwise(index):
        low, high = sorted((int(a), int(b)))
        if high - low < _STEPS // 2:
            shown[low : high + 1] = True
    return shown


def _runs(mask: Any) -> list[tuple[int, int]]:
    """First index and length of each run of True on a ring."""
    if mask.all():
        return [(0, _STEPS)]
    starts = np.flatnonzero(mask & ~np.roll(mask, 1))
    ends = np.flatnonzero(mask & ~np.roll(mask, -1))
    return [(int(start), int(((ends - start) % _STEPS).min()) + 1) for start in starts]


def _widest(mask: Any) -> tuple[float, float]:
    begin, count = max(_runs(mask), key=lambda run: run[1])
    return begin * 360 / _STEPS - 180, count * 360 / _STEPS
