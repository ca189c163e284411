from dataclasses import replace

import numpy as np
import onnx
import onnx.numpy_helper
import openvino as ov
import pytest
import torch

from occvino.artifact import Artifact
from occvino.convert import convert
from occvino.convert.verify import verify
from occvino.errors import ArtifactError
from occvino.files import sha256
from occvino.networks import build
from occvino.networks.flashocc import TAPS


def rehash(artifact: Artifact) -> Artifact:
    """Make the manifest agree with files that a test altered."""
    files = {name: sha256(artifact.path / name) for name in artifact.manifest.files}
    manifest = replace(artifact.manifest, files=files)
    (artifact.path / "occvino.json").write_text(manifest.to_json())
    return Artifact.open(artifact.path)


def test_a_good_artifact_agrees_at_every_tap(fresh, rig, frames):
    report = verify(fresh, frames, rig)
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


def test_a_changed_weight_is_found_at_the_first_tap_it_reaches(fresh, rig, frames, tmp_path):
    """The input of the trunk's last operation is scaled in the IR: taps before it stay right, the trunk does not."""
    path = fresh.path / "model.xml"
    model = ov.Core().read_model(path)
    trunk = next(op for op in model.get_ops() if "trunk" in (name for out in op.outputs() for name in out.get_names()))
    half = ov.opset8.multiply(trunk.input_value(0), ov.opset8.constant(np.float32(1.05)))
    trunk.input(0).replace_source_output(half.output(0))
    ov.save_model(model, tmp_path / "model.xml", compress_to_fp16=False)
    for name in ("model.xml", "model.bin"):
        (fresh.path / name).write_bytes((tmp_path / name).read_bytes())
    report = verify(rehash(fresh), frames, rig)
    assert not report.ok
    assert report.first_divergence == "trunk (IR)"
    assert all(tap.onnx_ok for tap in report.taps)


def test_a_changed_onnx_file_is_found_at_the_backbone(fresh, rig, frames):
    path = fresh.path / "model.onnx"
    proto = onnx.load(path)
    weight = next(tensor for tensor in proto.graph.initializer if "img_backbone.layer4.1.conv2" in tensor.name)
    weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight) * np.float32(1.1), weight.name))
    onnx.save(proto, path)
    report = verify(rehash(fresh), frames, rig)
    assert report.first_divergence == "backbone (ONNX)"
    assert all(tap.ir_ok for tap in report.taps)


def test_a_geometry_that_floors_is_found_at_the_bev(fresh, rig, frames, monkeypatch):
    """The competitor's mistake, in the IR's inputs only: points below the ground are dropped."""
    from occvino.convert import verify as module

    run_ir = module._run_ir

    def floored(path, inputs, device):
        inputs = dict(inputs)
        points = inputs["ranks_depth"].max()
        inputs["ranks_depth"] = np.where(inputs["ranks_depth"] % 3 == 0, points, inputs["ranks_depth"])
        return run_ir(path, inputs, device)

    monkeypatch.setattr(module, "_run_ir", floored)
    assert verify(fresh, frames, rig).first_divergence == "bev (IR)"


def test_half_precision_weights_and_a_baked_plan_are_within_their_tolerance(baked, rig, frames):
    report = verify(baked, frames, rig)
    assert report.ok
    assert max(tap.ir.mean for tap in report.taps) > 1e-5  # the rounding is really there
    assert max(tap.onnx.mean for tap in report.taps) < 1e-5


def test_the_checkpoint_must_be_the_one_that_was_converted(tmp_path, rig, frames):
    for name, seed in (("a.pth", 1), ("b.pth", 2)):
        torch.save(build("occvino-nano", seed=seed).state_dict(), tmp_path / name)
    artifact = convert("occvino-nano", tmp_path / "a.pth", tmp_path / "out")
    assert artifact.manifest.weights == {"path": str(tmp_path / "a.pth"), "sha256": sha256(tmp_path / "a.pth")}
    with pytest.raises(ArtifactError, match=r"b\.pth is not the checkpoint that was converted"):
        verify(artifact, frames, rig, checkpoint=tmp_path / "b.pth")
    (tmp_path / "a.pth").rename(tmp_path / "moved.pth")
    with pytest.raises(ArtifactError, match=r"a\.pth that was converted is not there: give it with --checkpoint"):
        verify(artifact, frames, rig)
    assert verify(artifact, frames, rig, checkpoint=tmp_path / "moved.pth").ok
