"""The network: images, a pooling plan and what else describes the cameras in, class logits of every voxel out.

`conversion.export.Deployable` puts the head's argmax behind it: labels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from occvino.errors import FrameError
from occvino.geometry.temporal import Temporal, state_slots
from occvino.networks.bev import FPN_LSS, BEVOCCHead2D, CustomResNet, LSSViewTransformer
from occvino.networks.bev3d import LSSFPN3D, BEVOCCHead3D, CustomResNet3D
from occvino.networks.image import CustomFPN, ResNet
from occvino.networks.panoptic import CENTRE_HEADS, CenternessHead
from occvino.networks.swin import SwinBackbone
from occvino.variant import Variant

TAPS = ("backbone", "neck", "depth", "features", "bev", "trunk", "scores", "logits")
"""Named places along every network, in order, where `verify` compares PyTorch, ONNX and the IR.

`logits` [Dx, Dy, Dz, classes] are `scores` in the official order of axes, labels are made from `scores`: a graph that
does not give the logits does not spend time on transposing them.
"""
_IN_ORDER = ("stride4", "backbone", "neck", "reduced", *TAPS[2:])
"""The same with what only streams name."""

MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
"""In the order in which the channels reach the network - which is blue, green, red (see `normalise`)."""


def normalise(images: Tensor) -> Tensor:
    """Images u8 [N, H, W, 3] RGB -> network input f32 [N, 3, H, W].

    The published weights were trained on images whose channels were swapped to B, G, R while mean and deviation
    stayed in R, G, B order: the official loader reads RGB and asks mmcv to swap once more. So that is right here.
    """
    mean, std = images.new_tensor(MEAN, dtype=torch.float32), images.new_tensor(STD, dtype=torch.float32)
    bgr = images.permute(0, 3, 1, 2).flip(1).float()  # [N, 3, H, W]
    return (bgr - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)


def tap_names(variant: Variant, temporal: Temporal = "batch") -> tuple[str, ...]:
    """The named places along the network of a variant.

    They are `TAPS`, what a stream keeps for later (see `geometry.temporal`), and the outputs of the head that
    finds instances, where there is one.
    """
    kept = state_slots(variant, temporal)
    names = tuple(name for name in _IN_ORDER if name in TAPS or name in kept)
    return (*names, *CENTRE_HEADS) if variant.panoptic else names


def check_batch(variant: Variant, images: Tensor, plan: Sequence[Tensor], conditions: Sequence[Tensor]) -> int:
    """How many images are lifted: those of all frames, or with stereo, of all but the oldest.

    The official code reshapes whatever it is given, so that frames and cameras can be mixed up in silence.

    Raises:
        FrameError: the number of rows of a tensor does not fit the number of images.
    """
    cameras, rest = divmod(len(images), variant.frames)
    if rest or not cameras:
        raise FrameError(
            f"{len(images)} images for {variant.name}, which takes {variant.frames} frames of each camera: expected "
            f"a multiple of {variant.frames}, all cameras of the key frame first"
        )
    lifted, entries = cameras * variant.lifted_frames, variant.plan_entries(cameras)
    expected = {"ranks_depth": entries, "ranks_feat": entries, "interval_starts": variant.plan_cells()}
    expected |= {"cameras": lifted} if variant.depth_net else {}
    expected |= {"warps": lifted} if variant.stereo else {}
    for (name, count), tensor in zip(expected.items(), (*plan, *conditions), strict=True):
        if len(tensor) != count:
            raise FrameError(
                f"{name} has {len(tensor)} rows, expected {count} for {cameras} cameras in {variant.frames} frames: "
                "give images and calibration of the same cameras"
            )
    return lifted


def logits_of(scores: NDArray[np.floating[Any]], variant: Variant) -> NDArray[np.floating[Any]]:
    """Logits [Dx, Dy, Dz, classes] of what a graph gave as `scores`."""
    return scores.transpose((BEVOCCHead3D if variant.volumetric else BEVOCCHead2D).SCORES)


class FlashOcc(nn.Module):
    """The network of one `Variant`. Everything it takes is a tensor: calibration comes in as the pooling plan.

    Where the variant lifts F frames, everything that there is one of for each camera holds the N cameras of the key
    frame, then those of the frame before, and so on; B = F * N. (The official code takes images camera by camera.)

    Inputs of `forward` and `taps` (`geometry.inputs` makes all but the first):
        images: [B, 3, H, W] float32, normalised (`normalise`), N cameras in rig order; with stereo, one frame more.
        ranks_depth, ranks_feat, interval_starts: the arrays of a `geometry.lift.PoolingPlan` as tensors.
        cameras: [B, 27], for variants with a depth net.
        warps: [B, 3, 4], for variants with stereo.
    """

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.variant = variant
        self.img_backbone = (
            SwinBackbone(variant.swin, variant.input_size)
            if variant.swin
            else ResNet(variant.backbone_depth, variant.backbone_width)
        )
        channels = self.img_backbone.out_channels
        self.img_neck = (
            FPN_LSS(sum(channels), variant.neck_channels, double=False)
            if variant.swin
            else CustomFPN(channels, variant.neck_channels)
        )
        self.img_view_transformer = LSSViewTransformer(variant)
        self._add_bev(variant)
        if variant.panoptic:
            self.aux_centerness_head = CenternessHead(variant.trunk_channels)

    def _add_bev(self, variant: Variant) -> None:
        context, levels, trunk = variant.context_channels, variant.bev_channels, variant.trunk_channels
        classes = len(variant.class_names)
        if variant.volumetric:
            if variant.past_frames:
                self.pre_process_net = CustomResNet3D(context, (context,), (1,))
            self.img_bev_encoder_backbone = CustomResNet3D(context * variant.lifted_frames, levels, (1, 2, 4))
            self.img_bev_encoder_neck = LSSFPN3D(sum(levels), trunk)
            self.occ_head = BEVOCCHead3D(trunk, classes)
        else:
            if variant.past_frames:
                self.pre_process_net = CustomResNet(context, (context,), blocks=1, stride=1)
            self.img_bev_encoder_backbone = CustomResNet(context * variant.lifted_frames, levels)
            self.img_bev_encoder_neck = FPN_LSS(levels[0] + levels[2], trunk)
            self.occ_head = BEVOCCHead2D(trunk, variant.occupancy_grid.shape[2], classes)

    def taps(
        self, images: Tensor, ranks_depth: Tensor, ranks_feat: Tensor, interval_starts: Tensor, *conditions: Tensor
    ) -> dict[str, Tensor]:
        """Every tensor of `tap_names`, in order. `conditions`: cameras and warps, where the variant takes them.

        Raises:
            FrameError: the tensors are not those of one number of cameras in each of the variant's frames.
        """
        plan = (ranks_depth, ranks_feat, interval_starts)
        lifted = check_batch(self.variant, images, plan, conditions)
        stride4 = self.img_backbone.first(images)
        stride32, neck = self.encode(stride4[:lifted])
        if self.variant.stereo:
            cameras, warps = conditions
            conditions = (cameras, stride4[:lifted], stride4[len(images) - lifted :], warps)
        depth, features = self.img_view_transformer.lift(neck, *conditions)  # [B, D, fH, fW], [B, C, fH, fW]
        seen = {"backbone": stride32, "neck": neck, "depth": depth, "features": features}
        return seen | self.perceive(depth, features, *plan)

    def encode(self, stride4: Tensor) -> tuple[Tensor, Tensor]:
        """The backbone's first stage -> its last one, stride 32, and the neck's features [B, C', fH, fW]."""
        stride16, stride32 = self.img_backbone.rest(stride4)
        return stride32, self.img_neck(stride16, stride32)

    def perceive(self, depth: Tensor, features: Tensor, *plan: Tensor) -> dict[str, Tensor]:
        """Depth [B, D, fH, fW] and features [B, C, fH, fW] of all lifted frames -> the taps from the BEV on."""
        bev = self.img_view_transformer.splat(depth, features, *plan)  # [F, C, Dy, Dx]
        trunk = self.trunk(bev)
        logits = self.occ_head(trunk)  # [Dx, Dy, Dz, classes]
        taps = {"bev": bev, "trunk": trunk, "scores": self.occ_head.scores(logits), "logits": logits}
        return taps | self.aux_centerness_head(trunk) if self.variant.panoptic else taps

    def trunk(self, bev: Tensor) -> Tensor:
        """The lifted frames [F, C, Dy, Dx] -> [1, C'', Dy, Dx]; with voxels, Dz stands before Dy in both."""
        if self.variant.past_frames:
            (bev,) = self.pre_process_net(bev)
            # the key frame comes first; only the stereo models were trained with the oldest first
            bev = bev.flip(0) if self.variant.stereo else bev
            bev = bev.reshape(1, -1, *bev.shape[2:])
        return self.img_bev_encoder_neck(*self.img_bev_encoder_backbone(bev))

    def forward(
        self, images: Tensor, ranks_depth: Tensor, ranks_feat: Tensor, interval_starts: Tensor, *conditions: Tensor
    ) -> Tensor:
        """Class logits [Dx, Dy, Dz, classes] of every voxel, in the key ego frame."""
        return self.taps(images, ranks_depth, ranks_feat, interval_starts, *conditions)["logits"]
