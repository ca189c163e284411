import json
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import openvino as ov
import pytest

from occvino.artifact import MANIFEST, Artifact
from occvino.conversion import convert
from occvino.conversion.floats import bilinear_constants
from occvino.conversion.lower import SMALL, check_stock, lower
from occvino.errors import ArtifactError, CheckpointError, OccvinoError
from occvino.files import OutputError
from occvino.geometry.lift import PoolingPlan
from occvino.geometry.rig import Rig
from occvino.images.inputs import network_images
from occvino.images.layout import ImageInput
from occvino.runtime import Pipeline
from tests.conftest import make_camera


def test_the_folder_holds_what_the_manifest_says(nano):
    assert {path.name for path in nano.path.iterdir()} == {"model.xml", "model.bin", "model.onnx", MANIFEST}
    manifest = Artifact.open(nano.path).manifest
    assert manifest.to_json() == nano.manifest.to_json()
    assert manifest.weights == {"random_seed": 0}
    assert manifest.outputs == ("labels", "logits", "depth")
    assert manifest.parity is None
    assert {"occvino", "torch", "onnx", "openvino"} <= set(manifest.versions)


def test_the_ir_loads_in_a_process_that_never_saw_occvino(nano, rig, images, nano_variant, tmp_path):
    """Stock operators only: no extension, no torch, no occvino."""
    inputs = {"images": network_images(images, rig, nano_variant), **PoolingPlan.from_rig(rig, nano_variant).inputs()}
    np.savez(tmp_path / "in.npz", **inputs)
    code = f"""
import sys
for name in ("occvino", "torch", "onnx"):
    sys.modules[name] = None
import numpy as np, openvino as ov
request = ov.Core().compile_model({str(nano.path / "model.xml")!r}, "CPU")
outputs = request(dict(np.load({str(tmp_path / "in.npz")!r})))
np.savez({str(tmp_path / "out.npz")!r}, labels=outputs["labels"], logits=outputs["logits"])
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    with np.load(tmp_path / "out.npz") as found:
        assert found["labels"].dtype == np.uint8
        assert found["labels"].shape == nano_variant.occupancy_grid.shape
        np.testing.assert_array_equal(found["labels"], found["logits"].argmax(-1))
        assert len(np.unique(found["labels"])) > 5


def test_inputs_and_shapes_of_the_ir(nano, nano_variant):
    model = ov.Core().read_model(nano.path / "model.xml")
    entries = nano_variant.plan_entries(6)
    assert {value.get_any_name(): list(value.get_shape()) for value in model.inputs} == {
        "images": [6, 128, 352, 3],
        "ranks_depth": [entries],
        "ranks_feat": [entries],
        "interval_starts": [nano_variant.lift_grid.cells],
    }
    assert [value.get_any_name() for value in model.outputs] == ["labels", "logits", "depth"]
    assert "EmbeddingBagOffsetsSum" in {op.get_type_name() for op in model.get_ops()}


def test_stock_onnxruntime_runs_the_onnx_file(nano, rig, images, nano_variant):
    session = onnxruntime.InferenceSession(nano.path / "model.onnx", providers=["CPUExecutionProvider"])
    inputs = {"images": network_images(images, rig, nano_variant), **PoolingPlan.from_rig(rig, nano_variant).inputs()}
    labels, logits = session.run(["labels", "logits"], inputs)
    np.testing.assert_array_equal(labels, logits.argmax(-1))


def test_the_onnx_file_tells_nothing_of_the_machine(nano):
    assert str(nano.path.parent).encode() not in (nano.path / "model.onnx").read_bytes()
    assert b"site-packages" not in (nano.path / "model.onnx").read_bytes()
    onnx.checker.check_model(onnx.load(nano.path / "model.onnx"))


def test_baked_calibration_is_a_constant_and_guarded(baked, rig, images):
    model = ov.Core().read_model(baked.path / "model.xml")
    assert [value.get_any_name() for value in model.inputs] == ["images"]
    pipeline = Pipeline(baked)
    np.testing.assert_array_equal(pipeline(images).labels, pipeline(images, rig).labels)
    with pytest.raises(ArtifactError, match="calibration of .* is baked in and this rig has another"):
        pipeline(images, Rig((*rig.cameras[:5], make_camera(rig.names[5], yaw=-109.0))))


def test_baked_and_input_calibration_give_the_same_logits(baked, nano, rig, images):
    """The rig was baked in another camera order than the network's; stored weights differ, fp16 against fp32."""
    found, expected = (Pipeline(artifact, precision="f32")(images, rig).extras["logits"] for artifact in (baked, nano))
    assert np.quantile(np.abs(found - expected), 0.999) / expected.std() < 2e-2


