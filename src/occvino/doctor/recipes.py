"""What to put in the place of an operator that no exporter knows: the table, and the replacements themselves.

Each replacement takes exactly what the original takes and gives exactly what it gives; `patch` proves it on the user's
own call before it hands a module out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from occvino.bev_pool import bev_pool_torch


def closed_form_inverse(matrix: Tensor) -> Tensor:
    """Inverse of matrices [..., n, n], n up to 4, without a solver: the adjugate over the determinant.

    Raises:
        ValueError: n is not 2, 3 or 4.
    """
    size = int(matrix.shape[-1])  # under tracing a size is a tensor
    if size not in _ADJUGATES:
        raise ValueError(f"closed_form_inverse: matrices are {size}x{size}; 2x2, 3x3 and 4x4 have a closed form here")
    adjugate = _ADJUGATES[size](matrix)
    determinant = (matrix[..., 0, :] * adjugate[..., :, 0]).sum(-1)  # [...]
    return adjugate / determinant[..., None, None]


def _adjugate2(m: Tensor) -> Tensor:
    a, b, c, d = m[..., 0, 0], m[..., 0, 1], m[..., 1, 0], m[..., 1, 1]
    return torch.stack([d, -b, -c, a], -1).unflatten(-1, (2, 2))


def _adjugate3(m: Tensor) -> Tensor:
    x, y, z = m[..., :, 0], m[..., :, 1], m[..., :, 2]  # columns, [..., 3]
    return torch.stack([_cross(y, z), _cross(z, x), _cross(x, y)], -2)


def _adjugate4(m: Tensor) -> Tensor:
    """From the twelve 2x2 minors of the upper and of the lower two rows."""
    rows = [[m[..., i, j] for j in range(4)] for i in range(4)]
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    s = {(i, j): rows[0][i] * rows[1][j] - rows[1][i] * rows[0][j] for i, j in pairs}
    c = {(i, j): rows[2][i] * rows[3][j] - rows[3][i] * rows[2][j] for i, j in pairs}
    entries: list[Tensor] = []
    for row in range(4):
        for column in range(4):
            i, j, k = (index for index in range(4) if index != row)
            minors, other = (c, rows[1 - column]) if column < 2 else (s, rows[5 - column])
            cofactor = other[i] * minors[j, k] - other[j] * minors[i, k] + other[k] * minors[i, j]
            entries.append(cofactor if (row + column) % 2 == 0 else -cofactor)
    return torch.stack(entries, -1).unflatten(-1, (4, 4))


def _cross(a: Tensor, b: Tensor) -> Tensor:  # torch.linalg.cross has no translation in every frontend
    (ax, ay, az), (bx, by, bz) = a.unbind(-1), b.unbind(-1)
    return torch.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], -1)


_ADJUGATES: dict[int, Callable[[Tensor], Tensor]] = {2: _adjugate2, 3: _adjugate3, 4: _adjugate4}


def tracing() -> bool:
    """Inside `torch.jit.trace`, on which the legacy exporter and OpenVINO's own conversion rest."""
    return torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]


def bev_pool_v2(
    depth: Tensor,  # [B, N, D, fH, fW]
    feat: Tensor,  # [B, N, fH, fW, C]
    ranks_depth: Tensor,  # [points]
    ranks_feat: Tensor,  # [points]
    ranks_bev: Tensor,  # [points]
    shape: Sequence[int],  # B, Dz, Dy, Dx, C
    interval_starts: Tensor,  # [intervals]
    interval_lengths: Tensor,  # [intervals]
) -> Tensor:  # [B, Dz, Dy, Dx, C]
    """BEVDet's `bev_pool_v2` by `occvino.bev_pool`: each interval is a bag, put at the cell of its first point."""
    cells = shape[0] * shape[1] * shape[2] * shape[3]
    depth, feat = depth.flatten(0, 1), feat.flatten(0, 1)
    intervals: Any = interval_starts.shape[0]
    if tracing() or not isinstance(intervals, int):
        # Bags whose number is known at run time only are refused by tracers and by OpenVINO; a scatter is not.
        weights = depth.flatten()[ranks_depth.long()].unsqueeze(-1)
        return _scattered(feat.flatten(0, 2)[ranks_feat.long()] * weights, ranks_bev.long(), cells).unflatten(
            0, shape[:4]
        )
    bags = bev_pool_torch(depth, feat, ranks_depth, ranks_feat, interval_starts)  # [intervals, C]
    where = ranks_bev[interval_starts.long()].long()  # [intervals]
    return bags.new_zeros(cells, bags.shape[-1]).index_put((where,), bags).unflatten(0, shape[:4])


def bev_pool_v2_tensorrt(
    depth: Tensor,  # [N, D, fH, fW]
    feat: Tensor,  # [N, fH, fW, C]
    ranks_depth: Tensor,
    ranks_feat: Tensor,
    ranks_bev: Tensor,
    interval_starts: Tensor,
    interval_lengths: Tensor,
    height: int = 128,
    width: int = 128,
    z: int = 1,
) -> Tensor:  # [1, Dy, Dx, C], or [1, C, Dz, Dy, Dx]
    """`TRTBEVPoolv2` of the TensorRT exports."""
    pooled = bev_pool_v2(
        depth.unsqueeze(0), feat.unsqueeze(0), ranks_depth, ranks_feat, ranks_bev,
        (1, z, height, width, feat.shape[-1]), interval_starts, interval_lengths,
    )  # fmt: skip
    return pooled.squeeze(1) if z == 1 else pooled.permute(0, 4, 1, 2, 3)


