"""A server in a process of its own, and what to send to it."""

import importlib.util
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from occvino.artifact import Artifact
from occvino.datasets.shipped import shipped_scene
from occvino.geometry.rig import Rig, turned
from occvino.serve.rig import rig_of_matrices

REQUIRE = "OCCVINO_REQUIRE_SERVE"
ARTIFACT = "OCCVINO_SERVE_ARTIFACT"
"""A converted occvino-nano that takes raw images of 396x704; made here where torch is installed."""
NEEDED = ("kserve", "tritonclient", "gevent")


@pytest.fixture(scope="session")
def extra() -> None:
    """The extra `serve` and the client of the tests, whose pins do not go together with ours (scripts/test.sh)."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        told = (
            f"{', '.join(missing)} not installed here: scripts/test.sh runs these tests in an environment of their own"
        )
        if os.environ.get(REQUIRE):
            pytest.fail(told)
        pytest.skip(told)


@pytest.fixture(scope="session")
def artifact(extra: None, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """occvino-nano for images of the shipped scene's size."""
    if made := os.environ.get(ARTIFACT):
        return Artifact.open(made)
    if importlib.util.find_spec("torch") is None:
        pytest.fail(f"without torch nothing is converted here: name an artifact in {ARTIFACT}")
    from occvino.conversion import convert
    from occvino.images.layout import ImageInput

    weights = Path(__file__).resolve().parents[2] / "src/occvino/assets/occvino-nano.safetensors"
    out = tmp_path_factory.mktemp("serve") / "nano"
    return convert("occvino-nano", weights, out, image_input=ImageInput((396, 704)))


@dataclass(frozen=True, eq=False)
class Client:
    """What one client sends: images as files and as pixels, and matrices."""

    names: tuple[str, ...]
    files: list[bytes]
    pixels: np.ndarray
    intrinsics: np.ndarray
    camera2ego: np.ndarray

    @property
    def rig(self) -> Rig:
        height, width = self.pixels.shape[1:3]
        return rig_of_matrices(self.names, [(width, height)] * len(self.names), self.intrinsics, self.camera2ego)


def matrices(rig: Rig) -> tuple[np.ndarray, np.ndarray]:
    """intrinsics [N, 3, 3] and camera2ego [N, 4, 4], f32, of a rig with poses."""
    key = np.linalg.inv(rig.cameras[0].ego2global)
    poses = [key @ camera.ego2global @ camera.sensor2ego for camera in rig.cameras]
    return np.array([camera.intrinsics for camera in rig.cameras], np.float32), np.array(poses, np.float32)


def make_client(number: int) -> Client:
    """Another frame or another mounting for each number."""
    scene = shipped_scene()
    sample = scene[number % len(scene)]
    rig = turned(sample.rig, 3.0 * number)
    found = sample.image_files()
    files = [found[name].read_bytes() for name in rig.names]
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in files])
    return Client(rig.names, files, pixels, *matrices(rig))


@pytest.fixture(scope="session")
def client() -> Client:
    return make_client(0)


@dataclass(frozen=True)
class Served:
    """A server that listens."""

    http: str
    grpc: str
    pid: int
    log: Path


NAME = "occvino-nano"


def start(artifact: Path, log: Path, *options: str) -> tuple[subprocess.Popen[str], Served]:
    """Start a server on free ports, and wait until it says where they are."""
    command = [sys.executable, "-c", "from occvino.cli import main; main()", "serve", str(artifact)]
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*command, "--port", "0", "--grpc-port", "0", *options], stdout=subprocess.PIPE, stderr=errors, text=True
        )
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith("gRPC"):
            break
    ports = re.search(r"HTTP: http://(\S+)/v2/models/\S+\ngRPC: (\S+)\n", said)
    assert ports, said + log.read_text()
    return process, Served(ports[1], ports[2], process.pid, log)


def stop(process: subprocess.Popen[str]) -> int:
    """Tell a server to stop; gives its exit code."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(40)
    finally:
        process.kill()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture(scope="session")
def server(artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    process, served = start(artifact.path, tmp_path_factory.mktemp("served") / "log")
    yield served
    assert stop(process) == 0
