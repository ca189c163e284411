"""Pooling by torch_scatter, and by the cumulative sum of Lift, Splat, Shoot."""

import sys
from pathlib import Path

import torch
from torch import nn

from occvino.doctor import recipes
from tests.doctor.zoo.extensions import QuickCumsum
from tests.doctor.zoo.pair import Pair, Route, image, of

sys.path.insert(0, str(Path(__file__).parents[1] / "standins"))
from torch_scatter import scatter_max, scatter_mean, segment_csr

POINTS, CELLS = image(7, 5), 6
CELL = torch.tensor([0, 3, 3, 5, 1, 0, 3])
POINTERS = torch.tensor([0, 2, 2, 3, 7])
RANKS = torch.tensor([0, 0, 1, 3, 3, 3, 5])
GEOMETRY = torch.stack([RANKS % 3, RANKS // 3, RANKS * 0, RANKS * 0], -1)


class Pillars(nn.Module):
    """As the pillar encoders of dynamic voxelisation: an operator of the package's own."""

    def forward(self, x, cell):
        best, _ = scatter_max(x, cell, dim=0, dim_size=CELLS)  # TRAP
        return best.relu()


class PillarsTwin(nn.Module):
    def forward(self, x, cell):
        index = cell.unsqueeze(-1).expand(-1, x.shape[-1])
        return x.new_zeros(CELLS, x.shape[-1]).scatter_reduce(0, index, x, "amax").relu()


class Segments(nn.Module):
    def forward(self, x, pointers):
        return segment_csr(x, pointers, reduce="sum") * 2  # TRAP


class SegmentsTwin(nn.Module):
    def forward(self, x, pointers):
        starts = pointers.new_zeros(x.shape[0] + 1).scatter_add(0, pointers, torch.ones_like(pointers))
        return recipes._scattered(x, starts.cumsum(0)[:-1] - 1, 4) * 2


class MeanOfUnknownSize(nn.Module):
    """PyTorch inside, and a size that is read from the data."""

    def forward(self, x, cell):
        return scatter_mean(x, cell, dim=0)  # TRAP


class MeanTwin(nn.Module):
    def forward(self, x, cell):
        return recipes._scattered(x, cell, CELLS) / recipes._scattered(torch.ones_like(x), cell, CELLS).clamp(min=1)


class CumulativeSum(nn.Module):
    """The voxel pooling of Lift, Splat, Shoot, after its sort."""

    def forward(self, x, geometry, ranks):
        x, geometry = QuickCumsum.apply(x, geometry, ranks)  # TRAP
        final = x.new_zeros(1, 2, 3, x.shape[-1])
        final[geometry[:, 3], geometry[:, 1], geometry[:, 0]] = x
        return final


class CumulativeSumTwin(nn.Module):
    def forward(self, x, ranks):
        return recipes._scattered(x, ranks, 6).reshape(1, 2, 3, -1)


PAIRS = (
    Pair("operators/pooler", of(Pillars, POINTS, CELL), of(PillarsTwin, POINTS, CELL), (Route.LEGACY,)),
    Pair("operators/pooler", of(Segments, POINTS, POINTERS), of(SegmentsTwin, POINTS, POINTERS), (Route.OPENVINO,)),
    Pair("operators/pooler", of(MeanOfUnknownSize, POINTS, CELL), of(MeanTwin, POINTS, CELL), (Route.LEGACY,)),
    Pair("operators/pooler", of(CumulativeSum, POINTS, GEOMETRY, RANKS), of(CumulativeSumTwin, POINTS, RANKS)),
)
