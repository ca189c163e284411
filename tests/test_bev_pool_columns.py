"""The column form of pooling: the same sums as the bag, on random plans, in its reference and in OpenVINO."""

from dataclasses import fields

import numpy as np
import openvino as ov
import openvino.opset8 as ops
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occvino.bev_pool import bev_pool_reference
from occvino.bev_pool_columns import bev_pool_columns_openvino, bev_pool_columns_reference
from occvino.geometry.columns import ColumnPlan, ColumnSizes
from occvino.geometry.lift import OUTSIDE, PoolingPlan

N, D, H, W, C = 2, 3, 4, 5, 6
SHAPE = {"cameras": N, "depth_bins": D, "columns": W}


F = 3


def run_openvino(inputs: dict[str, np.ndarray], crowd: int, frames: int) -> np.ndarray:
    parameters = [ops.parameter(value.shape, value.dtype, name=name) for name, value in inputs.items()]
    bev = bev_pool_columns_openvino(*(each.output(0) for each in parameters), crowd=crowd, frames=frames)
    model = ov.Model([bev], parameters, "pool")
    assert all(op.get_type_info().version_id.startswith("opset") for op in model.get_ops())
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return next(iter(compiled(list(inputs.values())).values()))


def pooled(
    frames: list[np.ndarray], cells: int, seed: int, spare: int, dtype: type = np.int32
) -> dict[str, np.ndarray]:
    """The sums by the bag's definition, by the reference of columns, and by its OpenVINO form.

    `frames`: the cells of the points of each.
    """
    rng = np.random.default_rng(seed)
    network = {
        "depth": rng.random((len(frames) * N, D, H, W), dtype=np.float32),
        "feat": rng.standard_normal((len(frames) * N, H, W, C), dtype=np.float32),
    }
    needed = [ColumnSizes.needed(cell, cells=cells, **SHAPE) for cell in frames]
    most = [max(getattr(sizes, each.name) for sizes in needed) for each in fields(ColumnSizes)]
    sizes = ColumnSizes(*(max(1, size) + spare for size in most))
    plan = ColumnPlan.stack([ColumnPlan.from_cells(cell, cells, sizes, **SHAPE) for cell in frames])
    bags = PoolingPlan.stack([PoolingPlan.from_cells(cell, cells, depth_bins=D, pixels=H * W) for cell in frames])
    arrays = {name: array if name == "column_mask" else array.astype(dtype) for name, array in plan.inputs().items()}
    return {
        "bag": bev_pool_reference(**network, **bags.inputs()),
        "reference": bev_pool_columns_reference(**network, **arrays, crowd=sizes.crowd, frames=len(frames)),
        "openvino": run_openvino({**network, **arrays}, sizes.crowd, len(frames)),
    }


def assert_equal(found: dict[str, np.ndarray]) -> None:
    scale = max(1.0, float(np.abs(found["bag"]).max()))
    np.testing.assert_allclose(found["reference"], found["bag"], atol=1e-9 * scale)
    np.testing.assert_allclose(found["openvino"], found["bag"], atol=1e-5 * scale)


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.4, 1.0]),
    st.integers(1, 40),
    st.integers(0, 2),
    st.sampled_from([1, F]),
)
@settings(max_examples=40, deadline=None)
def test_random_plans(seed: int, outside: float, cells: int, spare: int, frames: int):
    """Cells in any order, so that one may come back in a column; some empty, some crowded, some points outside."""
    rng = np.random.default_rng(seed)
    cell = rng.integers(0, cells, (frames, N * D * H * W)).astype(np.int32)
    cell[rng.random(cell.shape) < outside] = OUTSIDE
    assert_equal(pooled(list(cell), cells, seed, spare))


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_all_points_in_one_cell(dtype):
    assert_equal(pooled([np.zeros(N * D * H * W, np.int32)], 3, 0, 0, dtype))


def test_every_point_in_a_cell_of_its_own():
    assert_equal(pooled([np.arange(N * D * H * W, dtype=np.int32)], N * D * H * W, 0, 0))
