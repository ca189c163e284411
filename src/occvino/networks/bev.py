"""The bird's-eye-view side: view transformer, BEV backbone, BEV neck and occupancy head."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from occvino.bev_pool import bev_pool_torch
from occvino.networks.depth_net import CameraDepthNet
from occvino.networks.layers import BasicBlock, ConvModule, pointwise
from occvino.variant import Variant


class LSSViewTransformer(nn.Module):
    """Lift (depth and context per pixel) and splat (pool into the grid). The geometry comes in as a plan.

    A batch holds the N cameras of each of F frames, frame after frame; every frame has a grid of its own.
    """

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.depth_bins = variant.depth_bins
        self.frames = variant.lifted_frames
        dx, dy, dz = variant.lift_grid.shape
        self.grid_size = (dz, dy, dx) if variant.volumetric else (dy, dx)
        channels, context = variant.neck_channels, variant.context_channels
        self.depth_net: nn.Module = (
            CameraDepthNet(channels, variant.depths(), context, variant.depth_net, variant.stereo)
            if variant.depth_net
            else nn.Conv2d(channels, variant.depth_bins + context, 1)
        )

    def lift(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """What the depth net takes -> depth probabilities [F*N, D, fH, fW] and features [F*N, C, fH, fW]."""
        return self.parted(self.depth_net(*inputs))

    def parted(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """What the depth net gives -> what `lift` gives."""
        y = y.float()  # sums of many come next: in fp32, whatever convolutions were computed in
        return y[:, : self.depth_bins].softmax(dim=1), y[:, self.depth_bins :]

    def splat(
        self,
        depth: Tensor,
        features: Tensor,
        ranks_depth: Tensor,
        ranks_feat: Tensor,
        interval_starts: Tensor,
    ) -> Tensor:
        """Depth, features and a plan -> BEV [F, C, Dy, Dx], or voxels [F, C, Dz, Dy, Dx]."""
        feat = features.permute(0, 2, 3, 1).contiguous()  # [F*N, fH, fW, C]
        bev = bev_pool_torch(depth, feat, ranks_depth, ranks_feat, interval_starts)  # [F*cells, C]
        bev = bev.reshape(self.frames, *self.grid_size, bev.shape[-1])  # [F, (Dz,) Dy, Dx, C]
        order = (0, bev.ndim - 1, *range(1, bev.ndim - 1))
        return bev.permute(order).contiguous()


class CustomResNet(nn.Module):
    """Stages of basic blocks on the BEV, each with one stride. The shortcut is a 3x3 convolution with bias, no norm."""

    def __init__(self, in_channels: int, channels: tuple[int, ...], *, blocks: int = 2, stride: int = 2) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        for width in channels:
            first = BasicBlock(in_channels, width, stride, nn.Conv2d(in_channels, width, 3, stride, 1))
            stages.append(nn.Sequential(first, *(BasicBlock(width, width, 1, None) for _ in range(blocks - 1))))
            in_channels = width
        self.layers = nn.Sequential(*stages)

    def forward(self, bev: Tensor) -> tuple[Tensor, ...]:
        """[B, C, Dy, Dx] -> a level a stage; three stages of stride 2 give half, quarter and eighth size."""
        levels: list[Tensor] = []
        for stage in self.layers:
            bev = stage(bev)
            levels.append(bev)
        return tuple(levels)


class FPN_LSS(nn.Module):  # noqa: N801 - the official name
    """Bring a fine and a coarse level together at the fine one's size; every upsampling aligns corners.

    With `double` the result is brought to twice that size and half the channels, back to the full BEV.
    """

    def __init__(self, in_channels: int, out_channels: int, *, double: bool = True) -> None:
        super().__init__()
        wide = out_channels * 2 if double else out_channels
        self.conv = nn.Sequential(
            nn.Conv2d(in_channels, wide, 3, padding=1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
            nn.Conv2d(wide, wide, 3, padding=1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
        )
        if double:
            self.up2 = nn.Sequential(
                nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
                nn.Conv2d(wide, out_channels, 3, padding=1, bias=False),
                nn.BatchNorm2d(out_channels),
                nn.ReLU(inplace=True),
                nn.Conv2d(out_channels, out_channels, 1),
            )
        self.doubles = double

    def forward(self, *levels: Tensor) -> Tensor:
        """First and last level -> [B, out, H, W]. The official factor is written as "to size": equal, odd sizes fit."""
        fine, coarse = levels[0], levels[-1]
        up = F.interpolate(coarse, size=fine.shape[-2:], mode="bilinear", align_corners=True)
        merged = self.conv(torch.cat([fine, up], dim=1))
        return self.up2(merged) if self.doubles else merged


class BEVOCCHead2D(nn.Module):
    """Channel to height: the channels of a BEV cell become the classes of its column of voxels."""

    SCORES = (1, 0, 3, 2)
    """Axes of logits that give `scores`, and the other way round."""

    def __init__(self, channels: int, height: int, classes: int) -> None:
        super().__init__()
        self.height = height
        self.classes = classes
        self.final_conv = ConvModule(channels, channels, 3, relu=True)
        self.predicter = nn.Sequential(
            nn.Linear(channels, channels * 2), nn.Softplus(), nn.Linear(channels * 2, height * classes)
        )

    def forward(self, trunk: Tensor) -> Tensor:
        """[1, C, Dy, Dx] -> logits [Dx, Dy, Dz, classes]: a view of `scores`.

        The two linear layers are run as 1x1 convolutions, so that nothing is transposed before them.
        """
        hidden, activation, out = self.predicter
        y = activation(pointwise(self.final_conv(trunk), hidden.get_parameter("weight"), hidden.get_parameter("bias")))
        weight, bias = (self._class_major(out.get_parameter(name)) for name in ("weight", "bias"))
        columns = pointwise(y, weight, bias).permute(0, 2, 3, 1)[0]  # [Dy, Dx, classes * Dz]
        return columns.unflatten(-1, (self.classes, self.height)).permute(self.SCORES)

    def scores(self, logits: Tensor) -> Tensor:
        """Logits as they lie in memory: [Dy, Dx, classes, Dz], the heights of a class side by side for vector units."""
        return logits.permute(self.SCORES)

    def labels(self, scores: Tensor) -> Tensor:
        """[Dy, Dx, classes, Dz] -> the best class u8 [Dx, Dy, Dz]; the first of equals."""
        return scores.argmax(dim=2).to(torch.uint8).transpose(0, 1)

    def _class_major(self, parameter: Tensor) -> Tensor:
        """Rows in the order of the checkpoint, `z * classes + class` -> in the order `class * Dz + z`."""
        return parameter.unflatten(0, (self.height, self.classes)).transpose(0, 1).flatten(0, 1)
