"""Arrays that are still tensors: what NumPy is given, and gives, where a graph must follow it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from occvino.doctor.findings import DoctorError

_TORCH_TYPES = {
    name: getattr(torch, name)
    for name in ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
}


class TensorArray:
    """What `.numpy()` gives inside a patched module: an array that is still a tensor.

    It knows the methods that a `forward` ends with; anything else is refused, so that nothing is frozen unseen.

    Args:
        tensor: the tensor behind it.
    """

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def astype(self, dtype: Any, **_: Any) -> TensorArray:
        """As of `numpy.ndarray`."""
        return TensorArray(self.tensor.to(_TORCH_TYPES[np.dtype(dtype).name]))

    def reshape(self, *shape: Any) -> TensorArray:
        """As of `numpy.ndarray`."""
        return TensorArray(self.tensor.reshape(*shape))

    def transpose(self, *axes: int) -> TensorArray:
        """As of `numpy.ndarray`."""
        return TensorArray(self.tensor.permute(*(axes or range(self.tensor.dim())[::-1])))

    def squeeze(self, axis: int | None = None) -> TensorArray:
        """As of `numpy.ndarray`."""
        return TensorArray(self.tensor.squeeze() if axis is None else self.tensor.squeeze(axis))

    def copy(self) -> TensorArray:
        """As of `numpy.ndarray`."""
        return TensorArray(self.tensor.clone())

    def __getitem__(self, index: Any) -> TensorArray:
        return TensorArray(self.tensor[index])

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise DoctorError("NumPy computes with a tensor inside the patched module: write that step with torch")
