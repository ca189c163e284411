"""Label many frames into a folder, and go on where an earlier run stopped: `occvino run --dataset` and `--sequence`."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from occvino.errors import FrameError, OccvinoError
from occvino.files import atomic_file
from occvino.images.identity import identity
from occvino.labelling.stored import Stored, frame_mark, mark
from occvino.runtime import Failure, Frame, Occupancy, Pipeline

STAMP = "run.json"

Watch: TypeAlias = Callable[[Occupancy, Frame], object]
"""Is shown a result and the frame that it is of, as soon as there is one."""


@dataclass(frozen=True)
class Labelled:
    """One frame: its folder under the output, what went wrong if it failed, or that an earlier run labelled it."""

    name: str
    error: str | None = None
    kept: bool = False


def label(
    pipeline: Pipeline,
    names: Sequence[str],
    frames: Iterable[Frame | OccvinoError],
    stored: Stored,
    *,
    contents: bool = False,
    watch: Watch | None = None,
) -> Iterator[Labelled]:
    """Write `OUT/NAME/labels.npz` for each frame that has none of its own; gives each once it is there, or failed.

    A stream is run in order. Where it skips frames that have their labels, the past frames of the next one are run
    again, so that the labels are those of a run without a break.

    Args:
        pipeline: that labels them.
        names: of the folders of the frames.
        frames: as `Pipeline.stream` takes them.
        stored: the folder of the labels.
        contents: know images by what is in them, not by size and time.
        watch: is shown each new result as it comes; those that are kept are not shown.

    Raises:
        OutputError: a file cannot be written.
    """
    every = list(frames)
    before = _before(every, pipeline.artifact.variant.frames - 1 if pipeline.memory is not None else 0)
    marks = _marks(every, before, pipeline, contents)
    paths = [stored.folder / name / "labels.npz" for name in names]
    missing = {
        index
        for index, (name, path) in enumerate(zip(names, paths, strict=True))
        if not ((wanted := marks[index]) and stored.keeps(name, path, wanted))
    }
    stored.tell()
    told = 0
    for run in rows(missing, before):
        pipeline.reset()
        yield from (Labelled(name, kept=True) for name in names[told : run[0]])
        with contextlib.closing(pipeline.stream(every[index] for index in run)) as results:
            for index, result in zip(run, results, strict=True):
                frame = every[index]
                if watch is not None and isinstance(result, Occupancy) and isinstance(frame, Frame):
                    watch(result, frame)
                if index in missing:
                    yield _written(names[index], paths[index], result, marks[index])
                else:
                    yield Labelled(names[index], kept=True)
        told = run[-1] + 1
    yield from (Labelled(name, kept=True) for name in names[told:])


def _written(name: str, path: Path, result: Occupancy | Failure, frame: str | None) -> Labelled:
    if isinstance(result, Failure):
        return Labelled(name, str(result.error))
    with atomic_file(path) as temporary:
        result.save(temporary)
        if frame:
            mark(temporary, frame)
    return Labelled(name)


def _before(frames: Sequence[Frame | OccvinoError], reach: int) -> list[range]:
    """For each frame of a stream, those that it may remember: as many as it takes, but none of another scene."""
    scenes = [frame.scene if isinstance(frame, Frame) else None for frame in frames]
    found: list[range] = []
    for index in range(len(frames)):
        first = index
        while first > max(0, index - reach) and not _differ(scenes[first - 1], scenes[first]):
            first -= 1
        found.append(range(first, index))
    return found


def _differ(scene: str | None, other: str | None) -> bool:
    return scene is not None and other is not None and scene != other


def _marks(
    frames: Sequence[Frame | OccvinoError], before: Sequence[range], pipeline: Pipeline, contents: bool
) -> list[str | None]:
    """What the labels of each frame are to be of; None for one that cannot be read, which will fail."""
    baked, remembers = pipeline.artifact.baked_rig, pipeline.memory is not None
    own: list[str | None] = []
    marks: list[str | None] = []
    for frame, earlier in zip(frames, before, strict=True):
        mine, past = None, list[str]()
        if isinstance(frame, Frame) and (rig := frame.rig or baked):
            place = (frame.scene, frame.time) if remembers else ()
            with contextlib.suppress(FrameError):
                past = [identity(images, rig, contents=contents) for images, rig in frame.past]
                mine = identity(frame.images, rig, *place, contents=contents)
        own.append(mine)
        marks.append(mine and frame_mark(mine, [*past, *(str(own[index]) for index in earlier)]))
    return marks


def rows(missing: set[int], before: Sequence[range]) -> list[list[int]]:
    """The frames to run, in rows without a gap: those that are missing, and what a stream must see before them."""
    wanted = sorted(missing.union(*(before[index] for index in missing)))
    breaks = [0, *(place for place, (a, b) in enumerate(pairwise(wanted), 1) if b != a + 1), len(wanted)]
    return [wanted[a:b] for a, b in pairwise(breaks) if a < b]
