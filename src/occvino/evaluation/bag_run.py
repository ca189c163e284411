"""Label the frames of a bag as they are read: `occvino run --bag`. Nothing is kept of a frame that is written."""

import contextlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from occvino.datasets.bags.messages import BagError
from occvino.datasets.bags.result_bag import Look, ResultBag
from occvino.datasets.bags.stream import BagFrame, BagStream
from occvino.errors import OccvinoError
from occvino.files import atomic_file
from occvino.geometry.rig import Rig
from occvino.labelling.resume import Watch
from occvino.runtime import Failure, Frame, Occupancy, Pipeline
from occvino.viz.palette import COLOURS, GROUND


@dataclass(frozen=True)
class LabelledMoment:
    """One frame: its folder under the output, its time in nanoseconds, and what went wrong if it failed."""

    name: str
    time: int
    error: str | None = None


def label_bag(
    pipeline: Pipeline,
    stream: BagStream,
    out: Path,
    results: ResultBag | None = None,
    limit: int | None = None,
    watch: Watch | None = None,
) -> Iterator[LabelledMoment]:
    """Write `OUT/SCENE/TIME/labels.npz` for each frame; gives each once it is there, or failed.

    Args:
        pipeline: that labels them.
        stream: the frames.
        out: folder of the labels.
        results: to write the results to as well.
        limit: label only so many frames.
        watch: is shown each result as it comes.

    Raises:
        OutputError: a file cannot be written.
        BagError: the bag is damaged.
    """
    under_way: deque[tuple[BagFrame, Frame | OccvinoError]] = deque()

    def frames() -> Iterator[Frame | OccvinoError]:
        for count, found in enumerate(stream, 1):
            frame = frame_of_bag(found, pipeline)
            under_way.append((found, frame))
            yield frame
            if count == limit:
                return

    with contextlib.closing(pipeline.stream(frames())) as done:
        for result in done:
            found, frame = under_way.popleft()
            if watch is not None and isinstance(result, Occupancy) and isinstance(frame, Frame):
                watch(result, frame)
            yield _written(pipeline, found, result, out, results)


def look_of(pipeline: Pipeline, stream: BagStream) -> Look:
    """What all results of a run have in common."""
    variant, setup, options = pipeline.artifact.variant, stream.setup, stream.options
    fixed = setup.poses.frame if setup.poses else "map"
    return Look(
        variant.occupancy_grid, variant.class_names, COLOURS, GROUND, fixed, options.base_link, options.base2ego
    )


def check_takes_bags(pipeline: Pipeline) -> None:
    """See that an artifact takes images as bags have them.

    Raises:
        BagError: it takes NV12.
    """
    layout = pipeline.artifact.manifest.image_input
    if layout is not None and layout.layout == "nv12":
        raise BagError(f"{pipeline.artifact.path} takes images of {layout}, which bags are not read as: convert to rgb")


def frame_of_bag(found: BagFrame, pipeline: Pipeline) -> Frame | OccvinoError:
    """What a pipeline is given of a bag's frame, or why it has none."""
    if found.error is not None:
        return found.error
    assert found.images is not None
    images: dict[str, Any] = dict(found.images)
    layout, baked = pipeline.artifact.manifest.image_input, pipeline.artifact.baked_rig is not None
    if layout is not None and layout.layout == "bgr":
        images = {name: image[..., ::-1] if isinstance(image, np.ndarray) else image for name, image in images.items()}
    return Frame(images, None if baked else found.rig, scene=found.scene, time=found.time / 1e9)


def _written(
    pipeline: Pipeline, found: BagFrame, result: Occupancy | Failure, out: Path, results: ResultBag | None
) -> LabelledMoment:
    name = f"{found.scene}/{found.time}"
    if isinstance(result, Failure):
        return LabelledMoment(name, found.time, str(result.error))
    with atomic_file(out / name / "labels.npz") as temporary:
        result.save(temporary)
    if results is not None:
        assert found.rig is not None
        results.add(found.time, result.labels, _in_order(pipeline, found.rig), result.instances)
    return LabelledMoment(name, found.time)


def _in_order(pipeline: Pipeline, rig: Rig) -> Rig:
    return rig.select(pipeline.artifact.manifest.cameras)
