"""Cameras of CARLA: a JSON list of sensors with CARLA's transforms, or the `objects.json` of its ROS bridge.

CARLA's axes are Unreal's: x forward, y right, z up, left-handed; angles in degrees, yaw to the right, pitch up, roll
to the right (source: `Transform::GetMatrix` in LibCarla's `geom/Transform.h`). The ROS bridge's `spawn_point` is of
ROS: y left, yaw to the left, pitch down, degrees too (`carla_spawn_objects.py`, `carla_common/transforms.py`). Both
make a camera's intrinsics of the field of view across the width, with the principal point in the middle.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from occvino.errors import RigError, warn
from occvino.files import from_json
from occvino.geometry.camera import Camera
from occvino.geometry.readers.fields import Record, intrinsics_of, read_text, shown, told_at
from occvino.geometry.readers.poses import OPTICAL2BODY, SIX_NUMBERS, pose_from_angles, reference_pose
from occvino.geometry.readers.reading import Reading
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import Matrix

_EXPECTED = 'a JSON list of sensors with "id", "image_size_x", "image_size_y", "fov" and "transform", or objects.json'
_FIX = "write it as CARLA has it"
_RGB = "sensor.camera.rgb"
_PLACE, _ANGLES = ("x", "y", "z"), ("pitch", "yaw", "roll")
_STRAIGHT = {
    "lens_circle_multiplier": 0.0,
    "lens_circle_falloff": 5.0,
    "lens_k": -1.0,
    "lens_kcube": 0.0,
    "lens_x_size": 0.08,
    "lens_y_size": 0.08,
}
"""CARLA's own defaults (its sensor reference, "Camera lens distortion attributes"). Others bend the image, in a way
that no lens model here describes."""


def read_carla(path: str | Path, reference2ego: Matrix | None = None) -> Reading:
    """A rig from the RGB cameras of a CARLA vehicle.

    Args:
        path: JSON: a list of sensors with `id`, `transform: {location, rotation}` and `image_size_x`, `image_size_y`,
            `fov`, plain or under `attributes`; or the ROS bridge's objects with `spawn_point`.
        reference2ego: pose in the ego frame [4, 4] of the vehicle's origin, with axes x forward, y left, z up. The
            identity when left out, with a warning: CARLA's origin is near the middle of the vehicle.

    Raises:
        RigError: the file cannot be read, has no RGB camera or those of several vehicles, or a field is missing or
            cannot be right.
    """
    file = Path(path)
    sensors, bridge = _sensors(file)
    cameras = [each for each in sensors if each.values.get("type", _RGB) == _RGB]
    if not cameras:
        types = sorted({str(each.values.get("type")) for each in sensors})
        raise RigError(f"{file} has no {_RGB}; it has {', '.join(types)[:200] or 'no sensor'}: {_EXPECTED}")
    if reference2ego is None:
        warn(
            f"{file}: the vehicle's origin is taken for the ego origin, which is below the middle of the rear axle. "
            "CARLA's is about half of a wheelbase ahead of that: give reference2ego "
            f"(--reference-in-ego {SIX_NUMBERS}), as 1.4,0,0"
        )
    base = reference_pose(reference2ego, np.eye(4))
    rig = Rig(tuple(_camera(each, base) for each in cameras))
    _warn_of_lenses(cameras)
    left_out = [str(each.values.get("id")) for each in sensors if each not in cameras]
    return Reading(rig, _notes(bridge, left_out, reference2ego is not None))


def _notes(bridge: bool, left_out: list[str], placed: bool) -> tuple[str, ...]:
    bridge_axes = "axes: the ROS bridge's x forward, y left, z up (yaw to the left, pitch down, degrees), turned into"
    own_axes = "axes: CARLA's left-handed x forward, y right, z up (yaw to the right, pitch up, degrees), turned into"
    return (
        "intrinsics: from image_size_x, image_size_y and fov (across the width, degrees); no lens",
        f"{bridge_axes if bridge else own_axes} the optical frame",
        "extrinsics: poses of the cameras on the vehicle (camera to vehicle)",
        *([f"left out, not {_RGB}: {', '.join(left_out)}"] if left_out else []),
        f"reference: the vehicle's origin, {'placed as given' if placed else 'taken for the ego frame'}",
    )


def _sensors(file: Path) -> tuple[list[Record], bool]:
    """Sensors of the file, and whether they are the ROS bridge's."""
    try:
        document = from_json(read_text(file, _EXPECTED))
    except RigError:
        raise
    except ValueError as error:
        raise RigError(f"{file} is not JSON: {error}; expected {_EXPECTED}") from error
    if isinstance(document, dict) and "objects" in document:
        return _of_bridge(file, cast(dict[str, Any], document)["objects"]), True
    listed = cast(dict[str, Any], document).get("sensors") if isinstance(document, dict) else document
    return list(_records(file, "sensor", listed)), False


