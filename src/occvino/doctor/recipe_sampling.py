"""Sampling that OpenVINO does not convert: 5-D `grid_sample`, `affine_grid`, and torchvision's `roi_align`.

Each takes and gives what the original does; `patch` puts them in its place and proves it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def grid_sample_3d(
    volume: Tensor,  # [N, C, D, H, W]
    grid: Tensor,  # [N, ..., 3]: x, y, z in -1..1
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:  # [N, C, ...]
    """`F.grid_sample` of a volume by gathers: one for the nearest voxel, eight for the corners around a point.

    Raises:
        ValueError: another mode, or another padding.
    """
    if mode not in ("bilinear", "nearest") or padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(f"grid_sample_3d: mode {mode!r} with padding {padding_mode!r} is not known for volumes")
    sizes = [int(size) for size in volume.shape[2:]][::-1]  # W, H, D: a grid's order
    points = grid.reshape(grid.shape[0], -1, 3)  # [N, P, 3]
    at = [_pixel(points[..., axis], size, padding_mode, bool(align_corners)) for axis, size in enumerate(sizes)]
    flat = volume.flatten(2)  # [N, C, D*H*W]
    sampled = _voxel(flat, [p.round() for p in at], sizes) if mode == "nearest" else _corners(flat, at, sizes)
    return sampled.reshape(*volume.shape[:2], *grid.shape[1:-1])


def _corners(flat: Tensor, at: list[Tensor], sizes: list[int]) -> Tensor:
    low = [p.floor() for p in at]
    share = [p - floor for p, floor in zip(at, low, strict=True)]
    total = torch.zeros_like(flat[..., :1])
    for corner in range(8):
        steps = [corner >> axis & 1 for axis in range(3)]
        weights = [s if step else 1 - s for s, step in zip(share, steps, strict=True)]
        weight = weights[0] * weights[1] * weights[2]  # [N, P]
        total = total + weight[:, None] * _voxel(flat, [p + s for p, s in zip(low, steps, strict=True)], sizes)
    return total


def _voxel(flat: Tensor, at: list[Tensor], sizes: list[int]) -> Tensor:
    """Values of whole coordinates [N, P]; zero outside."""
    inside = torch.ones_like(at[0], dtype=torch.bool)
    index = torch.zeros_like(at[0], dtype=torch.int64)
    for p, size in reversed(list(zip(at, sizes, strict=True))):
        inside = inside & (p >= 0) & (p <= size - 1)
        index = index * size + p.clamp(0, size - 1).long()
    values = flat.gather(2, index[:, None].expand(-1, flat.shape[1], -1))
    return values * inside[:, None].to(flat.dtype)


def _pixel(x: Tensor, size: int, padding: str, align: bool) -> Tensor:
    """A coordinate in -1..1 as one in voxels, brought inside as the padding says."""
    pixel = (x + 1) / 2 * (size - 1) if align else ((x + 1) * size - 1) / 2
    if padding == "reflection":
        pixel = _reflected(pixel, 0.0, size - 1.0) if align else _reflected(pixel, -0.5, size - 0.5)
    return pixel if padding == "zeros" else pixel.clamp(0, size - 1)


def _reflected(x: Tensor, low: float, high: float) -> Tensor:
    span = high - low
    if span <= 0:
        return torch.zeros_like(x)
    x = (x - low).abs()
    turns = (x / span).floor()
    rest = x - turns * span
    odd = turns - 2 * (turns / 2).floor()
    return torch.where(odd > 0, span - rest, rest) + low


def affine_grid(
    theta: Tensor,  # [N, 2, 3] or [N, 3, 4]
    size: Sequence[int],  # N, C, (D,) H, W
    align_corners: bool | None = None,
) -> Tensor:  # [N, (D,) H, W, 2 or 3]
    """`F.affine_grid`: the centres of the pixels, or the corners of the image in -1 and 1, through `theta`."""
    lengths = [int(n) for n in size[2:]]
    axes = [_centres(n, bool(align_corners), theta) for n in lengths]
    mesh = torch.meshgrid(*axes, indexing="ij")[::-1]  # x first
    base = torch.stack([*mesh, torch.ones_like(mesh[0])], -1).reshape(1, -1, len(lengths) + 1)  # [1, P, k + 1]
    return (base @ theta.transpose(1, 2)).reshape(-1, *lengths, len(lengths))


def _centres(n: int, align: bool, like: Tensor) -> Tensor:
    steps = torch.arange(n, dtype=like.dtype, device=like.device)
    if align:
        return steps * (2 / (n - 1)) - 1 if n > 1 else steps * 0
    return (2 * steps + 1) / n - 1


def roi_align(
    features: Tensor,  # [N, C, H, W]
    rois: Tensor,  # [K, 5]: image, x1, y1, x2, y2
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool = False,
) -> Tensor:  # [K, C, pooled_height, pooled_width]
    """Torchvision's `roi_align` with a fixed number of samples a bin (Mask R-CNN, section 3).

    Raises:
        ValueError: `sampling_ratio` is not positive: then the number of samples depends on the boxes.
    """
    if sampling_ratio <= 0:
        raise ValueError("roi_align: give sampling_ratio=2; with 0 the number of samples follows the size of each box")
    height, width = int(features.shape[2]), int(features.shape[3])
    corner = rois[:, 1:] * spatial_scale - (0.5 if aligned else 0.0)  # [K, 4]
    extent = corner[:, 2:] - corner[:, :2]  # [K, 2]: w, h
    extent = extent if aligned else extent.clamp(min=1.0)
    y = corner[:, 1:2] + extent[:, 1:2] * _samples(pooled_height, sampling_ratio, rois)  # [K, ph * s]
    x = corner[:, 0:1] + extent[:, 0:1] * _samples(pooled_width, sampling_ratio, rois)  # [K, pw * s]
    image = features.flatten(2)[rois[:, 0].long()]  # [K, C, H*W]
    (y0, y1, wy), (x0, x1, wx) = _bilinear(y, height), _bilinear(x, width)
    rows = [(y0, (1 - wy[0]) * wy[1]), (y1, wy[0] * wy[1])]
    columns = [(x0, (1 - wx[0]) * wx[1]), (x1, wx[0] * wx[1])]
    total = image.new_zeros(())
    for row, row_weight in rows:
        for column, column_weight in columns:
            index = (row[:, :, None] * width + column[:, None, :]).flatten(1)  # [K, ph*s * pw*s]
            weight = (row_weight[:, :, None] * column_weight[:, None, :]).flatten(1)
            total = total + image.gather(2, index[:, None].expand(-1, image.shape[1], -1)) * weight[:, None]
    bins = total.unflatten(2, (pooled_height, sampling_ratio, pooled_width, sampling_ratio))
    return bins.mean((3, 5))


def _samples(bins: int, ratio: int, like: Tensor) -> Tensor:
    """Where the samples lie between the two sides of a box, 0..1."""
    return (torch.arange(bins * ratio, dtype=like.dtype, device=like.device) + 0.5) / (bins * ratio)


def _bilinear(p: Tensor, size: int) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Lower and upper pixel, the share of the upper one, and 0 for what lies more than one pixel outside."""
    inside = ((p >= -1) & (p <= size)).to(p.dtype)
    p = p.clamp(0, size - 1)
    low = p.floor()
    return low.long(), (low + 1).clamp(max=size - 1).long(), (p - low, inside)


