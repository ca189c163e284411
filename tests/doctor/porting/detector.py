"""A small multi-camera occupancy detector with the five traps, each at a line that ends with its number.

The structure and the habits are those of mmdetection3d, BEVDet and FlashOcc; the code is written for this test.
"""

# ruff: noqa: N806 - sizes in capitals, as everywhere in this field
import numpy as np
import torch
import torch.nn as nn

from tests.doctor.porting import bev_pool_v2_ext

GRID = {"x": (-8.0, 8.0, 1.0), "y": (-8.0, 8.0, 1.0), "z": (-2.0, 2.0, 4.0)}
CLASSES, HEIGHTS = 5, 4


class QuickCumsumCuda(torch.autograd.Function):
    @staticmethod
    def forward(ctx, depth, feat, ranks_depth, ranks_feat, ranks_bev, bev_feat_shape, starts, lengths):
        out = feat.new_zeros(bev_feat_shape)  # (B, Dz, Dy, Dx, C)
        bev_pool_v2_ext.bev_pool_v2_forward(depth, feat, out, ranks_depth, ranks_feat, ranks_bev, lengths, starts)
        return out


def bev_pool_v2(depth, feat, ranks_depth, ranks_feat, ranks_bev, bev_feat_shape, starts, lengths):
    ranks = (ranks_depth, ranks_feat, ranks_bev)
    x = QuickCumsumCuda.apply(depth, feat, *ranks, bev_feat_shape, starts, lengths)  # TRAP 5
    return x.permute(0, 4, 1, 2, 3).contiguous()  # (B, C, Dz, Dy, Dx)


