"""RayIoU: intersection over union of lidar-like rays at 1, 2 and 4 m (SparseOcc, arXiv 2312.17118)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from occvino.cameras import Matrix, rigid_inverse
from occvino.metrics.miou import Integers, MetricError, check_labels, mean_of_seen
from occvino.metrics.rays import GRID, first_hits, lidar_rays, rays_from
from occvino.variants import OCC3D_CLASSES

THRESHOLDS = (1, 2, 4)
"""Metres."""
_ORIGIN_REACH = 39.0
_MAX_ORIGINS = 8


def lidar_origins(lidar2global: NDArray[np.float64], index: int, lidar2ego: Matrix) -> NDArray[np.float64]:
    """Where the rays of one frame start: the lidar at the key frames of its scene, in the frame's ego frame.

    Of those within 39 m in x and y at most 8 are kept, evenly chosen (`ego_pose_dataset.py` of FlashOCC).

    Args:
        lidar2global: pose of the lidar at every key frame of the scene, in order.  # [F, 4, 4]
        index: which of them is the frame in question.
        lidar2ego: pose of its lidar on the vehicle.  # [4, 4]

    Returns:
        [T, 3] in metres, T from 1 to 8.
    """
    in_lidar = (rigid_inverse(lidar2global[index]) @ lidar2global)[:, :3, 3].astype(np.float32)
    in_lidar[index] = 0
    origins = in_lidar.astype(np.float64) @ lidar2ego[:3, :3].T + lidar2ego[:3, 3]
    origins = origins[(np.abs(origins[:, :2]) < _ORIGIN_REACH).all(1)]
    if len(origins) > _MAX_ORIGINS:
        origins = origins[np.round(np.linspace(0, len(origins) - 1, _MAX_ORIGINS)).astype(int)]
    return origins


class RayIoU:
    """Rays whose first voxel has the true class, at a distance wrong by less than a threshold.

    Only rays that meet something in the ground truth are counted. The score is the mean over classes (without `free`;
    those that never occur are left out) and thresholds.
    """

    def __init__(self, class_names: tuple[str, ...] = OCC3D_CLASSES) -> None:
        self.class_names = class_names
        self._directions = lidar_rays()
        self.reset()

    def reset(self) -> None:
        """Forget all frames."""
        self.frames = 0
        self.truth = np.zeros(len(self.class_names), np.int64)
        self.predicted = np.zeros(len(self.class_names), np.int64)
        self.hit = np.zeros((len(THRESHOLDS), len(self.class_names)), np.int64)

    def update(self, prediction: Integers, truth: Integers, origins: NDArray[np.floating[Any]]) -> None:
        """Count one frame.

        Args:
            prediction: classes [200, 200, 16].
            truth: classes [200, 200, 16].
            origins: where rays start, in the frame of the volumes, metres [T, 3]; see `lidar_origins`.

        Raises:
            MetricError: a shape or class is wrong.
        """
        found = cast_labels((prediction,), (truth,), origins, self._directions, len(self.class_names))
        (predicted, true), error = found.labels, found.error
        classes = len(self.class_names)
        self.predicted += np.bincount(predicted, minlength=classes)
        self.truth += np.bincount(true, minlength=classes)
        for row, threshold in enumerate(THRESHOLDS):
            self.hit[row] += np.bincount(true[(predicted == true) & (error < threshold)], minlength=classes)
        self.frames += 1

    def per_class(self) -> dict[str, tuple[float, ...]]:
        """IoU of each class but `free` at 1, 2 and 4 m; NaN for one that never occurs."""
        union = self.truth + self.predicted - self.hit
        iou = np.divide(self.hit, union, out=np.full(self.hit.shape, np.nan), where=union > 0)
        return {name: tuple(iou[:, i].tolist()) for i, name in enumerate(self.class_names[:-1])}

    def compute(self) -> dict[str, float]:
        """`RayIoU` and `RayIoU@1`, `@2`, `@4`, each 0..1; NaN when nothing was counted."""
        return summary("RayIoU", np.array(list(self.per_class().values())).T)


def summary(name: str, scores: NDArray[np.float64]) -> dict[str, float]:
    """Means over classes and thresholds of scores [thresholds, classes]."""
    each = {f"{name}@{t}": mean_of_seen(row) for t, row in zip(THRESHOLDS, scores, strict=True)}
    return {name: mean_of_seen(scores), **each}


class RayLabels:
    """What the rays of one frame found, for rays that meet something in the ground truth.

    Attributes:
        labels: class of the first voxel in the prediction and in the truth, R each.
        others: further volumes of prediction and truth (instance ids) at the same voxels.
        error: difference of the distances in metres, R.
    """

    def __init__(
        self,
        labels: tuple[NDArray[np.int64], NDArray[np.int64]],
        others: tuple[tuple[NDArray[np.int64], ...], tuple[NDArray[np.int64], ...]],
        error: NDArray[np.float32],
    ) -> None:
        self.labels, self.others, self.error = labels, others, error


def cast_labels(
    predictions: tuple[Integers, ...],
    truths: tuple[Integers, ...],
    origins: NDArray[np.floating[Any]],
    directions: NDArray[np.float32],
    classes: int,
) -> RayLabels:
    """Cast the rays through prediction and truth. The first volume of each holds classes, `free` being the last.

    Raises:
        MetricError: a shape or class is wrong.
    """
    for name, volumes in (("prediction", predictions), ("truth", truths)):
        check_labels(name, volumes[0], GRID.shape, classes)
        for volume in volumes[1:]:
            check_labels(f"{name} instances", volume, GRID.shape, 2**31)
    if (truths[0] == 255).any():
        raise MetricError("truth holds voxels that are not labelled (255): rays need every voxel")
    if origins.ndim != 2 or origins.shape[1:] != (3,) or not len(origins) or not np.isfinite(origins).all():
        raise MetricError(f"origins have shape {origins.shape}, expected one or more finite points (T, 3)")
    rays = rays_from(origins, directions)
    ends = [first_hits(volumes[0] != classes - 1, rays) for volumes in (predictions, truths)]
    found = [
        tuple(volume[tuple(end.voxel.T)].astype(np.int64) for volume in volumes)
        for end, volumes in zip(ends, (predictions, truths), strict=True)
    ]
    solid = found[1][0] != classes - 1
    kept = [tuple(values[solid] for values in side) for side in found]
    error = np.abs(ends[0].distance - ends[1].distance)[solid]
    return RayLabels((kept[0][0], kept[1][0]), (kept[0][1:], kept[1][1:]), error)