def deformable_attention(
    value: Tensor,  # [B, S, M, C]: all levels in a row, M heads
    shapes: Tensor,  # [L, 2]: height, width of each level
    starts: Tensor,  # [L]
    locations: Tensor,  # [B, Q, M, L, P, 2]: x, y in 0..1
    weights: Tensor,  # [B, Q, M, L, P]
    step: int = 64,
) -> Tensor:  # [B, Q, M * C]
    """`MSDeformAttn` (Deformable DETR, section 4.1): 4-D samplings of each level, weighted and summed.

    The sizes of the levels are Python numbers in the graph: they are the image's, not the data's.
    """
    batch, _, heads, channels = value.shape
    queries, points = locations.shape[1], locations.shape[4]
    sizes = [(int(h), int(w)) for h, w in shapes.tolist()]
    grids = (2 * locations - 1).permute(0, 2, 3, 1, 4, 5).flatten(0, 1)  # [B*M, L, Q, P, 2]
    sampled: list[Tensor] = []
    for level, maps in enumerate(value.split([h * w for h, w in sizes], 1)):
        height, width = sizes[level]
        image = maps.permute(0, 2, 3, 1).reshape(batch * heads, channels, height, width)
        sampled.append(torch.nn.functional.grid_sample(image, grids[:, level], align_corners=False))  # [B*M, C, Q, P]
    share = weights.permute(0, 2, 1, 3, 4).reshape(batch * heads, 1, queries, len(sizes) * points)
    total = (torch.cat(sampled, -1) * share).sum(-1)  # [B*M, C, Q]
    return total.reshape(batch, heads * channels, queries).transpose(1, 2)
