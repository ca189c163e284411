"""Rigs as JSON files (docs/rig.md): `{"cameras": {NAME: {width, height, intrinsics, sensor2ego, ...}}}`."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from occvino.errors import RigError, warn
from occvino.files import from_json, to_json, write_text
from occvino.geometry.camera import Camera
from occvino.geometry.lens_json import describes_lens, lens_of_fields, lens_to_json, refuse_lens
from occvino.geometry.pose_json import POSE_KEYS, pose_from_json

_KEYS = ("cameras", "scene", "time")
_POSES = ("sensor2ego", "ego2global")
_CAMERA_KEYS = ("width", "height", "intrinsics", *_POSES)


class UnknownKeyWarning(UserWarning):
    """A rig file has keys that nothing reads, such as a misspelled one."""


def load_rig(path: str | Path) -> tuple[Camera, ...]:
    """Cameras of a rig file, in its order.

    See `Rig.load`.

    Raises:
        RigError: the file is missing, not JSON, or a value cannot be right.
    """
    try:
        document = from_json(Path(path).read_text(encoding="utf-8-sig"), object_pairs_hook=_no_key_twice)
    except (OSError, ValueError) as error:
        raise RigError(f"cannot read the rig {path}: {error}") from error
    cameras = document.get("cameras") if isinstance(document, dict) else None
    if not isinstance(cameras, dict):
        raise RigError(f'{path} holds no "cameras" object that maps camera names to their calibration')
    refuse_lens(str(path), document)
    _check_ego2global(cameras)
    found = tuple(_camera_from_json(name, entry) for name, entry in cameras.items())
    _warn_of_unknown(Path(path).name, document)
    return found


def save_rig(cameras: Sequence[Camera], path: str | Path) -> None:
    """Write cameras as JSON that `load_rig` reads back to the same float64 values."""
    entries = {
        camera.name: {
            "width": camera.width,
            "height": camera.height,
            "intrinsics": camera.intrinsics.tolist(),
            "sensor2ego": camera.sensor2ego.tolist(),
            "ego2global": camera.ego2global.tolist(),
            **({"distortion": lens_to_json(camera.lens)} if camera.lens else {}),
        }
        for camera in cameras
    }
    write_text(path, to_json({"cameras": entries}) + "\n")


def _camera_from_json(name: str, entry: Any) -> Camera:
    if not isinstance(entry, dict):
        raise RigError(f"{name}: the rig file holds {entry!r}, expected an object with {', '.join(_CAMERA_KEYS)}")
    try:
        return Camera(
            name=name,
            width=_whole(entry["width"]),
            height=_whole(entry["height"]),
            intrinsics=np.asarray(entry["intrinsics"], np.float64),
            sensor2ego=pose_from_json("sensor2ego", entry["sensor2ego"]),
            ego2global=pose_from_json("ego2global", entry["ego2global"]) if "ego2global" in entry else np.eye(4),
            lens=lens_of_fields(entry),
        )
    except RigError as error:
        raise RigError(str(error) if str(error).startswith(name) else f"{name}: {error}") from error
    except KeyError as error:
        given = ", ".join(entry) or "nothing"
        raise RigError(f"{name}: the rig file gives no {error.args[0]!r}; it gives {given}") from error
    except (TypeError, ValueError) as error:
        raise RigError(f"{name}: a value in the rig file is not a number or has the wrong shape: {error}") from error


def _whole(value: Any) -> int:
    if type(value) is float and value.is_integer():
        return int(value)
    if type(value) is not int:
        raise TypeError(f"{value!r} is not a whole number of pixels")
    return value


def _check_ego2global(cameras: Mapping[str, Any]) -> None:
    """The identity would stand for what was left out, and the cameras would be far from one another."""
    given = [name for name, entry in cameras.items() if isinstance(entry, dict) and "ego2global" in entry]
    without = [name for name in cameras if name not in given]
    if given and without:
        raise RigError(
            f"ego2global is given for {', '.join(given)} and not for {', '.join(without)}: give it for all cameras, "
            "or for none if the vehicle stands still"
        )


def _warn_of_unknown(file: str, document: Mapping[str, Any]) -> None:
    places: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for place, known, key in _keys(document):
        if key not in known and not key.startswith("_") and not key.lower().startswith("comment"):
            places.setdefault((key, known), []).append(place)
    if not places:
        return
    told: list[str] = []
    for (key, known), found in places.items():
        near = difflib.get_close_matches(key.lower(), known, n=1)
        hint = f" (is {near[0]} meant?)" if near else ""
        everywhere = len(found) > 1 and found == list(document["cameras"])
        told.append(f"{key!r}{hint} in {'every camera' if everywhere else ', '.join(found)}")
    warn(f"{file} has keys that are not known and were ignored: {'; '.join(told)}", UnknownKeyWarning)


def _keys(document: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Every key of a rig file with its place and those that are known there; those of lenses are `lens`'s."""
    for key in document:
        if not describes_lens(key):
            yield "the file", _KEYS, key
    for name, entry in document["cameras"].items():
        for key, value in entry.items() if isinstance(entry, dict) else ():
            if not describes_lens(key):
                yield name, _CAMERA_KEYS, key
            if key in _POSES and isinstance(value, dict):
                yield from ((f"{key} of {name}", POSE_KEYS, inner) for inner in value)


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON lets a key stand twice and the last one win, which would lose a camera."""
    keys = [key for key, _ in pairs]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise RigError(f"the rig file gives {', '.join(twice)} twice in one place")
    return dict(pairs)
