"""The oldest versions that pyproject.toml allows for the core install: they install together, and label a frame."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scripts.floors import floors

ROOT = Path(__file__).parent.parent.parent
PROJECT = {
    "dependencies": ["numpy>=1.26", "thing[extra]>=2.0.1,<3", "bare"],
    "optional-dependencies": {"more": ["numpy>=1.26", "other>=0.5"]},
}


def test_floors_are_read_from_ranges():
    assert floors(PROJECT, []) == ["numpy==1.26", "thing==2.0.1"]
    assert floors(PROJECT, ["more"]) == ["numpy==1.26", "other==0.5", "thing==2.0.1"]


def test_an_extra_that_is_not_there_is_named():
    with pytest.raises(SystemExit, match="no extra is called mor: more"):
        floors(PROJECT, ["mor"])


@pytest.mark.slow
def test_the_core_install_works_with_the_oldest_versions(nano, frame, tmp_path):
    def said(*command: object) -> str:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    oldest = tmp_path / "floors.txt"
    oldest.write_text(said(sys.executable, ROOT / "scripts" / "floors.py"))
    said(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    said(python, "-m", "pip", "install", "-q", "-c", oldest, ROOT)
    listed = said(python, "-m", "pip", "freeze").lower()
    assert all(f"{line.lower()}" in listed for line in oldest.read_text().split())
    said(python, "-m", "occvino", "run", nano.path, "--images", frame, "--rig", frame / "rig.json", "--out", "result")
    with np.load(tmp_path / "result" / "labels.npz") as result:
        assert result["labels"].shape == (200, 200, 16)
