"""A module whose inputs and outputs are tensors and nothing else, made from one that takes anything."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import nn

from occvino.doctor.calls import clone, error, leaves, tensors_out
from occvino.doctor.findings import DoctorError
from occvino.doctor.flatmodule import FlatModule, as_tuple
from occvino.doctor.metadata import metadata_of
from occvino.doctor.state import state_kept

_EXACT = 1e-6


def flatten(module: nn.Module, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> FlatModule:
    """Wrap `module` so that it takes and gives tensors only, and prove on the example that the outputs are the same.

    `torch.onnx.export(flat, flat.example, ...)` is then all an exporter needs. The module is shared with the wrapper.
    Arrays and numbers in metadata on which the outputs depend become inputs, as `img_metas_0_lidar2img_0`.
    Warns when an output is a NumPy array: the wrapper gives it as a tensor, but an exporter sees a constant, so apply
    `patch` first.

    Raises:
        DoctorError: there is no tensor in the call, or none in the outputs, or the outputs differ.
    """
    kwargs = kwargs or {}
    found = metadata_of(module, args, kwargs)
    if found.held:
        told = "; ".join(f"{held.path}: {held.reason}" for held in found.held)
        warnings.warn(f"the outputs depend on what stays a constant of the example call: {told}", stacklevel=2)
    flat = FlatModule(module, args, kwargs, found.lifted)
    with torch.no_grad(), state_kept(module):
        returned = module(*clone(args), **clone(kwargs))
    expected = tensors_out(returned)
    if not expected:
        raise DoctorError(f"{type(module).__name__} returned no tensor, only {type(returned).__name__}")
    with torch.no_grad(), state_kept(module):
        got = as_tuple(flat(*clone(flat.example)))
    worst = max(error(a, b) for a, b in zip(got, expected.values(), strict=True))
    if not worst <= _EXACT:
        raise DoctorError(
            f"the flat {type(module).__name__} differs from the module by {worst:.2g} of the largest value on the same "
            "inputs: is the module random, or does it keep state between calls?"
        )
    arrays = [path for path, leaf in leaves(returned, "output") if isinstance(leaf, np.ndarray)]
    if arrays:
        warnings.warn(
            f"{', '.join(arrays)}: a NumPy array. An exporter stores it as a constant; use "
            "occvino.doctor.patch(module) first, or return the tensor",
            stacklevel=2,
        )
    return flat
