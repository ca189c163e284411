"""Which frames a worker is given at a time.

Frames of a network that remembers go by scene: a scene is one unit, its frames in order, and is never split. Frames of
all others know their past frames themselves, so any handful of them is a unit.
"""

from collections.abc import Iterable, Iterator, Mapping

from occvino.artifact import Artifact
from occvino.datasets.nuscenes import NuScenes
from occvino.datasets.sample import Sample
from occvino.errors import FrameError
from occvino.labelling.frames import frames_of
from occvino.labelling.resume import rows
from occvino.labelling.stored import frame_mark
from occvino.scale.source import Source
from occvino.scale.work import Task, Unit


def name_of(frame: Sample) -> str:
    """Of a frame in the manifest."""
    return f"{frame.scene}/{frame.token}"


def marks_of(source: Source, artifact: Artifact) -> dict[str, str]:
    """What the labels of every frame are to be of, by its name; "" where an image cannot be looked at."""
    own = {frame.token: _own(source, frame) for frame in source.dataset}
    past = artifact.variant.frames - 1
    found: dict[str, str] = {}
    for index, frame in enumerate(source.dataset):
        before = [own[other.token] for other in source.dataset.previous(index, past)]
        there = own[frame.token] and (remembers(artifact) or all(before))
        found[name_of(frame)] = frame_mark(own[frame.token], before) if there else ""
    return found


def _own(source: Source, frame: Sample) -> str:
    try:
        return source.identity(frame)
    except FrameError:
        return ""


def remembers(artifact: Artifact) -> bool:
    """Whether the network keeps past frames itself, so that it must see a scene in order."""
    return artifact.manifest.temporal != "batch"


def units_of(
    source: Source, artifact: Artifact, missing: Iterable[str], marks: Mapping[str, str], *, size: int | None = None
) -> Iterator[Unit]:
    """Units in the data set's order.

    Args:
        source: the data set.
        artifact: the network.
        missing: names of the frames whose labels are wanted.
        marks: of all frames.
        size: frames a unit, where a unit is no scene; all when left out.
    """
    wanted = set(missing)
    if remembers(artifact):
        yield from _scenes(source, artifact, wanted, marks)
        return
    dataset = source.dataset
    indices = [index for index, frame in enumerate(dataset) if name_of(frame) in wanted]
    size = size or len(indices) or 1
    for start in range(0, len(indices), size):
        chosen = indices[start : start + size]
        takes, rig = artifact.variant.frames, artifact.baked_rig
        frames = frames_of(dataset, chosen, rig=rig, takes=takes, images=source.images)
        names = [name_of(dataset[index]) for index in chosen]
        yield Unit((tuple(Task(name, frame, marks[name]) for name, frame in zip(names, frames, strict=True)),))


def _scenes(source: Source, artifact: Artifact, wanted: set[str], marks: Mapping[str, str]) -> Iterator[Unit]:
    """A unit a scene. Where frames have their labels, those that the next missing one remembers are run again."""
    reach = artifact.variant.frames - 1
    for indices in _by_scene(source.dataset).values():
        names = [name_of(source.dataset[index]) for index in indices]
        missing = {place for place, name in enumerate(names) if name in wanted}
        if not missing:
            continue
        before = [range(max(0, place - reach), place) for place in range(len(names))]
        frames = list(frames_of(source.dataset, indices, rig=artifact.baked_rig, remembers=True, images=source.images))
        yield Unit(
            tuple(
                tuple(Task(names[place], frames[place], marks[names[place]], place in missing) for place in row)
                for row in rows(missing, before)
            )
        )


def _by_scene(dataset: NuScenes) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for index, frame in enumerate(dataset):
        found.setdefault(frame.scene, []).append(index)
    return found
