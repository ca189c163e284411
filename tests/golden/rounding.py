"""Frustum points whose cell rounding decides, put where the recorded run had them.

Our geometry is composed in float64 (`lift`), the recorded one in float32, and two or three points of 186,000 land in
the neighbouring cell. That is a difference of arithmetic, not of the network; but a point that moves is seen by every
layer after it. So the replay compares the two geometries, and then pools by the recorded one. A case holds the map of
one frame, and the hash of every frame's: float32 gives most of them here, and where it is a point or two off, those
nearest to a border are tried in their other cell until the hash is right.
"""

import hashlib
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray

from occvino.geometry.calibration import Calibration
from occvino.geometry.lift import OUTSIDE, frustum
from occvino.variant import Variant

BORDER = 1e-3
"""Of a cell: how near a border counts as decided by rounding."""
_DOUBTFUL = 2e-5
"""Of a cell: how near a border two float32 evaluations may disagree."""
_MOST = 60


def positions(calibration: Calibration, variant: Variant) -> torch.Tensor:
    """Grid coordinates of every frustum point [N*D*fH*fW, 3] in float32, by the steps of the official code."""
    pixels, depths = (torch.from_numpy(array) for array in frustum(variant))
    n, d, p = len(calibration), len(depths), len(pixels)
    points = torch.cat([pixels.expand(d, p, 2), depths[:, None, None].expand(d, p, 1)], dim=-1)  # [D, P, 3]
    names = ("intrinsics", "post_rot", "post_trans", "bda")
    k, rotation, shift, bda = (torch.from_numpy(getattr(calibration, name).copy()) for name in names)
    pose = torch.from_numpy(calibration.sensor2keyego().copy())
    points = torch.inverse(rotation).view(n, 1, 1, 3, 3).matmul((points - shift.view(n, 1, 1, 3))[..., None])
    points = torch.cat([points[..., :2, :] * points[..., 2:, :], points[..., 2:, :]], dim=-2)  # [N, D, P, 3, 1]
    to_ego = pose[:, :3, :3].matmul(torch.inverse(k))
    points = to_ego.view(n, 1, 1, 3, 3).matmul(points)[..., 0] + pose[:, :3, 3].view(n, 1, 1, 3)
    points = bda.matmul(points[..., None])[..., 0]
    grid = variant.lift_grid
    return ((points - torch.tensor(grid.lower)) / torch.tensor(grid.step)).reshape(-1, 3)


def cells(position: torch.Tensor, variant: Variant) -> NDArray[np.int32]:
    """Cell of each point, or `OUTSIDE`: truncated towards zero."""
    x, y, z = position.long().unbind(-1)
    dx, dy, dz = variant.lift_grid.shape
    inside = (x >= 0) & (x < dx) & (y >= 0) & (y < dy) & (z >= 0) & (z < dz)
    return torch.where(inside, (z * dy + y) * dx + x, OUTSIDE).numpy().astype(np.int32)


def near_border(position: torch.Tensor) -> NDArray[np.bool_]:
    """Points within `BORDER` of one."""
    return ((position - position.round()).abs() < BORDER).any(-1).numpy()


def recorded_cells(position: torch.Tensor, variant: Variant, hashes: set[str]) -> NDArray[np.int32] | None:
    """The map whose hash was recorded, found from the float32 positions of one frame; None if it was not found."""
    found = cells(position, variant)
    if _hash(found) in hashes:
        return found
    distance = (position - position.round()).abs()  # [P, 3]
    nearest = distance.min(dim=-1).values.argsort()[:_MOST]
    moves: list[tuple[int, int]] = []
    for point in nearest.tolist():
        for nudge in (-_DOUBTFUL, _DOUBTFUL):
            other = int(cells(position[point : point + 1] + nudge, variant)[0])
            moves += [(point, other)] if other != found[point] else []
    for together in (1, 2):
        for chosen in combinations(moves, together):
            tried = found.copy()
            for point, other in chosen:
                tried[point] = other
            if _hash(tried) in hashes:
                return tried
    return None


def _hash(cell: NDArray[np.int32]) -> str:
    return hashlib.sha256(cell.tobytes()).hexdigest()
