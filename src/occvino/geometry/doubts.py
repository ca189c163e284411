"""Signs that a rig is wrong where nothing forbids it: what its cameras see of the grid, where they sit and look.

Every sign is a measurement, told with its value. They are looked for when a plan is made, which is when a rig moved.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from occvino.errors import warn
from occvino.geometry.calibration import Calibration
from occvino.geometry.camera import Camera, off_centre
from occvino.geometry.lift import PoolingPlan, points_in_grid
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import Matrix, motion_between, pose
from occvino.variant import Variant

FEW = 1 / 3
"""Of the usual share of points. Right rigs have 80 to 105 % of it, cameras turned by 90 degrees 10 to 40 %."""
_FAR = 20.0
"""Metres from the ego origin: no vehicle is longer."""
_HEIGHTS = 0.1, 6.0
"""Metres above the ego origin, which is on the ground."""
_APART = 10.0, 30.0
"""Metres and degrees between the ego poses of two cameras of one frame, which fire within 0.1 s."""
_STEEP = 60.0
"""Degrees from level, and of roll."""
_SLOPING = 0.5
"""Sine of 30 degrees: the horizon is at the edge of a usual image then."""
_MARGIN = 1 / 8
"""Of the network's rows, above or below the horizon."""
_SIDEWAYS, _ASIDE = 0.15, 0.04
"""Sine of 9 degrees; metres between two cameras that look the same way."""
_FOCAL, _HORIZON = 0.79, 0.29
"""What nuScenes cameras have as the models see them: focal length over width, row of the horizon over height."""
_SIDES = {"left": (0, 1), "right": (0, -1), "front": (1, 0), "back": (-1, 0), "rear": (-1, 0)}
_AGAINST = -0.5
"""Cosine between a direction and the one that a camera's name says: 120 degrees."""


class DoubtfulRigWarning(UserWarning):
    """A rig can hardly be right: a camera has few points in the grid, sits far off, looks at the sky, ..."""


@dataclass(frozen=True)
class Doubt:
    """One sign: of which camera, what kind it is, and the words with the values."""

    camera: str
    kind: str
    words: str


def shares_in_grid(rig: Rig, variant: Variant) -> dict[str, float]:
    """Of each camera of one frame, which share (0..1) of its frustum points is in the grid.

    Raises:
        RigError: a matrix has no inverse, or an image does not fit the variant.
    """
    found = points_in_grid(rig.calibration(variant), variant)
    return {name: float(count) / variant.points_per_camera for name, count in zip(rig.names, found, strict=True)}


@lru_cache(maxsize=8)
def usual_share(variant: Variant) -> float:
    """The share of points (0..1) that a camera as in nuScenes has in the grid: level, 1.5 m above the ego origin."""
    height, width = variant.input_size
    intrinsics = np.array([[_FOCAL * width, 0, width / 2], [0, _FOCAL * width, _HORIZON * height], [0, 0, 1]])
    ahead = pose([0.5, -0.5, 0.5, -0.5], [0, 0, 1.5])[None]
    level = Calibration(
        *(array.astype(np.float32) for array in (ahead, np.eye(4)[None], intrinsics[None], np.eye(3)[None])),
        post_trans=np.zeros((1, 3), np.float32),
        bda=np.eye(3, dtype=np.float32),
    )
    return float(points_in_grid(level, variant)[0]) / variant.points_per_camera


def doubts(rig: Rig, variant: Variant, plan: PoolingPlan | None = None) -> list[Doubt]:
    """All signs that the rig of a frame is wrong; `plan`: of that frame and those before it, if it was made."""
    found: list[Doubt] = []
    typical = _medoid(rig)
    against = {doubt.camera: doubt for doubt in swapped(rig)}
    for index, (camera, transform) in enumerate(zip(rig.cameras, rig.image_transforms(variant), strict=True)):
        if plan and plan.kept:  # an empty plan is an error of its own
            found += _few_points(camera, plan.kept_of[index] / variant.points_per_camera, variant)
        found += _apart(camera, rig.cameras[typical])
        own = doubts_of_camera(camera)
        found += own
        if camera.name in against and not any(doubt.kind == "name" for doubt in own):
            found.append(against[camera.name])
        if not any(doubt.kind in ("elevation", "roll") for doubt in own):
            found += _horizon(camera, transform.scale, transform.crop[1], variant)
    return found


