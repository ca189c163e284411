"""The table of calls that a route refuses or gets wrong, and what to call instead.

A call is known by the function's name and by what it is given, as PyTorch's function mode sees both. Which routes
refuse it was tried with PyTorch 2.13 and OpenVINO 2026.4 (tests/doctor/test_recipe_calls.py tries the replacements).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from occvino.doctor import recipe_assign as assigning
from occvino.doctor import recipe_names as naming
from occvino.doctor import recipe_sampling as sampling
from occvino.doctor import recipe_small as small

Arguments = Callable[..., bool]
EVERY = frozenset({"legacy", "dynamo", "openvino", "dynamo+openvino"})


@dataclass(frozen=True)
class CallRecipe:
    """A call that can be replaced one for one.

    Args:
        name: as a user writes it.
        functions: names of the function, as `__name__` gives them.
        fits: whether the replacement knows this call; takes what the call takes.
        replacement: takes what the call takes, gives what it gives.
        why: what happens to the original.
        refused: values of the routes that refuse it or get it wrong.
        snippet: the replacement by hand.
    """

    name: str
    functions: tuple[str, ...]
    fits: Arguments
    replacement: Callable[..., Any]
    why: str
    refused: frozenset[str]
    snippet: str


def _volume(volume: Tensor, grid: Tensor, mode: str = "bilinear", *_: Any, **__: Any) -> bool:
    return volume.dim() == 5 and mode in ("bilinear", "nearest")


_MODES, _PADDINGS = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


def _sampler(volume: Tensor, grid: Tensor, mode: int, padding: int, align: bool) -> Tensor:
    """`torch.grid_sampler`, whose modes are numbers."""
    return sampling.grid_sample_3d(volume, grid, _MODES[mode], _PADDINGS[padding], align)


def _small(matrix: Any, *_: Any, **__: Any) -> bool:
    return isinstance(matrix, Tensor) and matrix.dim() >= 2 and int(matrix.shape[-1]) in (2, 3, 4)


def _one_axis(x: Tensor, *_: Any, **given: Any) -> bool:
    return x.dim() == 1


def _rows(x: Tensor, *given: Any, dim: int | None = None, **_: Any) -> bool:
    dim = given[3] if len(given) > 3 else dim
    return x.dim() == 2 and dim == 0 and not x.is_floating_point() and x.shape[0] <= _MOST_ROWS


_MOST_ROWS = 46340
_MOST_BOXES = 1000


def _boxes(boxes: Tensor, *_: Any) -> bool:
    return boxes.shape[0] <= _MOST_BOXES


def _along(x: Tensor, *given: Any, **options: Any) -> bool:
    return bool(given) or "dim" in options


def _fixed_samples(*given: Any, **options: Any) -> bool:
    ratio = given[5] if len(given) > 5 else options.get("sampling_ratio", -1)
    return ratio > 0


def _summed(target: Tensor, indices: Any, values: Any, accumulate: bool = False, *_: Any) -> bool:
    return accumulate and all(isinstance(i, Tensor) and i.dtype is not torch.bool for i in indices)


def _numbers(*bounds: Any, **_: Any) -> bool:
    return not any(isinstance(bound, Tensor) for bound in bounds)


def _no_more(*_: Any, prepend: Any = None, append: Any = None, out: Any = None, **__: Any) -> bool:
    return prepend is None and append is None and out is None


def _always(*_: Any, **__: Any) -> bool:
    return True


_CONVERT = frozenset({"openvino"})
_NAN = (
    "x = torch.where(x != x, torch.zeros_like(x), x)   # NaN is not itself\n"
    "x = x.clamp(torch.finfo(x.dtype).min, torch.finfo(x.dtype).max)"
)
_ADDED = "index = index.unsqueeze(-1).expand_as(values)\nout = out.scatter_add(0, index, values)"
_LEGACY = frozenset({"legacy"})
_OPENVINO = frozenset({"openvino", "dynamo+openvino"})

RANGE = CallRecipe(
    "torch.range", ("range",), _numbers, small.closed_range,
    "only the legacy exporter knows it, and PyTorch has deprecated it", EVERY - _LEGACY,
    "steps = torch.arange(0, 10, dtype=torch.float32)   # range(0, 9): arange leaves its end out",
)  # fmt: skip
CALLS = (
    CallRecipe(
        "F.grid_sample of a volume", ("grid_sample",), _volume, sampling.grid_sample_3d,
        "OpenVINO's GridSample takes images, not volumes; nor does the legacy exporter", _OPENVINO | _LEGACY,
        "y = occvino.doctor.recipe_sampling.grid_sample_3d(x, grid, align_corners=False)",
    ),
    CallRecipe(
        "torch.grid_sampler of a volume", ("grid_sampler",),
        lambda volume, grid, mode, *_: volume.dim() == 5 and mode < 2, _sampler,
        "OpenVINO's GridSample takes images, not volumes; nor does the legacy exporter", _OPENVINO | _LEGACY,
        "y = occvino.doctor.recipe_sampling.grid_sample_3d(x, grid, align_corners=False)",
    ),
    CallRecipe(
        "F.affine_grid", ("affine_grid", "affine_grid_generator"), _always, sampling.affine_grid,
        "OpenVINO's own conversion and the legacy exporter have no rule for it", _CONVERT | _LEGACY,
        "grid = occvino.doctor.recipe_sampling.affine_grid(theta, size, align_corners=False)",
    ),
    CallRecipe(
        "torch.nan_to_num", ("nan_to_num",), _always, small.nan_to_num,
        "OpenVINO's own conversion has no rule for it", _CONVERT, _NAN,
    ),
    CallRecipe(
        "Tensor.nan_to_num_", ("nan_to_num_",), _always, small.nan_to_num_,
        "OpenVINO's own conversion has no rule for it", _CONVERT, _NAN,
    ),
    CallRecipe(
        "an assignment by index", ("__setitem__",), assigning.assignable, assigning.assign,
        "OpenVINO refuses masks and index tensors beside slices in an assignment, or gets them wrong without a word",
        EVERY,
        "occvino.doctor.recipe_assign.assign(out, (slice(None), mask), values)   # out[:, mask] = values\n"
        "out = torch.where(mask, dense, out)   # where a value for every row is at hand: static shapes",
    ),
    CallRecipe(
        "index_put(accumulate=True)", ("index_put",), _summed, assigning.accumulated,
        "the legacy exporter loses the sum", _LEGACY,
        _ADDED,
    ),
    CallRecipe(
        "index_put_(accumulate=True)", ("index_put_",), _summed, assigning.accumulate,
        "the legacy exporter loses the sum", _LEGACY,
        _ADDED,
    ),
    CallRecipe(
        "index_add", ("index_add",), _always, assigning.index_add, "the legacy exporter loses the sum", _LEGACY,
        _ADDED,
    ),
    CallRecipe(
        "index_add_", ("index_add_",), _always, assigning.index_add_, "the legacy exporter loses the sum", _LEGACY,
        _ADDED,
    ),
    RANGE,
    CallRecipe(
        "torch.trunc", ("trunc", "fix"), _always, small.trunc,
        "OpenVINO's own conversion and the legacy exporter have no rule for it", _CONVERT | _LEGACY,
        "x = torch.where(x < 0, x.ceil(), x.floor())",
    ),
    CallRecipe(
        "torch.median along an axis", ("median",), _along, small.median, "no route has a rule for it", EVERY,
        "middle = x.sort(-1)[0][..., (x.shape[-1] - 1) // 2]",
    ),
    CallRecipe(
        "torch.linalg.inv_ex", ("linalg_inv_ex", "inv_ex"), _small, small.inverse_ex, "no route has a rule for it",
        EVERY, "inverse = occvino.doctor.recipes.closed_form_inverse(matrix)",
    ),
    CallRecipe(
        "torch.linalg.solve", ("linalg_solve",), _small, small.solve, "no route has a rule for it", EVERY,
        "solution = occvino.doctor.recipes.closed_form_inverse(matrix) @ vectors",
    ),
    CallRecipe(
        "torch.unique_consecutive", ("unique_consecutive",), _one_axis, small.unique_consecutive,
        "OpenVINO's own conversion and the legacy exporter have no rule for it", _CONVERT | _LEGACY,
        "edge = torch.ones_like(ranks[:1], dtype=torch.bool)\n"
        "last = torch.cat([ranks[1:] != ranks[:-1], edge])   # [points]: where a run ends",
    ),
    CallRecipe(
        "torch.unique(dim=0)", ("unique",), _rows, small.unique_rows,
        "OpenVINO's own conversion has no rule for unique along an axis", _CONVERT,
        "key = (voxels[:, 0] * 100 + voxels[:, 1]) * 100 + voxels[:, 2]   # one number a row, below 2**31\n"
        "key, inverse = torch.unique(key, return_inverse=True)",
    ),
    CallRecipe(
        "torchvision.ops.nms", ("nms", "torchvision.nms"), _boxes, small.nms,
        "the ONNX exporters know it only while torchvision is imported", EVERY - _CONVERT,
        "kept = occvino.doctor.recipe_small.nms(boxes, scores, 0.5)",
    ),
    CallRecipe(
        "torchvision.ops.roi_align", ("roi_align", "torchvision.roi_align"), _fixed_samples, sampling.roi_align,
        "the ONNX exporters know it only while torchvision is imported", EVERY - _CONVERT,
        "y = occvino.doctor.recipe_sampling.roi_align(x, rois, 0.25, 7, 7, sampling_ratio=2)",
    ),
    *(
        CallRecipe(
            f"torch.{name}", (name,), _always, getattr(torch, other),
            f"inside a submodule OpenVINO's own conversion does not know it by this name; torch.{other} it does",
            _CONVERT, f"y = torch.{other}   # the same function",
        )
        for name, other in naming.OTHER_NAMES.items()
    ),
    *(
        CallRecipe(
            f"torch.{name}", (name,), _no_more, formula, "OpenVINO's own conversion has no rule for it",
            _CONVERT, by_hand,
        )
        for name, (formula, by_hand) in naming.FORMULAS.items()
    ),
)  # fmt: skip

_BY_NAME: dict[str, list[CallRecipe]] = {}
for _recipe in CALLS:
    for _function in _recipe.functions:
        _BY_NAME.setdefault(_function, []).append(_recipe)


@contextmanager
def range_replaced(wanted: bool) -> Generator[None, None, None]:
    """`torch.range` itself, for the time of a call: it passes by every function mode."""
    original = torch.range
    if wanted:
        torch.range = small.closed_range
    try:
        yield
    finally:
        torch.range = original


def call_recipe(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> CallRecipe | None:
    """The recipe for this call, if there is one that knows what it is given."""
    name = getattr(function, "__name__", "")
    for recipe in _BY_NAME.get(name, ()):
        try:
            if recipe.fits(*args, **kwargs):
                return recipe
        except (TypeError, AttributeError, IndexError):  # another signature of the same name
            continue
    return None
