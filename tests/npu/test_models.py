"""Whole networks, and the pooling in its forms, compiled by Intel's NPU compiler. Nothing is run on an NPU."""

from pathlib import Path

import numpy as np
import openvino as ov
import openvino.opset8 as ops
import pytest

from occvino.artifact import IR
from occvino.bev_pool import bev_pool_openvino
from occvino.bev_pool_columns import bev_pool_columns_openvino
from occvino.conversion import convert
from occvino.conversion.columns import column_sizes
from occvino.datasets.shipped import shipped_scene
from occvino.errors import DeviceError
from occvino.networks.checkpoint import shipped_weights
from occvino.runtime.npu_compiler import compile_for_npu, compile_parts
from occvino.variants import get_variant
from tests.conversion.test_parts import scene
from tests.small import SMALL, known

pytestmark = [pytest.mark.npu, pytest.mark.usefixtures("compiler")]
PLATFORMS = ("3720", "4000", "5010")


@pytest.fixture(scope="module")
def nano_of(tmp_path_factory):
    """The shipped nano for NPUs, by precision; int8 of three frames, since accuracy is not the point here."""
    made: dict[str, Path] = {}

    def make(precision: str) -> Path:
        if precision not in made:
            out = tmp_path_factory.mktemp("npu") / precision
            more = (
                {"dataset": shipped_scene(), "calibration_frames": 3, "accuracy_budget": 100}
                if precision == "int8"
                else {}
            )
            weights = shipped_weights("occvino-nano")
            made[precision] = convert("occvino-nano", weights, out, precision=precision, device="NPU", **more).path
        return made[precision]

    return make


@pytest.mark.parametrize("platform", PLATFORMS)
def test_nano_of_matrices(tmp_path, platform):
    """Its geometry runs on the CPU; the scatter of its pieces is for the NPU."""
    weights = shipped_weights("occvino-nano")
    made = convert("occvino-nano", weights, tmp_path / "matrices", device="NPU", calibration="matrices")
    found = compile_parts(made.path / IR, platform)
    assert {name: part.runs for name, part in found.items()} == {"encoder": 6, "rest": 1}
    for part in found.values():
        assert part.ok, part.message


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_nano(nano_of, precision, platform):
    found = compile_parts(nano_of(precision) / IR, platform)
    assert {name: part.runs for name, part in found.items()} == {"encoder": 6, "rest": 1}
    for part in found.values():
        assert part.ok, part.message
        assert part.blob_bytes
        assert part.estimated_us
        assert part.engines_us["DPU duration"] > 0
        assert part.layer_types_us["Convolution"] > 0
    costs = {name for part in found.values() for name in part.uncosted}
    assert not any("Embedding" in name or "Gather" in name for name in costs)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("form", ["bag", "columns"])
def test_pooling(form, platform, tmp_path):
    """Of flashocc-r50-M0. Columns have a cost in the compiler's model; the bag has none where there is no default."""
    variant = get_variant("flashocc-r50-M0")
    (rows, width), bins, channels = variant.feature_size, variant.depth_bins, variant.context_channels
    depth = ops.parameter([6, bins, rows, width], np.float16)
    feat = ops.parameter([6, rows, width, channels], np.float16)
    if form == "bag":
        entries = variant.plan_entries(6)
        plan = [ops.parameter([size], np.int32) for size in (entries, entries, variant.plan_cells())]
        bev = bev_pool_openvino(*(each.output(0) for each in (depth, feat, *plan)))
    else:
        sizes = column_sizes("columns", variant, None, variant.camera_names, npu=True)
        assert sizes is not None
        plan = [ops.parameter([6 * width, bins * sizes.pieces, rows], np.float16)]
        shapes = 2 * sizes.pairs, sizes.crowded * sizes.crowd, variant.plan_cells()
        plan += [ops.parameter([size], np.int32) for size in shapes]
        bev = bev_pool_columns_openvino(*(each.output(0) for each in (depth, feat, *plan)), crowd=sizes.crowd)
    ov.save_model(ov.Model([bev], [depth, feat, *plan], form), tmp_path / "pool.xml", compress_to_fp16=False)
    found = compile_for_npu(tmp_path / "pool.xml", platform)
    assert found.ok, found.message
    assert ("builtin_EmbeddingBagOffsetsSum" in found.uncosted) == (form == "bag" and platform != "5010")
    if form == "columns":
        assert found.estimated_us is not None
        assert found.estimated_us < {"3720": 9000, "4000": 1300, "5010": 900}[platform]


@pytest.mark.parametrize("name", [variant.name for variant in SMALL])
def test_small_forms(name, tmp_path):
    """Every part that a model may have, in every temporal form."""
    with known():
        frames = next(variant.past_frames for variant in SMALL if variant.name == name)
        for temporal in ("batch", "exact", "fast") if frames else ("batch",):
            artifact = convert(
                name, None, tmp_path / temporal, device="NPU", temporal=temporal, pooling="bag", cameras=2
            )
            for part, found in compile_parts(artifact.path / IR, "4000").items():
                assert found.ok, (temporal, part, found.message, found.errors)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("temporal", ["exact", "fast"])
def test_streams_pool_frame_by_frame(tmp_path, temporal, platform):
    with known():
        rig = scene(1)[0][1]
        artifact = convert(
            "small-4d", None, tmp_path / "a", device="NPU", temporal=temporal, pooling="columns", cameras=2, rig=rig
        )
    found = compile_parts(artifact.path / IR, platform)
    assert found["frame"].runs == 3
    for part, report in found.items():
        assert report.ok, (part, report.message, report.errors)


def test_a_platform_that_is_none(tmp_path):
    (tmp_path / "m.xml").write_text("")
    with pytest.raises(DeviceError, match="no NPU platform '9000': the compiler knows 3720"):
        compile_for_npu(tmp_path / "m.xml", "9000")
    for compiling in (compile_for_npu, compile_parts):
        with pytest.raises(DeviceError, match=r"there is no IR .*none\.xml"):
            compiling(tmp_path / "none.xml", "4000")


def test_what_the_compiler_says_of_a_model_that_it_refuses(tmp_path):
    x = ops.parameter([2, 4, 2, 4, 4, 16], np.float32)
    ov.save_model(ov.Model([ops.relu(x)], [x], "m"), tmp_path / "m.xml")
    found = compile_for_npu(tmp_path / "m.xml", "4000")
    assert not found.ok
    assert "BLOCKED" in found.message
