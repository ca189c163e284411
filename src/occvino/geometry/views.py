"""What each camera of a rig sees, by its rays: fields of view, the nearest ground, and how they make up a ring.

Edges of an image are half a pixel outside of the centres of its outermost pixels, as in `Camera.project`; its middle
row is (height - 1) / 2. All follows the lens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from occvino.geometry.camera import Camera
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import Matrix, pose

_OPTICAL2BODY = pose([0.5, -0.5, 0.5, -0.5], [0, 0, 0])[:3, :3]
"""Optical axes (x right, y down, z forward) to body axes (x forward, y left, z up)."""
_STEEP = 60.0
"""Degrees up or down from which on a camera looks at no side: it is no part of the ring."""
_TINY = 0.05
"""Degrees: what rounding makes, and what nobody mounts cameras to."""
_VERTICAL = 1e-6
"""Cosine of the pitch at which yaw and roll are the same thing."""
_SAMPLES = 721


@dataclass(frozen=True)
class View:
    """What one camera sees. Angles in degrees, distances in metres.

    Args:
        name: of the camera.
        width: of the raw image, pixels.
        height: of the raw image, pixels.
        place: of the camera in the ego frame (x forward, y left, z up). The third is its height above the ground.
        yaw: how far it looks to the left of ahead, -180 to 180.
        pitch: how far it looks down; negative for up.
        roll: how far it is turned clockwise about its axis, as seen from behind it.
        horizontal: field of view along the middle row, edge to edge: the sum of the angles on both sides of the
            middle, so that it goes on beyond 180.
        vertical: the same along the middle column.
        lens: the model of its lens; None for straight images.
        ground: distance on the ground, from the point below the camera, at which its middle column sees the ground
            first (its middle row if it is rolled by more than 45 degrees). What is nearer is hidden by the edge of the
            image; the vehicle's own body is not thought of. None if it sees no ground.
        azimuths: from the right edge to the left edge of its view, degrees to the left of ahead; the first is -180 to
            180, the second up to 360 more. Of the middle row (column if it is rolled by more than 45 degrees). None
            for a camera that looks more than 60 degrees up or down.
    """

    name: str
    width: int
    height: int
    place: tuple[float, float, float]
    yaw: float
    pitch: float
    roll: float
    horizontal: float
    vertical: float
    lens: str | None
    ground: float | None
    azimuths: tuple[float, float] | None

    @property
    def above_ground(self) -> float:
        """Metres; negative below it."""
        return self.place[2]


@dataclass(frozen=True)
class Overlap:
    """Two cameras that see the same directions, and how many degrees of azimuth of them."""

    cameras: tuple[str, str]
    degrees: float


@dataclass(frozen=True)
class Gap:
    """Directions that no camera sees: between the left edge of the first camera and the right edge of the second.

    `azimuths`: where it begins and ends, degrees to the left of ahead. Both cameras are the same where there is one.
    """

    cameras: tuple[str, str]
    degrees: float
    azimuths: tuple[float, float]


def views(rig: Rig) -> list[View]:
    """What each camera sees, in the rig's order."""
    return [_view(camera) for camera in rig.cameras]


def overlaps(rig: Rig) -> list[Overlap]:
    """Of neighbouring cameras, in degrees of azimuth, as they are far away from the rig; in turn, to the left.

    A camera whose view is within that of another one is told beside that one and takes no part in the ring.
    """
    ring, within = _ring(views(rig))
    return [
        Overlap((one.name, other.name), shared)
        for one, other in [*_neighbours(ring), *within]
        if (shared := _shared(_azimuths(one), _azimuths(other))) > _TINY
    ]


def gaps(rig: Rig) -> list[Gap]:
    """Directions that no camera sees far away from the rig; in turn, to the left.

    Cameras that look more than 60 degrees up or down do not count. None for a rig of such cameras alone.
    """
    ring, _ = _ring(views(rig))
    found: list[Gap] = []
    for index, one in enumerate(ring):
        other = ring[(index + 1) % len(ring)]
        turn = 360.0 if index == len(ring) - 1 else 0.0
        begin, end = _azimuths(one)[1], _azimuths(other)[0] + turn
        if end - begin > _TINY:
            found.append(Gap((one.name, other.name), end - begin, (begin, end)))
    return found


