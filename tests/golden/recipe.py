"""Weights of the golden cases: regenerated from key names and shapes, as `shared/golden/README.md` tells."""

import hashlib
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Weights = dict[str, NDArray[np.generic]]


def make_weights(shapes: Mapping[str, Sequence[int]], recipe: str) -> Weights:
    """Recipe A is He-like noise, one generator a key; recipe B damps it so that every tensor stays O(1)."""
    keys = sorted(key for key in shapes if not key.endswith("relative_position_index"))
    weights: Weights = {key: _draw(key, tuple(shapes[key])) for key in keys}
    if recipe == "B":
        weights = {key: _damp(key, value) for key, value in weights.items()}
    return weights


def _draw(key: str, shape: tuple[int, ...]) -> NDArray[np.generic]:
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if key.endswith("running_var"):
        value = 0.5 + rng.random(shape)
    elif key.endswith("running_mean"):
        value = 0.1 * rng.standard_normal(shape)
    elif key.endswith(".weight") and len(shape) == 1:
        value = 0.75 + 0.5 * rng.random(shape)
    elif key.endswith((".bias", "relative_position_bias_table")):
        value = 0.05 * rng.standard_normal(shape)
    elif key.endswith(".weight"):
        value = rng.standard_normal(shape) * np.sqrt(2.0 / int(np.prod(shape[1:])))
    else:
        raise KeyError(f"the recipe says nothing about {key}")
    return np.asarray(value, np.float32)


def _damp(key: str, value: NDArray[np.generic]) -> NDArray[np.generic]:
    if key.endswith(".weight") and value.ndim >= 2:
        value = value * np.float32(np.sqrt(0.5))
        if key.endswith("depth_net.context_conv.weight"):
            value = value * np.float32(8)
        if key.endswith("occ_head.final_conv.conv.weight") and value.ndim == 5:
            value = value * np.float32(16)
    elif key.endswith("depth_net.bn.running_var"):
        value = value * np.float32(1e5)
    elif key.endswith(".heatmap.1.bias"):
        value = value - np.float32(2.19)
    return value


def digest(weights: Mapping[str, NDArray[np.generic]]) -> str:
    """sha256 over sorted (key, C-order bytes); equals `weights_sha256` of a case."""
    sha = hashlib.sha256()
    for key in sorted(weights):
        sha.update(key.encode())
        sha.update(np.ascontiguousarray(weights[key]).tobytes())
    return sha.hexdigest()