def doubts_of_rig(rig: Rig) -> list[Doubt]:
    """The signs that need no model: places, directions, names and intrinsics."""
    typical = rig.cameras[_medoid(rig)]
    own = [doubt for camera in rig.cameras for doubt in (*_apart(camera, typical), *doubts_of_camera(camera))]
    named = {doubt.camera for doubt in own if doubt.kind == "name"}
    return own + [doubt for doubt in swapped(rig) if doubt.camera not in named]


def doubts_of_camera(camera: Camera) -> list[Doubt]:
    """The signs of one camera alone, whatever the vehicle's pose."""
    return [*_place(camera), *_direction(camera), *_centre(camera)]


def warn_of_doubts(found: Sequence[Doubt], likely: Sequence[object] = ()) -> None:
    """One `DoubtfulRigWarning` for all of them, with what to check; none if there are none.

    Args:
        found: by `doubts`.
        likely: the mistakes that explain them (`mistakes.mistakes`), which then take the place of general advice.
    """
    if not found:
        return
    words = f"doubts about the rig: labels would be wrong and look plausible{told_doubts(found)}\n"
    warn(words + (told_mistakes(likely) or _advice(found)), DoubtfulRigWarning)


def told_mistakes(likely: Sequence[object]) -> str:
    """The likely mistakes in a sentence each; empty if there are none."""
    return "\n".join(f"{'or' if index else 'likely'}: {mistake}" for index, mistake in enumerate(likely))


def told_doubts(found: Sequence[Doubt]) -> str:
    """A line for each camera, those of which the same is said in one; each begins with a line break."""
    by_camera: dict[str, list[str]] = {}
    for doubt in found:
        by_camera.setdefault(doubt.camera, []).append(doubt.words)
    by_words: dict[str, list[str]] = {}
    for camera, words in by_camera.items():
        by_words.setdefault("; ".join(words), []).append(camera)
    return "".join(f"\n  {', '.join(cameras)}: {words}" for words, cameras in by_words.items())


def _advice(found: Sequence[Doubt]) -> str:
    advice: list[str] = []
    if any(doubt.kind != "horizon" for doubt in found):
        advice.append(
            "Check sensor2ego (camera to ego, metres; camera: x right, y down, z forward; ego: x forward, y left, "
            "z up, its origin on the ground below the rear axle), ego2global (of each camera, of this frame) and the "
            "camera names: docs/rig.md"
        )
    if any(doubt.kind == "horizon" for doubt in found):
        advice.append(
            "Rows are cut as the artifact was converted: convert with --crop middle or --crop ROWS to cut others"
        )
    return ". ".join(advice)


def _few_points(camera: Camera, share: float, variant: Variant) -> list[Doubt]:
    usual = min(usual_share(variant), _own_share(camera, variant))
    if share >= FEW * usual:
        return []
    words = f"{share:.0%} of its points are in the grid (usual: {usual:.0%}), so it adds hardly anything"
    return [Doubt(camera.name, "points", words)]


def _own_share(camera: Camera, variant: Variant) -> float:
    """The share (0..1) that the camera would have at the place of a usual one: a wide lens has fewer points near."""
    level = replace(camera, sensor2ego=pose([0.5, -0.5, 0.5, -0.5], [0, 0, 1.5]), ego2global=np.eye(4))
    return shares_in_grid(Rig((level,)), variant)[camera.name]


def _medoid(rig: Rig) -> int:
    """The camera whose ego position is nearest to those of all: one stale pose is not it."""
    places = np.array([camera.ego2global[:3, 3] for camera in rig.cameras])
    return int(np.linalg.norm(places[:, None] - places, axis=2).sum(1).argmin())


def _apart(camera: Camera, typical: Camera) -> list[Doubt]:
    metres, degrees = motion_between(typical.ego2global, camera.ego2global)
    if metres <= _APART[0] and degrees <= _APART[1]:
        return []
    words = f"its ego2global is {metres:.0f} m and {degrees:.0f} degrees from that of {typical.name}"
    return [Doubt(camera.name, "ego2global", words)]


def _place(camera: Camera) -> list[Doubt]:
    place = camera.sensor2ego[:3, 3]
    distance, (low, high) = float(np.linalg.norm(place)), _HEIGHTS
    if distance > _FAR:
        return [Doubt(camera.name, "far", f"sensor2ego puts it {distance:.0f} m from the ego origin")]
    if not low <= place[2] <= high:
        where = f"{abs(place[2]):.1f} m {'below' if place[2] < 0 else 'above'} the ground"
        return [Doubt(camera.name, "height", f"sensor2ego puts it {where}")]
    return []


