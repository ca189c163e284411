"""Walking what goes into a module and what comes out: nested containers, as paths and leaves."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

Path = str
"""How a user would write it: `img_inputs[0][3]`, `batch['points']`, `sample.image`."""


def leaves(value: Any, path: Path = "") -> list[tuple[Path, Any]]:
    """Every leaf with its path, in order. Containers are dict, list, tuple, named tuple and dataclass instance."""
    items = _children(value)
    if items is None:
        return [(path, value)]
    return [leaf for step, child in items for leaf in leaves(child, path + step)]


def replace_leaves(value: Any, swap: Callable[[Path, Any], Any], path: Path = "") -> Any:
    """A copy of the containers with each leaf replaced by `swap(path, leaf)`."""
    items = _children(value)
    if items is None:
        return swap(path, value)
    parts = [replace_leaves(child, swap, path + step) for step, child in items]
    if isinstance(value, Mapping):
        return type(value)(zip(value, parts, strict=True))  # pyright: ignore[reportCallIssue]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*parts)
    if isinstance(value, list | tuple):
        return type(value)(parts)
    fields = [field.name for field in dataclasses.fields(value)]
    return dataclasses.replace(value, **dict(zip(fields, parts, strict=True)))


def clone(value: Any) -> Any:
    """Containers and tensors copied, so that an in-place write of the module does not reach the user's example."""
    return replace_leaves(value, lambda _, leaf: leaf.detach().clone() if isinstance(leaf, Tensor) else leaf)


def tensors_out(output: Any) -> dict[Path, Tensor]:
    """Tensors of an output by path; NumPy arrays and numbers as tensors, anything else left out."""
    found: dict[Path, Tensor] = {}
    for path, leaf in leaves(output, "output"):
        leaf = getattr(leaf, "tensor", leaf) if type(leaf).__name__ == "TensorArray" else leaf
        if isinstance(leaf, Tensor):
            found[path] = leaf
        elif isinstance(leaf, np.ndarray | np.generic | bool | int | float):
            found[path] = torch.as_tensor(np.asarray(leaf))
    return found


def identifier(path: Path, taken: set[str]) -> str:
    """A path as a Python name not yet in `taken`, which it joins: `img_inputs[0][3]` -> `img_inputs_0_3`."""
    name = re.sub(r"\W+", "_", path).strip("_") or "input"
    name = f"x_{name}" if name[0].isdigit() else name
    unique, number = name, 2
    while unique in taken:
        unique, number = f"{name}_{number}", number + 1
    taken.add(unique)
    return unique


def error(actual: Tensor, expected: Tensor) -> float:
    """Largest absolute difference over the largest expected magnitude; infinite when shapes differ."""
    if actual.shape != expected.shape:
        return float("inf")
    if not expected.numel():
        return 0.0
    if expected.is_complex():
        return error(torch.view_as_real(actual.resolve_conj()), torch.view_as_real(expected.resolve_conj()))
    parts = [compared(a, b) for a, b in zip(_blocks(actual), _blocks(expected), strict=True)]
    return max(gap for gap, _ in parts) / max(*(scale for _, scale in parts), 1e-12)


_BLOCK = 1 << 20
"""Elements compared at a time: in double precision a whole output takes several times its own memory."""


def _blocks(tensor: Tensor) -> Iterator[Tensor]:
    return iter(tensor.detach().reshape(-1).split(_BLOCK))


def compared(actual: Tensor, expected: Tensor) -> tuple[float, float]:
    """Largest difference of two tensors of one shape, and largest finite magnitude that was expected."""
    a, b = actual.double(), expected.double()
    same = (a == b) | (a.isnan() & b.isnan())  # infinities and NaN that agree are no difference
    gap = torch.where(same, 0.0, (a - b).abs()).nan_to_num(nan=float("inf"), posinf=float("inf"))
    finite = b[b.isfinite()]
    return float(gap.max()), float(finite.abs().max()) if finite.numel() else 0.0


def _children(value: Any) -> list[tuple[str, Any]] | None:
    if isinstance(value, Mapping):
        mapping = cast("Mapping[Any, Any]", value)
        return [(f"[{key!r}]", child) for key, child in mapping.items()]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return [(f".{name}", getattr(value, name)) for name in value._fields]  # pyright: ignore
    if isinstance(value, torch.Size):
        return None
    if isinstance(value, list | tuple):
        sequence = cast("list[Any]", value)
        return [(f"[{index}]", child) for index, child in enumerate(sequence)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(f".{field.name}", getattr(value, field.name)) for field in dataclasses.fields(value)]
    return None
