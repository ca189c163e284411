"""Blocks that more than one network uses."""

import torch.nn.functional as F
from torch import Tensor, nn


class ConvModule(nn.Module):
    """A convolution in `dims` dimensions under the name `conv`, as mmcv's module of this name stores it.

    With `norm` there is no bias and a batch norm under the name `bn`; with `relu` a ReLU at the end.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        *,
        dims: int = 2,
        norm: bool = False,
        relu: bool = False,
    ) -> None:
        super().__init__()
        conv, batch_norm = (nn.Conv2d, nn.BatchNorm2d) if dims == 2 else (nn.Conv3d, nn.BatchNorm3d)
        self.conv = conv(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=not norm)
        if norm:
            self.bn = batch_norm(out_channels)
        self.norm = norm
        self.activate = nn.ReLU(inplace=True) if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, ...] -> [B, out, ...], each of the trailing axes divided by the stride."""
        y = self.conv(x)
        return self.activate(self.bn(y) if self.norm else y)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut (He et al., 2015)."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, channels, H/stride, W/stride]."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + shortcut)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 with a shortcut; the stride is in the 3x3, mmdet's "pytorch" style."""

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, channels * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels * 4)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, 4*channels, H/stride, W/stride]."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        return self.relu(self.bn3(self.conv3(y)) + shortcut)


def pointwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A linear layer on every cell: [B, in, Dy, Dx] -> [B, out, Dy, Dx]."""
    return F.conv2d(x, weight[:, :, None, None], bias)
