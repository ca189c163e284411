"""The pooling operator: embedding bag against scatter-add, OpenVINO and PyTorch. `python -m benchmarks.pool`.

With `--competitor SOURCE PREPARED` (see `benchmarks.competitor`) Intel's openvino_flashocc takes part with its
operators for M0. They floor where the model truncates and pool other points: how far off that is, is printed and saved.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset8 as ops
import torch
from openvino import opset12, opset15

from benchmarks import competitor
from benchmarks.harness import THREADS, save, show, take_turns
from occvino.bev_pool import bev_pool_openvino, bev_pool_torch
from occvino.bev_pool_columns import bev_pool_columns_openvino
from occvino.datasets.shipped import shipped_scene
from occvino.geometry.columns import column_inputs, sizes_needed
from occvino.geometry.lift import PoolingPlan
from occvino.variant import Variant
from occvino.variants import get_variant

ROUNDS = 40


def compile_graph(
    build: Callable[..., ov.Output], inputs: dict[str, np.ndarray], threads: int
) -> Callable[[], np.ndarray]:
    """A graph that pools and does what the network does next: back to [1, C, Dy, Dx]."""
    parameters = [ops.parameter(array.shape, array.dtype, name=name) for name, array in inputs.items()]
    pooled = build(*(parameter.output(0) for parameter in parameters))
    channels = inputs["feat"].shape[-1]
    image = ops.transpose(ops.reshape(pooled, [1, 200, 200, channels], False), [0, 3, 1, 2])
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = ov.Core().compile_model(ov.Model([image], parameters), "CPU", settings)
    request = compiled.create_infer_request()
    arrays = list(inputs.values())
    return lambda: request.infer(arrays, share_inputs=True, share_outputs=True)[0]


def products(depth: ov.Output, feat: ov.Output, ranks_depth: ov.Output, ranks_feat: ov.Output) -> ov.Node:
    """What a scatter adds: one row of features times depth a point."""
    axis = ops.constant(0)
    weights = ops.unsqueeze(ops.gather(ops.reshape(depth, [-1], False), ranks_depth, axis), ops.constant(1))
    table = ops.reshape(feat, [-1, feat.get_shape()[3]], False)
    return ops.multiply(ops.gather(table, ranks_feat, axis), weights)


def scatter_nd(depth: Any, feat: Any, ranks_depth: Any, ranks_feat: Any, ranks_bev: Any) -> ov.Output:
    empty = ops.constant(np.zeros((40_000, feat.get_shape()[3]), np.float32))
    cell = ops.unsqueeze(ranks_bev, ops.constant(1))
    rows = products(depth, feat, ranks_depth, ranks_feat)
    return opset15.scatter_nd_update(empty, cell, rows, reduction="sum").output(0)


def scatter_elements(depth: Any, feat: Any, ranks_depth: Any, ranks_feat: Any, ranks_bev: Any) -> ov.Output:
    channels = feat.get_shape()[3]
    empty = ops.constant(np.zeros((40_000, channels), np.float32))
    points = ranks_bev.get_shape()[0]
    cell = ops.broadcast(ops.unsqueeze(ranks_bev, ops.constant(1)), ops.constant([points, channels]))
    rows = products(depth, feat, ranks_depth, ranks_feat)
    return opset12.scatter_elements_update(empty, cell, rows, ops.constant(0), reduction="sum").output(0)


def tensors_for(variant: Variant) -> tuple[np.ndarray, np.ndarray]:
    """Depth [6, D, fH, fW] and features [6, fH, fW, C]."""
    rng = np.random.default_rng(0)
    rows, columns = variant.feature_size
    depth = rng.random((6, variant.depth_bins, rows, columns), dtype=np.float32)
    return depth, rng.standard_normal((6, rows, columns, variant.context_channels), dtype=np.float32)


def theirs(source: Path, prepared: Path, variant: Variant) -> Callable[[], np.ndarray]:
    """Its BinSort and pooling on the same tensors, with the geometry made before."""
    depth, feat = tensors_for(variant)
    features = np.ascontiguousarray(feat.transpose(0, 3, 1, 2))
    pool = competitor.pool(source, prepared)
    calibration = shipped_scene()[0].rig.calibration(variant)
    geometry = pool.compute_geom(competitor.sample(np.zeros((6, 1, 1, 3), np.uint8), calibration))
    return lambda: pool.run_with_geom(depth, features, geometry)


def contestants(variant: Variant, threads: int = THREADS) -> dict[str, Callable[[], Any]]:
    depth, feat = tensors_for(variant)
    plan = PoolingPlan.from_rig(shipped_scene()[0].rig, variant)
    lengths = np.diff(np.append(plan.interval_starts, plan.ranks_depth.size))
    real = plan.ranks_depth < plan.points
    # a scatter takes the points alone, as the official operator does, with no zero-weight entries
    points = {
        "depth": depth,
        "feat": feat,
        "ranks_depth": plan.ranks_depth[real],
        "ranks_feat": plan.ranks_feat[real],
        "ranks_bev": np.repeat(np.arange(variant.lift_grid.cells, dtype=np.int32), lengths)[real],
    }
    tensors = {name: torch.from_numpy(array) for name, array in points.items()}
    cell, weight, row = tensors["ranks_bev"].long(), tensors["ranks_depth"].long(), tensors["ranks_feat"].long()

    def index_add() -> torch.Tensor:
        table = tensors["feat"].reshape(-1, variant.context_channels)
        values = table[row] * tensors["depth"].reshape(-1)[weight, None]
        pooled = torch.zeros(40_000, variant.context_channels).index_add_(0, cell, values)
        return pooled.view(1, 200, 200, -1).permute(0, 3, 1, 2).contiguous()

    bag = {"depth": depth, "feat": feat, **plan.inputs()}
    sizes = sizes_needed(plan.inputs(), variant).with_margin()
    columns = {"depth": depth, "feat": feat, **column_inputs(plan.inputs(), variant, sizes)}
    bag_tensors = [torch.from_numpy(array) for array in bag.values()]

    def embedding_bag() -> torch.Tensor:
        return bev_pool_torch(*bag_tensors).view(1, 200, 200, -1).permute(0, 3, 1, 2).contiguous()

    return {
        "OpenVINO EmbeddingBagOffsetsSum": compile_graph(bev_pool_openvino, bag, threads),
        "OpenVINO column form": compile_graph(partial(bev_pool_columns_openvino, crowd=sizes.crowd), columns, threads),
        "OpenVINO ScatterNDUpdate sum": compile_graph(scatter_nd, points, threads),
        "OpenVINO ScatterElementsUpdate sum": compile_graph(scatter_elements, points, threads),
        "torch embedding_bag": embedding_bag,
        "torch index_add_": index_add,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--competitor", type=Path, nargs=2, metavar=("SOURCE", "PREPARED"))
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    results, off = {}, None
    for label, name in (("M0", "flashocc-r50-M0"), ("M1", "flashocc-r50")):
        running = contestants(get_variant(name))
        outputs = {contestant: np.asarray(run()) for contestant, run in running.items()}
        first = outputs["OpenVINO EmbeddingBagOffsetsSum"]
        for contestant, output in outputs.items():
            np.testing.assert_allclose(output, first, atol=2e-4, err_msg=contestant)
        if options.competitor and label == "M0":
            running[competitor.NAME] = theirs(*options.competitor, get_variant(name))
            off = float(np.linalg.norm(running[competitor.NAME]() - first) / np.linalg.norm(first))
            print(f"{competitor.NAME}: relative L2 difference {off:.1%}")
        with torch.inference_mode():
            timings = take_turns(running, rounds=ROUNDS, warmup=3)
        show(f"{label}: one pooling, ms", timings)
        results[label] = timings
    save("pool", {"rounds": ROUNDS, "results": results, "competitor_off": off})


if __name__ == "__main__":
    main()
