"""The image side: ResNet backbone and the two-level neck."""

import torch.nn.functional as F
from torch import Tensor, nn

from occvino.networks.layers import BasicBlock, Bottleneck, ConvModule

_STAGES: dict[int, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    50: (Bottleneck, (3, 4, 6, 3)),
}


class ResNet(nn.Module):
    """ResNet-18 or -50 that gives its last two stages, strides 16 and 32. `width`: channels of the first stage."""

    def __init__(self, depth: int, width: int = 64) -> None:
        super().__init__()
        block, counts = _STAGES[depth]
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels = width
        stages: list[nn.Module] = []
        for stage, count in enumerate(counts):
            stages.append(_stage(block, channels, width << stage, count, stride=1 if stage == 0 else 2))
            channels = (width << stage) * block.expansion
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.out_channels = (channels // 2, channels)

    def first(self, images: Tensor) -> Tensor:
        """[N, 3, H, W] -> the first stage [N, C/4, H/4, W/4], which stereo matches."""
        return self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(images)))))

    def rest(self, stride4: Tensor) -> tuple[Tensor, Tensor]:
        """The first stage -> [N, C, H/16, W/16] and [N, 2C, H/32, W/32]."""
        stride16 = self.layer3(self.layer2(stride4))
        return stride16, self.layer4(stride16)


def _stage(
    block: type[BasicBlock] | type[Bottleneck], in_channels: int, channels: int, count: int, stride: int
) -> nn.Sequential:
    out_channels = channels * block.expansion
    downsample = None
    if stride != 1 or in_channels != out_channels:
        downsample = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
        )
    blocks = [block(in_channels, channels, stride, downsample)]
    blocks += [block(out_channels, channels, 1, None) for _ in range(count - 1)]
    return nn.Sequential(*blocks)


class CustomFPN(nn.Module):
    """Merge strides 16 and 32 at stride 16. No activation anywhere: it is all linear."""

    def __init__(self, in_channels: tuple[int, int], out_channels: int) -> None:
        super().__init__()
        self.lateral_convs = nn.ModuleList(ConvModule(channels, out_channels, 1) for channels in in_channels)
        self.fpn_convs = nn.ModuleList([ConvModule(out_channels, out_channels, 3)])

    def forward(self, stride16: Tensor, stride32: Tensor) -> Tensor:
        """Two levels -> [N, out, H/16, W/16]."""
        fine, coarse = self.lateral_convs[0](stride16), self.lateral_convs[1](stride32)
        return self.fpn_convs[0](fine + F.interpolate(coarse, size=fine.shape[-2:], mode="nearest"))
