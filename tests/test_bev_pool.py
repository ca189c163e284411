"""The four dialects of the pooling operator agree, on random plans and on the awkward ones."""

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
import openvino as ov
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from occvino.bev_pool import (
    DOMAIN,
    MMDEPLOY_DOMAIN,
    MMDEPLOY_OP_TYPE,
    OP_TYPE,
    bev_pool_reference,
    bev_pool_torch,
    mmdeploy_reference,
    onnx_function,
    openvino_extensions,
)
from occvino.conversion import read_onnx
from occvino.errors import OccvinoError
from occvino.geometry.lift import OUTSIDE, PoolingPlan

PLAN = ("ranks_depth", "ranks_feat", "interval_starts")


def onnx_model(inputs: dict[str, np.ndarray], cells: int) -> onnx.ModelProto:
    """One `occvino::BevPoolV2` node with the function that defines it."""
    kinds = {
        np.dtype("float32"): TensorProto.FLOAT,
        np.dtype("int32"): TensorProto.INT32,
        np.dtype("int64"): TensorProto.INT64,
    }
    graph = helper.make_graph(
        [helper.make_node(OP_TYPE, list(inputs), ["bev"], domain=DOMAIN)],
        "pool",
        [helper.make_tensor_value_info(name, kinds[array.dtype], array.shape) for name, array in inputs.items()],
        [helper.make_tensor_value_info("bev", TensorProto.FLOAT, [cells, inputs["feat"].shape[-1]])],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(DOMAIN, 1)]
    model = helper.make_model(graph, opset_imports=opsets, functions=[onnx_function()], ir_version=10)
    onnx.checker.check_model(model)
    return model


def run_onnxruntime(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


def run_openvino(model: onnx.ModelProto, inputs: dict[str, np.ndarray], path) -> np.ndarray:
    onnx.save(model, path)
    converted = ov.convert_model(str(path), extension=openvino_extensions())
    assert "EmbeddingBagOffsetsSum" in {op.get_type_name() for op in converted.get_ops()}
    assert all(op.get_type_info().version_id.startswith("opset") for op in converted.get_ops())
    compiled = ov.Core().compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return next(iter(compiled(inputs).values()))


def run_torch(inputs: dict[str, np.ndarray]) -> np.ndarray:
    return bev_pool_torch(*(torch.from_numpy(array) for array in inputs.values())).numpy()


def make_inputs(
    cell: np.ndarray, cells: int, *, n=2, d=3, h=2, w=4, c=5, dtype=np.int32, seed=0
) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    plan = PoolingPlan.from_cells(cell.astype(np.int32), cells, depth_bins=d, pixels=h * w)
    return {
        "depth": rng.random((n, d, h, w), dtype=np.float32),
        "feat": rng.standard_normal((n, h, w, c), dtype=np.float32),
        **{name: array.astype(dtype) for name, array in plan.inputs().items()},
    }


def assert_all_agree(inputs: dict[str, np.ndarray], tmp_path) -> np.ndarray:
    expected = bev_pool_reference(**inputs)
    model = onnx_model(inputs, expected.shape[0])
    scale = max(1.0, float(np.abs(expected).max()))
    for name, found in {
        "torch": run_torch(inputs),
        "onnx": run_onnxruntime(model, inputs),
        "openvino": run_openvino(model, inputs, tmp_path / "pool.onnx"),
    }.items():
        np.testing.assert_allclose(found, expected, atol=2e-6 * scale, err_msg=name)
    return expected


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(0, 2**32 - 1), st.sampled_from([np.int32, np.int64]))
def test_dialects_agree_on_random_plans(tmp_path_factory, cells, seed, dtype):
    cell = np.random.default_rng(seed).integers(OUTSIDE, cells, 48)
    assert_all_agree(make_inputs(cell, cells, dtype=dtype, seed=seed), tmp_path_factory.mktemp("pool"))


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_an_empty_grid_gives_zeros(tmp_path, dtype):
    bev = assert_all_agree(make_inputs(np.full(48, OUTSIDE), 7, dtype=dtype), tmp_path)
    assert not bev.any()


def test_one_point_gives_one_product(tmp_path):
    cell = np.full(48, OUTSIDE)
    cell[30] = 4  # camera 1, depth bin 0, pixel 6
    inputs = make_inputs(cell, 7)
    bev = assert_all_agree(inputs, tmp_path)
    np.testing.assert_allclose(bev[4], inputs["depth"][1, 0, 1, 2] * inputs["feat"][1, 1, 2], rtol=1e-6)
    assert not np.delete(bev, 4, axis=0).any()


