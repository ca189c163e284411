"""Mean intersection over union of voxel labels, as Occ3D and FlashOCC count it (`occ_metrics.py`)."""

import warnings
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from occvino.errors import OccvinoError
from occvino.variant import OCC3D_CLASSES

Mask = Literal["camera", "lidar"] | None
Integers = NDArray[np.integer[Any]]


class MetricError(OccvinoError, ValueError):
    """Predictions or ground truth that a metric cannot count."""


def check_labels(name: str, labels: NDArray[Any], shape: tuple[int, ...], classes: int) -> None:
    """Refuse labels that are not whole numbers of the expected shape, or a class that does not exist.

    Raises:
        MetricError: names what is wrong. 255 passes in ground truth only: it means "not labelled".
    """
    if labels.shape != shape or labels.dtype.kind not in "ui":
        raise MetricError(f"{name} is {labels.dtype} {labels.shape}, expected whole numbers {shape}")
    known = labels < classes if name == "prediction" else (labels < classes) | (labels == 255)
    if not (known & (labels >= 0)).all():
        wrong = labels[~(known & (labels >= 0))].flat[0]
        raise MetricError(f"{name} holds class {wrong}, expected 0 to {classes - 1}")


def mean_of_seen(values: NDArray[np.float64]) -> float:
    """Mean of the values that are not NaN; NaN when all are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(np.nanmean(values))


class MIoU:
    """One confusion matrix over all frames; the mean over the classes that occur, `free` (the last class) left out.

    A class that neither prediction nor ground truth ever holds has no IoU (NaN) and does not enter the mean. `others`
    (class 0) counts like any class.

    Args:
        mask: count only voxels that cameras (FlashOCC) or lidar see, or all of them (Panoptic-FlashOCC).
        class_names: the last one is `free`.
    """

    def __init__(self, mask: Mask = "camera", class_names: tuple[str, ...] = OCC3D_CLASSES) -> None:
        self.mask = mask
        self.class_names = class_names
        self.reset()

    def reset(self) -> None:
        """Forget all frames."""
        self.frames = 0
        self.confusion = np.zeros((len(self.class_names), len(self.class_names)), np.int64)  # [truth, prediction]

    def update(self, prediction: Integers, truth: Integers, mask: NDArray[Any] | None = None) -> None:
        """Count one frame.

        Args:
            prediction: classes, any shape.
            truth: classes, the same shape; 255 is left out.
            mask: which voxels to count, the same shape; needed unless the metric was made with `mask=None`.

        Raises:
            MetricError: shapes differ, a class does not exist, or the mask is missing.
        """
        classes = len(self.class_names)
        check_labels("prediction", prediction, truth.shape, classes)
        check_labels("truth", truth, truth.shape, classes)
        if self.mask is not None:
            if mask is None or mask.shape != truth.shape:
                given = "missing" if mask is None else f"of shape {mask.shape}"
                raise MetricError(f"the {self.mask} mask is {given}, expected {truth.shape}: or use mask=None")
            prediction, truth = prediction[mask.astype(bool)], truth[mask.astype(bool)]
        known = truth < classes
        pairs = truth[known].astype(np.int64) * classes + prediction[known].astype(np.int64)
        self.confusion += np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
        self.frames += 1

    def per_class(self) -> dict[str, float]:
        """IoU of each class, 0..1; NaN for a class that never occurs. `free` is included."""
        hit = self.confusion.diagonal().astype(np.float64)
        union = self.confusion.sum(0) + self.confusion.sum(1) - hit
        iou = np.divide(hit, union, out=np.full_like(hit, np.nan), where=union > 0)
        return dict(zip(self.class_names, iou.tolist(), strict=True))

    def compute(self) -> float:
        """The mean over all classes but `free`, 0..1; NaN when no class occurs."""
        return mean_of_seen(np.array(list(self.per_class().values())[:-1]))

    def measured(self) -> float:
        """As `compute`, for where there must be a figure.

        Raises:
            MetricError: no voxel was counted, or none that is not free.
        """
        value = self.compute()
        if np.isnan(value):
            seen = "in which only free ones were met" if self.confusion.any() else "since none was to be counted"
            masks = f": the {self.mask} masks of the ground truth are empty" if self.mask else ""
            raise MetricError(
                f"mIoU is not a number: over {self.frames} frames {int(self.confusion.sum())} voxels were counted, "
                f"{seen}{'' if self.confusion.any() else masks}. Give ground truth as Occ3D has it"
            )
        return value
