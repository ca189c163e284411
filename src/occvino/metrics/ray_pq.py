"""RayPQ: panoptic quality (Kirillov et al., CVPR 2019) of lidar-like rays, as `ray_pq.py` of FlashOCC counts it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from occvino.metrics.miou import Integers, MetricError
from occvino.metrics.ray import THRESHOLDS, RayMetric, summary

THINGS = ("car", "truck", "construction_vehicle", "bus", "trailer", "motorcycle", "bicycle", "pedestrian")
"""Classes whose objects are told apart; every other class is one segment."""
MIN_RAYS = 10
"""Segments with fewer rays do not count as missed or invented."""


class RayPQ(RayMetric):
    """Segments of rays: a predicted and a true one match when more than half of their union agrees.

    Rays agree when the class is the same and the distances differ by less than the threshold (1, 2 and 4 m). Ground
    truth instance ids count from 1; a thing's id whose rays see several classes is ignored, as officially.
    """

    def reset(self) -> None:
        """Forget all frames."""
        shape = (len(THRESHOLDS), len(self.class_names))
        self.frames = 0
        self.matched = np.zeros(shape, np.int64)
        self.iou = np.zeros(shape, np.float64)
        self.invented = np.zeros(shape, np.int64)
        self.missed = np.zeros(shape, np.int64)

    def update(
        self,
        prediction: Integers,
        truth: Integers,
        predicted_instances: Integers,
        true_instances: Integers,
        origins: NDArray[np.floating[Any]],
    ) -> None:
        """Count one frame.

        Args:
            prediction: classes, of the grid's shape, [200, 200, 16] by default.
            truth: classes, of the same shape.
            predicted_instances: of the same shape; any numbers that tell segments of a class apart.
            true_instances: of the same shape: ids from 1, and 0 for what is not a thing.
            origins: where rays start, metres [T, 3].

        Raises:
            MetricError: a shape or class is wrong.
        """
        rays = self._caster.cast(prediction, truth, origins)
        for name, ids in (("predicted", predicted_instances), ("true", true_instances)):
            if ids.shape != truth.shape or ids.dtype.kind not in "ui":
                raise MetricError(f"{name} instances are {ids.dtype} {ids.shape}, expected whole numbers {truth.shape}")
        ours = predicted_instances[tuple(rays.predicted_voxel.T)].astype(np.int64)
        theirs = true_instances[tuple(rays.true_voxel.T)].astype(np.int64)
        segments = true_segments(rays.true, theirs, self.class_names)
        for label in range(len(self.class_names) - 1):
            self._count(label, ours, rays.predicted == label, segments, rays.true == label, rays.error)
        self.frames += 1

    def _count(
        self,
        label: int,
        predicted_ids: NDArray[np.int64],
        in_prediction: NDArray[np.bool_],
        true_ids: NDArray[np.int64],
        in_truth: NDArray[np.bool_],
        error: NDArray[np.float32],
    ) -> None:
        """Match the segments of one class."""
        ours, our_size = np.unique(predicted_ids[in_prediction], return_counts=True)
        theirs, their_size = np.unique(true_ids[in_truth], return_counts=True)
        both = in_prediction & in_truth
        row, column = np.searchsorted(theirs, true_ids[both]), np.searchsorted(ours, predicted_ids[both])
        for level, threshold in enumerate(THRESHOLDS):
            close = error[both] < threshold
            pairs = np.bincount(row[close] * len(ours) + column[close], minlength=len(theirs) * len(ours))
            shared = pairs.reshape(len(theirs), len(ours))
            iou = shared / np.maximum(their_size[:, None] + our_size - shared, 1)
            match = iou > 0.5
            self.matched[level, label] += match.sum()
            self.iou[level, label] += iou[match].sum()
            self.missed[level, label] += (~match.any(1) & (their_size >= MIN_RAYS)).sum()
            self.invented[level, label] += (~match.any(0) & (our_size >= MIN_RAYS)).sum()

    def per_class(self) -> dict[str, tuple[float, ...]]:
        """Panoptic quality of each class but `free` at 1, 2 and 4 m; NaN for one that never occurs."""
        counted = self.matched + 0.5 * self.invented + 0.5 * self.missed
        quality = np.divide(self.iou, counted, out=np.full(counted.shape, np.nan), where=counted > 0)
        return {name: tuple(quality[:, i].tolist()) for i, name in enumerate(self.class_names[:-1])}

    def compute(self) -> dict[str, float]:
        """`RayPQ` and `RayPQ@1`, `@2`, `@4`, each 0..1; NaN when nothing was counted."""
        return summary("RayPQ", np.array(list(self.per_class().values())).T)


def true_segments(
    labels: NDArray[np.int64], instances: NDArray[np.int64], class_names: tuple[str, ...]
) -> NDArray[np.int64]:
    """Number of the true segment of each ray; 0 for rays of things that belong to none, [R].

    A thing's segment is all rays of its id when they see one class only; any other class is one segment.
    """
    segments = np.zeros_like(labels)
    ids = np.where(instances > 0, instances, 0)
    lowest = np.full(int(ids.max(initial=0)) + 1, np.iinfo(np.int64).max)
    highest = np.full(len(lowest), -1, np.int64)
    np.minimum.at(lowest, ids, labels)
    np.maximum.at(highest, ids, labels)
    thing = np.isin(labels, [class_names.index(name) for name in THINGS])
    single = (ids > 0) & (lowest[ids] == highest[ids])
    segments[thing & single] = ids[thing & single] + len(class_names)
    segments[~thing] = labels[~thing] + 1
    return segments
