"""Building a plan for a moved rig against the official algorithm in PyTorch. `python -m benchmarks.plan`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.harness import THREADS, save, show, take_turns
from occvino.datasets.shipped import shipped_scene
from occvino.geometry.calibration import Calibration
from occvino.geometry.lift import PoolingPlan, frustum
from occvino.variant import Variant
from occvino.variants import get_variant

ROUNDS = 40


def official(calibration: Calibration, variant: Variant) -> tuple[torch.Tensor, ...]:
    """The steps of `get_ego_coor` and `voxel_pooling_prepare_v2`: solver inverses, matmul a point, filter, argsort."""
    pixels, depths = frustum(variant)
    rows, columns = variant.feature_size
    uv = torch.from_numpy(pixels).view(1, rows, columns, 2).expand(depths.size, -1, -1, -1)
    d = torch.from_numpy(depths).view(-1, 1, 1, 1).expand(-1, rows, columns, 1)
    points = torch.cat([uv, d], -1)[None] - torch.tensor(calibration.post_trans)[:, None, None, None]
    undo = torch.inverse(torch.tensor(calibration.post_rot))[:, None, None, None]
    points = undo.matmul(points.unsqueeze(-1))  # [N, D, fH, fW, 3, 1]
    points = torch.cat([points[..., :2, :] * points[..., 2:3, :], points[..., 2:3, :]], -2)
    pose = torch.tensor(calibration.sensor2keyego())
    combined = pose[:, :3, :3].matmul(torch.inverse(torch.tensor(calibration.intrinsics)))
    points = combined[:, None, None, None].matmul(points).squeeze(-1) + pose[:, None, None, None, :3, 3]
    points = torch.tensor(calibration.bda).matmul(points.unsqueeze(-1)).squeeze(-1)

    grid = variant.lift_grid
    size = torch.tensor(grid.shape)
    coordinate = ((points - torch.tensor(grid.lower)) / torch.tensor(grid.step)).long().view(-1, 3)
    kept = ((coordinate >= 0) & (coordinate < size)).all(1)
    total, bins = coordinate.shape[0], variant.depth_bins
    ranks_depth = torch.arange(total)
    ranks_feat = torch.arange(total // bins).view(-1, 1, rows, columns).expand(-1, bins, -1, -1).reshape(-1)
    coordinate, ranks_depth, ranks_feat = coordinate[kept], ranks_depth[kept], ranks_feat[kept]
    ranks_bev = (coordinate[:, 2] * size[1] + coordinate[:, 1]) * size[0] + coordinate[:, 0]
    order = ranks_bev.argsort()
    ranks_bev, ranks_depth, ranks_feat = ranks_bev[order], ranks_depth[order], ranks_feat[order]
    first = torch.ones_like(ranks_bev, dtype=torch.bool)
    first[1:] = ranks_bev[1:] != ranks_bev[:-1]
    starts = torch.where(first)[0]
    lengths = torch.diff(starts, append=torch.tensor([ranks_bev.numel()]))
    return ranks_bev.int(), ranks_depth.int(), ranks_feat.int(), starts.int(), lengths.int()


def contestants(variant: Variant) -> dict[str, Callable[[], Any]]:
    calibration = shipped_scene()[0].rig.calibration(variant)
    ours, theirs = PoolingPlan.from_calibration(calibration, variant), official(calibration, variant)
    np.testing.assert_allclose(ours.kept, theirs[1].numel(), atol=20)  # float32 at cell borders
    return {
        "PoolingPlan.from_calibration": lambda: PoolingPlan.from_calibration(calibration, variant),
        "official algorithm, torch": lambda: official(calibration, variant),
    }


def main() -> None:
    torch.set_num_threads(THREADS)
    results = {}
    for label, name in (("M0", "flashocc-r50-M0"), ("M1", "flashocc-r50")):
        timings = take_turns(contestants(get_variant(name)), rounds=ROUNDS, warmup=3)
        show(f"{label}: one plan, ms", timings)
        results[label] = timings
    save("plan", {"rounds": ROUNDS, "results": results})


if __name__ == "__main__":
    main()
