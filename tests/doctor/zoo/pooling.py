"""Poolers by names that nobody knows, as a compiled extension would compute them: point by point, in NumPy."""

import numpy as np
import torch
from torch.autograd import Function


class VoxelPoolingTrain(Function):
    """BEVDepth of 2022-12: as `voxel_pooling`, under another name."""

    @staticmethod
    def forward(ctx, geom_xyz, input_features, voxel_num):
        features = input_features.reshape(len(geom_xyz), -1, input_features.shape[-1])
        return summed(geom_xyz.reshape(len(geom_xyz), -1, 3), features, voxel_num)


class VoxelPoolingInference(Function):
    """The same of depth and context apart."""

    @staticmethod
    def forward(ctx, geom_xyz, depth, context, voxel_num):
        batch, channels = len(geom_xyz), context.shape[1]
        points = torch.einsum("ndhw,nchw->ndhwc", depth, context)
        return summed(geom_xyz.reshape(batch, -1, 3), points.reshape(batch, -1, channels), voxel_num)


def summed(geometry, features, voxel_num):
    size_x, size_y, size_z = (int(n) for n in voxel_num)
    out = np.zeros((len(features), features.shape[-1], size_y, size_x), np.float32)
    for batch, point in np.ndindex(*features.shape[:2]):
        x, y, z = geometry[batch, point].tolist()
        if 0 <= x < size_x and 0 <= y < size_y and 0 <= z < size_z:
            out[batch, :, y, x] += features[batch, point].numpy()
    return torch.from_numpy(out)


class Pillarise(Function):
    """BEVFusion's, by another name, and the channels in front."""

    @staticmethod
    def forward(ctx, features, coordinates):
        out = np.zeros((features.shape[1], 4, 3), np.float32)
        for (x, y), row in zip(coordinates.tolist(), features.numpy(), strict=True):
            out[:, y, x] += row
        return torch.from_numpy(out)


class VoxelsSumming(Function):
    """FIERY's name for the cumulative sum of Lift, Splat, Shoot."""

    @staticmethod
    def forward(ctx, x, geometry, ranks):
        x = x.cumsum(0)
        last = torch.ones(x.shape[0], dtype=torch.bool)
        last[:-1] = ranks[1:] != ranks[:-1]
        x, geometry = x[last], geometry[last]
        return torch.cat((x[:1], x[1:] - x[:-1])), geometry


class DeformableCore(Function):
    """MSDeformAttn: for each head of each query a few samples of each level."""

    @staticmethod
    def forward(ctx, value, shapes, starts, locations, weights, step):
        batch, _, heads, channels = value.shape
        out = np.zeros((batch, locations.shape[1], heads, channels), np.float32)
        for b, q, m, level, p in np.ndindex(*locations.shape[:5]):
            height, width = shapes[level].tolist()
            image = value[b, starts[level] : starts[level] + height * width, m].reshape(height, width, channels)
            x, y = (locations[b, q, m, level, p] * torch.tensor([width, height]) - 0.5).tolist()
            out[b, q, m] += float(weights[b, q, m, level, p]) * sampled(image.numpy(), x, y)
        return torch.from_numpy(out.reshape(batch, -1, heads * channels))


def sampled(image, x, y):
    left, top = int(np.floor(x)), int(np.floor(y))
    total = np.zeros(image.shape[-1], np.float32)
    for row, column in np.ndindex(2, 2):
        at = top + row, left + column
        if 0 <= at[0] < image.shape[0] and 0 <= at[1] < image.shape[1]:
            total += image[at] * (1 - abs(x - at[1])) * (1 - abs(y - at[0]))
    return total


class Largest(Function):
    """No sum: the largest of each cell."""

    @staticmethod
    def forward(ctx, x, coordinates):
        out = np.zeros((4, 3, x.shape[1]), np.float32)
        for (column, row), value in zip(coordinates.tolist(), x.numpy(), strict=True):
            out[row, column] = np.maximum(out[row, column], value)
        return torch.from_numpy(out)


class Pair(Function):
    """Two values: what PyTorch's tracer makes of them, OpenVINO does not take."""

    @staticmethod
    def forward(ctx, x, ranks):
        ctx.save_for_backward(x)
        ctx.mark_non_differentiable(ranks)
        return x.cumsum(0), ranks * 2