def _view(camera: Camera) -> View:
    yaw, pitch, roll = _angles(camera)
    row, column = _middle_row(camera), _middle_column(camera)
    x, y, z = (float(value) for value in camera.sensor2ego[:3, 3])
    across, upright = (column, row) if 45 < abs(roll) < 135 else (row, column)
    return View(
        name=camera.name,
        width=camera.width,
        height=camera.height,
        place=(x, y, z),
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        horizontal=_field(row),
        vertical=_field(column),
        lens=camera.lens.model if camera.lens else None,
        ground=_ground(upright @ camera.sensor2ego[:3, :3].T, z),
        azimuths=_interval(across @ camera.sensor2ego[:3, :3].T) if abs(pitch) <= _STEEP else None,
    )


def _angles(camera: Camera) -> tuple[float, float, float]:
    """Yaw to the left, pitch down and roll clockwise, degrees: turned about z, then y, then x of the body."""
    body = camera.sensor2ego[:3, :3] @ _OPTICAL2BODY.T
    pitch = -np.arcsin(np.clip(body[2, 0], -1, 1))
    if np.cos(pitch) < _VERTICAL:  # straight up or down: its image's upper edge says which way it is turned
        return float(np.degrees(np.arctan2(-body[0, 1], body[1, 1]))), float(np.degrees(pitch)), 0.0
    yaw, roll = np.arctan2(body[1, 0], body[0, 0]), np.arctan2(body[2, 1], body[2, 2])
    return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))


def _middle_row(camera: Camera) -> Matrix:
    """Rays [K, 3] of the sensor frame from the left edge to the right one; without those where the lens shows none."""
    u = np.linspace(-0.5, camera.width - 0.5, _SAMPLES)
    return _seen(camera.rays(np.stack([u, np.full_like(u, (camera.height - 1) / 2)], axis=1)))


def _middle_column(camera: Camera) -> Matrix:
    """The same from the upper edge to the lower one."""
    v = np.linspace(-0.5, camera.height - 0.5, _SAMPLES)
    return _seen(camera.rays(np.stack([np.full_like(v, (camera.width - 1) / 2), v], axis=1)))


def _seen(rays: Matrix) -> Matrix:
    return rays[np.isfinite(rays).all(axis=1)]


def _field(rays: Matrix) -> float:
    """Degrees from the first ray to the middle one, and on to the last: each is less than half a turn."""
    middle = rays[len(rays) // 2]
    return sum(float(np.degrees(np.arctan2(np.linalg.norm(np.cross(middle, r)), middle @ r))) for r in rays[[0, -1]])


def _ground(directions: Matrix, height: float) -> float | None:
    """Metres from below the camera to the nearest ground that the rays [K, 3] of the ego frame meet."""
    down = directions[directions[:, 2] < -1e-9]
    if height <= 0 or not down.size:
        return None
    return float((np.linalg.norm(down[:, :2], axis=1) / -down[:, 2]).min()) * height


def _interval(directions: Matrix) -> tuple[float, float]:
    """Azimuths of rays [K, 3] of the ego frame, from the rightmost to the leftmost."""
    azimuths = np.degrees(np.unwrap(np.arctan2(directions[:, 1], directions[:, 0])))
    width = min(float(np.ptp(azimuths)), 360.0)
    begin = (float(azimuths.min()) + 180) % 360 - 180
    return begin, begin + width


def _azimuths(view: View) -> tuple[float, float]:
    assert view.azimuths is not None
    return view.azimuths


def _ring(found: Sequence[View]) -> tuple[list[View], list[tuple[View, View]]]:
    """The cameras that make up the ring, in turn to the left, and those within the view of one of them, beside it."""
    level = [view for view in found if view.azimuths is not None]
    widest = sorted(level, key=lambda view: _azimuths(view)[0] - _azimuths(view)[1])
    ring: list[View] = []
    within: list[tuple[View, View]] = []
    for view in widest:
        around = next((other for other in ring if _holds(_azimuths(other), _azimuths(view))), None)
        if around is None:
            ring.append(view)
        else:
            within.append((around, view))
    return sorted(ring, key=lambda view: _azimuths(view)[0]), within


def _neighbours(ring: Sequence[View]) -> list[tuple[View, View]]:
    """Each camera and the next one to the left. Two are neighbours once, one has none."""
    pairs = list(zip(ring, [*ring[1:], *ring[:1]], strict=True))
    return pairs if len(ring) > 2 else pairs[: len(pairs) // 2]


def _holds(outer: tuple[float, float], inner: tuple[float, float]) -> bool:
    return _shared(outer, inner) >= inner[1] - inner[0] - _TINY


def _shared(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Degrees that two intervals share on the circle, on both sides if they meet on both."""
    turns = (-720.0, -360.0, 0.0, 360.0, 720.0)
    return sum(max(0.0, min(one[1], other[1] + turn) - max(one[0], other[0] + turn)) for turn in turns)
