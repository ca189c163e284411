"""The C++ example, built with g++ against the wheel of OpenVINO: its labels are those of `Pipeline`."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import openvino
import pytest
from PIL import Image

from occvino.conversion import convert
from occvino.images.layout import ImageInput
from occvino.runtime import Pipeline

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "cpp"
OPENVINO = Path(openvino.__file__).parent


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    """Built by the command that the README gives."""
    libraries = sorted((OPENVINO / "libs").glob("libopenvino.so.*"))
    if shutil.which("g++") is None:
        pytest.skip("there is no g++ here: the C++ example was not built")
    if not libraries or not (OPENVINO / "include" / "openvino" / "openvino.hpp").is_file():
        pytest.skip(f"the openvino package in {OPENVINO} has no headers or libraries: the C++ example was not built")
    out = tmp_path_factory.mktemp("cpp") / "labels"
    told = re.search(r"^g\+\+ .*$", (EXAMPLE / "README.md").read_text(), re.MULTILINE)
    assert told
    command = told[0].replace("examples/cpp/", f"{EXAMPLE}/").replace("-o labels", f"-o {out}")
    subprocess.run(["bash", "-c", f"OV={OPENVINO}\n{command} -Wall -Werror"], check=True)
    return out


@pytest.fixture(scope="module")
def artifact(tmp_path_factory, rig):
    out = tmp_path_factory.mktemp("cpp") / "nano"
    return convert("occvino-nano", None, out, calibration="matrices", rig=rig, image_input=ImageInput((198, 352)))


@pytest.fixture(scope="module")
def files(tmp_path_factory, artifact, rig, images) -> list[Path]:
    """Calibration and images, written by the lines of the README."""
    folder = tmp_path_factory.mktemp("frame")
    text = (EXAMPLE / "README.md").read_text()
    code = text.partition("```python\n")[2].partition("```")[0]
    code = code.replace('occvino.Pipeline("nano")', "given_pipe").replace(
        '"images", occvino.Rig.load("rig.json")', "given_images, given_rig"
    )
    code = code.replace('f"{name}.ppm"', 'f"{folder}/{name}.ppm"').replace(
        '"calibration.txt"', 'f"{folder}/calibration.txt"'
    )
    given = {"given_pipe": Pipeline(artifact), "given_images": images, "given_rig": rig, "folder": folder}
    exec(code, given)
    return [folder / "calibration.txt", *(folder / f"{name}.ppm" for name in artifact.manifest.cameras)]


def run(program: Path, artifact, out: Path, files: list[Path]) -> subprocess.CompletedProcess[str]:
    command = [program, artifact.path / "model.xml", files[0], out, *files[1:]]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_its_labels_are_those_of_python(program, artifact, files, rig, images, tmp_path):
    done = run(program, artifact, tmp_path / "labels.raw", files)
    assert done.returncode == 0, done.stderr
    found = np.fromfile(tmp_path / "labels.raw", np.uint8)
    expected = Pipeline(artifact)(images, rig).labels
    np.testing.assert_array_equal(found.reshape(expected.shape), expected)
    assert done.stdout == f"{(expected != 17).sum()} of {expected.size} voxels are occupied\n"
    assert len(np.unique(expected)) > 3


def test_wrong_files_are_told(program, artifact, files, tmp_path):
    other = tmp_path / "other.ppm"
    Image.new("RGB", (352, 197)).save(other)
    cut = tmp_path / "cut.ppm"
    cut.write_bytes(files[1].read_bytes()[:-1])
    few = tmp_path / "few.txt"
    few.write_text(files[0].read_text().rsplit(" ", 1)[0])
    for given, message in (
        ([files[0], other, *files[2:]], f"{other} is 352x197, the network takes 352x198"),
        ([files[0], cut, *files[2:]], f"{cut} is cut short"),
        ([files[0], files[0], *files[2:]], f"{files[0]}: no PPM file of 8 bits (P6)"),
        ([few, *files[1:]], f"{few}: expected 25 numbers for each camera"),
        (files[:-1], "the network takes 6 images"),
        ([tmp_path / "none.txt", *files[1:]], f"{tmp_path}/none.txt: expected 25 numbers for each camera"),
    ):
        done = run(program, artifact, tmp_path / "labels.raw", given)
        assert (done.returncode, done.stderr) == (1, f"labels: {message}\n")
        assert not (tmp_path / "labels.raw").exists()
