"""torch_scatter: its calls recognised by name, and each in stock operators that every route exports.

The package computes with an operator of its own (`torch.ops.torch_scatter.*`), with a scripted function or in
Python: that depends on its version and on the function, and makes no difference here.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any

import torch
from torch import Tensor, nn

from occvino.doctor.places import is_user_file

PACKAGE = "torch_scatter"
SNIPPET = (
    "index = index.unsqueeze(-1).expand_as(x)   # [points] -> [points, C]; dim_size must be a number that is known\n"
    "pooled = x.new_zeros(dim_size, x.shape[-1]).scatter_add(0, index, x)   # mean: over the same sum of ones"
)


SIZE_READ = "dim_size is not given: the size of the result is a number read from the indices"


def _expanded(index: Tensor, src: Tensor, dim: int) -> Tensor:
    """An index of one axis, or of the leading axes, as one of the shape of `src`."""
    if index.dim() == 1:
        index = index.reshape([1] * dim + [-1])
    return index.reshape([*index.shape, *[1] * (src.dim() - index.dim())]).expand_as(src)


def _into(src: Tensor, dim: int, size: int, fill: float) -> Tensor:
    return src.new_full([*src.shape[:dim], size, *src.shape[dim + 1 :]], fill)


def _sum(src: Tensor, index: Tensor, dim: int, size: int) -> Tensor:
    return _into(src, dim, size, 0).scatter_add(dim, index, src)


def _mean(src: Tensor, index: Tensor, dim: int, size: int) -> Tensor:
    count = _sum(torch.ones_like(src), index, dim, size).clamp(min=1)
    return torch.div(_sum(src, index, dim, size), count, rounding_mode=None if src.is_floating_point() else "floor")


def _product(src: Tensor, index: Tensor, dim: int, size: int) -> Tensor:
    return _into(src, dim, size, 1).scatter_reduce(dim, index, src, "prod")


def _extreme(src: Tensor, index: Tensor, dim: int, size: int, *, largest: bool) -> tuple[Tensor, Tensor]:
    """Values and where they were: for a cell that nothing falls into, 0 and the number of points."""
    limits = torch.finfo(src.dtype) if src.is_floating_point() else torch.iinfo(src.dtype)
    reduce, start = ("amax", limits.min) if largest else ("amin", limits.max)
    touched = _sum(torch.ones_like(src), index, dim, size) > 0
    best = _into(src, dim, size, start).scatter_reduce(dim, index, src, reduce)
    best = best.reshape(touched.shape)  # the legacy exporter says of scatter_reduce that it gives a number
    values = best.masked_fill(~touched, 0)
    points = src.shape[dim]
    order = torch.arange(points, device=src.device).reshape([-1] + [1] * (src.dim() - dim - 1)).expand_as(src)
    winners = torch.where(src == values.gather(dim, index), order, torch.full_like(order, points))
    nowhere = torch.full_like(values, points, dtype=torch.int64)
    return values, nowhere.scatter_reduce(dim, index, winners, "amin")


_REDUCERS: dict[str, Callable[[Tensor, Tensor, int, int], Any]] = {
    "sum": _sum,
    "add": _sum,
    "mean": _mean,
    "mul": _product,
    "min": partial(_extreme, largest=False),
    "max": partial(_extreme, largest=True),
}


def _scatter(
    src: Tensor,
    index: Tensor,
    dim: int = -1,
    out: None = None,
    dim_size: int = 0,
    reduce: str = "sum",
) -> Any:
    dim %= src.dim()
    return _REDUCERS[reduce](src, _expanded(index, src, dim), dim, dim_size)


def _segment_coo(
    src: Tensor,  # [..., points, ...]
    index: Tensor,  # [..., points]
    out: None = None,
    dim_size: int = 0,
    reduce: str = "sum",
) -> Any:  # [..., dim_size, ...]
    dim = index.dim() - 1
    return _REDUCERS[reduce](src, _expanded(index, src, dim), dim, dim_size)


def _segment_csr(
    src: Tensor,  # [points, ...]
    indptr: Tensor,  # [rows + 1]
    out: None = None,
    reduce: str = "sum",
) -> Any:  # [rows, ...]
    points, rows = src.shape[0], indptr.shape[0] - 1
    starts = torch.zeros(points + 1, dtype=torch.int64, device=src.device)
    starts = starts.scatter_add(0, indptr.long(), torch.ones_like(indptr, dtype=torch.int64))
    segment = starts.cumsum(0)[:points]  # 0 before the first pointer, rows + 1 from the last one on
    pooled = _REDUCERS[reduce](src, _expanded(segment, src, 0), 0, rows + 2)
    return tuple(p[1:-1] for p in pooled) if isinstance(pooled, tuple) else pooled[1:-1]


def _values(function: Callable[..., Any]) -> Callable[..., Any]:
    """`scatter(..., reduce="max")` gives the values alone, where `scatter_max` gives the places too."""

    @wraps(function)
    def values(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        return result[0] if isinstance(result, tuple) else result

    return values


_SEGMENTED = [how for how in _REDUCERS if how != "mul"]
REPLACEMENTS: dict[str, Callable[..., Any]] = {
    **{f"scatter_{how}": partial(_scatter, reduce=how) for how in _REDUCERS},
    **{f"segment_{how}_coo": partial(_segment_coo, reduce=how) for how in _SEGMENTED},
    **{f"segment_{how}_csr": partial(_segment_csr, reduce=how) for how in _SEGMENTED},
    "scatter": _values(_scatter),
    "segment_coo": _values(_segment_coo),
    "segment_csr": _values(_segment_csr),
}
"""What each function of the package is here, for calls without an `obstacle`."""


def obstacle(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Why a call is left as it is; empty when it can be replaced."""
    given = inspect.signature(REPLACEMENTS[name]).bind(*args, **kwargs).arguments
    if given.get("out") is not None:
        return "out= is written in place: give none, and use the result"
    if "indptr" in given:
        return "indptr has several axes" if given["indptr"].dim() != 1 else ""
    if given.get("dim_size") is None:
        return SIZE_READ
    return ""


@contextmanager
def rebound(module: nn.Module, wrap: Callable[[str, Callable[..., Any]], Any]) -> Generator[None, None, None]:
    """Put `wrap(name, function)` wherever a function of torch_scatter is bound to a name.

    That is in the package, in the user's modules, and on `module` and its submodules. Nothing if it is not imported.
    """
    home = sys.modules.get(PACKAGE)
    known = [(name, getattr(home, name)) for name in REPLACEMENTS if hasattr(home, name)]
    wrapped = {id(function): (function, wrap(name, function)) for name, function in known}
    undo: list[tuple[dict[str, Any], str, Any]] = []
    try:
        for scope in _scopes(module) if wrapped else ():
            for name, value in list(scope.items()):
                function, replacement = wrapped.get(id(value), (None, None))
                if function is not None and function is value:
                    scope[name] = replacement
                    undo.append((scope, name, value))
        yield
    finally:
        for scope, name, value in undo:
            scope[name] = value


def _scopes(module: nn.Module) -> list[dict[str, Any]]:
    homes = [
        vars(home)
        for name, home in list(sys.modules.items())
        if name.split(".")[0] == PACKAGE or is_user_file(getattr(home, "__file__", None) or "<none>")
    ]
    return homes + [vars(child) for child in module.modules()]


def replaced(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A call of `function` in stock operators where that is safe, and as it was where not."""

    def replacement(*args: Any, **kwargs: Any) -> Any:
        return (function if obstacle(name, args, kwargs) else REPLACEMENTS[name])(*args, **kwargs)

    return replacement