def _of_bridge(file: Path, objects: Any) -> list[Record]:
    """The sensors of the one vehicle that has cameras; others stand in the world and not on it."""
    vehicles = [
        (each, list(_records(file, f"sensor of {each.values.get('id')}", each["sensors"])))
        for each in _records(file, "object", objects)
        if str(each.values.get("type", "")).startswith("vehicle.") and "sensors" in each
    ]
    found = [(each, sensors) for each, sensors in vehicles if any(one.values.get("type") == _RGB for one in sensors)]
    if len(found) > 1:
        names = ", ".join(str(each.values.get("id")) for each, _ in found)
        raise RigError(f"{file} has cameras on several vehicles, {names}: leave one")
    return found[0][1] if found else []


def _records(file: Path, what: str, listed: Any) -> Iterator[Record]:
    if not isinstance(listed, list):
        raise RigError(f"{file}: {shown(listed)} is no list of {what}s: expected {_EXPECTED}")
    for number, each in enumerate(cast(list[Any], listed)):
        if not isinstance(each, dict):
            raise RigError(f"{file}, {what} {number}: {shown(each)} is no sensor: expected {_EXPECTED}")
        values = cast(dict[str, Any], each)
        yield Record(f"{file}, {what} {values.get('id', number)}", values, _FIX)


def _attributes(sensor: Record) -> Record:
    return sensor.record("attributes") if "attributes" in sensor else sensor


def _camera(sensor: Record, base: Matrix) -> Camera:
    attributes = _attributes(sensor)
    width, height = attributes.whole("image_size_x"), attributes.whole("image_size_y")
    fov = attributes.number("fov")
    if not 0 < fov < 180:
        raise attributes.wrong("fov", "degrees across the width, between 0 and 180")
    focal = width / (2 * np.tan(np.radians(fov) / 2))
    body2ego = base @ _pose(sensor)
    with told_at(sensor.where):
        return Camera(
            name=sensor.text("id"),
            width=width,
            height=height,
            intrinsics=intrinsics_of(focal, focal, width / 2, height / 2),
            sensor2ego=body2ego @ OPTICAL2BODY,
            ego2global=np.eye(4),
        )


def _pose(sensor: Record) -> Matrix:
    """Of a camera (x forward, y left, z up) on the vehicle [4, 4]."""
    if "transform" in sensor and "spawn_point" in sensor:
        raise RigError(f"{sensor.where} has a transform and a spawn_point, of other axes each: leave one out")
    if "spawn_point" in sensor:
        given = _numbers(sensor.record("spawn_point"), (*_PLACE, *_ANGLES))
        return pose_from_angles(given[:3], yaw=given[4], pitch=given[3], roll=given[5])
    transform = sensor.record("transform")
    x, y, z = _numbers(transform.record("location"), _PLACE)
    pitch, yaw, roll = _numbers(transform.record("rotation"), _ANGLES) if "rotation" in transform else (0.0,) * 3
    # the mirror of y turns yaw and pitch around and leaves roll: S R S with S = diag(1, -1, 1)
    return pose_from_angles((x, -y, z), yaw=-yaw, pitch=-pitch, roll=roll)


def _numbers(record: Record, names: Sequence[str]) -> list[float]:
    """Values by name; what is left out is 0, as in CARLA and its bridge, and so a misspelled name is an error."""
    unknown = [name for name in record.values if name not in names]
    if unknown:
        raise RigError(f"{record.where} has {', '.join(map(str, unknown))}, expected {', '.join(names)}: {_FIX}")
    return [record.number(name) if name in record else 0.0 for name in names]


def _warn_of_lenses(cameras: Sequence[Record]) -> None:
    bent = [
        f"{each.where}: {name} is {shown(_attributes(each)[name])}"
        for each in cameras
        for name, straight in _STRAIGHT.items()
        if name in _attributes(each) and _attributes(each).number(name) != straight
    ]
    if bent:
        warn(
            f"{'; '.join(bent)}: CARLA bends these images, and the lens is not read. Leave the lens attributes at "
            "their defaults, or calibrate with images of a chessboard"
        )
