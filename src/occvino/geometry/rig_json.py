"""Rigs as JSON files: `{"cameras": {NAME: {width, height, intrinsics, sensor2ego, ego2global}}}` (docs/rig.md)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from occvino.errors import RigError
from occvino.files import to_json, write_text
from occvino.geometry.camera import Camera
from occvino.geometry.transforms import Matrix, pose


def load_rig(path: str | Path) -> tuple[Camera, ...]:
    """Cameras of a rig file, in its order.

    Poses are a matrix [4, 4] or `{"rotation_wxyz": [4], "translation_m": [3]}`; `ego2global` may be left out for a
    vehicle that stands still. Other keys are ignored, so a file may say more than this reader needs.

    Raises:
        RigError: the file is missing, not JSON, or a value cannot be right.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"), object_pairs_hook=_no_key_twice)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RigError(f"cannot read the rig {path}: {error}") from error
    cameras = document.get("cameras") if isinstance(document, dict) else None
    if not isinstance(cameras, dict):
        raise RigError(f'{path} holds no "cameras" object that maps camera names to their calibration')
    return tuple(_camera_from_json(name, entry) for name, entry in cameras.items())


def save_rig(cameras: Sequence[Camera], path: str | Path) -> None:
    """Write cameras as JSON that `load_rig` reads back to the same float64 values."""
    entries = {
        camera.name: {
            "width": camera.width,
            "height": camera.height,
            "intrinsics": camera.intrinsics.tolist(),
            "sensor2ego": camera.sensor2ego.tolist(),
            "ego2global": camera.ego2global.tolist(),
        }
        for camera in cameras
    }
    write_text(path, to_json({"cameras": entries}) + "\n")


def _camera_from_json(name: str, entry: Any) -> Camera:
    try:
        return Camera(
            name=name,
            width=_whole(entry["width"]),
            height=_whole(entry["height"]),
            intrinsics=np.asarray(entry["intrinsics"], np.float64),
            sensor2ego=_pose_from_json(entry["sensor2ego"]),
            ego2global=_pose_from_json(entry["ego2global"]) if "ego2global" in entry else np.eye(4),
        )
    except RigError as error:
        raise RigError(str(error) if str(error).startswith(name) else f"{name}: {error}") from error
    except KeyError as error:
        raise RigError(f"{name}: the rig file gives no {error.args[0]!r}") from error
    except (TypeError, ValueError) as error:
        raise RigError(f"{name}: a value in the rig file is not a number or has the wrong shape: {error}") from error


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is not a whole number of pixels")
    return value


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON lets a key stand twice and the last one win, which would lose a camera."""
    keys = [key for key, _ in pairs]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise RigError(f"the rig file gives {', '.join(twice)} twice in one place")
    return dict(pairs)


def _pose_from_json(value: Any) -> Matrix:
    if isinstance(value, dict):
        return pose(value["rotation_wxyz"], value["translation_m"])
    return np.asarray(value, np.float64)
