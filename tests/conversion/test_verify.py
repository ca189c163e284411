import json
from dataclasses import replace

import numpy as np
import onnx
import onnx.numpy_helper
import openvino as ov
import pytest
import torch

from occvino.artifact import Artifact
from occvino.conversion import convert
from occvino.conversion import verify as module
from occvino.conversion.verify import verify
from occvino.errors import ArtifactError, RigError
from occvino.files import OutputError, sha256
from occvino.geometry.doubts import DoubtfulRigWarning
from occvino.geometry.lift import frustum, rays
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import pose
from occvino.networks import build
from occvino.networks.flashocc import TAPS


def rehash(artifact: Artifact) -> Artifact:
    """Make the manifest agree with files that a test altered."""
    files = {name: sha256(artifact.path / name) for name in artifact.manifest.files}
    manifest = replace(artifact.manifest, files=files)
    (artifact.path / "occvino.json").write_text(manifest.to_json())
    return Artifact.open(artifact.path)


def test_a_good_artifact_agrees_at_every_tap(fresh, rig, images):
    report = verify(fresh, images, rig)
    assert report.ok
    assert [tap.name for tap in report.taps] == list(TAPS)
    assert all(0 <= tap.ir.mean < 1e-5 and tap.onnx.mean < 1e-5 for tap in report.taps)
    assert report.onnx_labels > 0.9999
    assert report.ir_labels > 0.9999
    assert 0.2 < report.points_kept < 1
    recorded = Artifact.open(fresh.path).manifest.parity
    assert recorded is not None
    assert recorded["ok"] is True
    assert recorded["ir_labels"] == report.ir_labels


def test_a_changed_weight_is_found_at_the_first_tap_it_reaches(fresh, rig, images, tmp_path):
    """The input of the trunk's last operation is scaled in the IR: taps before it stay right, the trunk does not."""
    path = fresh.path / "model.xml"
    model = ov.Core().read_model(path)
    trunk = next(op for op in model.get_ops() if "trunk" in (name for out in op.outputs() for name in out.get_names()))
    half = ov.opset8.multiply(trunk.input_value(0), ov.opset8.constant(np.float32(1.05)))
    trunk.input(0).replace_source_output(half.output(0))
    ov.save_model(model, tmp_path / "model.xml", compress_to_fp16=False)
    for name in ("model.xml", "model.bin"):
        (fresh.path / name).write_bytes((tmp_path / name).read_bytes())
    report = verify(rehash(fresh), images, rig)
    assert not report.ok
    assert report.first_divergence == "trunk (IR)"
    assert all(tap.onnx_ok for tap in report.taps)


@pytest.mark.slow
def test_a_changed_onnx_file_is_found_at_the_backbone(fresh, rig, images):
    path = fresh.path / "model.onnx"
    proto = onnx.load(path)
    weight = next(tensor for tensor in proto.graph.initializer if "img_backbone.layer4.1.conv2" in tensor.name)
    weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight) * np.float32(1.1), weight.name))
    onnx.save(proto, path)
    report = verify(rehash(fresh), images, rig)
    assert report.first_divergence == "backbone (ONNX)"
    assert all(tap.ir_ok for tap in report.taps)


def altered_ir(monkeypatch, change):
    """Let `verify` meet an IR that gives what `change(taps, labels)` makes of the right results."""
    run_ir = module._run_ir

    def altered(*arguments):
        taps, labels, compiled = run_ir(*arguments)
        taps, labels = {name: value.copy() for name, value in taps.items()}, labels.copy()
        change(taps, labels)
        return taps, labels, compiled

    monkeypatch.setattr(module, "_run_ir", altered)


@pytest.mark.slow
def test_a_geometry_that_floors_is_found_at_the_bev(fresh, rig, images, monkeypatch):
    """The competitor's mistake: points below the first bin's lower edge are dropped."""
    run_ir = module._run_ir
    variant = fresh.variant
    direction, origin = rays(rig.calibration(variant), variant)
    height = origin[:, 2, None, None] + frustum(variant)[1][:, None] * direction[:, 2, None, :]
    below = np.append(height.reshape(-1) < variant.lift_grid.z.lower, False)

    def floored(path, inputs, *others):
        depth = inputs["ranks_depth"]
        return run_ir(path, {**inputs, "ranks_depth": np.where(below[depth], below.size - 1, depth)}, *others)

    monkeypatch.setattr(module, "_run_ir", floored)
    assert 0.05 < below.mean() < 0.9
    assert verify(fresh, images, rig).first_divergence == "bev (IR)"


@pytest.mark.slow
def test_a_bev_that_is_wrong_in_one_cell_of_a_hundred_is_found_in_half_precision_too(baked, rig, images, monkeypatch):
    def forget(taps, _labels):
        taps["bev"][..., ::10, ::10] = 0

    altered_ir(monkeypatch, forget)
    assert verify(baked, images, rig).first_divergence == "bev (IR)"


