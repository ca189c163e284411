"""The 3D side of BEVDetOCC: encoder, neck and head on voxels [Dz, Dy, Dx] instead of a BEV map."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from occvino.networks.layers import ConvModule, pointwise


class BasicBlock3D(nn.Module):
    """Two 3x3x3 convolutions with a shortcut, which in a first block is a convolution with batch norm."""

    def __init__(self, in_channels: int, channels: int, stride: int, *, first: bool) -> None:
        super().__init__()
        self.conv1 = ConvModule(in_channels, channels, 3, stride, dims=3, norm=True, relu=True)
        self.conv2 = ConvModule(channels, channels, 3, dims=3, norm=True)
        self.downsample = ConvModule(in_channels, channels, 3, stride, dims=3, norm=True) if first else None

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, Dz, Dy, Dx] -> [B, channels, Dz/stride, Dy/stride, Dx/stride]."""
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(self.conv2(self.conv1(x)) + shortcut)


class CustomResNet3D(nn.Module):
    """Stages of 3D blocks: the first keeps the size, the others halve it."""

    def __init__(self, in_channels: int, channels: tuple[int, ...], blocks: tuple[int, ...]) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        for index, (width, count) in enumerate(zip(channels, blocks, strict=True)):
            first = BasicBlock3D(in_channels, width, 1 if index == 0 else 2, first=True)
            others = (BasicBlock3D(width, width, 1, first=False) for _ in range(count - 1))
            stages.append(nn.Sequential(first, *others))
            in_channels = width
        self.layers = nn.Sequential(*stages)

    def forward(self, voxels: Tensor) -> tuple[Tensor, ...]:
        """[B, C, Dz, Dy, Dx] -> a level a stage, at full, half and quarter size."""
        levels: list[Tensor] = []
        for stage in self.layers:
            voxels = stage(voxels)
            levels.append(voxels)
        return tuple(levels)


class LSSFPN3D(nn.Module):
    """All levels brought to full size, corners aligned, and merged by a 1x1x1 convolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = ConvModule(in_channels, out_channels, 1, dims=3, norm=True, relu=True)

    def forward(self, full: Tensor, *coarser: Tensor) -> Tensor:
        """Levels -> [B, out, Dz, Dy, Dx]."""
        size = full.shape[-3:]
        up = [F.interpolate(level, size=size, mode="trilinear", align_corners=True) for level in coarser]
        return self.conv(torch.cat([full, *up], dim=1))


class BEVOCCHead3D(nn.Module):
    """Classes of every voxel from its own features."""

    SCORES = (3, 2, 1, 0)
    """Axes of logits that give `scores`, and the other way round."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.final_conv = ConvModule(channels, channels, 3, dims=3, relu=True)
        self.predicter = nn.Sequential(
            nn.Linear(channels, channels * 2), nn.Softplus(), nn.Linear(channels * 2, classes)
        )

    def forward(self, voxels: Tensor) -> Tensor:
        """[1, C, Dz, Dy, Dx] -> logits [Dx, Dy, Dz, classes]: a view of `scores`.

        The two linear layers are run as 1x1 convolutions, with height and rows as one axis, so that classes come first:
        along the last axis GPUs would sort them to find the best.
        """
        hidden, activation, out = self.predicter
        features = self.final_conv(voxels)
        y = features.flatten(2, 3)  # [1, C, Dz * Dy, Dx]
        y = activation(pointwise(y, hidden.get_parameter("weight"), hidden.get_parameter("bias")))
        y = pointwise(y, out.get_parameter("weight"), out.get_parameter("bias"))[0]
        return y.unflatten(1, features.shape[2:4]).permute(self.SCORES)

    def scores(self, logits: Tensor) -> Tensor:
        """Logits as they lie in memory: [classes, Dz, Dy, Dx]."""
        return logits.permute(self.SCORES)

    def labels(self, scores: Tensor) -> Tensor:
        """[classes, Dz, Dy, Dx] -> the best class u8 [Dx, Dy, Dz]; the first of equals."""
        return scores.argmax(dim=0).to(torch.uint8).permute(2, 1, 0)
