"""Functions that OpenVINO's own conversion does not know by the name that was used, or not at all, and what is meant.

`torch.subtract` is `torch.sub`, and PyTorch makes one of the other while it optimises a graph; inside a submodule it
does not, and OpenVINO 2026.4 says "No conversion rule found for operations: aten::subtract".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

OTHER_NAMES = {
    "subtract": "sub",
    "negative": "neg",
    "divide": "div",
    "true_divide": "div",
    "greater_equal": "ge",
    "less_equal": "le",
    "arccos": "acos",
    "arcsin": "asin",
    "arctan": "atan",
    "arctan2": "atan2",
    "arccosh": "acosh",
    "arcsinh": "asinh",
    "arctanh": "atanh",
    "swapdims": "transpose",
    "moveaxis": "movedim",
    "ger": "outer",
    "row_stack": "vstack",
}
"""What a function is called by everybody: the same function, under a name that OpenVINO knows."""


def trace(x: Tensor) -> Tensor:
    """`torch.trace`."""
    return torch.where(torch.eye(x.shape[0], x.shape[1], dtype=torch.bool), x, torch.zeros_like(x)).sum()


def diff(x: Tensor, n: int = 1, dim: int = -1) -> Tensor:
    """`torch.diff`, without what may be put before and behind."""
    for _ in range(n):
        length = int(x.shape[dim])
        x = x.narrow(dim, 1, length - 1) - x.narrow(dim, 0, length - 1)
    return x


def addcdiv(x: Tensor, one: Tensor, other: Tensor, *, value: float = 1) -> Tensor:
    """`torch.addcdiv`."""
    return x + value * (one / other)


def positive(x: Tensor) -> Tensor:
    """`torch.positive`."""
    return x * 1


def float_power(x: Any, exponent: Any) -> Tensor:
    """`torch.float_power`, which computes in double."""
    given = [value.double() if isinstance(value, Tensor) else value for value in (x, exponent)]
    return torch.pow(*given)


FORMULAS: dict[str, tuple[Callable[..., Tensor], str]] = {
    "deg2rad": (lambda x: x * (math.pi / 180), "x = x * (torch.pi / 180)"),
    "exp2": (lambda x: torch.pow(2.0, x), "x = torch.pow(2.0, x)"),
    "flipud": (lambda x: x.flip(0), "x = x.flip(0)"),
    "fliplr": (lambda x: x.flip(1), "x = x.flip(1)"),
    "hypot": (lambda x, y: torch.sqrt(x * x + y * y), "length = torch.sqrt(x * x + y * y)   # of torch.hypot(x, y)"),
    "trace": (trace, "total = torch.where(torch.eye(*x.shape, dtype=torch.bool), x, torch.zeros_like(x)).sum()"),
    "diff": (diff, "steps = x[..., 1:] - x[..., :-1]"),
    "addcdiv": (addcdiv, "y = x + 0.5 * (x / y)   # of torch.addcdiv(x, x, y, value=0.5)"),
    "positive": (positive, "x = x * 1"),
    "float_power": (float_power, "y = torch.pow(x.double(), 2.0)   # of torch.float_power(x, 2.0)"),
}
"""Functions without a conversion rule: what to compute, and how it is written by hand."""
