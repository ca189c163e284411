"""From a panoptic model's outputs to instance ids: find the centres, give each voxel of a thing the nearest one's id.

Follows FlashOCC's `get_centers`, `center_decode` and `nearest_assign`, **with two bugs of theirs**, since the published
figures contain them (`Mapping.OFFICIAL`):

* the class order that the head was trained with is not the one its results are read in, so that detections of six
  classes are given to voxels of another: centres of bicycles to voxels of pedestrians, and so on;
* voxels labelled barrier or traffic cone get no centre but become 0, "others", once the head has found what is read
  as one of these.

`Mapping.CORRECTED` reads the head in the order it was trained in, and leaves barriers and cones, which are no things
there, as they are. `panoptic_reference.py` is the slow readable twin.
"""

from collections.abc import Mapping as Arrays
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occvino.errors import ArtifactError, OccvinoError
from occvino.variant import OCC3D_CLASSES, Grid, Variant

HEAD_CLASSES = (
    "car",
    "truck",
    "construction_vehicle",
    "bus",
    "trailer",
    "barrier",
    "motorcycle",
    "bicycle",
    "pedestrian",
    "traffic_cone",
)
"""In the order of the head's heatmap channels, as it was trained."""
MISREAD_CLASSES = (
    "car",
    "truck",
    "trailer",
    "bus",
    "construction_vehicle",
    "bicycle",
    "motorcycle",
    "pedestrian",
    "traffic_cone",
    "barrier",
)
"""The order in which the official code reads the same channels."""
NOT_THINGS = ("barrier", "traffic_cone")
"""Classes of the head that get no instances."""
FIRST_ID = len(OCC3D_CLASSES)
"""Ids below it are semantic labels: voxels of no instance keep theirs."""

_MOST = 500
"""Centres, of each class and over all."""
_CHUNK = 1 << 14
_STRIDE = 4
"""Of the heatmap on the finer grid in which the official configurations give their steps."""
_RANGE = np.array([61.2, 61.2, 10.0], np.float32)
"""Metres: centres beyond are dropped. This is wider than the grid, so some voxel indices lie outside of it."""


class Mapping(Enum):
    """Which classes of voxels the head's channels are given to."""

    OFFICIAL = "official"
    CORRECTED = "corrected"

    @property
    def labels(self) -> tuple[int, ...]:
        """Label in the occupancy grid of each heatmap channel."""
        names = MISREAD_CLASSES if self is Mapping.OFFICIAL else HEAD_CLASSES
        return tuple(OCC3D_CLASSES.index(name) for name in names)

    @classmethod
    def named(cls, name: str, variant: Variant) -> "Mapping":
        """The mapping of that name for a variant.

        Raises:
            OccvinoError: there is no such mapping, or it is not the default and the variant finds no instances.
        """
        names = [mapping.value for mapping in cls]
        if name not in names:
            raise OccvinoError(f"there is no mapping {name!r}: choose one of {', '.join(names)}")
        if variant.panoptic is None and cls(name) is not cls.OFFICIAL:
            raise OccvinoError(f"{variant.name} finds no instances, so mapping {name!r} would change nothing: leave it")
        return cls(name)


@dataclass(frozen=True, eq=False)
class Centres:
    """Centres of instances, best first: where (key ego frame, metres), how sure, and which channel of the head."""

    position: NDArray[np.float32]  # [K, 3]
    score: NDArray[np.float32]  # [K]
    channel: NDArray[np.int64]  # [K]


