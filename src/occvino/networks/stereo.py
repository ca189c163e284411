"""Stereo over time: how well each pixel matches the previous frame, at every depth it might have (BEVStereo)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

STRIDE = 4
"""Of the feature map that is matched."""
NEAREST = 1e-3
"""Metres that a point must be in front of the previous frame's camera to be looked up there."""
NOWHERE = -2.0
"""A sampling coordinate outside of the image, whose border is at -1 and 1."""
GROUP = 4
"""The official code sums channels four at a time and judges what is unseen by the first of the last four."""


def cost_volume(
    current: Tensor, previous: Tensor, warp: Tensor, depths: Sequence[float], *, unseen_cost: float
) -> Tensor:
    """Probability of each depth by the sum of absolute differences, softmax of its negative.

    Args:
        current: [B, C, h, w], features of stride 4 of the frame whose depth is asked.
        previous: [B, C, h, w], those of the previous frame.
        warp: [B, 3, 4], where a network pixel (u, v) at depth d is in the previous frame: `warp @ (u*d, v*d, d, 1)` is
            homogeneous, its third entry the depth there in metres (`geometry.inputs.stereo_warps`).
        depths: the D depths, metres.
        unseen_cost: added where the first channel of the last group of four was sampled as exactly 0. That is meant to
            find what the previous image does not show, and finds the zeros that a ReLU leaves as well.

    Returns:
        [B, D, h, w]. Source: `calculate_cost_volumn` of FlashOCC's depth net.
    """
    judge = current.shape[1] - GROUP
    rays = torch.matmul(warp[:, :, :3], pixels(current))  # [B, 3, h*w]
    costs: list[Tensor] = []
    # one depth at a time: all of them would be a tensor [B, C, D*h, w] of gigabytes
    for depth in depths:
        grid = sampling_grid(rays * depth + warp[:, :, 3:], current.shape[-2:])  # [B, h, w, 2]
        seen = F.grid_sample(previous, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
        cost = (current - seen).abs().sum(dim=1, keepdim=True)  # [B, 1, h, w]
        unseen = (seen[:, judge : judge + 1] == 0).to(cost.dtype)
        costs.append(cost + unseen * unseen_cost)
    return (-torch.cat(costs, dim=1)).softmax(dim=1)


def pixels(features: Tensor) -> Tensor:
    """Homogeneous network pixels [3, h*w] of a feature map of stride 4, spread from 0 to the last pixel."""
    height, width = features.shape[-2:]
    u = torch.linspace(0, width * STRIDE - 1, width, dtype=features.dtype, device=features.device)
    v = torch.linspace(0, height * STRIDE - 1, height, dtype=features.dtype, device=features.device)
    rows, columns = torch.meshgrid(v, u, indexing="ij")
    return torch.stack([columns, rows, torch.ones_like(rows)]).reshape(3, -1)


def sampling_grid(points: Tensor, size: torch.Size) -> Tensor:
    """Homogeneous points [B, 3, h*w] in the previous image -> coordinates [B, h, w, 2] for `grid_sample`.

    They are normalised by the network image and used on its feature map, as the official code does.
    """
    height, width = size
    behind = points[:, 2:] < NEAREST  # [B, 1, h*w]
    depth = torch.where(behind, 1.0, points[:, 2:])
    x = points[:, 0:1] / depth / (width * STRIDE - 1.0) * 2.0 - 1.0
    y = points[:, 1:2] / depth / (height * STRIDE - 1.0) * 2.0 - 1.0
    # put together without swapping axes: without a GPU, the GPU plugin gets that wrong (tests/gpu/README.md)
    behind, x, y = (each.reshape(-1, height, width, 1) for each in (behind, x, y))
    return torch.where(behind, NOWHERE, torch.cat([x, y], dim=-1))
