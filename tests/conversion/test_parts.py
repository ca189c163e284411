"""Every part that a published model may have, through convert, verify and run, in small variants."""

import sys
from dataclasses import replace

import numpy as np
import openvino as ov
import pytest
import torch

from occvino.conversion import convert
from occvino.conversion.floats import geometry_constants
from occvino.conversion.lower import save
from occvino.conversion.onnx_pipeline import OnnxPipeline
from occvino.conversion.torch_pipeline import TorchPipeline
from occvino.conversion.verify import expect, judge, verify
from occvino.errors import FrameError, OccvinoError, RigError
from occvino.geometry.inputs import input_names
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import pose
from occvino.networks import build
from occvino.networks.flashocc import tap_names
from occvino.runtime import Pipeline
from occvino.runtime.panoptic import Mapping, assign_instances, find_centres
from occvino.variants import get_variant
from tests.conftest import make_camera
from tests.converted import converted
from tests.small import SMALL, known

pytestmark = pytest.mark.slow

NAMES = [variant.name for variant in SMALL]


@pytest.fixture(autouse=True)
def _known():
    with known():
        yield


def scene(count, cameras=2):
    """Images and rigs of a vehicle that comes 0.4 m forward a frame, newest first."""
    rng = np.random.default_rng(0)
    frames = []
    for index in range(count):
        at = pose([np.cos(0.01 * index), 0, 0, np.sin(0.01 * index)], [100 - 0.4 * index, 50, 0])
        rig = Rig(
            tuple(
                replace(make_camera(f"CAM_{side}", 90.0 * side, width=96, height=64, focal=60.0), ego2global=at)
                for side in range(cameras)
            )
        )
        images = {name: rng.integers(0, 256, (64, 96, 3), dtype=np.uint8) for name in rig.names}
        frames.append((images, rig))
    return frames


@pytest.mark.parametrize("name", NAMES)
def test_it_converts_to_stock_operators_and_agrees_at_every_tap(tmp_path, name):
    variant = get_variant(name)
    (frames, rig), *past = scene(variant.frames)
    artifact = converted(name, None, tmp_path / "out", precision="fp32", cameras=2)
    model = ov.Core().read_model(artifact.path / "model.xml")
    assert [value.get_any_name() for value in model.inputs] == list(input_names(variant))
    assert model.is_dynamic() is False
    report = verify(artifact, frames, rig, past=past)
    assert report.ok, report.first_divergence
    assert [tap.name for tap in report.taps] == list(tap_names(variant))
    found = Pipeline(artifact, precision="f32")(frames, rig, past)
    expected = TorchPipeline(name, None)(frames, rig, past)
    assert (found.labels == expected.labels).mean() > 0.999
    assert (found.instances is None) == (variant.panoptic is None)


def test_a_stereo_network_is_judged_by_what_rounding_does_to_it_and_wrong_ones_are_still_found(tmp_path):
    (frames, rig), *past = scene(3)
    artifact = converted("small-stereo", None, tmp_path / "out", precision="fp32", cameras=2)
    expected = expect(artifact, frames, rig, past=past)
    right = judge(artifact, expected)
    assert right.ok, right.first_divergence
    depth = next(tap for tap in right.taps if tap.name == "depth")
    assert depth.floor is not None
    assert 0 < depth.floor.mean < 1e-3
    shifted = expected.inputs["warps"].copy()
    shifted[:, :2, 2] += 0.5  # pixels of the network's image, an eighth of one of the features'
    for wrong in ({"warps": shifted}, {"warps": np.zeros_like(shifted)}):
        report = judge(artifact, replace(expected, inputs={**expected.inputs, **wrong}))
        assert report.first_divergence == "depth (IR)"


def test_past_frames_count_and_the_current_one_stands_in_for_those_that_are_missing(tmp_path):
    now, *past = scene(3)
    pipeline = Pipeline(convert("small-4d", None, tmp_path / "out", cameras=2, outputs=("logits",)), precision="f32")
    logits = pipeline(*now, past).extras["logits"]
    alone = pipeline(*now).extras["logits"]
    assert np.abs(alone - logits).max() > 0.01 * logits.std()
    np.testing.assert_array_equal(pipeline(*now, [now, now]).extras["logits"], alone)
    assert np.abs(pipeline(*now, past[::-1]).extras["logits"] - logits).max() > 0.01 * logits.std()
    with pytest.raises(FrameError, match="3 past frames for a network that takes 2"):
        pipeline(*now, [*past, now])
    with pytest.raises(RigError, match="2 rigs for small-4d, which takes 3 frames"):
        pipeline.plan(now[1], now[1])