def _centre(camera: Camera) -> list[Doubt]:
    words = off_centre(camera)
    return [Doubt(camera.name, "centre", words)] if words else []


def swapped(rig: Rig) -> list[Doubt]:
    """Pairs of cameras whose names differ in left and right alone, and which look, or sit, the other way round."""
    by_words = {tuple(re.findall("[a-z0-9]+", camera.name.lower())): camera for camera in rig.cameras}
    found: list[Doubt] = []
    for words, left in by_words.items():
        right = by_words.get(tuple("right" if word == "left" else word for word in words))
        if "left" not in words or right is None:
            continue
        looks = left.sensor2ego[1, 2], right.sensor2ego[1, 2]  # to the left, of the unit vector
        apart = left.sensor2ego[1, 3] - right.sensor2ego[1, 3]  # metres to the left
        if looks[0] < -_SIDEWAYS and looks[1] > _SIDEWAYS:
            told = "it looks to the {side}, and {other} to the {opposite}"
        elif max(map(abs, looks)) < _SIDEWAYS and apart < -_ASIDE:
            told = "it sits to the {side} of {other}"
        else:
            continue
        found.append(Doubt(left.name, "name", told.format(side="right", other=right.name, opposite="left")))
        found.append(Doubt(right.name, "name", told.format(side="left", other=left.name, opposite="right")))
    return found


def _direction(camera: Camera) -> list[Doubt]:
    down, forward = camera.sensor2ego[:3, 1], camera.sensor2ego[:3, 2]
    elevation = float(np.degrees(np.arcsin(np.clip(forward[2], -1, 1))))
    if abs(elevation) > _STEEP:
        words = f"it looks {abs(elevation):.0f} degrees {'up' if elevation > 0 else 'down'}"
        return [Doubt(camera.name, "elevation", words)]
    roll = float(np.degrees(np.arccos(np.clip(-down[2] / np.cos(np.radians(elevation)), -1, 1))))
    if roll > _STEEP:
        return [Doubt(camera.name, "roll", f"its image is rolled by {roll:.0f} degrees")]
    against = _against_name(camera.name, forward)
    if against:
        yaw = float(np.degrees(np.arctan2(forward[1], forward[0])))
        words = (
            f"it is called {against}, and looks {abs(yaw):.0f} degrees to the {'left' if yaw > 0 else 'right'} of ahead"
        )
        return [Doubt(camera.name, "name", words)]
    return []


def _against_name(name: str, forward: Matrix) -> str | None:
    """The word of a camera's name that says the opposite of where it looks; none if two words contradict each other."""
    words = [word for word in re.findall("[a-z]+", name.lower()) if word in _SIDES]
    level = forward[:2] / max(float(np.linalg.norm(forward[:2])), 1e-9)
    cosine: Callable[[str], float] = lambda word: float(level @ np.array(_SIDES[word]))  # noqa: E731
    contradict = any(np.dot(_SIDES[a], _SIDES[b]) < 0 for a in words for b in words)
    return next((word for word in words if not contradict and cosine(word) < _AGAINST), None)


def _horizon(camera: Camera, scale: float, top: int, variant: Variant) -> list[Doubt]:
    """Where the horizon is in the middle column of what the network sees, for cameras that are not too steep."""
    down, forward = camera.sensor2ego[2, 1], camera.sensor2ego[2, 2]
    if down > -0.5:
        return []
    slope = -forward / down
    if camera.lens is not None:
        slope = float(camera.lens.distorted(np.array([0.0, slope]))[1])
    rows, cut = variant.input_size[0], top
    row = (camera.intrinsics[1, 2] + camera.intrinsics[1, 1] * slope) * scale - cut
    if _MARGIN * rows <= row <= (1 - _MARGIN) * rows:
        return []
    if abs(forward) > _SLOPING:  # no crop would bring it back
        degrees = float(np.degrees(np.arcsin(abs(forward))))
        where = f"it looks {degrees:.0f} degrees {'up' if forward > 0 else 'down'}"
        return [Doubt(camera.name, "horizon", f"{where}, and the horizon is outside of what the network sees")]
    below = int(camera.height * scale) - cut - rows
    words = (
        f"the horizon is in row {row:.0f} of the {rows} that the network sees (usual: {_HORIZON * rows:.0f}), "
        f"since the crop {variant.crop!r} cuts {cut} rows above and {below} below"
    )
    return [Doubt(camera.name, "horizon", words)]
