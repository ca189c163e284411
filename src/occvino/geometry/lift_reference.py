"""The slow readable twin of `lift`: the same functions, names and shapes, one point at a time, as the papers say."""

import numpy as np
from numpy.typing import NDArray

from occvino.geometry.calibration import Calibration
from occvino.geometry.lens import Lens
from occvino.geometry.lift import OUTSIDE
from occvino.variant import Variant


def cells_of_points(calibration: Calibration, variant: Variant) -> NDArray[np.int32]:
    """The cell of every frustum point [N*D*fH*fW], every step float64 but the last, matrices inverted numerically."""
    (height, width), (rows, columns), grid = variant.input_size, variant.feature_size, variant.lift_grid
    sensor2keyego = calibration.sensor2keyego().astype(np.float64)
    cells: list[int] = []
    for camera in range(len(calibration)):
        unproject = np.linalg.inv(calibration.intrinsics[camera].astype(np.float64))
        undo_transform = np.linalg.inv(calibration.post_rot[camera].astype(np.float64))
        for depth in variant.depths():
            for row in range(rows):
                for column in range(columns):
                    pixel = np.array([column * (width - 1) / (columns - 1), row * (height - 1) / (rows - 1), depth])
                    u, v, d = undo_transform @ (pixel - calibration.post_trans[camera])
                    in_sensor = unproject @ [u * d, v * d, d]
                    if calibration.lenses and (lens := calibration.lenses[camera]):
                        in_sensor = _on_the_ray(lens, in_sensor)
                    in_ego = sensor2keyego[camera, :3, :3] @ in_sensor + sensor2keyego[camera, :3, 3]
                    position = (calibration.bda @ in_ego - grid.lower) / grid.step
                    cells.append(_cell(position.astype(np.float32), grid.shape))
    return np.array(cells, np.int32)


def _on_the_ray(lens: Lens, pinhole: NDArray[np.float64]) -> NDArray[np.float64]:
    """The point at the same depth on the ray that the lens bends to where a pinhole would have seen `pinhole`."""
    depth = pinhole[2]
    x, y, z = lens.rays(pinhole[None, :2] / depth)[0]
    return np.array([x / z, y / z, 1]) * depth if z > 0 else np.full(3, np.nan)


def _cell(position: NDArray[np.float32], shape: tuple[int, int, int]) -> int:
    if np.isnan(position).any():
        return OUTSIDE
    x, y, z = (int(value) for value in position)  # int() truncates, as `.long()` does
    if 0 <= x < shape[0] and 0 <= y < shape[1] and 0 <= z < shape[2]:
        return (z * shape[1] + y) * shape[0] + x
    return OUTSIDE


def points_of_cells(cell: NDArray[np.int32], cells: int) -> list[list[int]]:
    """For each cell the points in it, in order: what a `PoolingPlan` says in arrays."""
    members: list[list[int]] = [[] for _ in range(cells)]
    for point, owner in enumerate(cell):
        if owner != OUTSIDE:
            members[owner].append(point)
    return members
