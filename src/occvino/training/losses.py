"""What a training step minimises: balanced cross entropy, Lovász-softmax and, if asked for, depth."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from occvino.errors import OccvinoError
from occvino.training.depth import NO_DEPTH, DepthFrom
from occvino.training.examples import Example


class TrainError(OccvinoError, ValueError):
    """Settings or data that no training can start from."""


@dataclass(frozen=True)
class LossSettings:
    """How the terms are weighed, and on how many voxels they are taken.

    Nineteen of twenty voxels that cameras see are free, and most of a volume is not seen at all: a share of those says
    as much as all of them, for a fraction of the time. Each one that is taken stands for 1 / share.

    Attributes:
        unseen: weight of a voxel that no camera sees, against 1; the official models are trained with 0.
        lovasz: of the Lovász-softmax term, which counts seen voxels only.
        depth: of the depth term; 0 leaves it out.
        depth_from: "lidar", its returns; or "labels", the first solid voxel on each feature pixel's ray.
        share_free: of the free voxels that are seen, the share that is drawn; the solid ones are all taken.
        share_unseen: of the voxels that no camera sees, the share that is drawn.

    Raises:
        TrainError: a weight is below 0, a share is not above 0 and at most 1, or `depth_from` is something else.
    """

    unseen: float = 0.1
    lovasz: float = 1.0
    depth: float = 0.3
    share_free: float = 0.1
    share_unseen: float = 0.02
    depth_from: DepthFrom = "lidar"

    def __post_init__(self) -> None:
        for name in ("unseen", "lovasz", "depth"):
            if not 0 <= getattr(self, name) < math.inf:
                raise TrainError(f"the weight `{name}` of the loss is {getattr(self, name)}: 0 or more is needed")
        if self.depth_from not in get_args(DepthFrom):
            raise TrainError(f"depth_from is {self.depth_from!r}: choose one of {', '.join(get_args(DepthFrom))}")
        for name in ("share_free", "share_unseen"):
            if not 0 < getattr(self, name) <= 1:
                raise TrainError(f"{name} is {getattr(self, name)}: it must be above 0 and at most 1")


@dataclass(frozen=True, eq=False)
class Voxels:
    """Voxels drawn from a volume, and how many each stands for. K: how many.

    Attributes:
        index: into the flat volume.  # [K] int64
        truth: class.  # [K] int64
        seen: a camera sees it.  # [K] bool
        times: how many it stands for, from 1 on.  # [K] float32
    """

    index: Tensor
    truth: Tensor
    seen: Tensor
    times: Tensor


def class_weights(counts: Tensor) -> Tensor:
    """1 / log(count) [classes], scaled to a mean of 1: the balance of the official head (`nusc_class_frequencies`)."""
    weights = 1 / torch.log(counts.double() + 1.001).clamp(min=1.0)
    return (weights / weights.mean()).float()


def draw_voxels(truth: Tensor, seen: Tensor, free: int, settings: LossSettings) -> Voxels:
    """All solid voxels that are seen, and those shares of the others that the settings say.

    Sums over what is drawn, each counted `times`, are on average those over the volume.

    Args:
        truth: class of every voxel, flat, [V].
        seen: voxels that a camera sees, [V].
        free: class of nothing.
        settings: say the shares.
    """
    share = torch.where(seen, torch.where(truth == free, settings.share_free, 1.0), settings.share_unseen)
    index = (torch.rand(len(share), device=share.device) < share).nonzero()[:, 0]
    return Voxels(index, truth[index], seen[index], 1 / share[index])


def bin_weights(depths: Sequence[float], source: DepthFrom) -> Tensor:
    """How much a pixel counts by the depth bin that it should find, [D].

    Most rays meet the ground close by, which is soon learnt. Labels know what is far as well as what is near, so a
    pixel counts by its distance there: half up to 5 m, three times from 30 m on. Lidar returns all count the same.
    """
    depth = torch.tensor(depths)
    return (depth / 10).clamp(0.5, 3.0) if source == "labels" else torch.ones_like(depth)


def total_loss(
    logits: Tensor, depth: Tensor, example: Example, weights: Tensor, bins: Tensor, settings: LossSettings
) -> dict[str, Tensor]:
    """The terms by name, each a scalar and already weighted; their sum is what to minimise.

    Args:
        logits: of every voxel, [Dx, Dy, Dz, classes]; the last class is that of free voxels.
        depth: probabilities, [N, D, fH, fW].
        example: ground truth of the frame.
        weights: of the classes.
        bins: of the depth bins (`bin_weights`).
        settings: how the terms are weighed.
    """
    voxels = draw_voxels(example.semantics.flatten(), example.seen.flatten(), logits.shape[-1] - 1, settings)
    drawn = logits[torch.unravel_index(voxels.index, example.seen.shape)].float()  # no copy of all of them
    counted = weights[voxels.truth] * voxels.times * torch.where(voxels.seen, 1.0, settings.unseen)
    terms = {"cross_entropy": cross_entropy(drawn, voxels.truth, counted)}
    if settings.lovasz:
        seen = voxels.seen
        terms["lovasz"] = settings.lovasz * lovasz_softmax(
            drawn[seen].softmax(dim=1), voxels.truth[seen], voxels.times[seen]
        )
    if settings.depth:
        terms["depth"] = settings.depth * depth_loss(depth.float(), example.depth, bins)
    return terms


def cross_entropy(logits: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean over voxels: logits [K, classes], truth [K], weight [K]; 0 where all weights are."""
    return (F.cross_entropy(logits, truth, reduction="none") * weight).sum() / weight.sum().clamp(min=1e-6)


def lovasz_softmax(probabilities: Tensor, truth: Tensor, times: Tensor) -> Tensor:
    """Mean over the classes present of the Lovász extension of 1 - IoU (Berman et al., CVPR 2018, algorithm 1).

    Args:
        probabilities: [K, classes].
        truth: [K].
        times: how many equal voxels each stands for, [K].
    """
    losses: list[Tensor] = []
    for label in truth.unique():
        inside = (truth == label).float()
        errors, order = (inside - probabilities[:, label]).abs().sort(descending=True)
        losses.append(errors @ _lovasz_gradient(inside[order], times[order]))
    return torch.stack(losses).mean() if losses else probabilities.sum()


def _lovasz_gradient(inside: Tensor, times: Tensor) -> Tensor:
    """How much 1 - IoU grows with each further error, largest errors first, [K]."""
    hits, misses = inside * times, (1 - inside) * times
    total = hits.sum()
    jaccard = 1 - (total - hits.cumsum(0)) / (total + misses.cumsum(0))
    return torch.diff(jaccard, prepend=jaccard.new_zeros(1))


def depth_loss(probabilities: Tensor, bins: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of -log p over feature pixels whose depth is known.

    Args:
        probabilities: [N, D, fH, fW].
        bins: to find, or `NO_DEPTH`, [N, fH, fW].
        weights: of the bins, [D].
    """
    if not (bins != NO_DEPTH).any():
        return probabilities.sum() * 0
    return F.nll_loss(probabilities.clamp(min=1e-6).log(), bins, weights, ignore_index=NO_DEPTH)
