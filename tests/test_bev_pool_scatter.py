"""Pooling by a scatter that sums: the same sums as the bag, on random cells, in its reference and in OpenVINO."""

import numpy as np
import openvino as ov
import openvino.opset8 as ops
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occvino.bev_pool import bev_pool_reference
from occvino.bev_pool_scatter import (
    SPARE,
    bev_pool_pieces_openvino,
    bev_pool_points_openvino,
    bev_pool_scatter_reference,
    dealt,
)
from occvino.geometry.lift import OUTSIDE, PoolingPlan

N, D, H, W, C = 2, 3, 4, 5, 6


def run(outputs: list[ov.Output], parameters: list[ov.Node], arrays: list[np.ndarray]) -> list[np.ndarray]:
    model = ov.Model(outputs, parameters, "pool")
    assert all(op.get_type_info().version_id.startswith("opset") for op in model.get_ops())
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return list(compiled(arrays).values())


def pooled(cell: np.ndarray, cells: int, pieces: int, seed: int) -> dict[str, np.ndarray]:
    """`cell` [N, D, fH, fW], `cells` and more for none."""
    rng = np.random.default_rng(seed)
    depth, feat = rng.random((N, D, H, W), dtype=np.float32), rng.standard_normal((N, H, W, C), dtype=np.float32)
    a, b = (ops.parameter(each.shape, each.dtype) for each in (depth, feat))
    flat = ops.parameter([cell.size], np.int32)
    (by_point,) = run(
        [bev_pool_points_openvino(a.output(0), b.output(0), flat.output(0), cells)],
        [a, b, flat],
        [depth, feat, cell.reshape(-1).astype(np.int32)],
    )
    upright = cell.transpose(0, 3, 1, 2).reshape(N * W, D, H).astype(np.float32)
    a, b, columns = (ops.parameter(each.shape, each.dtype) for each in (depth, feat, upright))
    outputs = bev_pool_pieces_openvino(a.output(0), b.output(0), columns.output(0), cells, pieces)
    by_piece, lost = run(list(outputs), [a, b, columns], [depth, feat, upright])
    owner = np.where(cell < cells, cell, OUTSIDE).astype(np.int32).reshape(-1)
    plan = PoolingPlan.from_cells(owner, cells, depth_bins=D, pixels=H * W)
    expected, expected_lost = bev_pool_scatter_reference(depth, feat, cell, cells, pieces)
    return {
        "bag": bev_pool_reference(depth, feat, **plan.inputs()),
        "all": bev_pool_scatter_reference(depth, feat, cell, cells)[0],
        "by_point": by_point,
        "pieces": expected,
        "by_piece": by_piece,
        "lost": np.array([lost[0], expected_lost]),
    }


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.4, 1.0]), st.integers(1, 40), st.integers(1, H))
@settings(max_examples=40, deadline=None)
def test_random_cells(seed: int, outside: float, cells: int, pieces: int):
    """Cells in any order, so that one may come back in a column; pieces enough or too few."""
    rng = np.random.default_rng(seed)
    cell = rng.integers(0, cells, (N, D, H, W))
    away = rng.random(cell.shape) < outside
    cell[away] = dealt(cell.shape, cells)[away]
    found = pooled(cell, cells, pieces, seed)
    np.testing.assert_allclose(found["all"], found["bag"], atol=1e-9)
    np.testing.assert_allclose(found["by_point"], found["bag"], atol=1e-4)
    np.testing.assert_allclose(found["by_piece"], found["pieces"], atol=1e-4)
    assert found["lost"][0] == found["lost"][1]
    if pieces == H:
        assert found["lost"][0] == 0
        np.testing.assert_allclose(found["pieces"], found["bag"], atol=1e-9)


def test_points_without_a_piece_are_counted():
    """Four cells in each column, and places for two: half of the points."""
    cell = np.broadcast_to(np.arange(H)[:, None], (N, D, H, W)).copy()
    assert pooled(cell, H, 2, 0)["lost"].tolist() == [N * D * W * 2] * 2


@pytest.mark.parametrize("cells", [1, 640_000])
def test_what_is_outside_is_dealt_to_rows_behind_the_cells(cells: int):
    found = dealt((3, 1000), cells)
    assert found.dtype == np.float32
    assert found.min() == cells
    assert found.max() == cells + SPARE - 1
    assert len(np.unique(found)) == SPARE