def test_a_cell_with_a_thousand_points(tmp_path):
    cell = np.full(2000, OUTSIDE)
    cell[::2] = 3
    assert_all_agree(make_inputs(cell, 5, n=2, d=10, h=10, w=10), tmp_path)


def test_the_last_cells_may_be_the_empty_ones(tmp_path):
    """Trailing empty bags are what plugins refuse; a plan has none."""
    assert_all_agree(make_inputs(np.zeros(48), 9), tmp_path)


def test_an_infinite_feature_stays_in_its_cells():
    """A feature that overflowed poisons the cells its own rays reach, and no other through an entry of weight zero."""
    cell = np.full(48, OUTSIDE)
    cell[0] = 2  # camera 0, depth bin 0, pixel 0
    inputs = make_inputs(cell, 7)
    inputs["feat"][0, 0, 0] = np.inf
    for bev in (bev_pool_reference(**inputs), run_torch(inputs), run_onnxruntime(onnx_model(inputs, 7), inputs)):
        assert np.isinf(bev[2]).all()
        assert not np.delete(bev, 2, axis=0).any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees():
    inputs = make_inputs(np.random.default_rng(0).integers(OUTSIDE, 7, 48), 7)
    found = bev_pool_torch(*(torch.from_numpy(array).cuda() for array in inputs.values()))
    np.testing.assert_allclose(found.cpu().numpy(), bev_pool_reference(**inputs), atol=1e-5)


def test_gradients_reach_depth_and_features():
    inputs = make_inputs(np.arange(48) % 7, 7)
    depth, feat, *plan = (torch.from_numpy(array) for array in inputs.values())
    bev_pool_torch(depth.requires_grad_(), feat.requires_grad_(), *plan).square().sum().backward()
    assert depth.grad.abs().sum() > 0
    assert feat.grad.abs().sum() > 0


# --- mmdeploy::bev_pool_v2 ------------------------------------------------------------------------------------------


def mmdeploy_inputs(cell: np.ndarray, *, n=2, d=3, h=2, w=4, c=5, dtype=np.int32, seed=0) -> dict[str, np.ndarray]:
    """The seven inputs as BEVDet's `voxel_pooling_prepare_v2` makes them."""
    rng = np.random.default_rng(seed)
    points = np.flatnonzero(cell != OUTSIDE)
    points = points[np.argsort(cell[points], kind="stable")]
    ranks_bev = cell[points]
    starts = np.flatnonzero(np.append(True, ranks_bev[1:] != ranks_bev[:-1]))
    integers = {
        "ranks_depth": points,
        "ranks_feat": points // (d * h * w) * h * w + points % (h * w),
        "ranks_bev": ranks_bev,
        "interval_starts": starts,
        "interval_lengths": np.diff(np.append(starts, points.size)),
    }
    return {
        "depth": rng.random((n, d, h, w), dtype=np.float32),
        "feat": rng.standard_normal((n, h, w, c), dtype=np.float32),
        **{name: value.astype(dtype) for name, value in integers.items()},
    }


def mmdeploy_model(
    inputs: dict[str, np.ndarray], attributes: dict[str, int], out_shape: list[int], frozen: Sequence[str] = ()
) -> onnx.ModelProto:
    """A file with one node; the inputs named in `frozen` are constants of it."""
    node = helper.make_node(MMDEPLOY_OP_TYPE, list(inputs), ["bev"], domain=MMDEPLOY_DOMAIN, **attributes)
    output_type = helper.np_dtype_to_tensor_dtype(inputs["feat"].dtype)
    graph = helper.make_graph(
        [node],
        "pool",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in inputs.items()
            if name not in frozen
        ],
        [helper.make_tensor_value_info("bev", output_type, out_shape)],
        [numpy_helper.from_array(inputs[name], name) for name in frozen],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(MMDEPLOY_DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([np.int32, np.int64]),
    st.sampled_from([("out_height", "out_width"), ("output_height", "output_width")]),
)
def test_mmdeploy_nodes_are_understood(tmp_path_factory, seed, dtype, names):
    cell = np.random.default_rng(seed).integers(OUTSIDE, 12, 48)
    cell[0] = 5  # at least one interval
    inputs = mmdeploy_inputs(cell, dtype=dtype, seed=seed)
    expected = mmdeploy_reference(**inputs, out_height=3, out_width=4)
    model = mmdeploy_model(inputs, dict(zip(names, (3, 4), strict=True)), [1, 3, 4, 5])
    found = run_openvino(model, inputs, tmp_path_factory.mktemp("pool") / "m.onnx")
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("constant_plan", [False, True])
@pytest.mark.parametrize("five_dimensions", [False, True])
@pytest.mark.parametrize("half", [(), ("depth",), ("feat",), ("depth", "feat")])
def test_mmdeploy_nodes_as_files_really_hold_them(tmp_path, half, five_dimensions, constant_plan):
    """Half precision on either side, a batch axis of one, and ranks that were frozen into the file."""
    inputs = mmdeploy_inputs(np.random.default_rng(3).integers(OUTSIDE, 12, 48))
    expected = mmdeploy_reference(**inputs, out_height=3, out_width=4)
    if five_dimensions:
        inputs |= {name: inputs[name][None] for name in ("depth", "feat")}
    inputs |= {name: inputs[name].astype(np.float16) for name in half}
    frozen = [name for name in inputs if constant_plan and inputs[name].dtype == np.int32]
    model = mmdeploy_model(inputs, {"out_height": 3, "out_width": 4}, [1, 3, 4, 5], frozen)
    given = {name: array for name, array in inputs.items() if name not in frozen}
    np.testing.assert_allclose(run_openvino(model, given, tmp_path / "m.onnx"), expected, atol=2e-2 if half else 1e-5)


