"""Poolers of TensorRT exports: those that are known give what their kernels do, the others are named and refused."""

import numpy as np
import onnx
import openvino as ov
import pytest
from onnx import helper, numpy_helper

from occvino.bev_pool import mmdeploy_reference
from occvino.conversion import read_onnx
from occvino.errors import OccvinoError
from tests.test_bev_pool import mmdeploy_inputs

OUT = {"out_height": 3, "out_width": 4}
GRID = {"bev_h": 3, "bev_w": 4, "n": 2}


@pytest.fixture
def inputs():
    return mmdeploy_inputs(np.random.default_rng(5).integers(-1, 12, 48))


def write(path, op_type, domain, inputs, attributes, out_shape=None, frozen=()):
    """A file with one node and a Relu behind it."""
    node = helper.make_node(op_type, list(inputs), ["pooled"], "pool_3", domain=domain, **attributes)
    values = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in inputs.items()
        if name not in frozen
    ]
    constants = [numpy_helper.from_array(inputs[name], name) for name in frozen]
    bev = helper.make_tensor_value_info("bev", onnx.TensorProto.FLOAT, out_shape)
    graph = helper.make_graph([node, helper.make_node("Relu", ["pooled"], ["bev"])], "g", values, [bev], constants)
    domains = dict.fromkeys(["", domain])
    onnx.save(
        helper.make_model(
            graph, opset_imports=[helper.make_opsetid(name, 17 if not name else 1) for name in domains], ir_version=10
        ),
        path,
    )
    return path


def run(path, inputs, frozen=()):
    model = read_onnx(path)
    assert all(op.get_type_info().version_id.startswith("opset") for op in model.get_ops())
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled({name: array for name, array in inputs.items() if name not in frozen})[0]


@pytest.mark.parametrize("domain", ["", "custom", "trt", "mmdeploy"])
@pytest.mark.parametrize("op_type", ["bev_pool_v2", "BEVPoolV2TRT", "BEVPoolV2TRT2"])
def test_poolers_with_channels_last(tmp_path, inputs, op_type, domain):
    found = run(write(tmp_path / "m.onnx", op_type, domain, inputs, OUT), inputs)
    expected = mmdeploy_reference(**inputs, out_height=3, out_width=4)
    assert found.shape == (1, 3, 4, 5)
    np.testing.assert_allclose(found, np.maximum(expected, 0), atol=1e-5)


@pytest.mark.parametrize("domain", ["", "bevdet", "trt"])
def test_the_pooler_with_channels_first(tmp_path, inputs, domain):
    """By the arithmetic of its kernel on flat memory."""
    inputs["feat"] = np.ascontiguousarray(inputs["feat"].transpose(0, 3, 1, 2))
    _, channels, height, width = inputs["feat"].shape
    depth, feat, pixels = inputs["depth"].ravel(), inputs["feat"].ravel(), height * width
    expected = np.zeros((channels, 12))
    for start, length in zip(inputs["interval_starts"], inputs["interval_lengths"], strict=True):
        for channel in range(channels):
            for point in range(start, start + length):
                image, pixel = divmod(int(inputs["ranks_feat"][point]), pixels)
                value = feat[(image * channels + channel) * pixels + pixel] * depth[inputs["ranks_depth"][point]]
                expected[channel, inputs["ranks_bev"][start]] += value
    found = run(write(tmp_path / "m.onnx", "BEVPool", domain, inputs, GRID), inputs)
    np.testing.assert_allclose(found, np.maximum(expected, 0).reshape(1, channels, 3, 4), atol=1e-5)


def test_several_poolers_in_one_file(tmp_path, inputs):
    path = write(tmp_path / "m.onnx", "BEVPoolV2TRT", "", inputs, OUT)
    file = onnx.load(path)
    other = helper.make_node("bev_pool_v2", list(inputs), ["other"], domain="mmdeploy", **OUT)
    file.graph.node.insert(0, other)
    file.graph.output.append(helper.make_tensor_value_info("other", onnx.TensorProto.FLOAT, None))
    file.opset_import.append(helper.make_opsetid("mmdeploy", 1))
    onnx.save(file, path)
    compiled = ov.Core().compile_model(read_onnx(path), "CPU")
    found = compiled(inputs)
    np.testing.assert_array_equal(found["bev"], np.maximum(found["other"], 0))
    assert found["other"].any()