def bev_pool_v1(
    x: Tensor,  # [points, C]
    geometry: Tensor,  # [points, 4]: row, column, z, batch
    ranks: Tensor,  # [points]
    batch: int,
    depth: int,
    height: int,
    width: int,
) -> Tensor:  # [B, Dz, H, W, C]
    """BEVFusion's `bev_pool`: a plain sum over the points of a cell; the order in `ranks` does not matter."""
    row, column, z, b = geometry.long().unbind(-1)
    cell = ((b * depth + z) * height + row) * width + column
    return _scattered(x, cell, batch * depth * height * width).unflatten(0, (batch, depth, height, width))


def voxel_pooling(
    geometry: Tensor,  # [B, points..., 3]: x, y, z of the voxel
    features: Tensor,  # [B, points..., C]
    voxel_num: Tensor | Sequence[int],  # x, y, z
) -> Tensor:  # [B, C, Y, X]
    """BEVDepth's `voxel_pooling`: points outside the grid are dropped, all heights of a column are summed."""
    size_x, size_y, size_z = (int(n) for n in voxel_num)
    batch, channels = features.shape[0], features.shape[-1]
    x, y, z = geometry.reshape(batch, -1, 3).long().unbind(-1)  # [B, points]
    inside = (x >= 0) & (x < size_x) & (y >= 0) & (y < size_y) & (z >= 0) & (z < size_z)
    first = torch.arange(batch, device=x.device).unsqueeze(-1) * (size_y * size_x)
    # A dropped point adds zero to the first cell: its number of points stays known when the graph is made.
    cell = torch.where(inside, first + y * size_x + x, torch.zeros_like(x))
    values = torch.where(inside.unsqueeze(-1), features.reshape(batch, -1, channels), 0.0)
    pooled = _scattered(values.flatten(0, 1), cell.flatten(), batch * size_y * size_x)
    return pooled.unflatten(0, (batch, size_y, size_x)).permute(0, 3, 1, 2)


def cumsum_pooling(
    x: Tensor,  # [points, C], points of a cell beside each other
    geometry: Tensor,  # [points, 4]
    ranks: Tensor,  # [points]: the cell of each
) -> tuple[Tensor, Tensor]:  # [cells, C], [cells, 4]
    """`QuickCumsum` of Lift, Splat, Shoot: the sum of each run of equal ranks, and where its last point lies.

    The original takes differences of a cumulative sum over all points, which costs digits; this adds each run alone.
    """
    changes = (ranks[1:] != ranks[:-1]).long()  # [points - 1]
    edge = torch.ones_like(ranks[:1], dtype=torch.int64)
    run = torch.cat([edge, changes]).cumsum(0) - 1  # [points]
    last = torch.cat([changes, edge]).bool()
    index = run.unsqueeze(-1).expand(-1, x.shape[-1])
    sums = torch.zeros_like(x).scatter_add(0, index, x)
    return sums.gather(0, index)[last], geometry[last]


def _scattered(values: Tensor, cell: Tensor, cells: int) -> Tensor:  # [points, C], [points] -> [cells, C]
    """`scatter_add`: the one form of this sum that the legacy exporter gets right (see docs/doctor.md)."""
    index = cell.unsqueeze(-1).expand(-1, values.shape[-1])
    return values.new_zeros(cells, values.shape[-1]).scatter_add(0, index, values)


@dataclass(frozen=True)
class Recipe:
    """A replacement and the custom `autograd.Function` that it stands in for.

    Args:
        origin: where the original is from, for the report.
        function: class name of the `autograd.Function`.
        arguments: how many it takes, at least and at most.
        replacement: takes what `apply` takes.
        snippet: the same by hand.
    """

    origin: str
    function: str
    arguments: tuple[int, int]
    replacement: Callable[..., Any]
    snippet: str


RECIPES = (
    Recipe(
        "bev_pool_v2 (BEVDet, BEVDepth, FlashOcc)", "QuickCumsumCuda", (8, 8), bev_pool_v2,
        "bags = occvino.bev_pool.bev_pool_torch(depth, feat, ranks_depth, ranks_feat, interval_starts)",
    ),
    Recipe(
        "bev_pool_v2 for TensorRT", "TRTBEVPoolv2", (7, 10), bev_pool_v2_tensorrt,
        "bags = occvino.bev_pool.bev_pool_torch(depth, feat, ranks_depth, ranks_feat, interval_starts)",
    ),
    Recipe(
        "bev_pool (BEVFusion)", "QuickCumsumCuda", (7, 7), bev_pool_v1,
        "bev = x.new_zeros(cells, C).scatter_add(0, cell[:, None].expand(-1, C), x)",
    ),
    Recipe(
        "voxel_pooling (BEVDepth)", "VoxelPooling", (3, 3), voxel_pooling,
        "bev = x.new_zeros(cells, C).scatter_add(0, cell[:, None].expand(-1, C), x)",
    ),
    Recipe(
        "cumsum_pooling (Lift, Splat, Shoot)", "QuickCumsum", (3, 3), cumsum_pooling,
        "bev = x.new_zeros(cells, C).scatter_add(0, cell[:, None].expand(-1, C), x)   # no sort, no cumsum",
    ),
)  # fmt: skip


def recipes_for(function: str) -> list[Recipe]:
    """Recipes for an `autograd.Function` of this name; versions differ by their number of arguments."""
    return [recipe for recipe in RECIPES if recipe.function == function]
