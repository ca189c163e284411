"""Three small detectors, each with the traps of one family of public models: our own code, after their structure.

Lift, Splat, Shoot: sizes made of the module's own tensors, a sort, a cumulative sum, an indexed assignment. PETR: the
rig as NumPy arrays in `img_metas`. Fast-BEV: the rig in metadata, and a mask beside a slice in an assignment.
"""

import numpy as np
import torch
from torch import nn


class QuickCumsum(torch.autograd.Function):
    """Sums of runs of equal ranks, by differences of one cumulative sum."""

    @staticmethod
    def forward(ctx, x, geometry, ranks):
        x = x.cumsum(0)
        kept = torch.ones(x.shape[0], dtype=torch.bool)
        kept[:-1] = ranks[1:] != ranks[:-1]
        x, geometry = x[kept], geometry[kept]
        return torch.cat((x[:1], x[1:] - x[:-1])), geometry


class LiftSplat(nn.Module):
    """Camera features to a grid seen from above."""

    def __init__(self):
        super().__init__()
        self.dx = nn.Parameter(torch.tensor([1.0, 1.0, 20.0]), requires_grad=False)
        self.bx = nn.Parameter(torch.tensor([-7.5, -7.5, 0.0]), requires_grad=False)
        self.nx = nn.Parameter(torch.tensor([16, 16, 1]), requires_grad=False)
        d, y, x = torch.meshgrid(
            torch.arange(2.0, 10.0), torch.linspace(0, 31, 4), torch.linspace(0, 63, 8), indexing="ij"
        )
        self.frustum = nn.Parameter(torch.stack((x, y, d), -1), requires_grad=False)
        self.depth_net = nn.Conv2d(3, 8 + 4, 8, 8)
        self.head = nn.Conv2d(4, 2, 3, padding=1)

    def get_geometry(self, rots, trans, intrins, post_rots, post_trans):
        b, n, _ = trans.shape
        points = self.frustum - post_trans.view(b, n, 1, 1, 1, 3)
        points = torch.inverse(post_rots).view(b, n, 1, 1, 1, 3, 3).matmul(points.unsqueeze(-1))
        points = torch.cat((points[..., :2, :] * points[..., 2:3, :], points[..., 2:3, :]), 5)
        combine = rots.matmul(torch.inverse(intrins))
        points = combine.view(b, n, 1, 1, 1, 3, 3).matmul(points).squeeze(-1)
        return points + trans.view(b, n, 1, 1, 1, 3)

    def voxel_pooling(self, geometry, x):
        b, n, d, h, w, c = x.shape
        total = b * n * d * h * w
        x = x.reshape(total, c)
        geometry = ((geometry - (self.bx - self.dx / 2.0)) / self.dx).long().view(total, 3)
        batch = torch.cat([torch.full([total // b, 1], i, dtype=torch.long) for i in range(b)])
        geometry = torch.cat((geometry, batch), 1)
        kept = (
            (geometry[:, 0] >= 0) & (geometry[:, 0] < self.nx[0]) & (geometry[:, 1] >= 0)
            & (geometry[:, 1] < self.nx[1]) & (geometry[:, 2] >= 0) & (geometry[:, 2] < self.nx[2])
        )  # fmt: skip
        x, geometry = x[kept], geometry[kept]
        ranks = (
            geometry[:, 0] * (self.nx[1] * self.nx[2] * b) + geometry[:, 1] * (self.nx[2] * b)
            + geometry[:, 2] * b + geometry[:, 3]
        )  # fmt: skip
        order = ranks.argsort()
        x, geometry = QuickCumsum.apply(x[order], geometry[order], ranks[order])
        final = torch.zeros((b, c, self.nx[2], self.nx[0], self.nx[1]))
        final[geometry[:, 3], :, geometry[:, 2], geometry[:, 0], geometry[:, 1]] = x
        return torch.cat(final.unbind(dim=2), 1)

    def forward(self, x, rots, trans, intrins, post_rots, post_trans):
        b, n = x.shape[:2]
        y = self.depth_net(x.flatten(0, 1))
        y = (y[:, :8].softmax(1).unsqueeze(1) * y[:, 8:].unsqueeze(2)).view(b, n, 4, 8, 4, 8).permute(0, 1, 3, 4, 5, 2)
        return self.head(self.voxel_pooling(self.get_geometry(rots, trans, intrins, post_rots, post_trans), y))


class Petr(nn.Module):
    """Positions of image features from `img_metas`, and an attention over them."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Conv2d(3, 16, 8, 8)
        self.position = nn.Sequential(nn.Conv2d(3 * 4, 16, 1), nn.ReLU(), nn.Conv2d(16, 16, 1))
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.query = nn.Embedding(5, 16)
        nn.init.normal_(self.query.weight, std=100.0)  # else attention is even, and where a pixel looks is not seen
        self.box = nn.Linear(16, 7)

    def embedding(self, features, img_metas):
        b, n, _, h, w = features.shape
        pad_h, pad_w, _ = img_metas[0]["pad_shape"][0]
        ys = torch.arange(h, dtype=torch.float32) * pad_h / h
        xs = torch.arange(w, dtype=torch.float32) * pad_w / w
        coords = torch.stack(torch.meshgrid(xs, ys, torch.arange(1.0, 5.0) * 4, indexing="ij"))
        coords = coords.permute(1, 2, 3, 0)  # [W, H, D, 3]
        coords = torch.cat((coords, torch.ones_like(coords[..., :1])), -1)
        coords[..., :2] = coords[..., :2] * torch.maximum(coords[..., 2:3], torch.ones_like(coords[..., 2:3]) * 1e-5)
        img2lidars = []
        for meta in img_metas:
            img2lidars.append(np.asarray([np.linalg.inv(matrix) for matrix in meta["lidar2img"]]))
        img2lidars = coords.new_tensor(np.asarray(img2lidars))  # [B, N, 4, 4]
        coords = coords.view(1, 1, w, h, 4, 4, 1)
        coords = torch.matmul(img2lidars.view(b, n, 1, 1, 1, 4, 4), coords).squeeze(-1)[..., :3]
        coords = (coords + 50) / 100
        return self.position(coords.permute(0, 1, 4, 5, 3, 2).reshape(b * n, 12, h, w))

    def forward(self, img, img_metas):
        b, n = img.shape[:2]
        features = self.backbone(img.flatten(0, 1))
        embedded = self.embedding(features.view(b, n, *features.shape[1:]), img_metas)
        memory = features.flatten(2).transpose(1, 2).reshape(b, -1, 16)
        key = memory + embedded.flatten(2).transpose(1, 2).reshape(b, -1, 16)
        query = self.query.weight.unsqueeze(0).expand(b, -1, -1)
        return self.box(self.attention(query, key, memory, need_weights=False)[0])


class FastBev(nn.Module):
    """Features of the last camera that sees a voxel, found by projecting its centre."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Conv2d(3, 8, 4, 4)
        self.neck = nn.Conv2d(8 * 2, 8, 3, padding=1)

    def projection(self, meta):
        matrices = []
        intrinsic = torch.tensor(meta["lidar2img"]["intrinsic"][:3, :3])
        intrinsic[:2] /= 4
        for extrinsic in meta["lidar2img"]["extrinsic"]:
            matrices.append(intrinsic @ torch.tensor(extrinsic)[:3])
        return torch.stack(matrices)

    def backproject(self, features, points, projection):
        n, c, h, w = features.shape
        points = torch.cat((points.view(3, -1), torch.ones(1, points[0].numel())))
        projected = torch.bmm(projection.float(), points.expand(n, 4, -1))
        x = (projected[:, 0] / projected[:, 2]).round().long()
        y = (projected[:, 1] / projected[:, 2]).round().long()
        valid = (x >= 0) & (y >= 0) & (x < w) & (y < h) & (projected[:, 2] > 0)
        volume = torch.zeros(c, points.shape[-1]).type_as(features)
        for i in range(n):
            volume[:, valid[i]] = features[i, :, y[i, valid[i]], x[i, valid[i]]]
        return volume

    def forward(self, img, img_metas):
        features = self.backbone(img.flatten(0, 1))
        points = torch.stack(
            torch.meshgrid(
                torch.linspace(-8, 8, 12), torch.linspace(-8, 8, 12), torch.tensor([-0.5, 0.5]), indexing="ij"
            )
        )
        volume = self.backproject(features, points, self.projection(img_metas[0]))
        return self.neck(volume.view(1, 8, 12, 12, 2).permute(0, 1, 4, 2, 3).reshape(1, 16, 12, 12))


INTRINSIC = np.array([[40.0, 0, 32, 0], [0, 40, 16, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def cameras(turn=0.0):
    """Rotations [N, 3, 3] camera to ego and places [N, 3] of three cameras, all turned by `turn` radians."""
    rots, trans = [], []
    for yaw in (0.0, 2.1, 4.2):
        c, s = np.cos(yaw + turn), np.sin(yaw + turn)
        rots.append(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]))
        trans.append(np.array([c, s, 0.2]))
    return np.stack(rots), np.stack(trans)


def images(seed):
    """[1, 3 cameras, 3, 32, 64]"""
    return torch.rand(1, 3, 3, 32, 64, generator=torch.Generator().manual_seed(seed))


def lift_splat(turn=0.0, seed=0):
    rots, trans = (torch.tensor(value, dtype=torch.float32)[None] for value in cameras(turn))
    k, one = torch.tensor(INTRINSIC[:3, :3], dtype=torch.float32), torch.eye(3)
    return (images(seed), rots, trans, k.expand(1, 3, 3, 3).clone(), one.expand(1, 3, 3, 3).clone(),
            torch.zeros(1, 3, 3))  # fmt: skip


def extrinsics(turn):
    rots, trans = cameras(turn)
    poses = np.tile(np.eye(4), (3, 1, 1))
    poses[:, :3, :3], poses[:, :3, 3] = rots, trans
    return list(np.linalg.inv(poses))


def petr(turn=0.0, seed=0):
    lidar2img = [INTRINSIC @ pose for pose in extrinsics(turn)]
    return images(seed), [{"lidar2img": lidar2img, "pad_shape": [(32, 64, 3)] * 3, "name": "scene"}]


def fast_bev(turn=0.0, seed=0):
    metas = {"intrinsic": INTRINSIC.astype(np.float32), "extrinsic": [e.astype(np.float32) for e in extrinsics(turn)]}
    return images(seed), [{"lidar2img": metas}]


MODELS = {"lift-splat": (LiftSplat, lift_splat), "petr": (Petr, petr), "fast-bev": (FastBev, fast_bev)}


def factory_of(name):
    torch.manual_seed(0)
    cls, call = MODELS[name]
    return cls().eval(), call(), {}


def lss_factory():
    return factory_of("lift-splat")


def petr_factory():
    return factory_of("petr")


def fast_factory():
    return factory_of("fast-bev")
