"""The compiled extensions of BEV repositories, as a CPU sees them: they fill memory, and PyTorch does not know how.

Class names and arguments are those of the originals, which is what the doctor knows them by.
"""

import numpy as np
import torch
from torch.autograd import Function

from occvino.bev_pool import mmdeploy_reference


class QuickCumsumCuda(Function):
    """`bev_pool_v2`."""

    @staticmethod
    def forward(ctx, depth, feat, ranks_depth, ranks_feat, ranks_bev, bev_feat_shape, starts, lengths):
        out = feat.new_zeros(bev_feat_shape)
        given = (depth.flatten(0, 1), feat.flatten(0, 1), ranks_depth, ranks_feat, ranks_bev, starts, lengths)
        cells = int(np.prod(bev_feat_shape[:-1]))
        pooled = mmdeploy_reference(*(t.numpy() for t in given), out_height=cells, out_width=1)
        out.numpy()[...] = pooled.reshape(bev_feat_shape)
        return out


def bev_pool_v2(*args):
    return QuickCumsumCuda.apply(*args).permute(0, 4, 1, 2, 3).contiguous()


class VoxelPooling(Function):
    """`voxel_pooling` of BEVDepth."""

    @staticmethod
    def forward(ctx, geom_xyz, input_features, voxel_num):
        geometry, features = geom_xyz.numpy().reshape(len(geom_xyz), -1, 3), input_features.numpy()
        features = features.reshape(len(features), -1, features.shape[-1])
        size_x, size_y, size_z = (int(n) for n in voxel_num)
        out = np.zeros((len(features), size_y, size_x, features.shape[-1]), np.float32)
        for batch, point in np.ndindex(*features.shape[:2]):
            x, y, z = geometry[batch, point]
            if 0 <= x < size_x and 0 <= y < size_y and 0 <= z < size_z:
                out[batch, y, x] += features[batch, point]
        return torch.from_numpy(out).permute(0, 3, 1, 2)


# BEVDepth binds it at import, and nobody calls VoxelPooling.apply by that name again.
voxel_pooling = VoxelPooling.apply


def bev_pool_v1():
    """`bev_pool` of BEVFusion, whose function has the name of BEVDet's and other arguments."""

    class QuickCumsumCuda(Function):
        @staticmethod
        def forward(ctx, x, geom_feats, ranks, batch, depth, height, width):
            out = np.zeros((batch, depth, height, width, x.shape[1]), np.float32)
            for (row, column, z, b), value in zip(geom_feats.numpy(), x.numpy(), strict=True):
                out[b, z, row, column] += value
            return torch.from_numpy(out)

    return QuickCumsumCuda


class QuickCumsum(Function):
    """Lift, Splat, Shoot: sums of the runs of equal ranks, as differences of one sum over all."""

    @staticmethod
    def forward(ctx, x, geom_feats, ranks):
        x = x.cumsum(0)
        kept = torch.ones(x.shape[0], dtype=torch.bool)
        kept[:-1] = ranks[1:] != ranks[:-1]
        x, geom_feats = x[kept], geom_feats[kept]
        return torch.cat((x[:1], x[1:] - x[:-1])), geom_feats


class Opaque(Function):
    """Nothing that anyone knows."""

    @staticmethod
    def forward(ctx, x):
        return torch.from_numpy(np.sort(x.numpy(), axis=-1))


class Doubled(Function):
    """A custom function that every exporter sees through."""

    @staticmethod
    def forward(ctx, x):
        return x * 2


class Halves(Function):
    """Gives two tensors, and does nothing else that an exporter could not follow."""

    @staticmethod
    def forward(ctx, x):
        return x * 0.5, x * 1.5


class WithSymbolic(Function):
    """As `TRTBEVPoolv2`: a node of a domain of its own in one exporter only."""

    @staticmethod
    def symbolic(g, x):
        return g.op("mmdeploy::double", x)

    @staticmethod
    def forward(ctx, x):
        return x * 2


@torch.library.custom_op("zoo::double", mutates_args=())
def zoo_double(x: torch.Tensor) -> torch.Tensor:
    return x * 2


@zoo_double.register_fake
def _(x):
    return torch.empty_like(x)
