"""Dozens of changed files for each reader, always the same ones: each is read or refused. For longer: `run.py`."""

import json
import subprocess
import sys

import pytest

COUNT = 75
NAMES = (
    "rig", "manifest", "checkpoint.safetensors", "checkpoint.pth", "checkpoint.old.pth", "infos", "tables", "labels",
    "image.jpg", "image.png", "image.tiff", "image.webp", "image.bmp", "image.ppm", "onnx", "occupancy",
    "kalibr", "opencv.yml", "opencv.xml", "kitti360", "argoverse2", "carla",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_file_is_read_or_refused(name):
    code = (
        "import json; from tests.fuzz.run import fuzz; "
        f"print(json.dumps(fuzz({name!r}, seed=0, count={COUNT}, seconds=None, keep=None)))"
    )
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", code], capture_output=True, text=True, errors="replace"
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found) <= {"read", "refused"}, found
    assert found.get("refused", 0) > 0, "no change was noticed: is the reader called?"


@pytest.mark.slow
def test_no_reader_is_forgotten(tmp_path):
    from tests.fuzz.readers import readers

    assert set(readers(tmp_path)) == set(NAMES)
