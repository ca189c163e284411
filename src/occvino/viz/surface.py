"""Voxels that can be seen: those with a free neighbour. The others are inside of things and need not be drawn."""

import numpy as np
from numpy.typing import NDArray

MISSED, INVENTED, WRONG = 0, 1, 2
"""Kinds of differences: truth is occupied and the prediction free; the other way round; another class."""
DIFFERENCES = ("missed", "invented", "wrong class")


def surface(occupied: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Occupied voxels with at least one free neighbour of the six, [Dx, Dy, Dz]. Outside of the grid counts as free."""
    padded = np.pad(occupied, 1)
    hidden = occupied.copy()
    for axis in range(3):
        for step in (-1, 1):
            hidden &= np.roll(padded, step, axis)[1:-1, 1:-1, 1:-1]
    return occupied & ~hidden


def differences(
    labels: NDArray[np.uint8], truth: NDArray[np.uint8], free: int, mask: NDArray[np.bool_] | None = None
) -> NDArray[np.int8]:
    """Of each voxel how labels differ from the truth [Dx, Dy, Dz]: `MISSED`, `INVENTED`, `WRONG`, or -1 for equal.

    Voxels where `mask` is False count as equal: nobody knows what is there.
    """
    kind = np.full(labels.shape, -1, np.int8)
    kind[(truth != free) & (labels == free)] = MISSED
    kind[(truth == free) & (labels != free)] = INVENTED
    kind[(truth != free) & (labels != free) & (truth != labels)] = WRONG
    if mask is not None:
        kind[~mask] = -1
    return kind
