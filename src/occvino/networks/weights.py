"""The tensors in a checkpoint file, whatever wraps them, without running what the file says."""

import pickle
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from occvino.errors import CheckpointError, warn
from occvino.networks.containers import container_of

PARTS = (
    "img_backbone",
    "img_neck",
    "img_view_transformer",
    "pre_process_net",
    "img_bev_encoder_backbone",
    "img_bev_encoder_neck",
    "occ_head",
    "aux_centerness_head",
)
"""Of the networks, as their keys begin: what stands before is a prefix."""
_PUBLISHED = ("state_dict", "ema_state_dict", "state_dict_ema", "model")
_WRAPPERS = (*_PUBLISHED, "model_state_dict", "net", "network", "ema", "model_ema", "averaged", "module", "weights")
"""Names that weights are found under, the likelier first."""
_DEEPEST = 3


class CheckpointWarning(UserWarning):
    """Weights that were found in an unusual place, or look as if the training had failed."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a file holds.

    Attributes:
        path: the file.
        container: how it is written, as `container_of` says it.
        wrapper: names that lead to the weights, as "state_dict"; empty where they are at the top.
        prefix: what stood before the keys, as "module."; empty where nothing did.
        weights: by key, without the prefix and without the second copies of mmcv's EMA hook.
        remarks: what is unusual, in words.
    """

    path: Path
    container: str
    wrapper: str
    prefix: str
    weights: dict[str, Tensor]
    remarks: tuple[str, ...]


def load_weights(path: str | Path) -> dict[str, Tensor]:
    """The state dict in a checkpoint file, whatever wraps it. Never runs code from the file.

    Warns with `CheckpointWarning` where the place or the prefix of the weights is unusual.

    Raises:
        CheckpointError: missing, truncated, not a checkpoint, or a pickle that wants to run something.
    """
    found = read_checkpoint(path)
    for remark in found.remarks:
        warn(f"{path}: {remark}", CheckpointWarning)
    return found.weights


def read_checkpoint(path: str | Path) -> Checkpoint:
    """As `load_weights`, with what else the file tells."""
    path = Path(path)
    container = container_of(path)
    content = _read_safetensors(path) if container == "safetensors" else read_pickle(path)
    found = {place: tensors for place, tensors in _tensors(content) if tensors}
    if not found:
        raise CheckpointError(
            f"{path} holds no state dict: expected names mapped to tensors, or them under 'state_dict'"
        )
    ours = [place for place, tensors in found.items() if any(_prefix(key) is not None for key in tensors)]
    place, *others = sorted(ours or found, key=_likeliness)
    remarks: list[str] = []
    if ours and others:
        named = " and ".join(repr(".".join(other) or "the top") for other in (place, *others))
        remarks.append(f"it holds weights under {named}; those under {'.'.join(place)!r} were taken")
    elif place not in ((), *((name,) for name in _PUBLISHED)):
        remarks.append(f"the weights are under {'.'.join(place)!r}")
    weights, prefix = _without_prefix(found[place], path, remarks)
    # mmcv's EMAHook keeps a second copy of every weight as a buffer called ema_*; at save time the plain names hold the
    # averaged weights, so the copies are the ones to leave
    weights = {key: value for key, value in weights.items() if not _is_ema_buffer(key, weights)}
    return Checkpoint(path, container, ".".join(place), prefix, weights, tuple(remarks))


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except Exception as error:  # a header of a shape or a type that neither library expects
        raise CheckpointError(f"{path} is not a complete safetensors file: {_first_line(error)}") from error


def read_pickle(path: Path) -> Any:
    """What a file of `torch.save` holds, by PyTorch's loader that knows tensors and plain containers alone.

    Raises:
        CheckpointError: it wants to run something, or is damaged.
    """
    try:
        with _numpy_scalars_allowed(), path.open("rb") as stream:
            return torch.load(stream, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler meets damaged bytes with any exception there is; none of ours is inside
        raise CheckpointError(_why_unreadable(path, error)) from error


def _why_unreadable(path: Path, error: Exception) -> str:
    """In our words: PyTorch's advise to load without its safeguards."""
    wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
    if isinstance(error, pickle.UnpicklingError) and wanted:
        return (
            f"{path} is not a plain checkpoint and was not loaded, since loading it would run code from the file: it "
            f"asks for {wanted[1]}. If it is a whole model, go to where it was made and save the state dict alone: "
            'torch.save({"state_dict": model.state_dict()}, "clean.pth")'
        )
    said = "its pickle is damaged" if isinstance(error, pickle.UnpicklingError) else _first_line(error)
    return f"{path} is truncated or not a PyTorch checkpoint: {said}; load or copy it again"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


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


def _tensors(content: Any) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor]]]:
    """Tensors by name at each place in nested dictionaries; each of these is looked at once."""
    ahead: list[tuple[tuple[str, ...], Any]] = [((), content)]
    seen: set[int] = set()
    for place, mapping in ahead:
        if not isinstance(mapping, Mapping) or id(cast(object, mapping)) in seen:
            continue
        seen.add(id(cast(object, mapping)))
        named = [(key, value) for key, value in cast(Mapping[Any, Any], mapping).items() if isinstance(key, str)]
        yield place, {key: value for key, value in named if isinstance(value, Tensor)}
        if len(place) < _DEEPEST:
            ahead += [((*place, key), value) for key, value in named if isinstance(value, Mapping)]


def _likeliness(place: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(_WRAPPERS.index(name) if name in _WRAPPERS else len(_WRAPPERS) for name in place)


def _prefix(key: str) -> str | None:
    """What stands before the name of a part, with its dot; None where there is no such name."""
    names = key.split(".")
    place = next((index for index, name in enumerate(names) if name in PARTS), None)
    return None if place is None else "".join(f"{name}." for name in names[:place])


def _without_prefix(tensors: dict[str, Tensor], path: Path, remarks: list[str]) -> tuple[dict[str, Tensor], str]:
    prefixes = {prefix for prefix in map(_prefix, tensors) if prefix}
    if not prefixes:
        return tensors, ""
    prefix, *others = sorted(prefixes)
    bare = {key.removeprefix(prefix): value for key, value in tensors.items()}
    if others or len(bare) < len(tensors):
        several = [repr(each) for each in sorted(prefixes)] if others else [repr(prefix), "no prefix"]
        raise CheckpointError(
            f"{path} holds the weights of several networks, with {' and '.join(several)} before their keys: save the "
            "state dict of one of them"
        )
    begin = sum(key.startswith(prefix) for key in tensors)
    if begin < len(tensors) or prefix != "module.":
        how_many = "all" if begin == len(tensors) else f"{begin} of {len(tensors)}"
        remarks.append(f"{how_many} keys begin with {prefix!r}, which was left out")
    return bare, prefix


def _is_ema_buffer(key: str, tensors: Mapping[str, Tensor]) -> bool:
    return key.startswith("ema_") and any(key == f"ema_{other.replace('.', '_')}" for other in tensors)
