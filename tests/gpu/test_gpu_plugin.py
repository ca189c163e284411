"""The small model on OpenVINO's own GPU plugin, with no GPU: does it compile there, and are the numbers right?"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from occvino.conversion import convert
from tests.gpu import fakegpu
from tests.gpu.compare import compare

pytestmark = pytest.mark.gpu


def test_fp32_agrees_with_the_cpu_plugin(nano):
    result = compare(nano, "GPU", "fp32")
    assert result.ran_on == ("GPU.0",)
    assert result.max_error < 1e-3, result
    assert result.labels > 0.999, result


def test_pooling_by_columns_agrees_too(tmp_path):
    artifact = convert("occvino-nano", None, tmp_path / "npu", precision="fp32", device="NPU", outputs=("logits",))
    assert artifact.manifest.columns is not None
    result = compare(artifact, "GPU", "fp32")
    assert result.max_error < 1e-3, result
    assert result.labels > 0.999, result


@pytest.mark.parametrize("pooling", ["columns", "scatter"])
def test_calibration_as_matrices_agrees_too(tmp_path, pooling):
    more = {"precision": "fp32", "outputs": ("logits",), "calibration": "matrices", "pooling": pooling}
    result = compare(convert("occvino-nano", None, tmp_path / "matrices", **more), "GPU", "fp32")
    assert result.labels > 0.995, result  # a kernel of the plugin may round otherwise, at borders of cells
    assert result.mean_error < 1e-2, result


@pytest.mark.parametrize("device", ["HETERO:GPU,CPU", "AUTO:GPU"])
def test_hetero_and_auto_agree_too(nano, device):
    result = compare(nano, device, "fp32")
    assert any("GPU" in name for name in result.ran_on), result
    assert result.max_error < 1e-3, result
    assert result.labels > 0.999, result


def test_stages_on_cpu_and_gpu_stream_what_the_whole_gives(nano, tmp_path):
    layer = fakegpu.build_layer(tmp_path)
    script = Path(__file__).with_name("stages_on_gpu.py")
    subprocess.run([sys.executable, script, layer, nano.path, tmp_path / "out.npz"], check=True)
    with np.load(tmp_path / "out.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    told = json.loads(str(arrays.pop("told")))
    ran_on = {name: stage["devices"] for name, stage in told["split"]["stages"].items()}
    assert ran_on == {"encoder": ["CPU"], "pool": ["GPU.0"], "trunk": ["GPU.0"]}
    assert told["split"]["precision"] == "fp32"
    scale = arrays["expected_0"].std()
    for index in range(2):
        assert np.abs(arrays[f"found_{index}"] - arrays[f"expected_{index}"]).max() / scale < 1e-3
    assert np.abs(arrays["found_0"] - arrays["found_1"]).max() / scale > 1e-2
    assert told["failure"] == "frame 2: FrameError: image folder not found: no such folder"
    assert told["auto"]["devices"] == ["GPU.0"], "with a precision asked for, the CPU must not stand in at first"
    assert (told["throughput"]["hint"], told["throughput"]["streams"]) == ("throughput", 2)
    for name in ("threads", "streams", "bf16"):
        assert told[name].startswith("refused: GPU cannot run this model"), name


def test_fp16_hint_is_reported(nano, record_property):
    """The layer's reference kernels accumulate in half precision, which overstates a GPU's error: a report, no verdict.

    What is asserted is that it runs there and gives finite logits of the right kind.
    """
    result = compare(nano, "GPU", "fp16")
    record_property("fp16", str(result))
    print(result)
    assert result.ran_on == ("GPU.0",)
    assert result.mean_error < 0.5, result


@pytest.mark.slow
def test_m0_at_full_size_agrees(tmp_path: Path):
    """About two minutes for the frame."""
    artifact = convert("flashocc-r50-M0", None, tmp_path / "m0", precision="fp32", outputs=("logits",))
    result = compare(artifact, "GPU", "fp32")
    print(result)
    assert result.max_error < 1e-3, result
    assert result.labels > 0.999, result