@pytest.mark.parametrize(
    ("op_type", "domain", "names", "attributes", "words"),
    [
        (
            "BEVPooling",
            "",
            ("feat", "depth", "intervals", "geometry", "num_intervals"),
            {"C": 5, "H": 3, "W": 4},
            r"node 'pool_3' is BEVPooling \(of no domain\), inputs feat, depth, intervals, geometry, num_intervals, "
            r"attributes C, H, W: a pooler that occvino does not know\. It reads those with the seven inputs depth, ",
        ),
        ("BEVPoolV2", "custom", ("x", "geometry", "starts", "lengths"), {}, "custom::BEVPoolV2, inputs x, geometry"),
        ("BEVPool", "trt", None, {"bev_h": 3, "bev_w": 4}, "trt::BEVPool, .* bev_h, bev_w and n"),
        ("Preprocess", "bevdet", ("x",), {}, "bevdet::Preprocess.*OpenVINO has no such operator, and occvino does not"),
        ("BEVPoolV2TRT", "", None, {}, "BEVPoolV2TRT: the node has no attributes out_height and out_width"),
        ("bev_pool_v2", "trt", None, {**OUT, "output_z": 2}, "bev_pool_v2: output_z is 2; only a BEV one cell high"),
        ("BEVPool", "", None, {**GRID, "n": 1}, r"BEVPool: depth has shape \[2,3,2,4\] and feat has shape \[2,2,4,5\]"),
    ],
)
def test_what_is_not_known_is_refused_by_name(tmp_path, inputs, op_type, domain, names, attributes, words):
    given = inputs if names is None else dict.fromkeys(names, np.zeros((2, 2), np.float32))
    path = write(tmp_path / "m.onnx", op_type, domain, given, attributes)
    with pytest.raises(OccvinoError, match=words) as refused:
        read_onnx(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert "No conversion rule" not in str(refused.value)


def test_channels_on_the_other_side_are_refused(tmp_path, inputs):
    """They would be pooled into something plausible."""
    inputs["feat"] = np.ascontiguousarray(inputs["feat"].transpose(0, 3, 1, 2))
    with pytest.raises(OccvinoError, match=r"depth has shape \[2,3,2,4\] and feat has shape \[2,5,2,4\], expected"):
        read_onnx(write(tmp_path / "m.onnx", "bev_pool_v2", "mmdeploy", inputs, OUT))


def test_a_batch_of_two_is_refused(tmp_path, inputs):
    inputs["feat"] = np.ascontiguousarray(inputs["feat"].transpose(0, 3, 1, 2))
    with pytest.raises(OccvinoError, match="BEVPool: feat has 2 images, and n is 1: only a batch of one"):
        read_onnx(write(tmp_path / "m.onnx", "BEVPool", "", inputs, {**GRID, "n": 1}))


@pytest.mark.parametrize("frozen", [["interval_starts"], ["interval_starts", "interval_lengths"]])
def test_starts_that_do_not_ascend_are_sorted_where_they_are_constants(tmp_path, inputs, frozen):
    """With their lengths, be those in the file or not; the sum is the same in any order."""
    order = np.random.default_rng(2).permutation(len(inputs["interval_starts"]))
    inputs |= {name: inputs[name][order] for name in ("interval_starts", "interval_lengths")}
    assert (np.diff(inputs["interval_starts"]) < 0).any()
    expected = mmdeploy_reference(**inputs, out_height=3, out_width=4)
    found = run(write(tmp_path / "m.onnx", "bev_pool_v2", "trt", inputs, OUT, frozen=frozen), inputs, frozen)
    np.testing.assert_allclose(found, np.maximum(expected, 0), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("wrong", ["overlap", "twice"])
def test_intervals_that_overlap_are_found_where_they_are_constants(tmp_path, inputs, wrong, dtype):
    frozen = [name for name in inputs if name.startswith("interval")]
    inputs |= {name: inputs[name].astype(dtype) for name in frozen}
    starts, lengths = (inputs[name] for name in frozen)
    expected = mmdeploy_reference(**inputs, out_height=3, out_width=4)
    found = run(write(tmp_path / "good.onnx", "BEVPoolV2TRT", "", inputs, OUT, frozen=frozen), inputs, frozen)
    np.testing.assert_allclose(found, np.maximum(expected, 0), atol=1e-5)
    if wrong == "overlap":
        lengths[1] += 1
    else:
        starts[1] = starts[0]
    with pytest.raises(OccvinoError, match="intervals overlap: interval .* sort the points by ranks_bev"):
        read_onnx(write(tmp_path / "bad.onnx", "BEVPoolV2TRT", "", inputs, OUT, frozen=frozen))


@pytest.mark.parametrize("content", [b"", b"not a model", None])
def test_what_is_no_onnx_file_is_said(tmp_path, content):
    path = tmp_path / "m.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OccvinoError, match=r"m\.onnx"):
        read_onnx(path)
