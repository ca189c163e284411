"""Pillow's bicubic resize as two matrices: what the graph multiplies images by.

Pillow resizes rows, rounds to u8, then resizes columns, and rounds again. Each output pixel is a weighted sum of a
window of input pixels. The weights are fixed-point numbers of 22 bits, which float32 holds exactly. Taken from the
behaviour of `src/libImaging/Resample.c` of Pillow; `resample_reference` is the slow twin.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BITS = 22
"""Of the fraction of a weight. More than float32 holds would be needed only for weights of 4 and more."""
_SUPPORT = 2.0
_A = -0.5


def filter_matrix(source: int, size: int) -> NDArray[np.float64]:
    """Weights [size, source] that resize a line of `source` pixels to `size`, as Pillow's bicubic filter has them."""
    scale = source / size
    stretch = max(scale, 1.0)  # an image that shrinks is smoothed over as many more pixels
    centre = (np.arange(size) + 0.5) * scale
    first = np.maximum((centre - _SUPPORT * stretch + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + _SUPPORT * stretch + 0.5).astype(np.int64), source)  # exclusive
    pixel = np.arange(source)
    inside = (pixel >= first[:, None]) & (pixel < last[:, None])  # [size, source]
    weights = np.where(inside, _bicubic((pixel - centre[:, None] + 0.5) / stretch), 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.trunc(weights * 2**BITS + np.copysign(0.5, weights)) / 2**BITS


def _bicubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.abs(x)
    near = ((_A + 2.0) * x - (_A + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * _A
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


@dataclass(frozen=True)
class Band:
    """Some neighbouring output pixels and the input pixels they depend on: `weights` [stop - start, outputs]."""

    start: int
    stop: int
    weights: NDArray[np.float64]


def bands(matrix: NDArray[np.float64], length: int) -> Iterator[Band]:
    """A filter matrix [size, source] in groups of `length` output pixels, without the zeros around each group."""
    for begin in range(0, len(matrix), length):
        rows = matrix[begin : begin + length]
        used = np.flatnonzero(rows.any(axis=0))
        start, stop = int(used[0]), int(used[-1]) + 1
        yield Band(start, stop, rows[:, start:stop])
