"""Moments of a data set, or of a folder of folders, as a stream takes them."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from occvino.cameras import Rig
from occvino.datasets.nuscenes import Frame, NuScenes
from occvino.errors import OccvinoError
from occvino.preprocess import Moment
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


def shots_of_folders(folder: Path, rig: Rig | None = None) -> tuple[list[str], Iterator[Shot | OccvinoError]]:
    """Names and shots of the folders in a folder, in order of their names: pictures, and a `rig.json` unless `rig`.

    A rig that cannot be read stands as an error in its place.

    Raises:
        OccvinoError: there is no folder in it.
    """
    found = sorted(path for path in folder.glob("*") if path.is_dir())
    if not found:
        raise OccvinoError(f"{folder} holds no folders, one for each moment, with pictures and {RIG}")
    return [path.name for path in found], (_shot(path, rig) for path in found)


def _shot(path: Path, rig: Rig | None) -> Shot | OccvinoError:
    try:
        return Shot(path, rig or Rig.load(path / RIG))
    except OccvinoError as error:
        return error
