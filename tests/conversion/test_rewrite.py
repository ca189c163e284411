"""Marks that keep operators in fp32 are written, kept by OpenVINO, and honoured by the CPU plugin."""

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from occvino.conversion import convert
from occvino.conversion.rewrite import read_to_change, write_ir
from occvino.runtime.calibration import calibration_nodes
from tests.small import known


def marked(path):
    """Names of the operators that carry OpenVINO's mark, in either of its spellings."""
    found = set()
    for layer in path.read_text().split("<layer ")[1:]:
        if 'name="precise"' in layer or "DisablePrecisionConversion" in layer:
            found.add(layer.partition('name="')[2].partition('"')[0])
    return found


def products():
    x = ops.parameter([4, 64], np.float32, name="x")
    weights = np.random.default_rng(0).normal(1000.0, 1.0, (64, 64)).astype(np.float32)
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


def test_the_cpu_plugin_computes_what_is_marked_in_fp32(tmp_path):
    if "BF16" not in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU computes nothing in bf16")
    x = np.random.default_rng(1).normal(size=(4, 64)).astype(np.float32)
    write_ir(products(), tmp_path / "plain.xml")
    write_ir(products(), tmp_path / "marked.xml", {"first", "second"})
    exact, plain, kept = (
        ov.Core().compile_model(tmp_path / name, "CPU", {"INFERENCE_PRECISION_HINT": hint})([x])[0]
        for name, hint in (("plain.xml", "f32"), ("plain.xml", "bf16"), ("marked.xml", "bf16"))
    )
    assert np.abs(plain - exact).max() > 1e-4 * exact.std()
    np.testing.assert_allclose(kept, exact, rtol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_what_computes_with_calibration_alone_is_marked(precision, tmp_path):
    with known():
        artifact = convert("small-pano", None, tmp_path / "a", precision=precision, cameras=2)
    model = ov.Core().read_model(artifact.path / "model.xml")
    kinds = {op.get_friendly_name(): op.get_type_name() for op in model.get_ops()}
    expected = {op.get_friendly_name() for op in calibration_nodes(model) if op.get_type_name() != "Parameter"}
    found = marked(artifact.path / "model.xml")
    assert len(expected) > 20
    assert found >= expected
    assert {kinds[name] for name in found - expected} <= {"Convert", "Constant", "Parameter"}  # weights kept in fp32
