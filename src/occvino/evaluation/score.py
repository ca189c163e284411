"""Labels against ground truth, and labels against the labels of another run."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occvino.datasets.nuscenes import NuScenes
from occvino.errors import OccvinoError, warn
from occvino.evaluation.predictions import LabelsOf, load_labels
from occvino.labelling.stored import marked, same_frame
from occvino.metrics import MIoU, RayIoU, RayPQ
from occvino.variant import OCC3D_CLASSES


@dataclass(frozen=True)
class Score:
    """Figures of one run, 0..1. A class that never occurs has None.

    Attributes:
        frames: how many were scored.
        masked: only voxels that a camera sees were counted.
        miou: mean over the classes that occur, without `free`.
        per_class: IoU of each class, `free` included.
        voxels: of each class in the ground truth, counted as the IoU is.
        rays: RayIoU and RayIoU@1, @2, @4; RayPQ likewise where prediction and truth have instances. Empty unless asked
            for; None where no ray met a class.
        equal_labels: share of all voxels in which another run has the same label, if one was named.
    """

    frames: int
    masked: bool
    miou: float
    per_class: dict[str, float | None]
    voxels: dict[str, int]
    rays: dict[str, float | None]
    equal_labels: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def score(
    predictions: LabelsOf,
    dataset: NuScenes,
    indices: Iterable[int],
    *,
    masked: bool = True,
    rays: bool = False,
    against: Path | None = None,
) -> Score:
    """Score the labels of some frames of a set.

    Args:
        predictions: which has labels for all of them.
        dataset: with ground truth.
        indices: which frames.
        masked: count only voxels that a camera sees, as FlashOCC does; Panoptic-FlashOCC counts all.
        rays: RayIoU too, and RayPQ of a panoptic model where the ground truth has instance ids (it warns where it has
            none); rays take longer than everything else.
        against: folder of another run, whose labels are compared with these.

    Raises:
        OccvinoError: labels or ground truth are missing, or no class occurs.
    """
    metric, ray_metric, panoptic = MIoU("camera" if masked else None), RayIoU(), RayPQ()
    without_truth = of_others = 0
    classes = np.zeros(len(OCC3D_CLASSES), np.int64)
    equal: list[float] = []
    for index in indices:
        frame = dataset[index]
        labels, truth = predictions.load(frame), frame.load_labels()
        metric.update(labels, truth.semantics, truth.mask_camera)
        classes += np.bincount(truth.semantics.reshape(-1), minlength=len(classes))
        if rays:
            origins, instances = dataset.ray_origins(index), predictions.load_instances(frame)
            ray_metric.update(labels, truth.semantics, origins)
            if instances is not None and truth.instances is not None:
                panoptic.update(labels, truth.semantics, instances, truth.instances, origins)
            without_truth += instances is not None and truth.instances is None
        if against is not None:
            path = against / frame.scene / frame.token / "labels.npz"
            other = load_labels(path)
            of_others += not same_frame(marked(path) or "", predictions.mark(frame))
            equal.append(float((labels == other).mean()))
    if not metric.frames:
        raise OccvinoError("there is no frame to score")
    if of_others:
        warn(
            f"{of_others} of the frames in {against} had other images, rigs or times than here: labels may differ for "
            "that reason, too"
        )
    if without_truth:
        warn(
            f"the ground truth of {without_truth} frames has no instance ids, so they do not count for RayPQ: "
            "Occ3D has none, panoptic and synthetic sets have them",
        )
    miou = metric.measured()
    _warn_of_other_classes(classes)
    found = {**ray_metric.compute(), **(panoptic.compute() if panoptic.frames else {})} if rays else {}
    return Score(
        frames=metric.frames,
        masked=masked,
        miou=miou,
        per_class=_known(metric.per_class()),
        voxels=dict(zip(OCC3D_CLASSES, metric.confusion.sum(1).tolist(), strict=True)),
        rays=_known(found),
        equal_labels=float(np.mean(equal)) if equal else None,
    )


def _known(figures: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if np.isnan(figure) else figure for name, figure in figures.items()}


def _warn_of_other_classes(voxels: NDArray[np.int64]) -> None:
    """Most of what surrounds a vehicle is free: where it is not, classes are numbered otherwise."""
    most = int(voxels.argmax())
    if OCC3D_CLASSES[most] != "free":
        warn(
            f"{voxels[most] / voxels.sum():.0%} of the ground truth is {OCC3D_CLASSES[most]} ({most}) and "
            f"{voxels[-1] / voxels.sum():.0%} is free ({len(voxels) - 1}): are its classes numbered as Occ3D's?"
        )