def test_half_precision_keeps_what_is_small_as_it_was(nano, tmp_path):
    """Biases and weights of upsampling bit for bit; others in f16, marked so that plugins may keep them so."""
    lower(nano.path / "model.onnx", tmp_path / "half.xml", compress_to_fp16=True)
    whole, half = (ov.Core().read_model(path) for path in (nano.path / "model.xml", tmp_path / "half.xml"))
    kinds, kept = {"f16": 0, "f32": 0}, []
    for op in half.get_ops():
        if op.get_type_name() == "Constant" and op.get_element_type().get_type_name() in kinds:
            kinds[op.get_element_type().get_type_name()] += op.data.size
            if op.get_element_type() == ov.Type.f32:
                assert op.data.size <= SMALL or op.get_friendly_name() in bilinear_constants(half)
                kept.append(op.data.tobytes())
    originals = {op.data.tobytes() for op in whole.get_ops() if op.get_type_name() == "Constant"}
    assert len(kept) > 15
    assert set(kept) <= originals
    assert kinds["f32"] < 0.02 * kinds["f16"]
    assert (tmp_path / "half.bin").stat().st_size < 0.55 * (nano.path / "model.bin").stat().st_size
    assert 'name="decompression"' in (tmp_path / "half.xml").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"half.xml", "half.bin"}


@pytest.mark.slow
def test_other_camera_counts_convert_and_run(tmp_path):
    rig = Rig((make_camera("LEFT", 90.0), make_camera("RIGHT", -90.0)))
    artifact = convert("occvino-nano", None, tmp_path / "two", rig=rig)
    images = [np.full((198, 352, 3), value, np.uint8) for value in (50, 200)]
    occupancy = Pipeline(artifact)(images, rig)
    assert occupancy.labels.shape == (200, 200, 16)
    with pytest.raises(ArtifactError, match="the rig has cameras LEFT, UP; .* was converted for LEFT, RIGHT"):
        Pipeline(artifact)(images, Rig((make_camera("LEFT"), make_camera("UP"))))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "int4"}, "precision 'int4' is not one of fp32, fp16, int8"),
        ({"outputs": ("heatmap",)}, "there is no output heatmap; besides labels there are backbone"),
        ({"outputs": ("logits", "logits")}, "an output is asked for twice"),
        ({"bake_calibration": True}, "needs the rig to bake"),
        ({"cameras": 13}, "cameras=13: expected 1 to 12"),
        ({"precision": "bf16"}, "bf16 is what a device computes in, asked for when running"),
        ({"image_input": ImageInput((1600, 900))}, r"expected: did you mean 900x1600\? \(that is nuScenes' size"),
        (
            {"image_input": ImageInput((352, 198)), "rig": Rig((make_camera("LEFT"),))},
            r"expected: did you mean 198x352\? \(that is the size of the rig's images",
        ),
    ],
)
def test_contradictions_are_refused_before_any_work(tmp_path, options, message):
    with pytest.raises(OccvinoError, match=message):
        convert("occvino-nano", None, tmp_path / "out", **options)
    assert not list(tmp_path.iterdir())


