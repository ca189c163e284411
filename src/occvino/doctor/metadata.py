"""Calibration in metadata: arrays and numbers beside the tensors of a call, on which the outputs depend.

Detectors of the mmdetection3d kind read their rig from `img_metas[0]['lidar2img']`. An exporter stores it: the rig of
the example, for ever. Which of them matter is found by changing them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from occvino.doctor.agreement import agrees, as_outputs, worst
from occvino.doctor.calls import Path, clone, leaves
from occvino.doctor.flatmodule import FlatModule
from occvino.doctor.places import Place, place_of_error
from occvino.doctor.state import state_kept
from occvino.doctor.vary import variants_of

_ROOT = re.compile(r"^\['(?:args'\]\[\d+\]|kwargs'\]\['[^']*'\])")
_INDEX = re.compile(r"(\[\d+\])+$")


@dataclass(frozen=True)
class Held:
    """What matters and cannot be made an input.

    Args:
        path: as the user would write it.
        reason: what stands in the way.
        place: its line, if one is known.
    """

    path: Path
    reason: str
    place: Place | None


@dataclass(frozen=True)
class Metadata:
    """What was found beside the tensors of a call.

    Args:
        lifted: paths, from the whole call, of what becomes an input.
        held: what stays a constant although the outputs depend on it.
        functions: of NumPy, which the flat module has torch compute.
    """

    lifted: frozenset[Path] = frozenset()
    held: tuple[Held, ...] = ()
    functions: tuple[str, ...] = ()


def is_candidate(path: Path, leaf: Any) -> bool:
    """Arrays of floats anywhere, and floats under a name in a container: a bare one is an option, no calibration."""
    if isinstance(leaf, np.ndarray):
        return leaf.dtype.kind == "f" and leaf.size > 0
    return isinstance(leaf, float) and re.search(r"\['|\.", _ROOT.sub("", path)) is not None


def metadata_of(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Metadata:
    """Which arrays and numbers of this call matter, and which of them can be inputs of a flat module."""
    found = [path for path, leaf in leaves({"args": args, "kwargs": kwargs}) if is_candidate(path, leaf)]
    if not found:
        return Metadata()
    base = _outputs(module, args, kwargs)
    groups: dict[str, list[Path]] = {}
    for path in found:
        groups.setdefault(_INDEX.sub("", path), []).append(path)
    live = [paths for paths in groups.values() if _matters(FlatModule(module, args, kwargs, frozenset(paths)), base)]
    if not live:
        return Metadata()
    every = frozenset(path for paths in live for path in paths)
    flat = FlatModule(module, args, kwargs, every)
    if _refusal(flat, base) is None:
        return Metadata(every, functions=tuple(sorted(flat.numpy_functions)))
    return _one_by_one(module, args, kwargs, live, base)


def _one_by_one(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], live: list[list[Path]], base: tuple[Tensor, ...]
) -> Metadata:
    lifted: frozenset[Path] = frozenset()
    held: list[Held] = []
    functions: tuple[str, ...] = ()
    for paths in live:
        flat = FlatModule(module, args, kwargs, lifted | frozenset(paths))
        why = _refusal(flat, base)
        if why is None:
            lifted, functions = flat.lifted, tuple(sorted(flat.numpy_functions))
        else:
            held.append(Held(_INDEX.sub("", flat.shown(paths[0])), *why))
    return Metadata(lifted, tuple(held), functions)


def _outputs(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, ...]:
    with torch.no_grad(), state_kept(module):
        return as_outputs(module(*clone(args), **clone(kwargs)))


def _changed(flat: Any, which: int) -> tuple[Tensor, ...]:
    """The example with what is lifted changed in the `which`-th way."""
    changed: list[Tensor] = list(flat.example)
    for at in flat.lifted_positions:
        variants = list(variants_of(flat.example[at], at))
        if which < len(variants):
            changed[at] = variants[which]
    return tuple(changed)


def _matters(flat: Any, base: tuple[Tensor, ...]) -> bool:
    return _moved(flat, base) is not None


def _moved(flat: Any, base: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]] | None:
    """Changed inputs and what the module gives for them; None when it gives the same, or takes no change."""
    for which in range(3):
        inputs = _changed(flat, which)
        args, kwargs = flat.call_of(clone(inputs))
        try:
            outputs = _outputs(flat.module, args, kwargs)
        except Exception:  # not every value is valid for a module: then another one is tried
            continue
        if not agrees(outputs, base, exact=True):
            return inputs, outputs
    return None


def _refusal(flat: Any, base: tuple[Tensor, ...]) -> tuple[str, Place | None] | None:
    """Why the flat module does not follow what is lifted; None when it does, on the example and on other values."""
    calls = [(flat.example, base)]
    moved = _moved(flat, base)
    if moved is not None:
        calls.append(moved)
    for inputs, expected in calls:
        try:
            with torch.no_grad(), state_kept(flat):
                got = as_outputs(flat(*clone(inputs)))
        except Exception as failure:  # the user's code meets an array that is a tensor
            return f"{type(failure).__name__}: {str(failure).splitlines()[0][:200]}", place_of_error(failure)
        if not agrees(got, expected):
            return f"as an input it gives something else, by {worst(got, expected):.2g} of the largest value", None
    return None
