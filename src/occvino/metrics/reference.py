"""The metrics once more, in plain Python: slow, readable, one voxel and one ray at a time. Tests hold both together.

Nothing is shared with the fast forms but the class names and the sizes of the grid.
"""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occvino.variant import OCC3D_CLASSES, Grid
from occvino.voxel_walk_reference import cells_on_ray

Point = tuple[float, float, float]
Voxel = tuple[int, int, int]
Ray = tuple[Voxel, float]

FREE = len(OCC3D_CLASSES) - 1
_THINGS = ("car", "truck", "construction_vehicle", "bus", "trailer", "motorcycle", "bicycle", "pedestrian")


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


class MIoU:
    """Twin of `miou.MIoU`."""

    def __init__(self, mask: str | None = "camera") -> None:
        self.mask = mask
        self.hit, self.predicted, self.true = Counter[int](), Counter[int](), Counter[int]()

    def update(self, prediction: NDArray[Any], truth: NDArray[Any], mask: NDArray[Any] | None = None) -> None:
        """Count one frame."""
        for index in np.ndindex(truth.shape):
            p, t = int(prediction[index]), int(truth[index])
            if t == 255 or (self.mask is not None and mask is not None and not mask[index]):
                continue
            self.predicted[p] += 1
            self.true[t] += 1
            self.hit[t] += p == t

    def per_class(self) -> dict[str, float]:
        """IoU of each class."""
        result: dict[str, float] = {}
        for label, name in enumerate(OCC3D_CLASSES):
            union = self.predicted[label] + self.true[label] - self.hit[label]
            result[name] = self.hit[label] / union if union else math.nan
        return result

    def compute(self) -> float:
        """Mean without `free`."""
        return _mean(list(self.per_class().values())[:-1])


def lidar_rays() -> list[Point]:
    """Twin of `rays.lidar_rays`, in float64."""
    pitches = [-(math.pi / 2 - math.atan(metres)) for metres in range(1, 11)]
    step = pitches[9] - pitches[8]
    while pitches[-1] < 0.21:
        pitches.append(pitches[-1] + step)
    return [
        (
            math.cos(pitch) * math.cos(math.radians(degrees)),
            math.cos(pitch) * math.sin(math.radians(degrees)),
            math.sin(pitch),
        )
        for pitch in pitches
        for degrees in range(360)
    ]


def first_hit(occupied: NDArray[np.bool_], origin: Point, direction: Point, grid: Grid) -> Ray:
    """Walk one ray: the first occupied voxel, or the last one inside; and the distance where it is left, metres."""
    size, step = occupied.shape, [np.float32(s) for s in grid.step]
    start = [
        float(np.float32((o - float(np.float32(low))) / float(s)))
        for o, low, s in zip(origin, grid.lower, step, strict=True)
    ]
    end = [
        float(np.float32((d + o - float(np.float32(low))) / float(s)))
        for d, o, low, s in zip(direction, origin, grid.lower, step, strict=True)
    ]
    length = math.sqrt(sum((e - s) ** 2 for e, s in zip(end, start, strict=True)))
    way = [(e - s) / length for e, s in zip(end, start, strict=True)]
    last: Ray = ((0, 0, 0), float(np.float32(-1) * step[0]))
    was_inside = False
    first = (int(start[0]), int(start[1]), int(start[2]))  # towards zero, as in the published code
    for cell, leave in itertools.islice(cells_on_ray(start, way, first), 1001):
        inside = all(0 <= c < n for c, n in zip(cell, size, strict=True))
        if was_inside and not inside:
            break
        if inside:
            was_inside = True
            last = (cell, float(np.float32(leave) * step[0]))
            if occupied[cell]:
                break
    return last


def _cast(labels: NDArray[Any], origins: Sequence[Point], directions: Sequence[Point], grid: Grid) -> list[Ray]:
    return [first_hit(labels != FREE, origin, direction, grid) for origin in origins for direction in directions]


class RayIoU:
    """Twin of `ray.RayIoU`; which rays and which grid may be chosen, so that tests can be small."""

    def __init__(self, grid: Grid, directions: Sequence[Point], thresholds: Sequence[float] = (1, 2, 4)) -> None:
        self.grid, self.directions, self.thresholds = grid, directions, thresholds
        self.true, self.predicted = Counter[int](), Counter[int]()
        self.hit = Counter[tuple[float, int]]()

    def update(self, prediction: NDArray[Any], truth: NDArray[Any], origins: Sequence[Point]) -> None:
        """Count one frame."""
        ours = _cast(prediction, origins, self.directions, self.grid)
        theirs = _cast(truth, origins, self.directions, self.grid)
        for (our_voxel, our_distance), (voxel, distance) in zip(ours, theirs, strict=True):
            p, t = int(prediction[our_voxel]), int(truth[voxel])
            if t == FREE:
                continue
            self.predicted[p] += 1
            self.true[t] += 1
            for threshold in self.thresholds:
                error = abs(np.float32(our_distance) - np.float32(distance))
                self.hit[threshold, t] += bool(p == t and error < threshold)

    def per_class(self) -> dict[str, tuple[float, ...]]:
        """IoU of each class but `free` at each threshold."""
        result: dict[str, tuple[float, ...]] = {}
        for label, name in enumerate(OCC3D_CLASSES[:-1]):
            scores: list[float] = []
            for threshold in self.thresholds:
                hit = self.hit[threshold, label]
                union = self.true[label] + self.predicted[label] - hit
                scores.append(hit / union if union else math.nan)
            result[name] = tuple(scores)
        return result

    def compute(self) -> float:
        """Mean over classes and thresholds."""
        return _mean([score for scores in self.per_class().values() for score in scores])