def test_a_network_of_several_frames_cannot_be_baked(tmp_path):
    with pytest.raises(OccvinoError, match="small-4d takes 3 frames, whose geometry changes"):
        convert("small-4d", None, tmp_path / "out", rig=scene(1)[0][1], bake_calibration=True)


def test_a_baked_depth_net_keeps_its_camera_vectors(tmp_path):
    ((frames, rig),) = scene(1)
    rig = Rig(tuple(replace(camera, ego2global=np.eye(4)) for camera in rig.cameras))
    options = {"rig": rig, "precision": "fp32", "outputs": ("logits",)}
    baked = convert("small-pano", None, tmp_path / "baked", bake_calibration=True, **options)
    plain = convert("small-pano", None, tmp_path / "plain", **options)
    first, second = (Pipeline(artifact, precision="f32")(frames, rig) for artifact in (baked, plain))
    np.testing.assert_allclose(first.extras["logits"], second.extras["logits"], atol=1e-4)
    assert first.instances is not None


def test_a_mapping_reaches_the_instances_of_all_three_forms(tmp_path):
    ((frames, rig),) = scene(1)
    model = build("small-pano")
    model.aux_centerness_head.task_heads[0].get_submodule("heatmap.1").bias.data.fill_(3)  # finds something everywhere
    torch.save(model.state_dict(), tmp_path / "sure.pth")
    artifact = convert("small-pano", tmp_path / "sure.pth", tmp_path / "out", precision="fp32", cameras=2)
    forms = {
        mapping: (
            Pipeline(artifact, precision="f32", mapping=mapping)(frames, rig),
            OnnxPipeline(artifact, mapping=mapping)(frames, rig),
            TorchPipeline("small-pano", tmp_path / "sure.pth", mapping=mapping)(frames, rig),
        )
        for mapping in ("official", "corrected")
    }
    for mapping, found in forms.items():
        # what is seen nowhere is equal everywhere, and the last place decides where its centres are; so each its own
        for occupancy in found:
            centres = find_centres(occupancy.extras, get_variant("small-pano"))
            expected = assign_instances(occupancy.labels, centres, occupancy.grid, Mapping(mapping))
            assert (occupancy.instances == expected).mean() > 0.999
    assert (forms["official"][0].instances != forms["corrected"][0].instances).any()


def test_coordinates_of_pixels_are_not_stored_in_half_precision(tmp_path, monkeypatch):
    """At full size they are off by up to a quarter of a pixel then. Here everything counts as large."""
    monkeypatch.setattr(sys.modules["occvino.conversion.lower"], "SMALL", 0)
    model = ov.Core().read_model(convert("small-stereo", None, tmp_path / "out", cameras=2).path / "model.xml")
    kept = geometry_constants(model)
    constants = [op for op in model.get_ops() if op.get_type_name() == "Constant"]
    stored = {op.get_friendly_name(): op.get_element_type() for op in constants}
    assert 3 * 16 * 24 in {op.data.size for op in constants if op.get_friendly_name() in kept}  # homogeneous pixels
    assert ov.Type.f16 not in {stored[name] for name in kept}
    assert ov.Type.f16 in {kind for name, kind in stored.items() if name not in kept}


def test_weights_beyond_half_precision_are_refused(tmp_path):
    """OpenVINO makes 65504 of them without a word."""
    parameter = ov.opset8.parameter([1, 5000], np.float32)
    for peak, precision in ((65504.0, True), (1e6, False)):
        weights = ov.opset8.constant(np.full((1, 5000), peak, np.float32))
        model = ov.Model([ov.opset8.multiply(parameter, weights)], [parameter])
        save(model, tmp_path / f"{peak}.xml", compress_to_fp16=precision)
    with pytest.raises(OccvinoError, match=r"weights reach 1e\+06 and half precision ends at 65504, in 1 constants"):
        save(model, tmp_path / "half.xml", compress_to_fp16=True)
    assert not (tmp_path / "half.xml").exists()
