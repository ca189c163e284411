"""Operators that nobody else knows."""

import torch
import torch.nn.functional as F
from torch import nn

from occvino.doctor import recipes
from tests.doctor.zoo import extensions
from tests.doctor.zoo.pair import Pair, Route, image, of

X = image(1, 3, 4, 4)
SHAPE = (1, 1, 2, 3, 5)
DEPTH, FEAT = image(1, 2, 3, 2, 2), image(1, 2, 2, 2, 5)
RANKS_BEV = torch.tensor([0, 0, 1, 3, 3, 3, 5])
RANKS_DEPTH, RANKS_FEAT = torch.tensor([1, 5, 20, 7, 2, 23, 11]), torch.tensor([1, 1, 4, 3, 2, 7, 3])
STARTS, LENGTHS = torch.tensor([0, 2, 3, 6]), torch.tensor([2, 1, 3, 1])
RANKS = (RANKS_DEPTH, RANKS_FEAT, RANKS_BEV)
POOL_V2 = (DEPTH, FEAT, *RANKS, STARTS, LENGTHS)
POINTS = image(7, 5)
GEOMETRY = torch.tensor(
    [[0, 0, 0, 0], [0, 0, 0, 0], [1, 2, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [1, 2, 0, 0], [0, 2, 0, 0]]
)
VOXELS = GEOMETRY[None, :, :3]
GRID = torch.tensor([2, 3, 1])


class PoolV2(nn.Module):
    def forward(self, depth, feat, ranks_depth, ranks_feat, ranks_bev, starts, lengths):
        return extensions.QuickCumsumCuda.apply(  # TRAP
            depth, feat, ranks_depth, ranks_feat, ranks_bev, SHAPE, starts, lengths
        )


class PoolV2Twin(nn.Module):
    def forward(self, depth, feat, ranks_depth, ranks_feat, ranks_bev):
        values = feat.flatten(0, 3)[ranks_feat] * depth.flatten()[ranks_depth].unsqueeze(-1)
        return recipes._scattered(values, ranks_bev, 6).unflatten(0, SHAPE[:4])


class PoolV1(nn.Module):
    def __init__(self):
        super().__init__()
        self.function = extensions.bev_pool_v1()

    def forward(self, x, geometry):
        return self.function.apply(x, geometry, geometry[:, 0], 1, 1, 2, 3)  # TRAP


class PoolV1Twin(nn.Module):
    def forward(self, x, geometry):
        return recipes.bev_pool_v1(x, geometry, geometry[:, 0], 1, 1, 2, 3)


class PoolVoxels(nn.Module):
    """Bound to a name at import, as its repository does."""

    def forward(self, x, geometry):
        return extensions.voxel_pooling(geometry, x, GRID)  # TRAP


class PoolVoxelsTwin(nn.Module):
    def forward(self, x, geometry):
        return recipes.voxel_pooling(geometry, x, (2, 3, 1))


class OpaqueFunction(nn.Module):
    def forward(self, x):
        return extensions.Opaque.apply(x) + 1  # TRAP


class TransparentFunction(nn.Module):
    def forward(self, x):
        return extensions.Doubled.apply(x) + 1


class Symbolic(nn.Module):
    def forward(self, x):
        return extensions.WithSymbolic.apply(x) + 1  # TRAP


class CustomOperator(nn.Module):
    def forward(self, x):
        return torch.ops.zoo.double(x) + 1  # TRAP


class BuiltIn(nn.Module):
    def forward(self, x):
        return torch.ops.aten.mul(x, 2) + 1


class Bags(nn.Module):
    def forward(self, table, rows, starts):
        return F.embedding_bag(rows, table, starts, mode="sum")  # TRAP


class BagsTwin(nn.Module):
    def forward(self, table, rows, starts):
        marks = torch.zeros_like(rows).scatter_add(0, starts, torch.ones_like(starts))
        return recipes._scattered(table[rows], marks.cumsum(0) - 1, 4)


class IndexReduce(nn.Module):
    def forward(self, table, rows):
        return table.index_reduce(0, rows[:5], table[:5] * 2, "amax")  # TRAP


class ScatterReduce(nn.Module):
    def forward(self, table, rows):
        index = rows[:5, None].expand(-1, 5)
        return table.scatter_reduce(0, index, table[:5] * 2, "amax")


class Distances(nn.Module):
    def forward(self, table):
        return torch.cdist(table, table[:2])  # TRAP


class DistancesTwin(nn.Module):
    def forward(self, table):
        return (table.unsqueeze(1) - table[:2]).pow(2).sum(-1).sqrt()


class FiveAxes(nn.Module):
    """Beside a custom function that does no harm."""

    def forward(self, x, grid):
        x = extensions.Doubled.apply(x)
        return F.grid_sample(x.unsqueeze(2), grid, align_corners=False)  # TRAP


class FourAxes(nn.Module):
    def forward(self, x, grid):
        x = extensions.Doubled.apply(x)
        return F.grid_sample(x, grid[:, 0, ..., :2], align_corners=False)


class TwoAtOnce(nn.Module):
    """A custom function that gives two tensors: a tuple, to a tracer."""

    def forward(self, x):
        x = extensions.Doubled.apply(x)
        low, high = extensions.Halves.apply(x)  # TRAP
        return low + high


class OneAtATime(nn.Module):
    def forward(self, x):
        return x * 0.5 + x * 1.5


class Range(nn.Module):
    def forward(self, x):
        return x + torch.range(0, x.shape[-1] - 1, dtype=torch.float32)  # TRAP


class Arange(nn.Module):
    def forward(self, x):
        return x + torch.arange(x.shape[-1], dtype=torch.float32)


PAIRS = (
    Pair("operators/pooler", of(PoolV2, *POOL_V2),
         of(PoolV2Twin, DEPTH, FEAT, *RANKS), (Route.OPENVINO,)),
    Pair("operators/pooler", of(PoolV1, POINTS, GEOMETRY), of(PoolV1Twin, POINTS, GEOMETRY), (Route.LEGACY,)),
    Pair("operators/pooler", of(PoolVoxels, POINTS[None], VOXELS), of(PoolVoxelsTwin, POINTS[None], VOXELS)),
    Pair("operators/function", of(OpaqueFunction, X), of(TransparentFunction, X), (Route.OPENVINO,)),
    Pair("operators/ignored-symbolic", of(Symbolic, X), of(TransparentFunction, X), (Route.LEGACY,)),
    Pair("operators/custom-op", of(CustomOperator, X), of(BuiltIn, X), (Route.LEGACY, Route.OPENVINO)),
    Pair("operators/loop", of(Bags, POINTS, RANKS_FEAT % 7, STARTS), of(BagsTwin, POINTS, RANKS_FEAT % 7, STARTS),
         (Route.LEGACY,)),
    Pair("operators/untranslated", of(IndexReduce, POINTS, torch.arange(7)), of(ScatterReduce, POINTS, torch.arange(7)),
         (Route.LEGACY, Route.OPENVINO)),
    Pair("operators/replaceable", of(FiveAxes, X, image(1, 2, 4, 4, 3)), of(FourAxes, X, image(1, 2, 4, 4, 3)),
         (Route.OPENVINO,)),
    Pair("operators/function", of(TwoAtOnce, X), of(OneAtATime, X), (Route.OPENVINO,)),
    Pair("operators/replaceable", of(Range, X), of(Arange, X), (Route.OPENVINO,)),
    Pair("operators/untranslated", of(Distances, POINTS), of(DistancesTwin, POINTS), (Route.DYNAMO,)),
)  # fmt: skip
