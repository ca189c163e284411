"""FlashOcc: six pictures and a pooling plan in, class logits of every voxel out."""

import torch
from torch import Tensor, nn

from occvino.networks.bev import FPN_LSS, BEVOCCHead2D, CustomResNet, LSSViewTransformer
from occvino.networks.image import CustomFPN, ResNet
from occvino.variants import Variant

TAPS = ("backbone", "neck", "depth", "features", "bev", "trunk", "logits")
"""Named places along the network, in order, where `verify` compares PyTorch, ONNX and the IR."""

MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
"""In the order in which the channels reach the network - which is blue, green, red (see `normalise`)."""


def normalise(images: Tensor) -> Tensor:
    """Pictures u8 [N, H, W, 3] RGB -> network input f32 [N, 3, H, W].

    The published weights were trained on pictures whose channels were swapped to B, G, R while mean and deviation
    stayed in R, G, B order: the official loader reads RGB and asks mmcv to swap once more. So that is right here.
    """
    mean, std = images.new_tensor(MEAN, dtype=torch.float32), images.new_tensor(STD, dtype=torch.float32)
    bgr = images.permute(0, 3, 1, 2).flip(1).float()  # [N, 3, H, W]
    return (bgr - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)


class FlashOcc(nn.Module):
    """The network of one `Variant`. Everything it takes is a tensor: calibration comes in as the pooling plan.

    Inputs of `forward` and `taps`:
        images: [N, 3, H, W] float32, normalised (`normalise`); N cameras in rig order.
        ranks_depth, ranks_feat, interval_starts: the arrays of a `lift.PoolingPlan` as tensors.
    """

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        dx, dy, _ = variant.lift_grid.shape
        self.variant = variant
        self.img_backbone = ResNet(variant.backbone_depth, variant.backbone_width)
        self.img_neck = CustomFPN(self.img_backbone.out_channels, variant.neck_channels)
        self.img_view_transformer = LSSViewTransformer(
            variant.neck_channels, variant.depth_bins, variant.context_channels, (dy, dx)
        )
        self.img_bev_encoder_backbone = CustomResNet(variant.context_channels, variant.bev_channels)
        self.img_bev_encoder_neck = FPN_LSS(variant.bev_channels[0] + variant.bev_channels[2], variant.trunk_channels)
        self.occ_head = BEVOCCHead2D(variant.trunk_channels, variant.occupancy_grid.shape[2], len(variant.class_names))

    def taps(
        self, images: Tensor, ranks_depth: Tensor, ranks_feat: Tensor, interval_starts: Tensor
    ) -> dict[str, Tensor]:
        """Every tensor of `TAPS`, in order."""
        stride16, stride32 = self.img_backbone(images)
        neck = self.img_neck(stride16, stride32)  # [N, C', fH, fW]
        depth, features = self.img_view_transformer.lift(neck)  # [N, D, fH, fW], [N, C, fH, fW]
        bev = self.img_view_transformer.splat(
            depth, features, ranks_depth, ranks_feat, interval_starts
        )  # [1, C, Dy, Dx]
        half, _, eighth = self.img_bev_encoder_backbone(bev)
        trunk = self.img_bev_encoder_neck(half, eighth)  # [1, C'', Dy, Dx]
        logits = self.occ_head(trunk)  # [Dx, Dy, Dz, classes]
        return dict(zip(TAPS, (stride32, neck, depth, features, bev, trunk, logits), strict=True))

    def forward(self, images: Tensor, ranks_depth: Tensor, ranks_feat: Tensor, interval_starts: Tensor) -> Tensor:
        """Class logits [Dx, Dy, Dz, classes] of every voxel, in the key ego frame."""
        return self.taps(images, ranks_depth, ranks_feat, interval_starts)["logits"]
