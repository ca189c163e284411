"""The bird's-eye-view side: view transformer, BEV backbone, BEV neck and occupancy head."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from occvino.bev_pool import bev_pool_torch
from occvino.networks.layers import BasicBlock, ConvModule


class LSSViewTransformer(nn.Module):
    """Lift (depth and context per pixel) and splat (pool into the BEV). The geometry comes in as a plan."""

    def __init__(self, in_channels: int, depth_bins: int, context_channels: int, bev_size: tuple[int, int]) -> None:
        super().__init__()
        self.depth_bins = depth_bins
        self.bev_size = bev_size
        self.depth_net = nn.Conv2d(in_channels, depth_bins + context_channels, 1)

    def lift(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[N, in, fH, fW] -> depth probabilities [N, D, fH, fW] and features [N, C, fH, fW]."""
        y = self.depth_net(x).float()  # sums of many come next: in f32, whatever convolutions were computed in
        return y[:, : self.depth_bins].softmax(dim=1), y[:, self.depth_bins :]

    def splat(
        self,
        depth: Tensor,
        features: Tensor,
        ranks_depth: Tensor,
        ranks_feat: Tensor,
        interval_starts: Tensor,
    ) -> Tensor:
        """Depth, features and a plan -> BEV [1, C, Dy, Dx]."""
        feat = features.permute(0, 2, 3, 1).contiguous()  # [N, fH, fW, C]
        bev = bev_pool_torch(depth, feat, ranks_depth, ranks_feat, interval_starts)  # [Dy*Dx, C]
        return bev.reshape(1, *self.bev_size, -1).permute(0, 3, 1, 2).contiguous()


class CustomResNet(nn.Module):
    """Three stages of two basic blocks, each halving the BEV. The shortcut is a 3x3 convolution with bias, no norm."""

    def __init__(self, in_channels: int, channels: tuple[int, int, int]) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        for width in channels:
            downsample = nn.Conv2d(in_channels, width, 3, 2, 1)
            stages.append(
                nn.Sequential(BasicBlock(in_channels, width, 2, downsample), BasicBlock(width, width, 1, None))
            )
            in_channels = width
        self.layers = nn.Sequential(*stages)

    def forward(self, bev: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[1, C, Dy, Dx] -> three levels at half, quarter and eighth size."""
        half = self.layers[0](bev)
        quarter = self.layers[1](half)
        return half, quarter, self.layers[2](quarter)


class FPN_LSS(nn.Module):  # noqa: N801 - the official name
    """Bring the half and eighth levels together and back to full size; every upsampling aligns corners."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        wide = out_channels * 2
        self.conv = nn.Sequential(
            nn.Conv2d(in_channels, wide, 3, padding=1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
            nn.Conv2d(wide, wide, 3, padding=1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
        )
        self.up2 = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
            nn.Conv2d(wide, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 1),
        )

    def forward(self, half: Tensor, eighth: Tensor) -> Tensor:
        """-> [1, out, Dy, Dx]. The official x4 is written as "to the half level's size": equal, and odd sizes fit."""
        up = F.interpolate(eighth, size=half.shape[-2:], mode="bilinear", align_corners=True)
        return self.up2(self.conv(torch.cat([half, up], dim=1)))


class BEVOCCHead2D(nn.Module):
    """Channel to height: the channels of a BEV cell become the classes of its column of voxels."""

    def __init__(self, channels: int, height: int, classes: int) -> None:
        super().__init__()
        self.height = height
        self.classes = classes
        self.final_conv = ConvModule(channels, channels, 3, relu=True)
        self.predicter = nn.Sequential(
            nn.Linear(channels, channels * 2), nn.Softplus(), nn.Linear(channels * 2, height * classes)
        )

    def forward(self, trunk: Tensor) -> Tensor:
        """[1, C, Dy, Dx] -> logits [Dx, Dy, Dz, classes]; output channel `z * classes + class`."""
        columns = self.final_conv(trunk)[0].permute(2, 1, 0)  # [Dx, Dy, C]
        logits = self.predicter(columns)
        return logits.reshape(*logits.shape[:2], self.height, self.classes)
