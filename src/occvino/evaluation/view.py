"""What the viewers are shown: frames of a pipeline as it runs, or labels that were saved, with images and truth."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import tee
from pathlib import Path
from time import perf_counter

import numpy as np

from occvino.datasets.bags.stream import BagStream
from occvino.datasets.nuscenes import NuScenes
from occvino.datasets.sample import Sample
from occvino.errors import ArtifactError, OccvinoError, warn
from occvino.evaluation.bag_run import frame_of_bag
from occvino.evaluation.predictions import load_labels
from occvino.files import from_json
from occvino.geometry.rig import Rig
from occvino.images.find import by_camera
from occvino.labelling.frames import RIG, in_order
from occvino.metrics import MIoU
from occvino.npz import read_npz
from occvino.runtime import Frame, Occupancy, Pipeline
from occvino.variant import OCC3D_CLASSES, Grid
from occvino.variants import get_variant
from occvino.viz.features import feature_images
from occvino.viz.frame import Viewable, ViewFrame

LABELS = "labels.npz"


def run_and_view(
    pipeline: Pipeline,
    frames: Iterable[Frame | OccvinoError],
    names: Iterable[str],
    samples: Iterable[Sample | None] = (),
) -> Iterator[ViewFrame]:
    """Run frames one by one, with the seconds of each step. A frame that fails is told in a warning and left out.

    Args:
        pipeline: that labels them.
        frames: in order.
        names: of the frames.
        samples: of the same frames, where they are of a data set that has ground truth.
    """
    of_set = iter(samples)
    for frame, name in zip(frames, names, strict=False):
        sample = next(of_set, None)
        try:
            if isinstance(frame, OccvinoError):
                raise frame
            started = perf_counter()
            prepared = pipeline.prepare(frame)
            ready = perf_counter()
            inferred = pipeline.infer(prepared)
            ran = perf_counter()
            occupancy = pipeline.finish(prepared, inferred)
        except OccvinoError as error:
            warn(f"{name}: {error}")
            continue
        seconds = {"host": ready - started, "device": ran - ready, "result": perf_counter() - ran}
        rig = frame.rig or pipeline.artifact.baked_rig
        images: dict[str, Viewable] = {}
        if rig is not None:
            images = {camera: _viewable(image) for camera, image in by_camera(frame.images, rig).items()}
        shown = of_occupancy(occupancy, name, images=images, rig=rig)
        features = feature_images(occupancy.extras, pipeline.artifact.variant, pipeline.artifact.manifest.cameras)
        shown = replace(shown, scene=frame.scene, time=frame.time, seconds=seconds, features=features)
        yield with_truth(shown, sample) if sample is not None else shown


def run_and_view_bag(pipeline: Pipeline, stream: BagStream) -> Iterator[ViewFrame]:
    """Run the frames of a bag one by one, as `run_and_view` does."""
    ahead, told = tee(stream)  # the two go in step: what is kept is one frame
    frames = (frame_of_bag(found, pipeline) for found in ahead)
    return run_and_view(pipeline, frames, (f"{found.scene}/{found.time}" for found in told))


def saved_bag_frames(folder: Path, stream: BagStream) -> Iterator[ViewFrame]:
    """Labels that `run --bag` wrote, with the images and rigs of the bag. A frame without labels is left out and told.

    Raises:
        OccvinoError: no frame has labels there, or one file is damaged.
    """
    shown = 0
    for found in stream:
        name = f"{found.scene}/{found.time}"
        path = folder / name / LABELS
        if found.error is not None or not path.exists():
            warn(f"{name}: {found.error or f'no {LABELS} in {folder}'}")
            continue
        shown += 1
        frame = of_occupancy(Occupancy.load(path), name, images=dict(found.images or {}), rig=found.rig)
        yield replace(frame, scene=found.scene, time=found.time / 1e9)
    if not shown:
        raise OccvinoError(f"{folder} holds no labels of this bag: give what `occvino run --bag` wrote")


def of_occupancy(
    occupancy: Occupancy, name: str, *, images: dict[str, Viewable] | None = None, rig: Rig | None = None
) -> ViewFrame:
    """A result as the viewers take it."""
    history = occupancy.history
    return ViewFrame(
        name,
        occupancy.grid,
        occupancy.class_names,
        occupancy.labels,
        instances=occupancy.instances,
        images=images or {},
        rig=rig,
        events=(history.message,) if history and history.message else (),
    )


def with_truth(frame: ViewFrame, sample: Sample) -> ViewFrame:
    """The frame with the ground truth of its sample and the mIoU of what a camera sees, if the set has any.

    Raises:
        OccvinoError: the truth has another grid than the labels.
    """
    if not sample.labels.exists():
        return frame
    truth = sample.load_labels()
    _check_same(frame, truth.semantics.shape, sample)
    metric = MIoU("camera")
    metric.update(frame.labels, truth.semantics, truth.mask_camera)
    return replace(frame, truth=truth.semantics, mask=truth.mask_camera, miou=metric.compute())


def _check_same(frame: ViewFrame, shape: tuple[int, ...], sample: Sample) -> None:
    occ3d = get_variant("flashocc-r50-M0")
    if frame.labels.shape != shape or frame.grid != occ3d.occupancy_grid or frame.class_names != OCC3D_CLASSES:
        raise OccvinoError(
            f"frame {frame.name} has labels {list(frame.labels.shape)} of {len(frame.class_names)} classes, and the "
            f"ground truth {sample.labels} is Occ3D's, {list(shape)} of {len(OCC3D_CLASSES)} classes: they are not of "
            "one kind"
        )


def dataset_frames(dataset: NuScenes, indices: Iterable[int]) -> Iterator[ViewFrame]:
    """The ground truth of a data set, in the place of labels."""
    grid = get_variant("flashocc-r50-M0").occupancy_grid
    for index in indices:
        sample = dataset[index]
        truth = sample.load_labels()
        yield ViewFrame(
            sample.token,
            grid,
            OCC3D_CLASSES,
            truth.semantics,
            instances=None if truth.instances is None else truth.instances.astype(np.uint16),
            images=dict(sample.image_files()),
            rig=sample.rig,
            scene=sample.scene,
            time=sample.timestamp / 1e6,
            events=("ground truth",),
        )


def saved_frames(folder: Path, dataset: NuScenes | None = None) -> Iterator[ViewFrame]:
    """Labels that `run` or `eval` saved: one `labels.npz`, or one in each folder below, in order of names.

    Images and rig are those beside them, if there are any (`rig.json` and an image of each camera), or those of the
    data set's frame of the same scene and token.

    Raises:
        OccvinoError: there are no labels, or one file is damaged.
    """
    paths = [folder / LABELS] if (folder / LABELS).exists() else []
    paths += sorted(folder.glob(f"*/**/{LABELS}"), key=lambda path: in_order(str(path.parent.relative_to(folder))))
    if not paths:
        raise OccvinoError(f"{folder} holds no {LABELS}, of itself or in its folders: give what `occvino run` wrote")
    for path in paths:
        frame = _saved(path, folder)
        yield _from_dataset(frame, path, dataset) if dataset is not None else _with_images(frame, path.parent)


def _saved(path: Path, folder: Path) -> ViewFrame:
    name = str(path.parent.relative_to(folder)) if path.parent != folder else folder.resolve().name
    try:
        return of_occupancy(Occupancy.load(path), name)
    except ArtifactError:
        labels = load_labels(path)  # of `eval`, which writes Occ3D's layout
        instances = read_npz(path).get("instances")
        grid: Grid = get_variant("flashocc-r50-M0").occupancy_grid
        shown = ViewFrame(name, grid, OCC3D_CLASSES, labels)
        return replace(shown, instances=instances.astype(np.uint16)) if instances is not None else shown


def _with_images(frame: ViewFrame, folder: Path) -> ViewFrame:
    if not (folder / RIG).exists():
        return frame
    rig, told = Rig.load(folder / RIG), from_json((folder / RIG).read_text(encoding="utf-8-sig"))
    shown = replace(frame, rig=rig, scene=told.get("scene"), time=told.get("time"))
    try:
        return replace(shown, images=dict(by_camera(folder, rig)))
    except OccvinoError:  # a rig alone
        return shown


def _from_dataset(frame: ViewFrame, path: Path, dataset: NuScenes) -> ViewFrame:
    sample = dataset[dataset.find(path.parent.name)]
    shown = replace(frame, name=sample.token, scene=sample.scene, time=sample.timestamp / 1e6, rig=sample.rig)
    return with_truth(replace(shown, images=dict(sample.image_files())), sample)


def _viewable(image: object) -> Viewable:
    return Path(image) if isinstance(image, str) else image  # type: ignore[return-value]  # an ImageLike
