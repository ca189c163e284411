"""Poses as rig files spell them: a matrix, a quaternion with a translation, or ROS's named fields."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from occvino.errors import RigError
from occvino.geometry.transforms import Matrix, pose

_ROTATIONS = ("rotation_wxyz", "rotation", "orientation")
_TRANSLATIONS = ("translation_m", "translation", "position")
POSE_KEYS = (*_ROTATIONS, *_TRANSLATIONS)
_EXPECTED = (
    'a matrix [4, 4], {"rotation_wxyz": [w, x, y, z], "translation_m": [x, y, z]}, or a ROS pose with named fields, '
    '{"orientation": {"x", "y", "z", "w"}, "position": {"x", "y", "z"}}'
)


def pose_from_json(what: str, value: Any) -> Matrix:
    """A pose [4, 4] of a rig file; no order of numbers is guessed. `what`: its name, for messages.

    Raises:
        RigError: the value is of another shape, or may be read in two ways.
    """
    if not isinstance(value, dict):
        return np.asarray(value, np.float64)
    rotation, translation = _one_of(what, value, _ROTATIONS), _one_of(what, value, _TRANSLATIONS)
    return pose(_wxyz(what, rotation, value[rotation]), _xyz(what, translation, value[translation]))


def _one_of(what: str, fields: Mapping[str, Any], names: tuple[str, ...]) -> str:
    found = [name for name in names if name in fields]
    if len(found) > 1:
        raise RigError(f"{what} gives {' and '.join(found)}: leave one out")
    if not found:
        given = ", ".join(fields) or "nothing"
        raise RigError(f"{what}: the rig file gives no {names[0]!r} there, but {given}; expected {_EXPECTED}")
    return found[0]


def _wxyz(what: str, name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return _named(f"{what}: {name}", value, "wxyz")
    if name != "rotation_wxyz":
        raise RigError(
            f"{what}: {name} is {value}, which may have w first or last: give a quaternion as rotation_wxyz, w first, "
            'or with named fields, {"x", "y", "z", "w"}'
        )
    return value


def _xyz(what: str, name: str, value: Any) -> Any:
    return _named(f"{what}: {name}", value, "xyz") if isinstance(value, dict) else value


def _named(what: str, fields: Mapping[str, Any], names: str) -> list[Any]:
    if set(fields) != set(names):
        raise RigError(f"{what} has the fields {', '.join(fields)}; expected {', '.join(names)}")
    return [fields[name] for name in names]
