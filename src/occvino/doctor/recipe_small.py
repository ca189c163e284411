"""Small operators that a route does not know, in operators that every route does."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from occvino.doctor.recipes import closed_form_inverse


def nan_to_num(x: Tensor, nan: float | None = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """`torch.nan_to_num`."""
    if not x.is_floating_point():
        return x
    limits = torch.finfo(x.dtype)
    x = torch.where(x != x, torch.full_like(x, nan or 0.0), x)
    x = torch.where(x == math.inf, torch.full_like(x, limits.max if posinf is None else posinf), x)
    return torch.where(x == -math.inf, torch.full_like(x, limits.min if neginf is None else neginf), x)


def nan_to_num_(x: Tensor, *limits: Any, **named: Any) -> Tensor:
    """The same in place."""
    return x.copy_(nan_to_num(x, *limits, **named))


def closed_range(start: Any = 0, end: Any = None, step: Any = 1, **options: Any) -> Tensor:
    """`torch.range`, which includes its end, by `torch.arange`."""
    start, end = (0, start) if end is None else (start, end)
    count = math.floor((float(end) - float(start)) / float(step)) + 1
    options.pop("out", None)
    dtype = options.pop("dtype", None) or torch.get_default_dtype()
    return (torch.arange(count, dtype=torch.float64, **options) * float(step) + float(start)).to(dtype)


def trunc(x: Tensor) -> Tensor:
    """`torch.trunc`: towards zero."""
    return torch.where(x < 0, x.ceil(), x.floor()) if x.is_floating_point() else x


def median(x: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """`torch.median` along an axis: the lower of the two in the middle, and its place."""
    values, places = x.sort(dim)
    middle = (int(x.shape[dim]) - 1) // 2
    picked = values.narrow(dim, middle, 1), places.narrow(dim, middle, 1)
    return torch.return_types.median(picked if keepdim else [part.squeeze(dim) for part in picked])  # pyright: ignore


def inverse(matrix: Tensor) -> Tensor:
    """The closed form in double precision: in single, its last place moves points into other cells."""
    return closed_form_inverse(matrix.double()).to(matrix.dtype)


def inverse_ex(matrix: Tensor, *, check_errors: bool = False) -> Any:
    """`torch.linalg.inv_ex` in closed form; the second value says that nothing went wrong."""
    info = torch.zeros(matrix.shape[:-2], dtype=torch.int32, device=matrix.device)
    return torch.return_types.linalg_inv_ex([inverse(matrix), info])  # pyright: ignore


def solve(matrix: Tensor, other: Tensor, *, left: bool = True) -> Tensor:
    """`torch.linalg.solve` of small systems: the closed form of the inverse, times the right side."""
    inverted = inverse(matrix)
    if other.dim() == 1 or (other.dim() == matrix.dim() - 1 and other.shape == matrix.shape[:-1]):
        return (inverted @ other.unsqueeze(-1)).squeeze(-1)
    return inverted @ other if left else other @ inverted


def unique_consecutive(
    x: Tensor,  # [P]
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """`torch.unique_consecutive` of one axis: where a run begins, the number of the run, and how long it is."""
    edge = torch.ones_like(x[:1], dtype=torch.int64)
    changes = (x[1:] != x[:-1]).long()
    run = torch.cat([edge, changes]).cumsum(0) - 1  # [P]
    last = torch.cat([changes, edge]).bool()
    counts = torch.zeros_like(run).scatter_add(0, run, torch.ones_like(run)).gather(0, run)[last]
    parts = [x[last], *([run] if return_inverse else []), *([counts] if return_counts else [])]
    return parts[0] if len(parts) == 1 else tuple(parts)


def unique_rows(
    x: Tensor,  # [P, K]
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = 0,
) -> Any:
    """`torch.unique(x, dim=0)`: each row as one number, made of the ranks of its entries, column by column.

    The numbers stay below P squared, which OpenVINO keeps in 32 bits: P is at most 46340.
    """
    rows = int(x.shape[0])
    key = torch.zeros_like(x[:, 0], dtype=torch.int64)
    for column in range(int(x.shape[1])):
        _, rank = torch.unique(x[:, column], return_inverse=True)
        _, key = torch.unique(key * rows + rank, return_inverse=True)
    _, inverse, counts = torch.unique(key, return_inverse=True, return_counts=True)
    # sums of a row's own copies would round: each number is written where its copies are, and read back once
    order = torch.arange(rows, device=x.device)
    first = torch.full_like(order, rows).scatter_reduce(0, inverse, order, "amin")[: counts.shape[0]]
    parts = [x[first], *([inverse] if return_inverse else []), *([counts] if return_counts else [])]
    return parts[0] if len(parts) == 1 else tuple(parts)


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:  # [P, 4], [P] -> [kept]
    """Torchvision's `nms`: boxes from the best score down, each of which drops those that overlap it too much.

    One step a box: the graph grows with their number, so keep the best few hundred first.
    """
    order = scores.argsort(descending=True)
    boxes = boxes[order]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    low = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    common = (high - low).clamp(min=0).prod(-1)  # [P, P]
    count = int(boxes.shape[0])
    later = torch.arange(count, device=boxes.device)
    drops = (common > iou_threshold * (area[:, None] + area[None, :] - common)) & (later[None, :] > later[:, None])
    kept = torch.ones_like(scores, dtype=torch.bool)
    for box in range(count):
        kept = kept & ~(drops[box] & kept[box])
    return order[kept]
