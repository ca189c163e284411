"""The mistakes that people make in rigs, recognised: each is undone on trial, and named where that cures the rig.

A rig with doubts is read again as if one convention had been mistaken for another. Where all its cameras are then
above the ground and near the vehicle, level, and look where their names say, that is the likely mistake. Several may
fit, as one camera that looks ahead is the same in many wrong readings: all are told then.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from occvino.geometry.camera import Camera
from occvino.geometry.doubts import Doubt, doubts_of_camera, swapped
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import Matrix, pose, quaternion_from_rotation, rigid_inverse

_OPTICAL2BODY = pose([0.5, -0.5, 0.5, -0.5], [0, 0, 0])
"""Optical axes (x right, y down, z forward) to body axes (x forward, y left, z up)."""
_MIRRORED = np.diag([1.0, -1.0, 1.0, 1.0])
_LEVEL = float(np.sin(np.radians(50))), float(np.sin(np.radians(25)))
"""How far a camera may look up or down, and be rolled, to count as cured."""
_STEEP, _NEARLY_LEVEL = float(np.sin(np.radians(20))), float(np.sin(np.radians(12)))
_OF_EXTRINSICS = ("far", "height", "elevation", "roll", "name")
_WHOLE_DEGREES = 1e-4
"""Radians that an angle may be off one of whole degrees: such angles were typed."""


@dataclass(frozen=True)
class Mistake:
    """A likely mistake. `kind`: a word for it; `words`: what was done, with the evidence; `fix`: what to do."""

    kind: str
    words: str
    fix: str

    def __str__(self) -> str:
        return f"{self.words}. {self.fix}"


@dataclass(frozen=True)
class _Reading:
    """Another way to read `sensor2ego`: what it was taken to be, and how to get what is meant."""

    kind: str
    words: str
    fix: str
    undo: Callable[[Matrix], Matrix | None]


def mistakes(rig: Rig, found: Sequence[Doubt]) -> list[Mistake]:
    """What likely went wrong in a rig about which there are doubts; empty if nothing known cures it."""
    doubtful, level = {doubt.camera for doubt in found if doubt.kind in _OF_EXTRINSICS}, _LEVEL
    if not doubtful:
        # cameras may well look down steeply: another reading is told only where it makes all of them about level
        lost = {doubt.camera for doubt in found if doubt.kind == "horizon"}
        doubtful = {camera.name for camera in rig.cameras if camera.name in lost and _tilt(camera) > _STEEP}
        level = _NEARLY_LEVEL, _NEARLY_LEVEL
    if not doubtful:
        return []
    cures = [reading for reading in _READINGS if _cures(rig, doubtful, reading, level)]
    told = [_mistake(reading, rig, doubtful) for reading in cures]
    return [*told, *_swapped_names(found)]


def _mistake(reading: _Reading, rig: Rig, doubtful: set[str]) -> Mistake:
    who = "all cameras are" if len(doubtful) > 1 else f"{next(iter(doubtful))} is"
    sense = f"read so, {who} level, above the ground, near the vehicle and looking where the names say"
    return Mistake(reading.kind, f"{reading.words}: {sense}", reading.fix)


def _swapped_names(found: Sequence[Doubt]) -> Iterable[Mistake]:
    names = [doubt.camera for doubt in found if doubt.kind == "name"]
    sides = [name for name in names if "left" in name.lower() or "right" in name.lower()]
    if len(sides) > 1 and len(sides) == len(names):
        yield Mistake("swapped", f"the names of {', '.join(sides)} may be swapped", "Exchange them, or their images")


def _tilt(camera: Camera) -> float:
    """Sine of the angle by which it looks up or down."""
    return float(abs(camera.sensor2ego[2, 2]))


def _cures(rig: Rig, doubtful: set[str], reading: _Reading, level: tuple[float, float]) -> bool:
    """Whether all cameras are plausible when it is undone: for all of them, or for the doubtful ones alone."""
    undone = {camera.name: _undone(camera, reading) for camera in rig.cameras}
    if any(undone[name] is None for name in doubtful):
        return False
    for names in (set(rig.names), doubtful):
        cameras = [undone[camera.name] if camera.name in names else camera for camera in rig.cameras]
        if all(camera is not None and _plausible(camera, level) for camera in cameras):
            read = Rig(tuple(camera for camera in cameras if camera is not None))
            if not swapped(read) and not _piled_up(read):
                return True
    return False


def _undone(camera: Camera, reading: _Reading) -> Camera | None:
    matrix = reading.undo(camera.sensor2ego)
    return None if matrix is None else replace(camera, sensor2ego=matrix)


def _plausible(camera: Camera, level: tuple[float, float]) -> bool:
    """Stricter than what raises doubts, so that no reading cures by a hair's breadth."""
    rolled = abs(camera.sensor2ego[2, 0])
    upright = camera.sensor2ego[2, 1] < 0
    signs = {doubt.kind for doubt in doubts_of_camera(camera)} & set(_OF_EXTRINSICS)
    return upright and _tilt(camera) < level[0] and rolled < level[1] and not signs


