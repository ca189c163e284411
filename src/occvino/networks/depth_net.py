"""The depth net of BEVDepth (Li et al., 2022): told about the cameras, and with stereo about how well frames match."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from occvino.networks.layers import BasicBlock, pointwise
from occvino.networks.stereo import cost_volume
from occvino.variant import DepthNet, Stereo

CAMERA_VALUES = 27
"""How many numbers describe a camera (`geometry.inputs.camera_vectors`)."""


class CameraDepthNet(nn.Module):
    """Image features and camera vectors -> depth logits and context features. No published model uses its DCN layer."""

    def __init__(
        self, channels: int, depths: Sequence[float], context_channels: int, size: DepthNet, stereo: Stereo | None
    ) -> None:
        super().__init__()
        depth_bins = len(depths)
        self.reduce_conv = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
        )
        self.context_conv = nn.Conv2d(channels, context_channels, 1)
        self.bn = nn.BatchNorm1d(CAMERA_VALUES)
        self.depth_mlp = Mlp(CAMERA_VALUES, channels)
        self.depth_se = SELayer(channels)
        self.context_mlp = Mlp(CAMERA_VALUES, channels)
        self.context_se = SELayer(channels)
        self.stereo, self.depths = stereo, depths
        first = BasicBlock(channels, channels, 1, None)
        if stereo:
            self.cost_volumn_net = nn.Sequential(  # the official spelling
                nn.Conv2d(depth_bins, depth_bins, 3, 2, 1),
                nn.BatchNorm2d(depth_bins),
                nn.Conv2d(depth_bins, depth_bins, 3, 2, 1),
                nn.BatchNorm2d(depth_bins),
            )
            both = channels + depth_bins
            first = BasicBlock(both, channels, 1, nn.Conv2d(both, channels, 1))
        self.depth_conv = nn.Sequential(
            first,
            BasicBlock(channels, channels, 1, None),
            BasicBlock(channels, channels, 1, None),
            ASPP(channels, size.aspp_channels),
            nn.Conv2d(channels, depth_bins, 1),
        )

    def forward(self, x: Tensor, camera: Tensor, *match: Tensor) -> Tensor:
        """Features [B, C, fH, fW] and camera vectors [B, 27] -> [B, D + context, fH, fW].

        With stereo, `match` is what `stereo.cost_volume` takes: features of this frame, of the previous one, and
        the warps between the two.
        """
        return self.predict(self.reduce_conv(x), camera, *match)

    def predict(self, x: Tensor, camera: Tensor, *match: Tensor) -> Tensor:
        """`forward` from what `reduce_conv` gives on: from here, features depend on the cameras."""
        # not an Unsqueeze, which loses the mark that keeps it in fp32 (`conversion.rewrite`)
        camera = self.bn(camera).reshape(-1, CAMERA_VALUES, 1, 1)
        context = self.context_conv(self.context_se(x, self.context_mlp(camera)))
        depth = self.depth_se(x, self.depth_mlp(camera))
        if self.stereo:
            current, previous, warps = match
            unseen = self.stereo.unseen_cost
            cost = cost_volume(current, previous, warps, self.depths, unseen_cost=unseen)  # [B, D, H/4, W/4]
            depth = torch.cat([depth, self.cost_volumn_net(cost)], dim=1)
        return torch.cat([self.depth_conv(depth), context], dim=1)


class Mlp(nn.Module):
    """Two linear layers with a ReLU between, run as 1x1 convolutions.

    A product with constant weights loses the mark that keeps it in fp32, on CPUs with AMX (OpenVINO 2026.4.1),
    and focal lengths of 1,000 beside rotations of 1 need fp32.
    """

    def __init__(self, in_features: int, features: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(in_features, features)
        self.fc2 = nn.Linear(features, features)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, 1, 1] -> [B, features, 1, 1]."""
        first, second = self.fc1, self.fc2
        return pointwise(F.relu(pointwise(x, first.weight, first.bias)), second.weight, second.bias)


class SELayer(nn.Module):
    """Weigh each channel by a gate in 0..1 computed from a vector (after Hu et al., 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_reduce = nn.Conv2d(channels, channels, 1)
        self.conv_expand = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        """[B, C, fH, fW] and [B, C, 1, 1] -> [B, C, fH, fW]."""
        gate = self.conv_expand(F.relu(self.conv_reduce(vector)))
        return x * gate.sigmoid()


class Atrous(nn.Module):
    """A convolution with holes, batch norm and ReLU; 1x1 where the dilation is 1."""

    def __init__(self, in_channels: int, channels: int, dilation: int) -> None:
        super().__init__()
        kernel, padding = (1, 0) if dilation == 1 else (3, dilation)
        self.atrous_conv = nn.Conv2d(in_channels, channels, kernel, 1, padding, dilation, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, fH, fW] -> [B, channels, fH, fW]."""
        return F.relu(self.bn(self.atrous_conv(x)))


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling (Chen et al., 2017): four dilations and the mean of the image, merged by 1x1."""

    def __init__(self, channels: int, mid_channels: int) -> None:
        super().__init__()
        self.aspp1 = Atrous(channels, mid_channels, 1)
        self.aspp2 = Atrous(channels, mid_channels, 6)
        self.aspp3 = Atrous(channels, mid_channels, 12)
        self.aspp4 = Atrous(channels, mid_channels, 18)
        self.global_avg_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, mid_channels, 1, bias=False),
            nn.BatchNorm2d(mid_channels),
            nn.ReLU(),
        )
        self.conv1 = nn.Conv2d(mid_channels * 5, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, fH, fW] -> the same shape."""
        mean = self.global_avg_pool(x).expand(-1, -1, *x.shape[-2:])  # one pixel brought to size: a constant
        levels = [self.aspp1(x), self.aspp2(x), self.aspp3(x), self.aspp4(x), mean]
        return F.relu(self.bn1(self.conv1(torch.cat(levels, dim=1))))
