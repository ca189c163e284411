"""From a published checkpoint file to a network, without running what the file says and without guessing."""

import io
import pickle
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from occvino.errors import CheckpointError
from occvino.networks.flashocc import FlashOcc
from occvino.variants import get_variant, variants

_SHOWN = 10
_HEAD_GAIN = 30
"""Of random weights: a fifth of occvino-nano's voxels then have another label than most at their height."""


_CAMERA_VARIANCE = 1e5
_RARE = -2.19
"""Bias of a heatmap before training, as CenterPoint has it: a centre is rare."""
_ASSETS = Path(__file__).resolve().parents[1] / "assets"


def shipped_weights(name: str) -> Path | None:
    """File of the trained weights that ship with the package; only the small model of our own has some."""
    path = _ASSETS / f"{name}.safetensors"
    return path if path.is_file() else None


def build(name: str, checkpoint: str | Path | None = None, *, seed: int = 0) -> FlashOcc:
    """The PyTorch module of a variant in eval mode, with the checkpoint's weights or seeded random ones.

    Args:
        name: one of `occvino.variants()`.
        checkpoint: an mmcv `.pth` (`{"meta", "state_dict"}`, EMA files too), a bare state dict, or `.safetensors`.
        seed: of the random weights, when there is no checkpoint.

    Raises:
        VariantError: no such variant.
        CheckpointError: the file cannot be read without running code, or does not fit; names the keys.
    """
    variant = get_variant(name)
    with torch.random.fork_rng(devices=[]):  # PyTorch draws initial weights; the caller's random numbers stay theirs
        torch.manual_seed(seed)
        model = FlashOcc(variant)
        if checkpoint is None:
            _keep_scale(model)
    if checkpoint is not None:
        weights = load_weights(checkpoint)
        problems = _problems(model.state_dict(), weights)
        if problems:
            raise CheckpointError(_misfit(variant.name, str(checkpoint), problems, weights))
        broken = [key for key, value in weights.items() if value.is_floating_point() and not value.isfinite().all()]
        if broken:
            raise CheckpointError(
                f"{checkpoint} holds values that are not finite in {len(broken)} tensors, first {broken[0]}: "
                "the training that wrote it had diverged, or the file is damaged"
            )
        model.load_state_dict(weights)
    return model.eval().requires_grad_(False)


def _keep_scale(model: FlashOcc) -> None:
    """Noise that keeps every tensor of order one, and labels that depend on the images.

    PyTorch's own initialisation fades on the way, and so does the trunk, most of whose cells see nothing: the offsets
    of the head would decide every label, and any two networks would agree on them.
    """
    with torch.no_grad():
        for weight in (parameter for parameter in model.parameters() if parameter.ndim >= 2):
            weight.normal_(std=weight[0].numel() ** -0.5)
        model.get_parameter("occ_head.predicter.0.weight").mul_(_HEAD_GAIN)
        if model.variant.depth_net:  # focal lengths are in the thousands, and trained statistics would know
            model.get_buffer("img_view_transformer.depth_net.bn.running_var").fill_(_CAMERA_VARIANCE)
        if model.variant.panoptic:
            model.get_parameter("aux_centerness_head.task_heads.0.heatmap.1.bias").fill_(_RARE)