class ViewTransformer(nn.Module):
    def __init__(self, in_channels=16, out_channels=8, input_size=(32, 64), downsample=8):
        super().__init__()
        self.grid_lower_bound = torch.Tensor([low for low, _, _ in GRID.values()])
        self.grid_interval = torch.Tensor([step for _, _, step in GRID.values()])
        self.grid_size = torch.Tensor([(high - low) / step for low, high, step in GRID.values()])
        self.frustum = self.create_frustum(input_size, downsample)
        self.D, self.out_channels = self.frustum.shape[0], out_channels
        self.depth_net = nn.Conv2d(in_channels, self.D + out_channels, 1)

    def create_frustum(self, input_size, downsample):
        height, width = input_size
        f_height, f_width = height // downsample, width // downsample
        d = torch.arange(1.0, 9.0, 0.5).view(-1, 1, 1).expand(-1, f_height, f_width)
        x = torch.linspace(0, width - 1, f_width).view(1, 1, f_width).expand_as(d)
        y = torch.linspace(0, height - 1, f_height).view(1, f_height, 1).expand_as(d)
        return torch.stack((x, y, d), -1)  # (D, fH, fW, 3)

    def get_ego_coor(self, sensor2keyego, cam2imgs, post_rots, post_trans, bda):
        B, N = sensor2keyego.shape[:2]
        points = self.frustum.to(sensor2keyego) - post_trans.view(B, N, 1, 1, 1, 3)
        points = torch.inverse(post_rots).view(B, N, 1, 1, 1, 3, 3).matmul(points.unsqueeze(-1))  # TRAP 1
        points = torch.cat((points[..., :2, :] * points[..., 2:3, :], points[..., 2:3, :]), 5)
        combine = sensor2keyego[:, :, :3, :3].matmul(torch.inverse(cam2imgs))  # TRAP 1
        points = combine.view(B, N, 1, 1, 1, 3, 3).matmul(points).squeeze(-1)
        points += sensor2keyego[:, :, :3, 3].view(B, N, 1, 1, 1, 3)
        return bda.view(B, 1, 1, 1, 1, 3, 3).matmul(points.unsqueeze(-1)).squeeze(-1)

    def voxel_pooling_prepare_v2(self, coor):
        B, N, D, H, W, _ = coor.shape
        num_points = B * N * D * H * W
        ranks_depth = torch.arange(num_points, dtype=torch.int)
        ranks_feat = torch.arange(num_points // D, dtype=torch.int).reshape(B, N, 1, H, W)
        ranks_feat = ranks_feat.expand(B, N, D, H, W).flatten()
        coor = (coor - self.grid_lower_bound.to(coor)) / self.grid_interval.to(coor)
        coor = coor.long().view(num_points, 3)
        kept = ((coor >= 0) & (coor < self.grid_size.to(coor))).all(-1)
        if len(kept) == 0:  # TRAP 4
            return None, None, None, None, None
        coor, ranks_depth, ranks_feat = coor[kept], ranks_depth[kept], ranks_feat[kept]
        ranks_bev = coor[:, 2] * (self.grid_size[1] * self.grid_size[0])
        ranks_bev += coor[:, 1] * self.grid_size[0] + coor[:, 0]
        order = ranks_bev.argsort()
        ranks_bev, ranks_depth, ranks_feat = ranks_bev[order], ranks_depth[order], ranks_feat[order]
        changed = torch.ones(ranks_bev.shape[0], dtype=torch.bool)
        changed[1:] = ranks_bev[1:] != ranks_bev[:-1]
        starts = torch.where(changed)[0].int()
        if len(starts) == 0:  # TRAP 4
            return None, None, None, None, None
        lengths = torch.zeros_like(starts)
        lengths[:-1] = starts[1:] - starts[:-1]
        lengths[-1] = ranks_bev.shape[0] - starts[-1]
        return ranks_bev.int(), ranks_depth, ranks_feat, starts, lengths

    def voxel_pooling_v2(self, coor, depth, feat):
        ranks_bev, ranks_depth, ranks_feat, starts, lengths = self.voxel_pooling_prepare_v2(coor)
        feat = feat.permute(0, 1, 3, 4, 2).contiguous()  # (B, N, fH, fW, C)
        size = [int(self.grid_size[2]), int(self.grid_size[1]), int(self.grid_size[0])]  # TRAP 4
        shape = (depth.shape[0], *size, feat.shape[-1])
        bev = bev_pool_v2(depth, feat, ranks_depth, ranks_feat, ranks_bev, shape, starts, lengths)
        return torch.cat(bev.unbind(dim=2), 1)  # (B, C*Dz, Dy, Dx)

    def forward(self, inputs):
        x, B, N = inputs[0], *inputs[1].shape[:2]
        x = self.depth_net(x)
        depth, feat = x[:, : self.D].softmax(dim=1), x[:, self.D :]
        depth, feat = (t.view(B, N, *t.shape[1:]) for t in (depth, feat))
        return self.voxel_pooling_v2(self.get_ego_coor(*inputs[1:]), depth.contiguous(), feat)


class OccDetector(nn.Module):
    def __init__(self):
        super().__init__()
        self.img_backbone = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU(),
        )  # fmt: skip
        self.img_view_transformer = ViewTransformer()
        self.bev_encoder = nn.Sequential(nn.Conv2d(8, 16, 3, 1, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU())
        self.occ_head = nn.Conv2d(16, HEIGHTS * CLASSES, 1)
        nn.init.normal_(self.occ_head.weight)
        nn.init.normal_(self.img_view_transformer.depth_net.weight)

    def forward(
        self,
        return_loss=True,  # TRAP 2
        **kwargs,  # TRAP 2
    ):
        if return_loss:
            raise NotImplementedError("training is not shown here")
        return self.forward_test(**kwargs)

    def forward_test(self, points=None, img_metas=None, img_inputs=None, **kwargs):
        for name, value in [("img_inputs", img_inputs), ("img_metas", img_metas)]:
            if not isinstance(value, list):
                raise TypeError(f"{name} must be a list, but got {type(value)}")
        return self.simple_test(points, img_metas[0], img_inputs[0], **kwargs)

    def prepare_inputs(self, inputs):
        imgs, sensor2egos, ego2globals, intrins, post_rots, post_trans, bda = inputs
        keyego2global = ego2globals[:, 0].unsqueeze(1)
        global2keyego = torch.inverse(keyego2global.double())  # TRAP 1
        sensor2keyegos = (global2keyego @ ego2globals.double() @ sensor2egos.double()).float()
        return imgs, [sensor2keyegos, intrins, post_rots, post_trans, bda]

    def simple_test(self, points, img_metas, img, rescale=False):
        imgs, geometry = self.prepare_inputs(img)
        B, N, C, H, W = imgs.shape
        x = self.img_backbone(imgs.view(B * N, C, H, W))
        bev = self.bev_encoder(self.img_view_transformer([x, *geometry]))
        scores = self.occ_head(bev).permute(0, 3, 2, 1).unflatten(-1, (HEIGHTS, CLASSES))  # (B, Dx, Dy, Dz, classes)
        occ = scores.softmax(-1).argmax(-1)
        occ = occ.squeeze(dim=0).cpu().numpy().astype(np.uint8)  # TRAP 3
        return [occ]


def rig(cameras=2):
    """Calibration of a few cameras around a car, a thousand metres into the map, as nuScenes has it."""
    generator = torch.Generator().manual_seed(3)
    sensor2egos, ego2globals = torch.eye(4).repeat(1, cameras, 1, 1), torch.eye(4).repeat(1, cameras, 1, 1)
    for camera in range(cameras):
        yaw = torch.tensor(6.2832 * camera / cameras)
        forward = torch.stack([yaw.cos(), yaw.sin(), yaw * 0])
        right = torch.stack([yaw.sin(), -yaw.cos(), yaw * 0])
        sensor2egos[0, camera, :3, :3] = torch.stack([right, torch.tensor([0.0, 0, -1]), forward], -1)
        sensor2egos[0, camera, :3, 3] = forward + torch.tensor([0.0, 0, 1.2])
        ego2globals[0, camera, :3, 3] = torch.tensor([411.3, 1180.9, 0.0]) + 0.05 * camera
    intrins = torch.tensor([[40.0, 0, 32], [0, 40, 16], [0, 0, 1]]).repeat(1, cameras, 1, 1)
    post_rots = torch.diag(torch.tensor([0.98, 0.98, 1.0])).repeat(1, cameras, 1, 1)
    post_trans = torch.tensor([0.0, -1.5, 0.0]).repeat(1, cameras, 1)
    imgs = torch.randn(1, cameras, 3, 32, 64, generator=generator)
    return [imgs, sensor2egos, ego2globals, intrins, post_rots, post_trans, torch.eye(3).unsqueeze(0)]


def example():
    """What `occvino doctor tests.doctor.porting.detector:example` asks for: module, args, kwargs."""
    torch.manual_seed(0)
    kwargs = {"return_loss": False, "img_metas": [[{"scene": "0001"}]], "img_inputs": [rig()]}
    return OccDetector().eval(), (), kwargs
