"""examples/kserve/client.py as its README says to run it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from occvino.datasets.shipped import shipped_scene
from occvino.runtime import Pipeline
from occvino.serve.rig import rig_of_matrices
from tests.serve.conftest import matrices

pytestmark = pytest.mark.usefixtures("extra")
CLIENT = Path(__file__).resolve().parents[2] / "examples" / "kserve" / "client.py"


@pytest.fixture
def frame(tmp_path):
    """A folder as the README wants it; the rig has the cameras in another order than the network, and poses."""
    sample = shipped_scene()[1]
    for name, file in sample.image_files().items():
        (tmp_path / f"{name}.jpg").write_bytes(file.read_bytes())
    rig = sample.rig.select(sorted(sample.rig.names))
    assert rig.has_pose
    rig.save(tmp_path / "rig.json")
    return tmp_path, rig


@pytest.mark.parametrize("options", [(), ("--raw",), ("--grpc",), ("--grpc", "--raw")])
def test_the_example(server, artifact, frame, options):
    folder, rig = frame
    address = server.grpc if "--grpc" in options else server.http
    command = [sys.executable, str(CLIENT), str(folder), address, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "labels uint8 [200, 200, 16]" in done.stdout

    sizes = [(camera.width, camera.height) for camera in rig.cameras]
    files = {name: (folder / f"{name}.jpg") for name in rig.names}
    pixels = {name: np.asarray(Image.open(file)) for name, file in files.items()}
    ours = rig.select(artifact.manifest.cameras)
    pipeline = Pipeline(artifact)
    same = pipeline(pixels if "--raw" in options else files, rig_of_matrices(ours.names, sizes, *matrices(ours)))
    np.testing.assert_array_equal(np.load(folder / "labels.npy"), same.labels)
    of_the_rig = pipeline(pixels if "--raw" in options else files, rig).labels  # of float64 matrices
    changed = (of_the_rig != same.labels).mean()
    print(f"float32 matrices change {changed:.6%} of the labels")
    assert changed < 1e-3
