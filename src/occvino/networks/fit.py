"""Which variant the weights of a checkpoint are of, by keys and shapes."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from occvino.networks.flashocc import FlashOcc
from occvino.networks.weights import read_checkpoint
from occvino.variants import get_variant, variants

Problems: TypeAlias = dict[str, list[str]]

COUNTER = ".num_batches_tracked"
"""Of a batch norm: nothing reads it once training is over, and some tools leave it out."""
_STATISTICS = (".running_mean", ".running_var", COUNTER)


def problems(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> Problems:
    """Missing, unexpected and misshapen keys, each kind that there is. Counters of batch norms may be missing."""
    shapes = [
        f"{key} {list(found[key].shape)}, expected {list(value.shape)}"
        for key, value in expected.items()
        if key in found and found[key].shape != value.shape
    ]
    kinds = {
        "missing": [key for key in expected if key not in found and not key.endswith(COUNTER)],
        "unexpected": [key for key in found if key not in expected],
        "misshapen": shapes,
    }
    return {kind: keys for kind, keys in kinds.items() if keys}


def of_all_variants(found: Mapping[str, Tensor]) -> dict[str, Problems]:
    """The `problems` with each variant, the nearest first; empty ones are of those that fit."""
    skeletons = {name: _skeleton(name) for name in variants()}
    each = {name: problems(expected, found) for name, expected in skeletons.items()}
    return dict(sorted(each.items(), key=lambda item: sum(map(len, item[1].values()))))


def _skeleton(name: str) -> Mapping[str, Tensor]:
    with torch.device("meta"):
        return FlashOcc(get_variant(name)).state_dict()


@dataclass(frozen=True)
class Identity:
    """What a checkpoint file is.

    Attributes:
        path: the file.
        container: how it is written.
        wrapper: names that lead to the weights; empty where they are at the top.
        prefix: what stands before the keys; empty where nothing does.
        remarks: what is unusual, in words.
        parameters: numbers that training has changed, without statistics of batch norms.
        types: of the tensors, as "float32".
        fits: variants whose keys and shapes are all there.
        nearest: where none fits: the variant that lacks the least, and what is wrong with it.
    """

    path: str
    container: str
    wrapper: str
    prefix: str
    remarks: tuple[str, ...]
    parameters: int
    types: tuple[str, ...]
    fits: tuple[str, ...]
    nearest: tuple[str, Problems] | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self) | {"nearest": {"name": self.nearest[0], **self.nearest[1]} if self.nearest else None}


def identify(path: str | Path) -> Identity:
    """Say what a checkpoint file is, without running what is in it.

    Raises:
        CheckpointError: it cannot be read safely.
    """
    found = read_checkpoint(path)
    each = of_all_variants(found.weights)
    counted = [value for key, value in found.weights.items() if not key.endswith(_STATISTICS)]
    return Identity(
        path=str(path),
        container=found.container,
        wrapper=found.wrapper,
        prefix=found.prefix,
        remarks=found.remarks,
        parameters=sum(math.prod(value.shape) for value in counted),
        types=tuple(sorted({str(value.dtype).removeprefix("torch.") for value in counted})),
        fits=tuple(name for name, wrong in each.items() if not wrong),
        nearest=None if not next(iter(each.values())) else next(iter(each.items())),
    )