def load_weights(path: str | Path) -> dict[str, Tensor]:
    """The state dict in a checkpoint file, whatever wraps it. Never runs code from the file.

    Raises:
        CheckpointError: missing, truncated, not a checkpoint, or a pickle that wants to run something.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint file {path}")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    return _unwrap(content, path)


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a complete safetensors file: {error}") from error


def _read_pickle(path: Path) -> Any:
    try:
        with _numpy_scalars_allowed():
            return torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler meets damaged bytes with any exception there is; none of ours is inside
        raise CheckpointError(_why_unreadable(path, error)) from error


def _why_unreadable(path: Path, error: Exception) -> str:
    wanted = [line.strip() for line in str(error).splitlines() if "GLOBAL" in line]
    if isinstance(error, pickle.UnpicklingError) and wanted:
        return (
            f"{path} is not a plain checkpoint and was not loaded, since loading it would run code from the file. "
            f"{wanted[0]} If you trust its author, load it with PyTorch yourself and save only the state dict: "
            'torch.save({"state_dict": model.state_dict()}, "clean.pth")'
        )
    start = path.read_bytes()[:200].lstrip()
    if start.startswith(b"<"):
        return f"{path} is a web page, not a checkpoint: the download gave a page to look at; use the download link"
    if start.startswith(b"version https://git-lfs"):
        return f"{path} is a Git LFS pointer, not the checkpoint: run `git lfs pull`"
    first = next(iter(str(error).splitlines()), type(error).__name__)
    return f"{path} is truncated or not a PyTorch checkpoint: {first}"


@contextmanager
def _numpy_scalars_allowed() -> Generator[None]:
    """Mmcv writes NumPy numbers into `meta`; rebuilding one runs nothing."""
    scalar = np.float64(0).__reduce__()[0]
    dtypes = [type(np.dtype(code)) for code in "?bBhHiIlLqQefd"]
    allowed: list[Any] = [np.dtype, *dtypes]
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        allowed.append((scalar, f"{module}.scalar"))
    with torch.serialization.safe_globals(allowed):
        yield


def _unwrap(content: Any, path: Path) -> dict[str, Tensor]:
    """Find the tensors: under `state_dict`, an EMA name, or at the top; drop a `module.` in front of every key."""
    if isinstance(content, Mapping):
        for name in ("state_dict", "ema_state_dict", "state_dict_ema", "model"):
            if isinstance(content.get(name), Mapping):
                content = content[name]
                break
    if not isinstance(content, Mapping) or not any(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(
            f"{path} holds no state dict: expected names mapped to tensors, or them under 'state_dict'"
        )
    tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    if all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): value for key, value in tensors.items()}
    # mmcv's EMAHook keeps a second copy of every weight as a buffer called ema_*; at save time the plain names hold the
    # averaged weights, so the copies are the ones to leave
    return {key: value for key, value in tensors.items() if not _is_ema_buffer(key, tensors)}


def _is_ema_buffer(key: str, tensors: Mapping[str, Tensor]) -> bool:
    return key.startswith("ema_") and any(key == f"ema_{other.replace('.', '_')}" for other in tensors)


def _problems(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """Missing, unexpected and misshapen keys, each kind that there is."""
    shapes = [
        f"{key} {list(found[key].shape)}, expected {list(value.shape)}"
        for key, value in expected.items()
        if key in found and found[key].shape != value.shape
    ]
    kinds = {
        "missing": [key for key in expected if key not in found],
        "unexpected": [key for key in found if key not in expected],
        "misshapen": shapes,
    }
    return {kind: keys for kind, keys in kinds.items() if keys}


def _misfit(name: str, path: str, problems: Mapping[str, list[str]], weights: Mapping[str, Tensor]) -> str:
    lines = [f"{path} does not fit {name}:"]
    for kind, keys in problems.items():
        lines.append(f"  {len(keys)} {kind}:")
        lines += [f"    {key}" for key in keys[:_SHOWN]]
        if len(keys) > _SHOWN:
            lines.append(f"    ... and {len(keys) - _SHOWN} more")
    fitting = [other for other in variants() if other != name and not _problems(_skeleton(other), weights)]
    if fitting:
        lines.append(f"  it is a checkpoint of {' or '.join(fitting)}: build that one")
    else:
        nearest = max(variants(), key=lambda other: _overlap(_skeleton(other), weights))
        lines.append(f"  no variant fits; the nearest is {nearest}")
    return "\n".join(lines)


def _skeleton(name: str) -> Mapping[str, Tensor]:
    with torch.device("meta"):
        return FlashOcc(get_variant(name)).state_dict()


def _overlap(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> int:
    return sum(key in found and found[key].shape == value.shape for key, value in expected.items())
