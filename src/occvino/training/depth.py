"""What depth a feature pixel should find: from lidar returns, or from the labels."""

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from occvino.geometry.calibration import Calibration
from occvino.geometry.lift import rays
from occvino.metrics.rays import first_hits, rays_from
from occvino.variant import Variant

DepthFrom: TypeAlias = Literal["lidar", "labels"]

NO_DEPTH = -1
"""Depth bin of a feature pixel that shows nothing whose depth is known."""


def bins_of_returns(
    points: tuple[NDArray[np.float32], ...], calibration: Calibration, variant: Variant
) -> NDArray[np.int64]:
    """Depth bin of the nearest point in each feature pixel's block of network pixels, [N, fH, fW].

    Args:
        points: for each camera, raw pixel u, v and depth in metres, [K, 3] (`Sample.lidar_pixels`).
        calibration: with the image transform in it; these cameras come first.
        variant: gives feature size and depth bins.
    """
    rows, columns = variant.feature_size
    nearest = np.full((len(points), rows * columns), np.inf)
    for camera, seen in enumerate(points):
        moved = seen[:, :2] @ calibration.post_rot[camera, :2, :2].T + calibration.post_trans[camera, :2]
        block = np.floor(moved / variant.downsample).astype(np.int64)  # [K, 2]: column, row
        inside = ((block >= 0) & (block < [columns, rows])).all(axis=1)
        np.minimum.at(nearest[camera], block[inside, 1] * columns + block[inside, 0], seen[inside, 2])
    return _bins(nearest, variant)


def bins_of_labels(
    semantics: NDArray[np.integer[Any]], cameras: int, calibration: Calibration, variant: Variant
) -> NDArray[np.int64]:
    """Depth bin of the first solid voxel on each feature pixel's ray, [N, fH, fW]; its depth is that of its centre.

    A lidar has few returns from what is high or far; this has one wherever a ray meets anything in the volume.

    Args:
        semantics: class of every voxel, [Dx, Dy, Dz], in the frame that `calibration` leads to; the last class is free.
        cameras: how many of the calibration's, from the first on, are those of the labelled frame.
        calibration: with the image transform in it.
        variant: gives the rays, the grid and depth bins.
    """
    grid = variant.occupancy_grid
    occupied = semantics != len(variant.class_names) - 1
    directions, origins = rays(calibration, variant)
    found: list[NDArray[np.float64]] = []
    for origin, direction in zip(origins[:cameras], directions[:cameras], strict=True):
        depth = np.full(direction.shape[1], np.inf)
        seen = np.isfinite(direction).all(axis=0)  # a lens may show no ray
        way = direction[:, seen].T.astype(np.float64)  # [R, 3]
        hits = first_hits(occupied, rays_from(origin[None], way.astype(np.float32), grid), grid.x.step)
        centre = np.array(grid.lower) + (hits.voxel + 0.5) * np.array(grid.step)
        along = ((centre - origin) * way).sum(axis=1) / (way**2).sum(axis=1)
        depth[seen] = np.where(occupied[tuple(hits.voxel.T)] & (hits.distance > 0), along, np.inf)
        found.append(depth)
    return _bins(np.stack(found), variant)


def _bins(depth: NDArray[np.floating[Any]], variant: Variant) -> NDArray[np.int64]:
    """The bins of depths in metres [N, fH * fW] as [N, fH, fW]; `NO_DEPTH` where there is none for it."""
    bins = np.searchsorted(variant.depths(), depth, side="right") - 1  # they may widen
    return np.where(depth < variant.depth.upper, bins, NO_DEPTH).reshape(-1, *variant.feature_size)
