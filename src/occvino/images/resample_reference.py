"""The slow, readable twin of `resample`: Pillow's bicubic resize pixel by pixel, in the integers that Pillow uses."""

import numpy as np
from numpy.typing import NDArray


def filter_matrix(source: int, size: int) -> NDArray[np.float64]:
    """Weights [size, source] of the filter, multiples of 2 to the -22."""
    return np.array([_weights(source, size, pixel) for pixel in range(size)]) / 2**22


def resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """An image u8 [H, W, C] resized to (height, width): along the rows, rounded to u8, then along the columns."""
    height, width = size
    wide = _resize_columns(image.transpose(1, 0, 2), width).transpose(1, 0, 2)
    return _resize_columns(wide, height)


def _resize_columns(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    lines: list[NDArray[np.uint8]] = []
    for pixel in range(size):
        total = sum(w * line.astype(np.int64) for w, line in zip(_weights(len(image), size, pixel), image, strict=True))
        lines.append(np.clip((total + 2**21) >> 22, 0, 255).astype(np.uint8))
    return np.stack(lines)


def _weights(source: int, size: int, pixel: int) -> list[int]:
    """Weights of all input pixels for one output pixel, in units of 2 to the -22."""
    scale = source / size
    stretch = max(scale, 1.0)
    centre = (pixel + 0.5) * scale
    first, last = max(0, int(centre - 2 * stretch + 0.5)), min(source, int(centre + 2 * stretch + 0.5))
    values = [_bicubic((x - centre + 0.5) / stretch) if first <= x < last else 0.0 for x in range(source)]
    total = sum(values)
    return [int(value / total * 2**22 + (0.5 if value >= 0 else -0.5)) for value in values]


def _bicubic(x: float) -> float:
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0
