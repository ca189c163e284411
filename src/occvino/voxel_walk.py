"""A ray through a regular grid, cell by cell (Amanatides and Woo, Eurographics 1987): the steps that all walks share.

In cell units, the ray is at `start + t * direction`. On each axis `border` is the t at which the ray leaves its cell
that way, and `width` the t from one border to the next. A walk goes over the border that comes first and adds that
axis' width to it.

The functions take plain numbers as well as arrays: the metrics walk thousands of rays side by side in NumPy, and the
synthetic world compiles the same lines with numba and walks one ray at a time. The slow readable twin is
`voxel_walk_reference.py`.
"""

from typing import Any


def first_border(start: Any, direction: Any, cell: Any) -> Any:
    """`border` and `width` of one axis; both are infinite where the ray does not move along it.

    Division by zero is meant: NumPy must be told not to warn of it.

    Args:
        start: where the ray starts, cell units.
        direction: how far it goes while t grows by 1, cell units.
        cell: index of the cell that it starts in.
    """
    direction = direction + 0.0  # -0.0 becomes 0.0, whose quotient has the right sign
    return (cell + (direction >= 0) - start) / direction, abs(1.0 / direction)


def nearest(x: Any, y: Any, z: Any) -> Any:
    """Whether the first of three borders is that of x, and whether it is that of y; if neither, it is that of z.

    Of borders at the same t, z comes before y and y before x, as in the published RayIoU.
    """
    return (x < y) & (x < z), (y <= x) & (y < z)
