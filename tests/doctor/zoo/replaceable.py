"""Calls that OpenVINO refuses, or gets wrong without a word; and the same with other operators."""

import torch
import torch.nn.functional as F
from torch import nn

from occvino.doctor.recipe_sampling import grid_sample_3d
from tests.doctor.zoo import pooling
from tests.doctor.zoo.pair import Pair, Route, image, of

VOLUME, GRID = image(1, 3, 2, 4, 5), image(1, 2, 3, 3, 3) * 2 - 1
X, MASK = image(7, 4), torch.tensor([True, False, True, True, False, False, True])
INDEX = torch.arange(7)
PLACES = torch.tensor([[0, 0], [2, 1], [2, 1], [1, 3], [0, 2]])
LEVELS = torch.tensor([0, 0, 1, 1, 2])


class Volume(nn.Module):
    def forward(self, x, grid):
        return F.grid_sample(x, grid, align_corners=False)  # TRAP


class VolumeTwin(nn.Module):
    def forward(self, x, grid):
        return grid_sample_3d(x, grid, align_corners=False)


class Masked(nn.Module):
    """The back projection of Fast-BEV, in small."""

    def forward(self, x, mask):
        out = x.new_zeros(x.shape[1], x.shape[0])
        out[:, mask] = x[mask].t()  # TRAP
        return out * 2


class MaskedTwin(nn.Module):
    def forward(self, x, mask):
        return torch.where(mask, x.t(), 0.0) * 2


class Scattered(nn.Module):
    """The scatter of Lift, Splat, Shoot."""

    def forward(self, x, index):
        out = x.new_zeros(1, x.shape[1], 2, 7)
        out[index * 0, :, index % 2, index] = x  # TRAP
        return out * 2


class ScatteredTwin(nn.Module):
    def forward(self, x, index):
        cell = (index % 2) * 7 + index
        out = x.new_zeros(14, x.shape[1]).scatter(0, cell.unsqueeze(-1).expand_as(x), x)
        return out.t().reshape(1, -1, 2, 7) * 2


class NotANumber(nn.Module):
    def forward(self, x):
        return torch.nan_to_num(x / (x > 0.5), posinf=9.0) + 1  # TRAP


class NotANumberTwin(nn.Module):
    def forward(self, x):
        return torch.where(x > 0.5, x, 9.0) + 1


class Truncated(nn.Module):
    def forward(self, x):
        return x + torch.arange(0.0, x.shape[-1]) * torch.trunc(x * 9)  # TRAP


class TruncatedTwin(nn.Module):
    def forward(self, x):
        return x + torch.arange(0.0, x.shape[-1]) * (x * 9).floor()


class UnknownPooler(nn.Module):
    def forward(self, x, places):
        return pooling.Pillarise.apply(x, places) + 1  # TRAP


class UnknownPoolerTwin(nn.Module):
    def forward(self, x, places):
        cell = (places[:, 1] * 3 + places[:, 0]).unsqueeze(-1).expand_as(x)
        return x.new_zeros(12, x.shape[1]).scatter_add(0, cell, x).t().reshape(-1, 4, 3) + 1


class Several(nn.Module):
    def forward(self, x, ranks):
        sums, doubled = pooling.Pair.apply(x, ranks)  # TRAP
        return sums + 1, doubled


class SeveralTwin(nn.Module):
    def forward(self, x, ranks):
        return x.cumsum(0) + 1, ranks * 2


_OPENVINO = (Route.OPENVINO,)
PAIRS = (
    Pair("operators/replaceable", of(Volume, VOLUME, GRID), of(VolumeTwin, VOLUME, GRID), _OPENVINO),
    Pair("operators/replaceable", of(Masked, X, MASK), of(MaskedTwin, X, MASK), _OPENVINO),
    Pair("operators/replaceable", of(Scattered, X, INDEX), of(ScatteredTwin, X, INDEX), _OPENVINO),
    Pair("operators/replaceable", of(NotANumber, X), of(NotANumberTwin, X), _OPENVINO),
    Pair("operators/replaceable", of(Truncated, X), of(TruncatedTwin, X), _OPENVINO),
    Pair("operators/pooler", of(UnknownPooler, X[:5], PLACES), of(UnknownPoolerTwin, X[:5], PLACES), _OPENVINO),
    Pair("operators/function", of(Several, X[:5], LEVELS), of(SeveralTwin, X[:5], LEVELS), _OPENVINO),
)
