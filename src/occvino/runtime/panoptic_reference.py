"""The slow readable twin of `runtime.panoptic`: one cell and one voxel at a time."""

import numpy as np
from numpy.typing import NDArray

from occvino.runtime.panoptic import FIRST_ID, Centres, Mapping, centre_voxels
from occvino.variant import OCC3D_CLASSES, Grid

NO_INSTANCES = (OCC3D_CLASSES.index("barrier"), OCC3D_CLASSES.index("traffic_cone"))


def keep_peaks(score: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores [classes, Dy, Dx] with 0 wherever one of the eight neighbours is higher."""
    kept = np.zeros_like(score)
    for channel, row, column in np.ndindex(*score.shape):
        around = score[channel, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        if score[channel, row, column] >= around.max():
            kept[channel, row, column] = score[channel, row, column]
    return kept


def assign_instances(
    labels: NDArray[np.uint8], centres: Centres, grid: Grid, mapping: Mapping = Mapping.OFFICIAL
) -> NDArray[np.uint16]:
    """Instance ids [Dx, Dy, Dz], voxel by voxel."""
    voxel = centre_voxels(centres, grid).astype(np.int64)
    order = sorted(range(len(centres.channel)), key=lambda index: centres.channel[index])
    found = {mapping.labels[channel] for channel in centres.channel}
    ids = np.zeros(labels.shape, np.uint16)
    for place in np.ndindex(*labels.shape):
        label = int(labels[place])
        ids[place] = label
        if label in NO_INSTANCES and label in found:
            ids[place] = 0 if mapping is Mapping.OFFICIAL else label
        elif label in found:
            distances = [
                (int(((voxel[index] - place) ** 2).sum()), index)
                for index in range(len(order))
                if mapping.labels[centres.channel[index]] == label
            ]
            ids[place] = order[min(distances)[1]] + FIRST_ID
    return ids
