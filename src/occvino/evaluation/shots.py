"""Moments of a data set, or of a folder of folders, as a stream takes them."""

import json
import re
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from occvino.datasets.nuscenes import Frame, NuScenes
from occvino.errors import OccvinoError, RigError
from occvino.geometry.rig import Rig
from occvino.images.inputs import Moment
from occvino.runtime import Shot

RIG = "rig.json"


def shots_of(
    dataset: NuScenes, indices: Iterable[int], *, rig: Rig | None = None, frames: int = 1, remembers: bool = False
) -> Iterator[Shot]:
    """Shots of some frames of a set, each with its scene and time.

    Args:
        dataset: which holds the frames, and those before them.
        indices: which frames.
        rig: to use for all of them instead of their own, for an artifact whose calibration is baked in.
        frames: how many moments the network takes, the current one among them.
        remembers: the network keeps the moments before itself, and is given them only where the sequence leaps.
    """
    ran: Frame | None = None
    for index in indices:
        frame = dataset[index]
        before = dataset.previous(index, frames - 1)
        if remembers:  # the memory knows what stands in at the start of a scene
            known = ran is not None and before[:1] == (ran,)
            before = () if known else tuple(other for other in before if other is not frame)
        past: list[Moment] = [(other.pictures(), other.rig) for other in before]
        ran = frame
        yield Shot(frame.pictures(), rig or frame.rig, past, scene=frame.scene, time=frame.timestamp / 1e6)


def shots_of_folders(
    folder: Path, rig: Rig | None = None, *, frames: int = 1, remembers: bool = False
) -> tuple[list[str], Iterator[Shot | OccvinoError]]:
    """Names and shots of the folders in a folder: pictures, and a `rig.json` unless `rig`.

    They are moments of one drive in the order of their names, 2 before 10, and where the rig files say so of several:
    beside "cameras" they may hold "scene", a name, and "time", seconds. A rig that cannot be read stands as an error in
    its place, and is no one's past.

    Args:
        folder: that holds them.
        rig: of all moments, for an artifact whose calibration is baked in.
        frames: as in `shots_of`.
        remembers: as in `shots_of`.

    Raises:
        OccvinoError: there is no folder in it.
    """
    found = sorted((path for path in folder.glob("*") if path.is_dir()), key=lambda path: in_order(path.name))
    if not found:
        raise OccvinoError(f"{folder} holds no folders, one for each moment, with pictures and {RIG}")
    shots = (_shot(path, rig) for path in found)
    return [path.name for path in found], _timed(shots) if remembers else _with_past(shots, frames - 1)


def in_order(name: str) -> list[tuple[int, str]]:
    """To sort names by: numbers in them count as numbers."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def _with_past(shots: Iterator[Shot | OccvinoError], wanted: int) -> Iterator[Shot | OccvinoError]:
    """Each shot with those of its scene before it, newest first."""
    before: deque[Shot] = deque(maxlen=wanted)
    for shot in shots:
        if isinstance(shot, Shot):
            if before and before[0].scene != shot.scene:
                before.clear()
            yield replace(shot, past=[(other.frames, other.rig) for other in before if other.rig])
            before.appendleft(shot)
        else:
            yield shot


def _timed(shots: Iterator[Shot | OccvinoError]) -> Iterator[Shot | OccvinoError]:
    """The same, with a warning if the first one tells no time."""
    asked = False
    for shot in shots:
        if isinstance(shot, Shot) and not asked:
            asked = True
            if shot.time is None:
                warnings.warn(
                    f'{shot.frames}/{RIG} gives no "time": moments that are missing go unnoticed', stacklevel=2
                )
        yield shot


def _shot(path: Path, rig: Rig | None) -> Shot | OccvinoError:
    try:
        if rig:
            return Shot(path, rig)
        found, told = Rig.load(path / RIG), json.loads((path / RIG).read_text(encoding="utf-8"))
        scene, time = told.get("scene"), told.get("time")
        if not isinstance(scene, str | None):
            raise RigError(f'{path / RIG}: "scene" is {scene!r}, a name is expected')
        if not isinstance(time, float | int | None) or isinstance(time, bool):
            raise RigError(f'{path / RIG}: "time" is {time!r}, seconds are expected')
        return Shot(path, found, scene=scene, time=time)
    except OccvinoError as error:
        return error
