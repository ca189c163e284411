"""RayIoU: intersection over union of lidar-like rays at 1, 2 and 4 m (SparseOcc, arXiv 2312.17118)."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from occvino.geometry.transforms import Matrix, moved, seen_from
from occvino.metrics.miou import Integers, MetricError, check_labels, mean_of_seen
from occvino.metrics.rays import GRID, first_hits, lidar_rays, rays_from
from occvino.variant import OCC3D_CLASSES, Grid

THRESHOLDS = (1, 2, 4)
"""Metres."""
_ORIGIN_REACH = 39.0
_MAX_ORIGINS = 8


def lidar_origins(lidar2global: NDArray[np.float64], index: int, lidar2ego: Matrix) -> NDArray[np.float64]:
    """Where the rays of one frame start: the lidar at the key frames of its scene, in this frame's ego coordinates.

    Of those within 39 m in x and y at most 8 are kept, evenly chosen (`ego_pose_dataset.py` of FlashOCC).

    Args:
        lidar2global: pose of the lidar at every key frame of the scene, in order.  # [F, 4, 4]
        index: index of this frame among them.
        lidar2ego: pose of its lidar on the vehicle.  # [4, 4]

    Returns:
        [T, 3] in metres, T from 1 to 8.
    """
    in_lidar = seen_from(lidar2global, index)[:, :3, 3].astype(np.float32)
    in_lidar[index] = 0
    origins = moved(in_lidar, lidar2ego)
    origins = origins[(np.abs(origins[:, :2]) < _ORIGIN_REACH).all(1)]
    if len(origins) > _MAX_ORIGINS:
        origins = origins[np.round(np.linspace(0, len(origins) - 1, _MAX_ORIGINS)).astype(int)]
    return origins


class RayMetric:
    """A score of rays, counted frame by frame.

    Args:
        class_names: the last one is `free`.
        grid: of the volumes; voxels are cubes.
        directions: of the rays, unit length [R, 3]; the published ones when left out.
    """

    def __init__(
        self,
        class_names: tuple[str, ...] = OCC3D_CLASSES,
        *,
        grid: Grid = GRID,
        directions: NDArray[np.float32] | None = None,
    ) -> None:
        self.class_names = class_names
        self._caster = RayCaster(grid, lidar_rays() if directions is None else directions, len(class_names))
        self.reset()

    def reset(self) -> None:
        """Forget all frames."""
        raise NotImplementedError


class RayIoU(RayMetric):
    """Rays whose first voxel has the true class, at a distance wrong by less than a threshold.

    Only rays that meet something in the ground truth are counted. The score is the mean over classes (without `free`;
    those that never occur are left out) and thresholds.
    """

    def reset(self) -> None:
        """Forget all frames."""
        self.frames = 0
        self.truth = np.zeros(len(self.class_names), np.int64)
        self.predicted = np.zeros(len(self.class_names), np.int64)
        self.hit = np.zeros((len(THRESHOLDS), len(self.class_names)), np.int64)

    def update(self, prediction: Integers, truth: Integers, origins: NDArray[np.floating[Any]]) -> None:
        """Count one frame.

        Args:
            prediction: classes, of the grid's shape, [200, 200, 16] by default.
            truth: classes, of the same shape.
            origins: where rays start, in the frame of the volumes, metres [T, 3]; see `lidar_origins`.

        Raises:
            MetricError: a shape or class is wrong.
        """
        rays = self._caster.cast(prediction, truth, origins)
        predicted, true, error = rays.predicted, rays.true, rays.error
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


class SeenRays(NamedTuple):
    """What the R rays of one frame found that meet something in the ground truth."""

    predicted: NDArray[np.int64]
    """Class of the first voxel in the prediction."""
    true: NDArray[np.int64]
    """Class of the first voxel in the ground truth."""
    error: NDArray[np.float32]
    """Difference of the two distances, metres."""
    predicted_voxel: NDArray[np.int64]
    """[R, 3]"""
    true_voxel: NDArray[np.int64]
    """[R, 3]"""


class RayCaster(NamedTuple):
    """Casts the same rays through prediction and truth of every frame. The last of the classes is `free`."""

    grid: Grid
    directions: NDArray[np.float32]
    classes: int

    def cast(self, prediction: Integers, truth: Integers, origins: NDArray[np.floating[Any]]) -> SeenRays:
        """Rays of one frame.

        Raises:
            MetricError: a shape or class is wrong, or a voxel of the truth is not labelled.
        """
        check_labels("prediction", prediction, self.grid.shape, self.classes)
        check_labels("truth", truth, self.grid.shape, self.classes)
        if (truth == 255).any():
            raise MetricError("truth holds voxels that are not labelled (255): rays need every voxel")
        if origins.ndim != 2 or origins.shape[1:] != (3,) or not len(origins) or not np.isfinite(origins).all():
            raise MetricError(f"origins have shape {origins.shape}, expected one or more finite points (T, 3)")
        free, step = self.classes - 1, self.grid.x.step
        rays = rays_from(origins, self.directions, self.grid)
        ours, theirs = (first_hits(labels != free, rays, step) for labels in (prediction, truth))
        true = truth[tuple(theirs.voxel.T)]
        seen = true != free
        our_voxel, their_voxel = ours.voxel[seen], theirs.voxel[seen]
        return SeenRays(
            prediction[tuple(our_voxel.T)].astype(np.int64),
            true[seen].astype(np.int64),
            np.abs(ours.distance - theirs.distance)[seen],
            our_voxel,
            their_voxel,
        )
