"""Frames of a data set, or of a folder with one folder for each, as a stream takes them."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from occvino.datasets.nuscenes import NuScenes
from occvino.datasets.sample import Sample
from occvino.errors import OccvinoError, RigError, warn
from occvino.files import from_json
from occvino.geometry.rig import Rig
from occvino.geometry.seconds import other_unit
from occvino.images.find import Images
from occvino.images.inputs import ImagesAndRig
from occvino.runtime import Frame

RIG = "rig.json"


def frames_of(
    dataset: NuScenes,
    indices: Iterable[int],
    *,
    rig: Rig | None = None,
    takes: int = 1,
    remembers: bool = False,
    images: Callable[[Sample], Images] = Sample.image_files,
) -> Iterator[Frame]:
    """Frames of a data set, each with its scene and time.

    Args:
        dataset: holds the frames and their past frames.
        indices: which frames.
        rig: to use for all of them instead of their own, for an artifact whose calibration is baked in.
        takes: how many frames the network takes, the current one among them.
        remembers: the network keeps past frames itself, and is given them only where `indices` skip some.
        images: of a sample, where they are somewhere else than its files.
    """
    ran: Sample | None = None
    for index in indices:
        frame = dataset[index]
        before = dataset.previous(index, takes - 1)
        if remembers:  # the memory knows what stands in at the start of a scene
            known = ran is not None and before[:1] == (ran,)
            before = () if known else tuple(other for other in before if other is not frame)
        past: list[ImagesAndRig] = [(images(other), other.rig) for other in before]
        ran = frame
        yield Frame(images(frame), rig or frame.rig, past, scene=frame.scene, time=frame.timestamp / 1e6)


def frames_of_folders(
    folder: Path, rig: Rig | None = None, *, takes: int = 1, remembers: bool = False
) -> tuple[list[str], Iterator[Frame | OccvinoError]]:
    """Names and frames of a folder with one folder for each frame: images, and a `rig.json` unless `rig` is given.

    Frames come in the order of their names, 2 before 10. They are of one scene unless their rig files name several:
    beside "cameras" these may hold "scene", a name, and "time", seconds. Where a rig cannot be read, its error comes in
    place of the frame, which is then no past frame of any other. Hidden folders, such as `.ipynb_checkpoints`, are no
    frames, and neither are empty ones, of which this warns.

    Args:
        folder: holds the folders.
        rig: of all frames, for an artifact whose calibration is baked in.
        takes: as in `frames_of`.
        remembers: as in `frames_of`.

    Raises:
        OccvinoError: no folder is in it.
    """
    visible = (path for path in folder.glob("*") if path.is_dir() and not path.name.startswith("."))
    found = sorted(visible, key=lambda path: in_order(path.name))
    empty = [path for path in found if all(inside.name.startswith(".") for inside in path.iterdir())]
    found = [path for path in found if path not in empty]
    if not found:
        raise OccvinoError(f"no frames in {folder}: expected a folder for each frame, with its images and {RIG}")
    if empty:
        warn(f"{len(empty)} folders in {folder} are empty and no frames (first: {empty[0].name}): left out")
    frames = (_frame(path, rig) for path in found)
    return [path.name for path in found], _timed(frames) if remembers else _with_past(frames, takes - 1)


def in_order(name: str) -> list[tuple[int, str]]:
    """To sort names by: numbers in them count as numbers."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def _with_past(frames: Iterator[Frame | OccvinoError], wanted: int) -> Iterator[Frame | OccvinoError]:
    """Each frame with the past frames of its scene, newest first."""
    before: deque[Frame] = deque(maxlen=wanted)
    for frame in frames:
        if isinstance(frame, Frame):
            if before and before[0].scene != frame.scene:
                before.clear()
            yield replace(frame, past=[(other.images, other.rig) for other in before if other.rig])
            before.appendleft(frame)
        else:
            yield frame


def _timed(frames: Iterator[Frame | OccvinoError]) -> Iterator[Frame | OccvinoError]:
    """The same frames; warns if the first one has no time."""
    asked = False
    for frame in frames:
        if isinstance(frame, Frame) and not asked:
            asked = True
            if frame.time is None:
                warn(f'{frame.images}/{RIG} has no "time": missing frames go unnoticed; add the seconds of each frame')
        yield frame


def _frame(path: Path, rig: Rig | None) -> Frame | OccvinoError:
    try:
        if rig:
            return Frame(path, rig)
        found, told = Rig.load(path / RIG), from_json((path / RIG).read_text(encoding="utf-8-sig"))
        scene, time = told.get("scene"), told.get("time")
        if not isinstance(scene, str | None):
            raise RigError(f'{path / RIG}: "scene" is {scene!r}, expected a name')
        if not isinstance(time, float | int | None) or isinstance(time, bool):
            raise RigError(f'{path / RIG}: "time" is {time!r}, expected seconds')
        if time is not None and (unit := other_unit(time)):
            raise RigError(f'{path / RIG}: "time" is {time!r}: {unit}')
        return Frame(path, found, scene=scene, time=time)
    except OccvinoError as error:
        return error