def _piled_up(rig: Rig) -> bool:
    """Whether cameras that look apart sit in one spot, as they do where metres were divided by too much."""
    places = np.array([camera.sensor2ego[:3, 3] for camera in rig.cameras])
    return len(places) > 1 and float(np.abs(places - places[0]).max()) < 0.01 and float(np.abs(places[0]).max()) < 0.1


def _other_order(matrix: Matrix) -> Matrix:
    w, x, y, z = quaternion_from_rotation(matrix[:3, :3])
    return pose([z, w, x, y], matrix[:3, 3])  # (w, x, y, z) held x, y, z, w


def _divided(by: float) -> Callable[[Matrix], Matrix | None]:
    def undo(matrix: Matrix) -> Matrix | None:
        if np.abs(matrix[:3, 3]).max() < 0.05 * by:
            return None
        nearer = matrix.copy()
        nearer[:3, 3] /= by
        return nearer

    return undo


def _in_degrees(matrix: Matrix) -> Matrix | None:
    """The rotation whose yaw, pitch and roll, in whole degrees, were taken for radians; None if there is none."""
    rotation = matrix[:3, :3]
    pitch = -np.arcsin(np.clip(rotation[2, 0], -1, 1))
    yaw, roll = np.arctan2(rotation[1, 0], rotation[0, 0]), np.arctan2(rotation[2, 1], rotation[2, 2])
    for angles in ((yaw, pitch, roll), (yaw + np.pi, np.pi - pitch, roll + np.pi)):
        typed = [_typed(float(angle)) for angle in angles]
        if None not in typed:
            turned = matrix.copy()
            turned[:3, :3] = _rotation_zyx(*(np.radians(float(angle or 0)) for angle in typed))
            return turned
    return None


def _typed(angle: float) -> float | None:
    """The whole number of degrees, -180 to 360, nearest to 0, that is this angle if it is taken for radians."""
    whole = np.arange(-180, 361)
    off = np.abs((whole - angle + np.pi) % (2 * np.pi) - np.pi)
    fitting = whole[off < _WHOLE_DEGREES]
    return float(fitting[np.abs(fitting).argmin()]) if fitting.size else None


def _rotation_zyx(yaw: float, pitch: float, roll: float) -> Matrix:
    def about(axis: int, angle: float) -> Matrix:
        quaternion = np.array([np.cos(angle / 2), 0.0, 0.0, 0.0])
        quaternion[1 + axis] = np.sin(angle / 2)
        return pose(quaternion, [0, 0, 0])[:3, :3]

    return about(2, yaw) @ about(1, pitch) @ about(0, roll)


_READINGS = (
    _Reading(
        "body axes",
        "sensor2ego is that of a body frame (x forward, y left, z up), and the optical frame is meant (x right, y "
        "down, z forward)",
        "Use the transform of the optical frame (in ROS ..._optical_frame), or multiply from the right with the "
        "rotation [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]",
        lambda matrix: matrix @ _OPTICAL2BODY,
    ),
    _Reading("inverse", "sensor2ego is ego to camera", "Give its inverse, camera to ego", rigid_inverse),
    _Reading(
        "quaternion order",
        "a quaternion was given as x, y, z, w where w, x, y, z is expected",
        "Give w first, or name the fields",
        _other_order,
    ),
    _Reading(
        "left-handed",
        "the axes are left-handed (x forward, y right, z up, as in CARLA and Unreal)",
        "Use `occvino rig from-carla`, or mirror y and turn to the optical frame",
        lambda matrix: _MIRRORED @ matrix @ _MIRRORED @ _OPTICAL2BODY,
    ),
    _Reading(
        "mirrored",
        "y points to the right, as in left-handed axes",
        "Mirror y: ego is x forward, y left, z up",
        # the camera's own x is mirrored too, so that its image is not
        lambda matrix: _MIRRORED @ matrix @ np.diag([-1.0, 1.0, 1.0, 1.0]),
    ),
    _Reading("millimetres", "translations are in millimetres", "Divide them by 1000", _divided(1000)),
    _Reading("centimetres", "translations are in centimetres", "Divide them by 100", _divided(100)),
    _Reading(
        "degrees",
        "angles in degrees were taken for radians when the matrix was made",
        "Convert them first: radians = degrees * pi / 180",
        _in_degrees,
    ),
)
