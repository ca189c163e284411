"""Assignments with a mask or with index tensors, as operators that every route converts and gets right.

OpenVINO refuses `out[i, :, j] = x` and `out[rows] = 0` (a mask of fewer axes), and is silently wrong on
`out[:, mask] = x`. The forms here write the whole tensor: `where`, `masked_scatter`, `scatter`, `scatter_add`.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

_Entry = Any  # an int, a slice, or a tensor


def assign(target: Tensor, index: Any, value: Any) -> None:
    """`target[index] = value`, in place.

    Raises:
        ValueError: the index is of a kind that `assignable` does not name.
    """
    entries = _spelt(target, index)
    basic = tuple(slice(None) if isinstance(entry, Tensor) else entry for entry in entries)
    plain = all(entry == slice(None) for entry in basic)
    view = target if plain else target[basic]
    kept = [entry for entry in entries if not isinstance(entry, int)]  # an int takes its axis away
    new = _assigned(view, [e if isinstance(e, Tensor) else slice(None) for e in kept], value)
    if plain:
        target.copy_(new)
    else:
        target[basic] = new


def assignable(target: Any, index: Any, value: Any) -> bool:
    """Whether `assign` knows this index: one mask, or integer tensors that are not all in front, beside slices."""
    if not isinstance(target, Tensor):
        return False
    given = index if isinstance(index, tuple) else (index,)
    tensors = [entry for entry in given if isinstance(entry, Tensor)]
    if not tensors or any(not isinstance(e, Tensor | int | slice) and e is not Ellipsis for e in given):
        return False
    if any(isinstance(e, bool) or (isinstance(e, slice) and e.step not in (None, 1)) for e in given):
        return False
    masks = [entry for entry in tensors if entry.dtype in (torch.bool, torch.uint8)]
    if masks:
        return len(tensors) == 1 and masks[0].dtype is torch.bool and 0 < masks[0].dim() < target.dim()
    leading = all(isinstance(entry, Tensor) for entry in given[: len(tensors)])
    return not leading and not any(entry.dim() == 0 for entry in tensors)


def accumulate(target: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """`target.index_put_(indices, values, accumulate=True)` by `scatter_add`."""
    target.copy_(accumulated(target, indices, values))
    return target


def accumulated(target: Tensor, indices: Any, values: Tensor, accumulate: bool = True) -> Tensor:
    """`target.index_put(indices, values, accumulate=True)`: the legacy exporter loses that sum, and keeps this one."""
    rows, flat, cell = _rows(target, [*indices, *[slice(None)] * (target.dim() - len(indices))])
    at = cell.flatten()[:, None].expand(-1, flat.shape[1])
    given = values.expand(*cell.shape, *rows).reshape(at.shape).to(target.dtype)
    return flat.scatter_add(0, at, given).reshape(target.shape)


def index_add(target: Tensor, dim: int, index: Tensor, source: Tensor, alpha: float = 1) -> Tensor:
    """`target.index_add(dim, index, source)` by `scatter_add`."""
    dim %= target.dim()
    at = index.long().reshape([-1 if axis == dim else 1 for axis in range(target.dim())]).expand_as(source)
    return target.scatter_add(dim, at, source if alpha == 1 else source * alpha)


def index_add_(target: Tensor, dim: int, index: Tensor, source: Tensor, alpha: float = 1) -> Tensor:
    """The same in place."""
    return target.copy_(index_add(target, dim, index, source, alpha))


def _spelt(target: Tensor, index: Any) -> list[_Entry]:
    """One entry an axis: `...` and what is left out as slices; a mask stands once, for all its axes."""
    given = list(index) if isinstance(index, tuple) else [index]
    axes = sum(_axes(entry) for entry in given if entry is not Ellipsis)
    missing: list[_Entry] = [slice(None)] * (target.dim() - axes)
    if Ellipsis in [entry for entry in given if not isinstance(entry, Tensor)]:
        at = next(i for i, entry in enumerate(given) if entry is Ellipsis)
        return [*given[:at], *missing, *given[at + 1 :]]
    return [*given, *missing]


def _axes(entry: _Entry) -> int:
    return entry.dim() if isinstance(entry, Tensor) and entry.dtype is torch.bool else 1


def _assigned(view: Tensor, entries: list[_Entry], value: Any) -> Tensor:
    at = next(i for i, entry in enumerate(entries) if isinstance(entry, Tensor))
    if entries[at].dtype is torch.bool:
        return _masked(view, entries[at], at, value)
    return _indexed(view, entries, value)


def _masked(view: Tensor, mask: Tensor, first: int, value: Any) -> Tensor:
    after = view.dim() - first - mask.dim()
    where = mask.reshape([1] * first + list(mask.shape) + [1] * after).expand_as(view)
    if not isinstance(value, Tensor) or value.numel() == 1:
        filled = value.to(view.dtype).reshape(()) if isinstance(value, Tensor) else value
        return torch.where(where, torch.as_tensor(filled, dtype=view.dtype, device=view.device), view)
    if value.dim() <= after:  # the same for every row that is picked
        return torch.where(where, value.to(view.dtype), view)
    return view.masked_scatter(where, value.to(view.dtype))  # both go row by row


def _indexed(view: Tensor, entries: list[_Entry], value: Any) -> Tensor:
    """Integer tensors: their axes in front, one number a cell, a scatter of rows, and the axes back."""
    indexed = [axis for axis, entry in enumerate(entries) if isinstance(entry, Tensor)]
    rest = [axis for axis in range(view.dim()) if axis not in indexed]
    turned = view.permute(*indexed, *rest)
    rows, flat, cell = _rows(turned, [entries[axis] for axis in indexed] + [slice(None)] * len(rest))
    values = value if isinstance(value, Tensor) else torch.as_tensor(value, dtype=view.dtype, device=view.device)
    beside = indexed == list(range(indexed[0], indexed[0] + len(indexed)))
    if beside:  # NumPy's rule: then the rows stay where the tensors stood
        before = rest[: indexed[0]]
        shape = [view.shape[a] for a in before] + list(cell.shape) + [view.shape[a] for a in rest[len(before) :]]
        at = list(range(len(before), len(before) + cell.dim()))
        values = values.expand(shape)
        values = values.permute(*at, *[axis for axis in range(values.dim()) if axis not in at])
    index = cell.flatten()[:, None].expand(-1, flat.shape[1])
    values = values.expand(*cell.shape, *rows).reshape(index.shape).to(view.dtype)
    scattered = flat.scatter(0, index, values).reshape(turned.shape)
    order = [*indexed, *rest]
    return scattered.permute(*[order.index(axis) for axis in range(view.dim())])


def _rows(target: Tensor, entries: list[_Entry]) -> tuple[list[int], Tensor, Tensor]:
    """What a row holds, the target as [cells, row], and the cell of each index; tensors stand in front."""
    tensors = [entry for entry in entries if isinstance(entry, Tensor)]
    sizes = [int(n) for n in target.shape[: len(tensors)]]
    rows = [int(n) for n in target.shape[len(tensors) :]]
    cell = torch.zeros_like(tensors[0], dtype=torch.int64)
    for index, size in zip(tensors, sizes, strict=True):
        index = index.long()
        cell = cell * size + torch.where(index < 0, index + size, index)
    return rows, target.reshape(math.prod(sizes), math.prod(rows)), cell