class RayPQ:
    """Twin of `ray_pq.RayPQ`; which rays and which grid may be chosen, so that tests can be small."""

    def __init__(
        self,
        grid: Grid,
        directions: Sequence[Point],
        thresholds: Sequence[float] = (1, 2, 4),
        min_rays: int = 10,
    ) -> None:
        self.grid, self.directions, self.thresholds, self.min_rays = grid, directions, thresholds, min_rays
        self.matched, self.invented, self.missed = (Counter[tuple[float, int]]() for _ in range(3))
        self.iou: dict[tuple[float, int], float] = {}

    def update(
        self,
        prediction: NDArray[Any],
        truth: NDArray[Any],
        predicted_instances: NDArray[Any],
        true_instances: NDArray[Any],
        origins: Sequence[Point],
    ) -> None:
        """Count one frame."""
        rays: list[tuple[int, int, int, int, float]] = []
        for (our_voxel, our_distance), (voxel, distance) in zip(
            _cast(prediction, origins, self.directions, self.grid),
            _cast(truth, origins, self.directions, self.grid),
            strict=True,
        ):
            if truth[voxel] != FREE:
                error = abs(np.float32(our_distance) - np.float32(distance))
                ids = int(predicted_instances[our_voxel]), int(true_instances[voxel])
                rays.append((int(prediction[our_voxel]), int(truth[voxel]), *ids, float(error)))
        classes_of: dict[int, set[int]] = {}
        for _, t, _, true_id, _ in rays:
            classes_of.setdefault(true_id, set()).add(t)
        for label in range(FREE):
            ours: dict[int, set[int]] = {}
            theirs: dict[object, set[int]] = {}
            for number, (p, t, our_id, true_id, _) in enumerate(rays):
                if p == label:
                    ours.setdefault(our_id, set()).add(number)
                if t == label:
                    alone = true_id > 0 and len(classes_of[true_id]) == 1
                    segment = ("object", true_id if alone else 0) if OCC3D_CLASSES[label] in _THINGS else "all"
                    theirs.setdefault(segment, set()).add(number)
            for threshold in self.thresholds:
                close = {number for number, ray in enumerate(rays) if ray[4] < threshold}
                self._match(threshold, label, list(ours.values()), list(theirs.values()), close)

    def _match(
        self, threshold: float, label: int, ours: list[set[int]], theirs: list[set[int]], close: set[int]
    ) -> None:
        key = (threshold, label)
        matched_ours, matched_theirs = set[int](), set[int]()
        for i, our in enumerate(ours):
            for j, their in enumerate(theirs):
                shared = len(our & their & close)
                iou = shared / (len(our) + len(their) - shared)
                if iou > 0.5:
                    self.matched[key] += 1
                    self.iou[key] = self.iou.get(key, 0.0) + iou
                    matched_ours.add(i)
                    matched_theirs.add(j)
        self.invented[key] += sum(len(s) >= self.min_rays for i, s in enumerate(ours) if i not in matched_ours)
        self.missed[key] += sum(len(s) >= self.min_rays for j, s in enumerate(theirs) if j not in matched_theirs)

    def per_class(self) -> dict[str, tuple[float, ...]]:
        """Panoptic quality (segmentation quality times recognition quality) of each class but `free`."""
        result: dict[str, tuple[float, ...]] = {}
        for label, name in enumerate(OCC3D_CLASSES[:-1]):
            scores: list[float] = []
            for threshold in self.thresholds:
                key = (threshold, label)
                tp, fp, fn = self.matched[key], self.invented[key], self.missed[key]
                if tp + fp + fn == 0:
                    scores.append(math.nan)
                elif tp == 0:
                    scores.append(0.0)
                else:
                    scores.append(self.iou[key] / tp * (tp / (tp + fp / 2 + fn / 2)))
            result[name] = tuple(scores)
        return result

    def compute(self) -> float:
        """Mean over classes and thresholds."""
        return _mean([score for scores in self.per_class().values() for score in scores])