def test_rig_and_camera_count_must_agree(tmp_path, rig):
    with pytest.raises(OccvinoError, match="cameras=4 contradicts the rig, which has 6"):
        convert("occvino-nano", None, tmp_path / "out", rig=rig, cameras=4)


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(CheckpointError):
        convert("occvino-nano", tmp_path / "missing.pth", tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_failure_half_way_keeps_what_was_there(fresh, monkeypatch):
    out = fresh.path
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def broken(*_, **__):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("occvino.conversion.lower", broken)
    with pytest.raises(RuntimeError, match="the disk is full"):
        convert("occvino-nano", None, out, seed=1)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_an_output_that_is_not_ours_is_not_overwritten(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(OutputError, match="exists and holds other things"):
        convert("occvino-nano", None, tmp_path)
    with pytest.raises(OutputError, match="exists and holds other things"):
        convert("occvino-nano", None, tmp_path / "thesis.txt")
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_an_output_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        convert("occvino-nano", None, tmp_path / "file" / "out")


def test_altered_and_missing_files_are_noticed(fresh, tmp_path):
    copy = fresh.path
    weights = bytearray((copy / "model.bin").read_bytes())
    weights[1000] ^= 1
    (copy / "model.bin").write_bytes(weights)
    with pytest.raises(ArtifactError, match=r"model\.bin is not the file that was converted"):
        Artifact.open(copy)
    (copy / "model.bin").unlink()
    with pytest.raises(ArtifactError, match=r"model\.bin is missing"):
        Artifact.open(copy)
    with pytest.raises(ArtifactError, match=r"holds no occvino\.json"):
        Artifact.open(tmp_path)


def test_an_altered_manifest_is_noticed(fresh):
    path = fresh.path / MANIFEST
    good = json.loads(path.read_text())
    changes = [{"cameras": good["cameras"][::-1]}, {"files": {}}, {"class_names": good["class_names"][::-1]}]
    for change in changes:
        path.write_text(json.dumps({**good, **change}))
        with pytest.raises(ArtifactError, match="was altered after it was written"):
            Artifact.open(fresh.path)
    path.write_text(json.dumps({**good, "format": 99}))
    with pytest.raises(ArtifactError, match="has format 99, this occvino reads up to 2"):
        Artifact.open(fresh.path)
    for nonsense in (b"{}", b"[1]", b"\xff\xfe", b""):
        path.write_bytes(nonsense)
        with pytest.raises(ArtifactError, match="is not a manifest"):
            Artifact.open(fresh.path)


def test_the_ir_runs_where_the_onnx_file_was_left_behind(fresh, rig, images):
    (fresh.path / "model.onnx").unlink()
    assert Pipeline(fresh.path)(images, rig).labels.any()
    with pytest.raises(ArtifactError, match=r"model\.onnx is missing"):
        fresh.checked("model.onnx")


def test_a_folder_that_holds_more_than_an_artifact_is_not_replaced(fresh):
    """`occvino run m0 --out m0/result` and then converting again would lose the result."""
    (fresh.path / "result").mkdir()
    with pytest.raises(OutputError, match="holds other things than an artifact"):
        convert("occvino-nano", None, fresh.path)
    assert (fresh.path / "model.xml").is_file()


def test_a_foreign_operator_is_refused(tmp_path):
    class Mine(ov.Op):
        def __init__(self, inputs=None):
            super().__init__(self, inputs)
            if inputs:
                self.constructor_validate_and_infer_types()

        def validate_and_infer_types(self):
            self.set_output_type(0, self.get_input_element_type(0), self.get_input_partial_shape(0))

    value = ov.opset8.parameter([1, 2], np.float32)
    with pytest.raises(OccvinoError, match="not stock: Mine"):
        check_stock(ov.Model([Mine([value]).output(0)], [value]))
    dynamic = ov.opset8.parameter([-1, 2], np.float32)
    with pytest.raises(OccvinoError, match="dynamic shapes"):
        check_stock(ov.Model([ov.opset8.relu(dynamic)], [dynamic]))
