"""The GPU plugin computes what is marked in fp32, under the hint f16 as well."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from occvino.conversion.rewrite import write_ir
from tests.gpu import fakegpu

pytestmark = pytest.mark.gpu


def gate():
    """As the gates of a depth net: focal lengths and rotations, two layers, a sigmoid; one product with an image."""
    rng = np.random.default_rng(0)
    cameras, image = (
        ops.parameter([6, 27], np.float32, name="cameras"),
        ops.parameter([6, 32], np.float32, name="image"),
    )
    hidden = ops.relu(ops.matmul(cameras, rng.normal(0, 0.01, (27, 32)).astype(np.float32), False, False, name="first"))
    gates = ops.sigmoid(
        ops.matmul(hidden, rng.normal(0, 0.5, (32, 32)).astype(np.float32), False, False, name="second")
    )
    for node, name in ((hidden, "hidden"), (gates, "gates")):
        node.set_friendly_name(name)
    results = [ops.result(gates), ops.result(ops.multiply(gates, image))]
    return ov.Model(results, [cameras, image], "gate")


def test_marked_operators_are_exact_in_half_precision(tmp_path):
    rng = np.random.default_rng(1)
    given = {"cameras": rng.normal(size=(6, 27)), "image": rng.normal(size=(6, 32))}
    given["cameras"][:, :2] += 1266.0
    given = {name: value.astype(np.float32) for name, value in given.items()}
    np.savez(tmp_path / "in.npz", **given)
    expected = ov.Core().compile_model(gate(), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(given)[0]
    layer, errors = fakegpu.build_layer(tmp_path), {}
    for name, marks in (("plain", set()), ("marked", {"first", "hidden", "second", "gates"})):
        write_ir(gate(), tmp_path / f"{name}.xml", marks)
        script = Path(__file__).with_name("infer.py")
        files = (tmp_path / f"{name}.xml", tmp_path / "in.npz", tmp_path / "out.npz")
        subprocess.run([sys.executable, script, layer, *files, "f16"], check=True)
        with np.load(tmp_path / "out.npz") as found:
            errors[name] = float(np.abs(found["output0"] - expected).max())
    assert errors["plain"] > 1e-3
    assert errors["marked"] < 1e-5
