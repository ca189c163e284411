"""Artifacts compiled ahead of time: they give what the artifact gives, and nothing else than was compiled."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from occvino.errors import ArtifactError, DeviceError
from occvino.files import OutputError
from occvino.runtime import Pipeline
from occvino.runtime.compiled import COMPILED, compile_artifact
from occvino.runtime.devices import Settings


@pytest.fixture(scope="module")
def compiled(nano, tmp_path_factory):
    out = tmp_path_factory.mktemp("compiled") / "nano"
    compile_artifact(nano, "cpu", out, settings=Settings(precision="fp32"))
    return out


def test_it_gives_the_same_bits(nano, compiled, rig, images):
    expected = Pipeline(nano, precision="fp32")(images, rig)
    pipeline = Pipeline(compiled)
    found = pipeline(images, rig)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.extras["logits"], expected.extras["logits"])
    assert pipeline.running.precision == "fp32"


def test_the_folder_says_what_it_is(nano, compiled):
    told = json.loads((compiled / COMPILED).read_text())
    assert told["device"] == "CPU"
    assert told["ir"] == nano.manifest.files["model.xml"]
    assert told["settings"] == {"INFERENCE_PRECISION_HINT": "f32"}
    assert set(told["parts"]) == {""}
    assert not (compiled / "model.onnx").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"device": "GPU"}, "was compiled for CPU, and device=GPU is asked for"),
        ({"precision": "bf16"}, "compiled already: precision cannot be chosen"),
        ({"stages": {"encoder": "CPU", "pool": "CPU", "trunk": "CPU"}}, "stages cannot be chosen"),
    ],
)
def test_nothing_else_is_run(compiled, options, words):
    with pytest.raises(DeviceError, match=words):
        Pipeline(compiled, **options)
    assert Pipeline(compiled, "cpu").running.requested == "CPU"


def test_an_altered_blob_is_not_imported(compiled, tmp_path):
    copy = shutil.copytree(compiled, tmp_path / "copy")
    blob = copy / "model.blob"
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match="not the file that was compiled: compile again"):
        Pipeline(copy)
    blob.unlink()
    with pytest.raises(ArtifactError, match="is missing"):
        Pipeline(copy)
    (copy / COMPILED).write_text("{}")
    with pytest.raises(ArtifactError, match="cannot be read"):
        Pipeline(copy)


def test_a_blob_that_the_device_does_not_take_is_said_to_be_one(compiled, tmp_path):
    import hashlib

    copy = shutil.copytree(compiled, tmp_path / "copy")
    (copy / "model.blob").write_bytes(b"something else")
    told = json.loads((copy / COMPILED).read_text())
    told["parts"][""] = hashlib.sha256(b"something else").hexdigest()
    (copy / COMPILED).write_text(json.dumps(told))
    with pytest.raises(DeviceError, match=r"CPU does not take .*model.blob, which OpenVINO .* compiled for CPU"):
        Pipeline(copy)


def test_what_stands_there_is_replaced_only_if_it_was_compiled(nano, compiled, tmp_path):
    compile_artifact(nano, "CPU", compiled, settings=Settings(precision="fp32"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="holds other things"):
        compile_artifact(nano, "CPU", tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_platforms_are_of_npus(nano, tmp_path):
    with pytest.raises(DeviceError, match="only NPUs have platforms"):
        compile_artifact(nano, "CPU", tmp_path / "out", platform="4000")


def test_the_command(nano, tmp_path):
    def run(*arguments):
        command = [sys.executable, "-c", "from occvino.cli.app import main; main()", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    done = run("compile", nano.path, "--device", "cpu", "--out", tmp_path / "c")
    assert done.returncode == 0, done.stderr
    assert "for CPU, compiled by OpenVINO" in done.stdout + done.stderr
    done = run("compile", nano.path, "--device", "NPU", "--platform", "4000", "--out", tmp_path / "n")
    assert done.returncode == 2
    assert "there is no device NPU" in done.stderr
    assert "tools/npu" in done.stderr
    assert not (tmp_path / "n").exists()
