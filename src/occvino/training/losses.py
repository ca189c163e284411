"""What a training step minimises: balanced cross entropy, Lovász-softmax and, if asked for, depth."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from occvino.training.examples import NO_DEPTH, Example


@dataclass(frozen=True)
class LossSettings:
    """How the terms are weighed.

    Attributes:
        unseen: weight of a voxel that no camera sees, against 1; the official models are trained with 0.
        lovasz: of the Lovász-softmax term.
        depth: of the depth term; 0 leaves it out.
        lovasz_voxels: how many of the seen voxels the Lovász term samples: it sorts them once a class.
    """

    unseen: float = 0.1
    lovasz: float = 1.0
    depth: float = 0.3
    lovasz_voxels: int = 30_000


def class_weights(counts: Tensor) -> Tensor:
    """1 / log(count) [classes], scaled to a mean of 1: the balance of the official head (`nusc_class_frequencies`)."""
    weights = 1 / torch.log(counts.double() + 1.001).clamp(min=1.0)
    return (weights / weights.mean()).float()


def total_loss(
    logits: Tensor, depth: Tensor, example: Example, weights: Tensor, settings: LossSettings
) -> dict[str, Tensor]:
    """The terms by name, each a scalar and already weighted; their sum is what to minimise.

    Args:
        logits: of every voxel, [Dx, Dy, Dz, classes].
        depth: probabilities, [N, D, fH, fW].
        example: ground truth of the frame.
        weights: of the classes.
        settings: how the terms are weighed.
    """
    flat, truth, seen = logits.float().flatten(0, 2), example.semantics.flatten(), example.seen.flatten()
    terms = {"cross_entropy": cross_entropy(flat, truth, seen, weights, settings.unseen)}
    if settings.lovasz:
        chosen = seen.nonzero()[:, 0]
        if len(chosen):
            chosen = chosen[torch.randint(len(chosen), (settings.lovasz_voxels,), device=chosen.device)]
        terms["lovasz"] = settings.lovasz * lovasz_softmax(flat[chosen].softmax(dim=1), truth[chosen])
    if settings.depth:
        terms["depth"] = settings.depth * depth_loss(depth.float(), example.depth)
    return terms


def cross_entropy(flat: Tensor, truth: Tensor, seen: Tensor, weights: Tensor, unseen: float) -> Tensor:
    """Weighted mean over voxels: logits [V, classes], truth [V], seen [V] bool."""
    weight = weights[truth] * torch.where(seen, 1.0, unseen)
    return (F.cross_entropy(flat, truth, reduction="none") * weight).sum() / weight.sum().clamp(min=1e-6)


def lovasz_softmax(probabilities: Tensor, truth: Tensor) -> Tensor:
    """Mean over the classes present of the Lovász extension of 1 - IoU (Berman et al., CVPR 2018, algorithm 1).

    Args:
        probabilities: [V, classes].
        truth: [V].
    """
    losses: list[Tensor] = []
    for label in truth.unique():
        inside = (truth == label).float()
        errors, order = (inside - probabilities[:, label]).abs().sort(descending=True)
        losses.append(errors @ _lovasz_gradient(inside[order]))
    return torch.stack(losses).mean() if losses else probabilities.sum()


def _lovasz_gradient(inside: Tensor) -> Tensor:
    """How much 1 - IoU grows with each further error, largest errors first, [V]."""
    total = inside.sum()
    jaccard = 1 - (total - inside.cumsum(0)) / (total + (1 - inside).cumsum(0))
    return torch.diff(jaccard, prepend=jaccard.new_zeros(1))


def depth_loss(probabilities: Tensor, bins: Tensor) -> Tensor:
    """Mean of -log p over feature pixels with a lidar return: [N, D, fH, fW] against bins [N, fH, fW]."""
    if not (bins != NO_DEPTH).any():
        return probabilities.sum() * 0
    return F.nll_loss(probabilities.clamp(min=1e-6).log(), bins, ignore_index=NO_DEPTH)
