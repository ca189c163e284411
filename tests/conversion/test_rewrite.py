"""Marks that keep operators in fp32 are written, kept by OpenVINO, and honoured by the CPU plugin."""

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from occvino.conversion.rewrite import read_to_change, write_ir
from occvino.runtime.calibration import calibration_nodes, cut_calibration
from tests.converted import converted
from tests.small import known


def marked(path):
    """Names of the operators that carry OpenVINO's mark, in either of its spellings."""
    found = set()
    for layer in path.read_text().split("<layer ")[1:]:
        if 'name="precise"' in layer or "DisablePrecisionConversion" in layer:
            found.add(layer.partition('name="')[2].partition('"')[0])
    return found


def products():
    return gates(products=True)


def products_of(x, weights):
    first = ops.matmul(x, weights, False, False, name="first")
    second = ops.matmul(first, weights, False, False, name="second")
    return ov.Model([ops.result(second)], [x], "products")


def test_marks_are_written_and_kept_when_a_model_is_saved_again(tmp_path):
    path = tmp_path / "m.xml"
    write_ir(products(), path, {"first"})
    assert marked(path) == {"first"}
    model = read_to_change(path)
    write_ir(model, path, {"second"})
    assert marked(path) == {"first", "second"}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["m.bin", "m.xml"]


def gates(products):
    """Two linear layers on 64 numbers of 4 cameras: as matrix products, or as convolutions of one pixel."""
    x = ops.parameter([4, 64], np.float32, name="x")
    weights = np.random.default_rng(0).normal(1000.0, 1.0, (64, 64)).astype(np.float32)
    if products:
        return products_of(x, weights)
    found = ops.reshape(x, np.array([4, 64, 1, 1]), False, name="brought to shape")
    for name in ("first", "second"):
        kernel = np.ascontiguousarray(weights.T)[:, :, None, None]
        found = ops.convolution(found, kernel, [1, 1], [0, 0], [0, 0], [1, 1], name=name)
    return ov.Model([ops.result(ops.reshape(found, np.array([4, 64]), False))], [x], "convolutions")


def computed(path, marks, hint, *, products):
    write_ir(gates(products), path, marks)
    x = np.random.default_rng(1).normal(size=(4, 64)).astype(np.float32)
    return ov.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": hint})([x])[0]


@pytest.mark.usefixtures("bf16")
def test_the_cpu_plugin_computes_what_is_marked_in_fp32(tmp_path):
    path, marks = tmp_path / "m.xml", {"brought to shape", "first", "second"}
    exact = computed(path, (), "f32", products=False)
    assert np.abs(computed(path, (), "bf16", products=False) - exact).max() > 1e-4 * exact.std()
    np.testing.assert_allclose(computed(path, marks, "bf16", products=False), exact, rtol=1e-5)


@pytest.mark.usefixtures("bf16")
def test_calibration_is_computed_in_fp32_where_the_rest_is_in_bf16(tmp_path):
    """Products with constant weights would not be (OpenVINO 2026.4.1, CPUs with AMX): a depth net has convolutions."""
    with known():
        artifact = converted("small-pano", None, tmp_path / "a", precision="fp32", cameras=2)
    part, _ = cut_calibration(ov.Core().read_model(artifact.path / "model.xml"))
    cameras = np.random.default_rng(0).normal(size=part.inputs[0].shape).astype(np.float32)
    cameras[:, :2] += 1266.0
    exact, found = (
        list(ov.Core().compile_model(part, "CPU", {"INFERENCE_PRECISION_HINT": hint})([cameras]).values())
        for hint in ("f32", "bf16")
    )
    for here, there in zip(found, exact, strict=True):
        np.testing.assert_allclose(here, there, atol=1e-3 * np.abs(there).max())  # they end in f16


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_what_computes_with_calibration_alone_is_marked(precision, tmp_path):
    with known():
        artifact = converted("small-pano", None, tmp_path / "a", precision=precision, cameras=2)
    model = ov.Core().read_model(artifact.path / "model.xml")
    kinds = {op.get_friendly_name(): op.get_type_name() for op in model.get_ops()}
    expected = {op.get_friendly_name() for op in calibration_nodes(model) if op.get_type_name() != "Parameter"}
    found = marked(artifact.path / "model.xml")
    assert len(expected) > 20
    assert found >= expected
    assert {kinds[name] for name in found - expected} <= {"Convert", "Constant", "Parameter"}  # weights kept in fp32