def find_centres(outputs: Arrays[str, NDArray[Any]], variant: Variant) -> Centres:
    """Peaks of the heatmap above the variant's threshold.

    Args:
        outputs: "heatmap" [1, classes, Dy, Dx] before the sigmoid, "reg" [1, 2, Dy, Dx] in cells (x, y), and "height"
            [1, 1, Dy, Dx] in metres, on the lift grid.
        variant: a panoptic one.

    Raises:
        ArtifactError: the variant finds no instances, or an output is missing.
    """
    missing = [name for name in ("heatmap", "reg", "height") if name not in outputs]
    if variant.panoptic is None or missing:
        raise ArtifactError(f"{variant.name} gives no {', '.join(missing) or 'instances'}: no centres can be found")
    score = keep_peaks(_sigmoid(outputs["heatmap"][0]))  # [classes, Dy, Dx]
    classes, _, width = score.shape
    flat = score.reshape(classes, -1)
    best = np.argsort(-flat, axis=1, kind="stable")[:, :_MOST]  # [classes, up to 500]
    candidate = np.take_along_axis(flat, best, axis=1).reshape(-1)
    chosen = np.argsort(-candidate, kind="stable")[:_MOST]
    cell = best.reshape(-1)[chosen]
    x, y = (
        # the step is taken in two factors, as the official code does: rounding decides where truncation follows
        (index.astype(np.float32) + outputs["reg"][0, axis].reshape(-1)[cell])
        * np.float32(_STRIDE)
        * np.float32(step / _STRIDE)
        + np.float32(lower)
        for axis, index, step, lower in (
            (0, cell % width, variant.lift_grid.x.step, variant.lift_grid.x.lower),
            (1, cell // width, variant.lift_grid.y.step, variant.lift_grid.y.lower),
        )
    )
    position = np.stack([x, y, outputs["height"][0, 0].reshape(-1)[cell]], axis=1).astype(np.float32)
    kept = (candidate[chosen] > variant.panoptic.score_threshold) & (np.abs(position) <= _RANGE).all(axis=1)
    return Centres(position[kept], candidate[chosen][kept], (chosen // best.shape[1])[kept])


def keep_peaks(score: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores [classes, Dy, Dx] with 0 wherever one of the eight neighbours is higher."""
    padded = np.pad(score, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    rows = np.maximum(np.maximum(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
    highest = np.maximum(np.maximum(rows[:, :, :-2], rows[:, :, 1:-1]), rows[:, :, 2:])
    return np.where(highest == score, score, np.float32(0))


def assign_instances(
    labels: NDArray[np.uint8], centres: Centres, grid: Grid, mapping: Mapping = Mapping.OFFICIAL
) -> NDArray[np.uint16]:
    """Instance ids [Dx, Dy, Dz]: `FIRST_ID` and up for voxels of an instance, the semantic label for all others.

    A voxel goes to the nearest centre of its class; the first of two that are equally near. Voxels of a class that was
    not found keep their label.
    """
    ids = labels.astype(np.uint16)
    voxel = centre_voxels(centres, grid)
    number = np.argsort(centres.channel, kind="stable") + FIRST_ID  # the official ids: not in the order of the centres
    for channel in np.unique(centres.channel):
        label = mapping.labels[channel]
        mine = labels == label
        if OCC3D_CLASSES[label] not in NOT_THINGS:
            of_class = np.flatnonzero(centres.channel == channel)
            ids[mine] = number[of_class][_nearest(np.argwhere(mine), voxel[of_class])]
        elif mapping is Mapping.OFFICIAL:
            ids[mine] = 0
    return ids


def centre_voxels(centres: Centres, grid: Grid) -> NDArray[np.int32]:
    """Voxel of each centre [K, 3], truncated towards zero, possibly outside of the grid."""
    lower, step = np.array(grid.lower, np.float32), np.array(grid.step, np.float32)
    return ((centres.position - lower) / step).astype(np.int32)


def _nearest(voxels: NDArray[np.int64], centres: NDArray[np.int32]) -> NDArray[np.int64]:
    """Index of the nearest centre for each voxel [V]. Indices are below 300, so float32 products are exact."""
    points = centres.astype(np.float32)
    offset = (points * points).sum(axis=1)
    nearest = [
        # |v - c|^2 without |v|^2, which is the same for every centre
        (offset - 2 * (voxels[start : start + _CHUNK].astype(np.float32) @ points.T)).argmin(axis=1)
        for start in range(0, len(voxels), _CHUNK)
    ]
    return np.concatenate(nearest) if nearest else np.empty(0, np.int64)


def _sigmoid(x: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # exp overflows to infinity, and 1 / infinity is right
        return np.float32(1) / (np.float32(1) + np.exp(-x.astype(np.float32)))
