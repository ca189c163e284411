"""What a model must beat: the most frequent class of each height and distance, whatever the images show.

Counted over training data, for several widths of the rings; the ring width that scores best on the held-out set is
the one reported, which favours the baseline.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from occvino.datasets.nuscenes import Sample
from occvino.metrics import MIoU
from occvino.variant import OCC3D_CLASSES, Grid

RING_WIDTHS = (0.8, 1.6, 3.2, 6.4)
"""Metres."""


def ring_of_column(grid: Grid, width: float) -> NDArray[np.int64]:
    """Index of the ring round the ego vehicle that each column of voxels lies in, [Dx, Dy]."""
    x, y = ((np.arange(axis.size) + 0.5) * axis.step + axis.lower for axis in (grid.x, grid.y))
    return (np.hypot(*np.meshgrid(x, y, indexing="ij")) / width).astype(np.int64)


def constant_labels(frames: Iterable[Sample], grid: Grid, *, masked: bool) -> dict[float, NDArray[np.uint8]]:
    """For each ring width, the volume [Dx, Dy, Dz] with the most frequent class of each ring and height."""
    classes, height = len(OCC3D_CLASSES), grid.shape[2]
    rings = {width: ring_of_column(grid, width) for width in RING_WIDTHS}
    counts = {width: np.zeros((ring.max() + 1) * height * classes, np.int64) for width, ring in rings.items()}
    for frame in frames:
        labels = frame.load_labels()
        counted = labels.mask_camera if masked else np.ones_like(labels.mask_camera)
        x, y, z = counted.nonzero()
        for width, ring in rings.items():
            place = (ring[x, y] * height + z) * classes + labels.semantics[counted]
            counts[width] += np.bincount(place, minlength=counts[width].size)
    return {
        width: counts[width].reshape(-1, height, classes).argmax(axis=-1).astype(np.uint8)[ring]
        for width, ring in rings.items()
    }


def best_constant(
    training: Iterable[Sample], held_out: Sequence[Sample], grid: Grid, *, masked: bool
) -> tuple[float, float, NDArray[np.uint8]]:
    """MIoU (0..1), ring width and volume of the best baseline on the held-out frames."""
    volumes = constant_labels(training, grid, masked=masked)
    metrics = {width: MIoU("camera" if masked else None) for width in volumes}
    for frame in held_out:
        truth = frame.load_labels()
        for width, labels in volumes.items():
            metrics[width].update(labels, truth.semantics, truth.mask_camera)
    width = max(metrics, key=lambda each: metrics[each].compute())
    return metrics[width].compute(), width, volumes[width]