@pytest.mark.slow
def test_labels_that_part_are_found_though_every_tap_agrees(fresh, rig, images, monkeypatch):
    def relabel(_taps, labels):
        labels.reshape(-1)[::100] += 1

    altered_ir(monkeypatch, relabel)
    report = verify(fresh, images, rig)
    assert all(tap.ir_ok for tap in report.taps)
    assert report.first_divergence == "labels (IR)"
    assert report.ir_labels == pytest.approx(0.99, abs=1e-3)


@pytest.mark.slow
def test_values_that_are_not_finite_never_pass_and_are_valid_json(fresh, rig, images, monkeypatch):
    def overflow(taps, _labels):
        taps["trunk"][0, 0, 0, 0] = np.inf

    altered_ir(monkeypatch, overflow)
    report = verify(fresh, images, rig)
    assert report.first_divergence == "trunk (IR)"
    assert "Infinity" not in json.dumps(report.to_dict())


@pytest.mark.filterwarnings("ignore:none of the")
def test_a_rig_that_sees_nothing_of_the_grid_is_refused(fresh, rig, images):
    far = Rig(tuple(replace(c, sensor2ego=pose([1, 0, 0, 0], [0, 0, 500.0])) for c in rig.cameras))
    with pytest.raises(RigError, match="no point that the cameras see is in the grid"):
        verify(fresh, images, far)


def with_few_points(rig):
    """Five of six cameras 300 m away."""
    away = {camera.name: camera.sensor2ego.copy() for camera in rig.cameras[1:]}
    for matrix in away.values():
        matrix[0, 3] += 300.0
    return Rig(tuple(replace(c, sensor2ego=away.get(c.name, c.sensor2ego)) for c in rig.cameras))


@pytest.mark.slow
def test_a_frame_with_few_points_in_the_grid_proves_little(fresh, rig, images):
    with pytest.warns(DoubtfulRigWarning, match="sensor2ego puts it 300 m from the ego origin"):
        report = verify(fresh, images, with_few_points(rig))
    assert report.first_divergence is None
    assert not report.ok
    assert [share > 0.5 for share in report.points.values()] == [True, *[False] * 5]
    assert report.proves_little == "14% of the points are in the grid, 81% are usual: is the rig right?"
    recorded = Artifact.open(fresh.path).manifest.parity
    assert recorded is not None
    assert (recorded["ok"], recorded["proves_little"]) == (False, report.proves_little)
    assert verify(fresh, images, rig).proves_little is None


@pytest.mark.slow
def test_a_model_of_one_camera_proves_as_much(rig, images, tmp_path):
    front = rig.select(["CAM_FRONT"])
    artifact = convert("occvino-nano", None, tmp_path / "front", precision="fp32", rig=front)
    assert verify(artifact, {"CAM_FRONT": images["CAM_FRONT"]}, front).ok


@pytest.mark.slow
def test_a_result_that_cannot_be_recorded_is_still_given(fresh, rig, images, monkeypatch):
    def refuse(*_):
        raise OutputError("cannot write occvino.json: read-only")

    monkeypatch.setattr(Artifact, "with_parity", refuse)
    with pytest.warns(UserWarning, match="the result is not recorded in the manifest: cannot write"):
        assert verify(fresh, images, rig).ok


def test_an_artifact_that_was_converted_again_keeps_its_manifest(fresh):
    manifest = replace(fresh.manifest, files={**fresh.manifest.files, "model.onnx": "0" * 64})
    (fresh.path / "occvino.json").write_text(manifest.to_json())
    with pytest.raises(ArtifactError, match="was converted again while it was verified"):
        fresh.with_parity({"ok": True})


@pytest.mark.slow
def test_half_precision_weights_and_a_baked_plan_are_within_their_tolerance(baked, rig, images):
    report = verify(baked, images, rig)
    assert report.ok
    assert max(tap.ir.mean for tap in report.taps) > 1e-5  # the rounding is really there
    assert max(tap.onnx.mean for tap in report.taps) < 1e-5


@pytest.mark.slow
def test_the_checkpoint_must_be_the_one_that_was_converted(tmp_path, rig, images):
    for name, seed in (("a.pth", 1), ("b.pth", 2)):
        torch.save(build("occvino-nano", seed=seed).state_dict(), tmp_path / name)
    artifact = convert("occvino-nano", tmp_path / "a.pth", tmp_path / "out")
    assert artifact.manifest.weights == {"path": str(tmp_path / "a.pth"), "sha256": sha256(tmp_path / "a.pth")}
    with pytest.raises(ArtifactError, match=r"b\.pth is not the checkpoint that was converted"):
        verify(artifact, images, rig, checkpoint=tmp_path / "b.pth")
    (tmp_path / "a.pth").rename(tmp_path / "moved.pth")
    with pytest.raises(ArtifactError, match=r"a\.pth that was converted is not there: give it with --checkpoint"):
        verify(artifact, images, rig)
    assert verify(artifact, images, rig, checkpoint=tmp_path / "moved.pth").ok
