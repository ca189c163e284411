"""The layout, by the rules of OpenVINO Model Server's documents; the server itself is not run (docs/serving.md)."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset8
from typer.testing import CliRunner

from occvino.artifact import IR, IR_WEIGHTS, MANIFEST, Artifact, Manifest
from occvino.cli.app import app
from occvino.errors import ArtifactError, DeviceError
from occvino.files import OutputError, sha256
from occvino.runtime import Pipeline
from occvino.runtime.devices import Settings
from occvino.serve.repository import export_repository
from tests.serve.conftest import matrices as matrices_of

KEYS = {"name", "base_path", "batch_size", "shape", "layout", "model_version_policy", "nireq", "target_device",
        "allow_cache", "plugin_config"}  # fmt: skip
"""Of a model in config.json, as "Model Server Parameters" lists them; the server refuses a file with any other."""
CAMERAS = ("left", "right")


def by_hand(folder: Path, inputs: dict[str, list[int]], **changes: object) -> Artifact:
    """An artifact whose IR has these inputs and sums them up: what it computes is not what is tested."""
    folder.mkdir(parents=True)
    parameters = []
    for name, shape in inputs.items():
        kind = ov.Type.u8 if name in ("frames", "images") else ov.Type.f32
        parameters.append(opset8.parameter(ov.PartialShape(shape), kind, name=name))
        parameters[-1].output(0).set_names({name})
    total = opset8.constant(np.float32(0))
    for each in parameters:
        floats = opset8.convert(each, "f32")
        axes = np.arange(floats.get_output_partial_shape(0).rank.get_length())
        total = opset8.add(total, opset8.reduce_sum(floats, axes))
    total.output(0).set_names({"labels"})
    ov.save_model(ov.Model([opset8.result(total)], parameters, "by hand"), folder / IR)
    manifest = Manifest(
        variant="occvino-nano",
        precision="fp32",
        cameras=CAMERAS,
        class_names=("a", "free"),
        grid={},
        input_size=(128, 352),
        outputs=("labels",),
        baked_calibration=False,
        weights={},
        versions={},
        files={name: sha256(folder / name) for name in (IR, IR_WEIGHTS)},
    )
    (folder / MANIFEST).write_text(replace(manifest, **changes).to_json())
    return Artifact.open(folder)


MATRICES = {"frames": [2, 8, 12, 3], "intrinsics": [2, 3, 3], "camera2ego": [2, 4, 4]}


@pytest.fixture
def matrices(tmp_path):
    return by_hand(tmp_path / "matrices", MATRICES)


def files_of(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def check_rules(repository: Path) -> dict[str, object]:
    """The documented rules; gives the one model of config.json."""
    config = json.loads((repository / "config.json").read_text())
    assert set(config) == {"model_config_list"}
    ((entry,),) = ([each.values() for each in config["model_config_list"]],)
    (model,) = entry
    assert model.keys() <= KEYS
    assert model.keys() >= {"name", "base_path"}
    base = (repository / model["base_path"]).resolve()  # a relative one is so to config.json
    assert ".." not in Path(model["base_path"]).parts
    versions = [path for path in base.iterdir() if path.is_dir()]
    assert [int(path.name) > 0 for path in versions] == [True]
    assert model["model_version_policy"] == {"specific": {"versions": [int(versions[0].name)]}}
    (xml,) = versions[0].glob("*.xml")
    assert xml.with_suffix(".bin").is_file()
    assert {path.name for path in versions[0].iterdir()} == {xml.name, xml.with_suffix(".bin").name}
    network = ov.Core().read_model(xml)
    shapes = {value.get_any_name(): "(" + ",".join(map(str, value.shape)) + ")" for value in network.inputs}
    assert model["shape"] == shapes
    assert all(isinstance(value, str | bool | int | float) for value in model["plugin_config"].values())
    ov.Core().compile_model(network, model["target_device"], model["plugin_config"])  # the properties are real ones
    return model


def test_a_repository_keeps_the_rules(matrices, tmp_path):
    config = export_repository(matrices, tmp_path / "repository")
    assert config == tmp_path / "repository" / "config.json"
    model = check_rules(tmp_path / "repository")
    assert model["name"] == "occvino-nano"
    assert (model["target_device"], model["plugin_config"]) == ("CPU", {"PERFORMANCE_HINT": "LATENCY"})
    copied, was = files_of(tmp_path / "repository"), files_of(matrices.path)
    assert copied["occvino-nano/1/model.xml"] == was[IR]
    assert copied["occvino-nano/1/model.bin"] == was[IR_WEIGHTS]
    assert copied["occvino-nano/occvino.json"] == was[MANIFEST]


def test_names_and_settings(matrices, tmp_path):
    settings = Settings("fp32", threads=2, hint="throughput", streams=2)
    export_repository(matrices, tmp_path / "repository", name="roof", device="cpu", settings=settings)
    model = check_rules(tmp_path / "repository")
    assert (model["name"], model["base_path"], model["target_device"]) == ("roof", "roof", "CPU")
    assert model["plugin_config"] == {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": 2,
        "NUM_STREAMS": 2,
    }


PLAN = {"frames": [2, 8, 12, 3], "pixels": [10], "depths": [10], "offsets": [4]}


@pytest.mark.parametrize(
    ("inputs", "changes", "message"),
    [
        (PLAN, {}, "takes depths, frames, offsets, pixels, and .*occvino convert occvino-nano --calibration matrices"),
        ({"frames": [2, 8, 12, 3]}, {}, "takes frames, and .*occvino convert occvino-nano --calibration matrices"),
        ({**MATRICES, "memory": [1]}, {"temporal": "exact"}, "'exact' remembers past frames.*--temporal batch --cal"),
        ({**MATRICES, "frames": [2, -1, -1, 3]}, {}, "--calibration matrices"),
        ({**MATRICES, "images": [2, 8, 12, 3]}, {}, "--calibration matrices"),
    ],
)
def test_another_form_is_refused_and_nothing_is_written(tmp_path, inputs, changes, message):
    artifact = by_hand(tmp_path / "plan", inputs, **changes)
    with pytest.raises(ArtifactError, match=message):
        export_repository(artifact, tmp_path / "repository")
    assert not (tmp_path / "repository").exists()


def test_an_artifact_with_a_plan_is_refused(request, tmp_path):
    pytest.importorskip("torch", reason="without torch nothing is converted here")
    nano = request.getfixturevalue("nano")
    with pytest.raises(ArtifactError, match="occvino convert occvino-nano --calibration matrices"):
        export_repository(nano, tmp_path / "repository")


@pytest.mark.slow
def test_a_converted_model_labels_a_frame_from_the_repository(tmp_path, rig, images):
    """As the server does: the IR of the version folder, nothing but images and matrices, no line of ours in between."""
    pytest.importorskip("torch", reason="without torch nothing is converted here")
    from occvino.conversion import convert
    from occvino.images.layout import ImageInput

    size = ImageInput((rig.cameras[0].height, rig.cameras[0].width))
    artifact = convert("occvino-nano", None, tmp_path / "m", precision="fp32", calibration="matrices", image_input=size)
    export_repository(artifact, tmp_path / "repository")
    model = check_rules(tmp_path / "repository")
    network = ov.Core().compile_model(tmp_path / "repository" / "occvino-nano" / "1" / "model.xml", "CPU")
    assert set(model["shape"]) == {"frames", "intrinsics", "camera2ego"}
    ours = rig.select(artifact.manifest.cameras)
    intrinsics, camera2ego = matrices_of(ours)
    frames = np.stack([images[name] for name in ours.names])
    found = network({"frames": frames, "intrinsics": intrinsics, "camera2ego": camera2ego})["labels"]
    np.testing.assert_array_equal(found, Pipeline(artifact)(images, rig).labels)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", ".hidden", "a\\b"])
def test_a_name_that_can_be_no_folder(matrices, tmp_path, name):
    with pytest.raises(ArtifactError, match="can be no folder"):
        export_repository(matrices, tmp_path / "repository", name=name)


def test_npu_and_devices_that_there_are_not(matrices, tmp_path):
    with pytest.raises(DeviceError, match="half precision"):
        export_repository(matrices, tmp_path / "repository", device="HETERO:NPU,CPU")
    with pytest.raises(DeviceError, match="TPU is no device"):
        export_repository(matrices, tmp_path / "repository", device="TPU")


def test_a_repository_of_ours_is_replaced_and_nothing_else(matrices, tmp_path):
    out = tmp_path / "repository"
    export_repository(matrices, out, name="first")
    export_repository(matrices, out, name="second")
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "second"]
    (out / "second" / "2").mkdir()
    shutil.copyfile(matrices.path / IR, out / "second" / "2" / IR)
    was = files_of(out)
    with pytest.raises(OutputError, match="exists and holds other things"):
        export_repository(matrices, out)
    assert files_of(out) == was


def test_what_was_there_stays_when_writing_fails(matrices, tmp_path, monkeypatch):
    out = tmp_path / "repository"
    export_repository(matrices, out, name="first")
    was = files_of(out)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OutputError, match="the disk is full"):
        export_repository(matrices, out, name="second")
    assert files_of(out) == was
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_altered_artifact_is_refused(matrices, tmp_path):
    with (matrices.path / IR_WEIGHTS).open("ab") as file:
        file.write(b"x")
    with pytest.raises(ArtifactError, match="is not the file that was converted"):
        export_repository(matrices.path, tmp_path / "repository")


def test_the_command(matrices, tmp_path):
    out = tmp_path / "repository"
    done = CliRunner().invoke(app, ["export-server", str(matrices.path), "--out", str(out), "--name", "roof"])
    assert done.exit_code == 0, done.output
    assert f"ovms --config_path {out / 'config.json'} --port 9000 --rest_port 8000" in done.output
    assert check_rules(out)["name"] == "roof"