def test_mmdeploy_with_a_batch_of_two_is_refused(tmp_path):
    inputs = mmdeploy_inputs(np.arange(48) % 6)
    inputs |= {name: np.stack([inputs[name]] * 2) for name in ("depth", "feat")}
    with pytest.raises(Exception, match=r"expected \[N, D, fH, fW\] and \[N, fH, fW, C\], or \[1, N, D"):
        run_openvino(
            mmdeploy_model(inputs, {"out_height": 2, "out_width": 3}, [1, 2, 3, 5]), inputs, tmp_path / "m.onnx"
        )


def test_mmdeploy_points_outside_every_interval_weigh_nothing(tmp_path):
    """Padded files carry points that no interval covers; the CUDA kernel never reads them."""
    inputs = mmdeploy_inputs(np.arange(48) // 8)
    inputs["interval_starts"] = inputs["interval_starts"][1:] + 2
    inputs["interval_lengths"] = inputs["interval_lengths"][1:] - 3
    expected = mmdeploy_reference(**inputs, out_height=2, out_width=3)
    model = mmdeploy_model(inputs, {"out_height": 2, "out_width": 3}, [1, 2, 3, 5])
    np.testing.assert_allclose(run_openvino(model, inputs, tmp_path / "m.onnx"), expected, atol=1e-5)


class TensorRTPool(torch.autograd.Function):
    """How deployment code emits the node through the legacy exporter; the value does not matter to the export."""

    @staticmethod
    def symbolic(g, *inputs):
        return g.op("mmdeploy::bev_pool_v2", *inputs, output_height_i=3, output_width_i=4, output_z_i=1)

    @staticmethod
    def forward(_context, _depth, feat, *_plan):
        return feat.new_zeros(1, 3, 4, feat.shape[-1])


class TensorRTModel(torch.nn.Module):
    def forward(self, depth, feat, *plan):
        return TensorRTPool.apply(depth.softmax(1), feat, *plan).permute(0, 3, 1, 2)


@pytest.mark.filterwarnings("ignore")
def test_a_tensorrt_export_with_dynamic_ranks_is_read(tmp_path):
    inputs = mmdeploy_inputs(np.random.default_rng(1).integers(OUTSIDE, 12, 48))
    dynamic = {name: {0: "points"} for name in inputs if name not in ("depth", "feat")}
    tensors = tuple(torch.from_numpy(array) for array in inputs.values())
    path = tmp_path / "trt.onnx"
    torch.onnx.export(
        TensorRTModel(), tensors, path, dynamo=False, opset_version=16, input_names=list(inputs), dynamic_axes=dynamic
    )
    with pytest.raises(OccvinoError, match=r"the shape of ranks_depth, .* is dynamic.*pass shapes=\{'ranks_depth'"):
        read_onnx(path)
    model = read_onnx(path, {name: inputs[name].shape for name in dynamic})
    found = next(iter(ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(inputs).values()))
    softmax = np.exp(inputs["depth"]) / np.exp(inputs["depth"]).sum(1, keepdims=True)
    expected = mmdeploy_reference(**{**inputs, "depth": softmax}, out_height=3, out_width=4).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_mmdeploy_without_a_size_is_refused(tmp_path):
    inputs = mmdeploy_inputs(np.arange(48) % 6)
    with pytest.raises(Exception, match="no attributes out_height and out_width"):
        run_openvino(mmdeploy_model(inputs, {}, [1, 2, 3, 5]), inputs, tmp_path / "m.onnx")
