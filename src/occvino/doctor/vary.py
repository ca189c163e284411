"""Other inputs of the same kind: different enough that a graph which ignores one shows it, and still valid."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

_SEED = 20260


def variants_of(value: Tensor, seed: int = _SEED) -> Iterator[Tensor]:
    """Tensors of the same shape and type, the likeliest to be accepted first; none for an empty tensor.

    Floats move by a tenth of their spread, which keeps an invertible matrix invertible and a probability nearly one.
    Booleans and integers are rearranged, since a value that occurs is a value that is allowed; an ascending integer
    tensor (offsets, ranks) stays ascending. Each differs from `value`.
    """
    if not value.numel():
        return
    random = torch.Generator().manual_seed(seed)
    if value.is_floating_point() or value.is_complex():
        variants = _floats(value, random)
    elif value.dtype is torch.bool:
        variants = iter((~value, _shuffled(value, random)))
    else:
        variants = _integers(value, random)
    yield from (variant for variant in variants if not torch.equal(variant, value))


def _floats(value: Tensor, random: torch.Generator) -> Iterator[Tensor]:
    spread = float(value.abs().double().std()) if value.numel() > 1 else 0.0
    spread = spread or float(value.abs().double().mean()) or 1.0
    noise = torch.randn(value.shape, generator=random, dtype=torch.float64).to(value)
    yield value + 0.1 * spread * noise
    yield value * 1.7
    yield value + spread


def _integers(value: Tensor, random: torch.Generator) -> Iterator[Tensor]:
    flat = value.flatten()
    if flat.numel() > 1 and bool((flat[1:] >= flat[:-1]).all()) and int(flat[0]) != int(flat[-1]):
        if int(flat[0]) > 0:  # offsets begin with 0 and must; anything else may be read element by element
            yield value - 1
        middle = (flat[:-1] + flat[1:]) // 2
        yield torch.cat([flat[:1], middle[1:], flat[-1:]]).reshape(value.shape)
        yield torch.cat([flat[:1], middle]).reshape(value.shape)
    shuffled = _shuffled(value, random)
    if not torch.equal(shuffled, value):
        yield shuffled
    elif value.dim() and value.shape[-1] > 1:  # all alike, as a mask without padding: pad the second half
        padded = value.clone()
        padded[..., value.shape[-1] // 2 :] -= 1
        yield padded
    yield (value - 1).clamp(min=0)
    yield value + 1


def _shuffled(value: Tensor, random: torch.Generator) -> Tensor:
    order = torch.randperm(value.numel(), generator=random).to(value.device)
    return value.flatten()[order].reshape(value.shape)
