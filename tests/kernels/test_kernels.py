"""Which kernel each layer gets on Intel GPUs, by Intel's own compiler. Nothing is run.

A release of OpenVINO or of the driver that changes what is said here fails these tests.
"""

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops
from openvino import opset15

from occvino.artifact import IR
from occvino.conversion import convert
from occvino.errors import DeviceError
from occvino.runtime.gpu_compiler import DEVICES, WORDS, compile_for_gpu, compile_gpu_parts
from tests.small import SMALL, known

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("driver")]

BOTH = {"lunar-lake": "matrix engines", "iris-xe": "none"}
PRODUCTS = ("Convolution", "Gemm", "FullyConnected")
REFERENCE = {
    "activation_ref": "SoftPlus: the plugin has no other kernel for it, and built of others it is four passes",
    "embedding_bag_ref": "the pooling bag: the only kernel there is",
    "gather_ref": "weights of the bag: the only kernel there is",
    "generic_eltwise_ref": "the mean of the images, and parts of a split convolution",
    "permute_ref": "transposes around the pooling, the upsampling and the labels",
    "concatenation_gpu_simple_ref": "a row of zeros behind features and probabilities, without matrix engines",
    "resample_ref": "nearest upsampling of two rows, without matrix engines",
}
"""Kernels that are only meant to be right, and why they are here."""


def layers(parts):
    return [layer for report in parts.values() for layer in report.layers if layer.launches]


@pytest.mark.parametrize("device", BOTH)
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_nano_compiles_and_every_launch_belongs_to_a_layer(nano_on, precision, device):
    parts = nano_on(precision, device)
    assert list(parts) == ([""] if DEVICES[device].matrix else ["front", "trunk"])
    for report in parts.values():
        assert report.ok, (report.message, report.refused)
        assert report.kind == WORDS
        assert report.unassigned == 0
        assert 0 < report.seconds < 120
        assert 100 < report.peak_mib < 4000
    assert sum(layer.type == "Convolution" for layer in layers(parts)) >= 46


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_with_matrix_engines_they_compute_every_product(nano_on, precision):
    for layer in layers(nano_on(precision, "lunar-lake")):
        if layer.type in PRODUCTS:
            assert layer.kernel.startswith("jit:"), layer
            assert layer.matrix, layer


def test_no_convolution_is_in_a_plain_layout_without_them(nano_on):
    kernels = {layer.kernel for layer in layers(nano_on("fp16", "iris-xe")) if layer.type == "Convolution"}
    assert kernels <= {
        *("convolution_gpu_bfyx_to_fs_byx_fsv32", "convolution_gpu_fs_byx_fsv32"),
        *("convolution_gpu_bfyx_f16", "convolution_gpu_bfyx_f16_1x1"),
    }


@pytest.mark.parametrize("device", BOTH)
def test_reference_kernels_are_those_that_have_a_reason(nano_on, device):
    found = {layer.kernel for layer in layers(nano_on("fp16", device)) if layer.reference}
    assert found <= set(REFERENCE)


def test_what_was_mended_stays_so(nano_on):
    """Work items of the layers that took too many (docs/gpu.md)."""
    found = layers(nano_on("fp16", "lunar-lake"))
    kinds = {kind: [layer for layer in found if layer.type == kind] for kind in ("ArgMax", "Concat", "StridedSlice")}
    assert [layer.items for layer in kinds["ArgMax"]] == [640_000]
    assert all(layer.items < 50_000 for layer in kinds["Concat"])
    assert not kinds["StridedSlice"]
    images = [layer for layer in found if layer.inputs and layer.inputs[0][1] == (6, 128, 352, 3)]
    assert [layer.type for layer in images] == ["Reorder", "Eltwise"]
    assert sum(layer.items for layer in found) < 14e6


def test_half_precision_convolutions_add_in_half_on_iris_xe_and_in_single_on_matrix_engines(nano_on):
    """The 1x1 and 3x3 convolutions behind the pooling; those of the images are said in docs/gpu.md."""
    trunk = nano_on("fp16", "iris-xe")["trunk"]
    assert any(layer.half_sums for layer in trunk.layers if layer.type == "Convolution")
    assert not any(layer.half_sums for layer in layers(nano_on("fp16", "lunar-lake")) if layer.type in PRODUCTS)


@pytest.mark.parametrize("variant", SMALL, ids=[variant.name for variant in SMALL])
def test_small_forms(variant, tmp_path):
    """Every part that a model may have; a stream where there is one, which has all of the network in it."""
    with known():
        form = "exact" if variant.past_frames else "batch"
        artifact = convert(variant.name, None, tmp_path / "a", cameras=2, temporal=form)
    for device in BOTH if variant.name in ("small-pillars", "small-voxels-stereo") else ("lunar-lake",):
        for report in compile_gpu_parts(artifact.path / IR, device).values():
            assert report.ok, (device, report.message, report.refused)
            assert report.unassigned == 0


def test_what_the_plugin_says_of_a_model_that_it_refuses(tmp_path):
    data, rows = (ops.parameter([count, 4], np.float32) for count in (8, 3))
    index = ops.parameter([3, 1], np.int32)
    made = opset15.scatter_nd_update(data, index, rows, reduction="sum")
    ov.save_model(ov.Model([made], [data, index, rows], "m"), tmp_path / "m.xml")
    report = compile_for_gpu(tmp_path / "m.xml", "lunar-lake")
    assert not report.ok
    assert "ScatterNDUpdate" in report.message
    assert not report.layers


def test_a_device_and_a_file_that_are_none(tmp_path):
    x = ops.parameter([1], np.float32)
    ov.save_model(ov.Model([ops.relu(x)], [x], "m"), tmp_path / "m.xml")
    with pytest.raises(DeviceError, match="there is no GPU 'b580' to compile for: take one of a770, lunar-lake"):
        compile_for_gpu(tmp_path / "m.xml", "b580")
    with pytest.raises(DeviceError, match=r"there is no IR .*none\.xml"):
        compile_for_gpu(tmp_path / "none.xml", "a770")
    for device in BOTH:
        with pytest.raises(DeviceError, match=r"there is no IR .*none\.xml"):
            compile_gpu_parts(tmp_path / "none.xml", device)


def test_depths_of_a_cost_volume_share_their_memory(tmp_path):
    """Each samples features of its own; side by side they would take 12 GB at full size (docs/gpu.md)."""
    with known(*SMALL):
        xml = convert("small-stereo", None, tmp_path / "a").path / IR
    (turned,) = compile_gpu_parts(xml, "lunar-lake").values()
    whole = compile_for_gpu(xml, "lunar-lake")
    sampled = [layer.outputs[0] for layer in whole.layers if layer.type == "grid_sample"]
    all_of_them = len(sampled) * 2 * np.prod(sampled[0][1]) / 2**20
    assert whole.device_mib > all_of_them
    assert turned.device_mib < whole.device_mib - 0.5 * all_of_them
