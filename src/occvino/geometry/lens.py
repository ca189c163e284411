"""Lens distortion in a rig file: zeros are harmless, all else is refused, since a camera is a pinhole here."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from occvino.errors import RigError

_MODELS = ("distortionmodel", "cameramodel", "lensmodel", "projectionmodel")
_COEFFICIENTS = (
    *(
        "d",
        "dist",
        "distcoeffs",
        "distcoefs",
        "distcoef",
        "xi",
        "radial",
        "tangential",
        "thinprism",
        "cameradistortion",
    ),
    *(f"{letter}{index}" for letter in "kps" for index in range(1, 9)),
)
_PINHOLES = ("", "none", "no", "pinhole", "perspective", "plumbbob", "rationalpolynomial", "radtan", "brownconrady")
"""Names of models that are a pinhole where all their coefficients are zero. A fisheye lens is none even then."""


def refuse_distortion(where: str, fields: Mapping[str, Any]) -> None:
    """Refuse fields that say that the lens distorts, however they are spelled; coefficients that are all 0 may stay.

    Raises:
        RigError: names the field, its value and the fix.
    """
    for key, value in fields.items():
        if describes_lens(key) and not all(_harmless(leaf) for leaf in _leaves(value)):
            raise RigError(
                f"{where}: {key} is {json.dumps(value)[:80]}: lens distortion is not supported yet. Undistort the "
                f"images, give the intrinsics of the undistorted images, and leave {key} out"
            )


def describes_lens(key: str) -> bool:
    """Whether a key of a rig file is one of the usual spellings of distortion coefficients or models."""
    plain = _plain(key)
    return (
        plain in _MODELS
        or plain in _COEFFICIENTS
        or "fisheye" in plain
        or ("distortion" in plain and "undistortion" not in plain)
    )


def _plain(text: str) -> str:
    return re.sub("[^a-z0-9]", "", text.lower())


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner)
    else:
        yield value


def _harmless(leaf: Any) -> bool:
    return _plain(leaf) in _PINHOLES if isinstance(leaf, str) else not leaf
