"""The lens of a camera as rig files spell it, and every other spelling refused, so that none is ignored."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from occvino.errors import RigError
from occvino.geometry.lens import COUNTS, Lens, LensModel

LENS_KEYS = ("model", "coefficients")
_LISTS = ("distortion", "distortion_coefficients", "distortion_coeffs", "dist_coeffs", "D", "d")
_NAMES = ("distortion_model", "camera_model")
_MODELS: dict[str, LensModel | None] = {
    "plumbbob": "plumb_bob",
    "radtan": "plumb_bob",
    "brownconrady": "plumb_bob",
    "opencv": "plumb_bob",
    "rationalpolynomial": "rational_polynomial",
    "rational": "rational_polynomial",
    "equidistant": "fisheye",
    "fisheye": "fisheye",
    "opencvfisheye": "fisheye",
    "kannalabrandt4": "fisheye",
    **dict.fromkeys(("", "none", "no", "pinhole", "perspective")),
}
"""What others call the models; None for those that are a pinhole."""
_EXPECTED = 'expected "distortion": {"model": "plumb_bob", "coefficients": [k1, k2, p1, p2, k3]}'
_DESCRIBE = (
    *("distortionmodel", "cameramodel", "lensmodel", "projectionmodel"),
    *("d", "dist", "distcoeffs", "distcoefs", "distcoef", "xi", "radial", "tangential", "thinprism", "lens"),
    *(f"{letter}{index}" for letter in "kps" for index in range(1, 9)),
)


def lens_model(name: str) -> LensModel | None:
    """A lens model by any of the usual names; None for a pinhole.

    Raises:
        RigError: it is unknown.
    """
    plain = _plain(name)
    if plain not in _MODELS:
        known = "plumb_bob (radtan), rational_polynomial, fisheye (equidistant)"
        raise RigError(
            f"lens model {name!r} is not supported: expected {known}, or none. Calibrate again with one of these, or "
            "undistort the images and give the intrinsics of the undistorted ones"
        )
    return _MODELS[plain]


def make_lens(model: str, coefficients: Any) -> Lens | None:
    """A lens as ROS, Kalibr and OpenCV give it; None for a straight one.

    A `plumb_bob` of eight or more numbers is OpenCV's rational model, and missing numbers at the end are zeros.

    Raises:
        RigError: the model is unknown, the coefficients are no list of numbers, or too many or too few.
    """
    try:
        numbers = tuple(float(value) for value in coefficients)
    except (TypeError, ValueError):
        raise RigError(f"lens coefficients {coefficients!r}: expected a list of numbers") from None
    named = lens_model(model)
    if named is None:
        if any(numbers):
            raise RigError(f"the lens model is {model or 'none'!r} and the coefficients {list(numbers)} are not zero")
        return None
    if named != "fisheye" and not any(numbers):
        return None
    if named == "plumb_bob" and len(numbers) in COUNTS["rational_polynomial"]:
        named = "rational_polynomial"
    return Lens(named, numbers)


def lens_of_fields(fields: Mapping[str, Any]) -> Lens | None:
    """The lens that a camera's fields in a rig file tell; None for a straight one.

    `"distortion": {"model", "coefficients"}`, or a list of numbers under a usual name with `distortion_model` beside.

    Raises:
        RigError: the lens is told in another way, in two ways, or a value cannot be right.
    """
    keys = [key for key in fields if describes_lens(key)]
    lists = [key for key in keys if key in _LISTS]
    names = [key for key in keys if key in _NAMES and isinstance(fields[key], str)]
    others = [key for key in keys if key not in (*lists, *names) and not _says_nothing(fields[key])]
    if others:
        raise RigError(f"{others[0]} is {json.dumps(fields[others[0]])[:80]}, which tells of a lens: {_EXPECTED}")
    if len(lists) > 1 or len(names) > 1:
        raise RigError(f"the lens is told by {' and '.join(lists if len(lists) > 1 else names)}: leave one out")
    if not lists:
        model = lens_model(fields[names[0]]) if names else None
        if model == "fisheye":
            raise RigError(f"{names[0]} is {fields[names[0]]!r} and no coefficients are given: {_EXPECTED}")
        return None
    value = fields[lists[0]]
    if isinstance(value, dict):
        if set(value) != set(LENS_KEYS) or names:
            raise RigError(f"{lists[0]} has the fields {', '.join(map(str, value))}: {_EXPECTED}")
        return make_lens(str(value["model"]), value["coefficients"])
    if not names and not _says_nothing(value):
        raise RigError(f"{lists[0]} is {json.dumps(value)[:80]} without the name of its model: {_EXPECTED}")
    return make_lens(fields[names[0]], value) if names else None


def lens_to_json(lens: Lens) -> dict[str, Any]:
    """What `lens_of_fields` reads back under `distortion`."""
    return {"model": lens.model, "coefficients": list(lens.coefficients)}


def refuse_lens(where: str, fields: Mapping[str, Any]) -> None:
    """Refuse fields that tell of a lens, where none can be told.

    Raises:
        RigError: names the field, its value and the fix.
    """
    for key, value in fields.items():
        if describes_lens(key) and not _says_nothing(value):
            raise RigError(f"{where}: {key} is {json.dumps(value)[:80]}: give the lens of each camera, {_EXPECTED}")


def describes_lens(key: str) -> bool:
    """Whether a key of a rig file is one of the usual spellings of distortion coefficients or models."""
    plain = _plain(key)
    return plain in _DESCRIBE or "fisheye" in plain or ("distortion" in plain and "undistortion" not in plain)


def _plain(text: str) -> str:
    return re.sub("[^a-z0-9]", "", text.lower())


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner)
    else:
        yield value


def _says_nothing(value: Any) -> bool:
    """Whether all numbers in it are zero, and all names are those of a model that is a pinhole then."""
    return all(
        _plain(leaf) in _MODELS and _MODELS[_plain(leaf)] != "fisheye" if isinstance(leaf, str) else not leaf
        for leaf in _leaves(value)
    )
