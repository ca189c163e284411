"""Graphs that are made without a word and compute something else."""

import torch
from torch import nn

from tests.doctor.zoo.pair import Pair, Route, image, of

X, INDEX = image(6, 3), torch.tensor([0, 1, 1, 3, 2, 3])


class LostSum(nn.Module):
    """The legacy exporter writes a scatter without its sum."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 5)

    def forward(self, x, index):
        y = self.linear(x)
        return torch.zeros(4, 5).index_put((index,), y, accumulate=True).relu()  # TRAP


class KeptSum(LostSum):
    def forward(self, x, index):
        y = self.linear(x)
        return torch.zeros(4, 5).scatter_add(0, index[:, None].expand(-1, 5), y).relu()


class TooLargeForHalf(nn.Module):
    def forward(self, x):
        squares = (x * 1000) ** 2  # TRAP
        return squares.mean(-1).sqrt()


class SmallEnough(nn.Module):
    def forward(self, x):
        return (x**2).mean(-1).sqrt() * 1000


class WideInteger(nn.Module):
    """OpenVINO's CPU plugin has 32-bit integers."""

    def forward(self, x, index):
        keys = index * 3_000_000_000  # TRAP
        return (keys // 1_000_000_000).float().unsqueeze(-1) + x


class NarrowInteger(nn.Module):
    def forward(self, x, index):
        return (index * 3).float().unsqueeze(-1) + x


class EqualScores(nn.Module):
    def forward(self, x):
        values, places = ((x * 4).round() / 4).flatten().topk(8)  # TRAP
        return values, places


class OwnScores(nn.Module):
    def forward(self, x):
        return x.flatten().topk(8)


class MaskBesideSlice(nn.Module):
    """As the back projection of Fast-BEV: OpenVINO's own conversion makes another graph of it without a word."""

    def forward(self, x, index):
        ok = index > 0
        out = x.new_zeros(3, 6)
        out[:, ok] = x.t()[:, index[ok]]  # TRAP
        return out


class MaskByWhere(nn.Module):
    def forward(self, x, index):
        return torch.where(index > 0, x.t()[:, index], 0.0)


PAIRS = (
    Pair("parity/diverges", of(LostSum, X, INDEX), of(KeptSum, X, INDEX), (Route.LEGACY,)),
    Pair("parity/ties", of(EqualScores, image(9, 9)), of(OwnScores, image(9, 9)), (Route.OPENVINO,)),
    Pair("parity/diverges", of(MaskBesideSlice, X, INDEX), of(MaskByWhere, X, INDEX), (Route.OPENVINO,)),
    Pair("parity/fp16-overflow", of(TooLargeForHalf, X), of(SmallEnough, X)),
    Pair("parity/diverges", of(WideInteger, X, INDEX), of(NarrowInteger, X, INDEX), (Route.OPENVINO,)),
)
