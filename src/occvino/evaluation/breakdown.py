"""Where a run is right and wrong: by class, by distance, by visibility, and frame by frame."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from occvino.datasets.nuscenes import NuScenes
from occvino.evaluation.predictions import LabelsOf
from occvino.metrics import MIoU
from occvino.variant import OCC3D_CLASSES
from occvino.variants import get_variant

BANDS = (0.0, 10.0, 20.0, 30.0, 40.0, 60.0)
"""Metres from the ego origin on the ground; the corners of the grid are 57 m away."""


@dataclass(frozen=True)
class FrameScore:
    """One frame: its index in the data set, its names, and its mIoU (0..1)."""

    index: int
    scene: str
    token: str
    miou: float


@dataclass(frozen=True, eq=False)
class Breakdown:
    """What a report shows.

    Attributes:
        confusion: voxels by truth and prediction.  # [18, 18]
        bands: mIoU and IoU of occupied against free in each ring of `BANDS`.
        visibility: the same of voxels that a camera sees, and of those that none does.
        frames: of each frame, in order.
    """

    confusion: NDArray[np.int64]
    bands: list[tuple[str, float, float]]
    visibility: list[tuple[str, float, float]]
    frames: list[FrameScore] = field(default_factory=list[FrameScore])

    def worst(self, count: int = 10) -> list[FrameScore]:
        """The frames with the least mIoU, the worst first."""
        return sorted(self.frames, key=lambda frame: frame.miou)[:count]


def break_down(predictions: LabelsOf, dataset: NuScenes, indices: Iterable[int], *, masked: bool = True) -> Breakdown:
    """Count the labels of some frames again, part by part.

    Args:
        predictions: which has labels for all of them.
        dataset: with ground truth.
        indices: which frames.
        masked: count only voxels that a camera sees, except under visibility.

    Raises:
        OccvinoError: labels or ground truth are missing.
    """
    ring = _rings()
    whole = MIoU(None)
    bands = [MIoU(None) for _ in BANDS[1:]]
    visibility = {True: MIoU(None), False: MIoU(None)}
    frames: list[FrameScore] = []
    for index in indices:
        frame = dataset[index]
        labels, truth = predictions.load(frame), frame.load_labels()
        seen = truth.mask_camera
        counted = seen if masked else np.ones_like(seen)
        alone = MIoU(None)
        for metric in (whole, alone):
            metric.update(labels[counted], truth.semantics[counted])
        for number, metric in enumerate(bands):
            part = counted & (ring == number)
            metric.update(labels[part], truth.semantics[part])
        for value, metric in visibility.items():
            metric.update(labels[seen == value], truth.semantics[seen == value])
        frames.append(FrameScore(index, frame.scene, frame.token, alone.compute()))
    named = [f"{low:g} to {high:g} m" for low, high in pairwise(BANDS)]
    words = {True: "seen by a camera", False: "seen by none"}
    return Breakdown(
        whole.confusion,
        [(name, *_figures(metric)) for name, metric in zip(named, bands, strict=True)],
        [(words[value], *_figures(metric)) for value, metric in visibility.items()],
        frames,
    )


def _rings() -> NDArray[np.intp]:
    """The ring of `BANDS` that each voxel is in [200, 200, 1], which serves all heights."""
    grid = get_variant("flashocc-r50-M0").occupancy_grid
    x, y = (axis.lower + axis.step * (np.arange(axis.size) + 0.5) for axis in (grid.x, grid.y))
    return (np.digitize(np.hypot(x[:, None], y[None]), BANDS) - 1)[..., None]


def _figures(metric: MIoU) -> tuple[float, float]:
    """MIoU over classes, and IoU of occupied against free."""
    free = len(OCC3D_CLASSES) - 1
    counts = metric.confusion
    both = int(counts[:free, :free].sum())
    union = int(counts.sum() - counts[free, free])
    return metric.compute(), both / union if union else float("nan")
