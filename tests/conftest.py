"""What many tests share. Real nuScenes data is used where it is found and never copied."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from occvino.artifact import Artifact
from occvino.geometry.camera import Camera
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import pose
from occvino.synth.write import SynthSettings, synthesize
from occvino.variant import NUSCENES_CAMERAS
from occvino.variants import get_variant
from tests.converted import begin, converted, exported_once

SYNTH = SynthSettings(seed=11, frames=2, width=96)
SHARED = Path(__file__).resolve().parents[2] / "shared"
YAWS = {  # degrees, left positive: roughly where nuScenes has them
    "CAM_FRONT_LEFT": 55.0,
    "CAM_FRONT": 0.0,
    "CAM_FRONT_RIGHT": -55.0,
    "CAM_BACK_LEFT": 110.0,
    "CAM_BACK": 180.0,
    "CAM_BACK_RIGHT": -110.0,
}


def pytest_configure(config: pytest.Config) -> None:
    store = begin()
    if store:
        config.add_cleanup(lambda: shutil.rmtree(store))


@pytest.fixture(scope="session", autouse=True)
def each_network_is_exported_once():
    """In this process; commands that a test runs export for themselves."""
    if find_spec("torch") is None:  # the server's environment
        yield
        return
    from occvino import conversion

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "export_onnx", exported_once(conversion.export_onnx))
        yield


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of recorded cases of the official code."""
    if not (SHARED / "golden").is_dir():
        pytest.skip("the recorded cases (shared/golden) are not beside this checkout")
    return SHARED / "golden"


@pytest.fixture(scope="session")
def real_frame() -> Path:
    """Folder with six nuScenes images and calibration.json."""
    if not (SHARED / "samples" / "nuscenes-0").is_dir():
        pytest.skip("the real frame (shared/samples) is not beside this checkout")
    return SHARED / "samples" / "nuscenes-0"


@pytest.fixture(scope="session")
def shared_pictures() -> Path:
    """Folder of images that were read wrongly once."""
    if not (SHARED / "faults" / "pictures").is_dir():
        pytest.skip("the reported faults (shared/faults) are not beside this checkout")
    return SHARED / "faults" / "pictures"


def make_camera(name: str, yaw: float = 0.0, *, width: int = 352, height: int = 198, focal: float = 280.0) -> Camera:
    """A camera 1.5 m above the ego origin that looks along `yaw` degrees, left positive."""
    half = np.radians(yaw) / 2
    ego_from_forward = pose([np.cos(half), 0, 0, np.sin(half)], [0.0, 0.0, 1.5])
    forward_from_sensor = pose([0.5, -0.5, 0.5, -0.5], [0.0, 0.0, 0.0])  # z forward, x right, y down
    intrinsics = [[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]]
    return Camera(name, width, height, np.array(intrinsics), ego_from_forward @ forward_from_sensor, np.eye(4))


@pytest.fixture(scope="session")
def rig() -> Rig:
    """Six cameras all round, 352x198."""
    return Rig(tuple(make_camera(name, YAWS[name]) for name in NUSCENES_CAMERAS))


@pytest.fixture(scope="session")
def images(rig: Rig) -> dict[str, np.ndarray]:
    """Noise images for `rig`."""
    rng = np.random.default_rng(0)
    return {
        camera.name: rng.integers(0, 256, (camera.height, camera.width, 3), dtype=np.uint8) for camera in rig.cameras
    }


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory, rig: Rig, images: dict[str, np.ndarray]) -> Path:
    """A folder as a deployer has it: six images and a rig."""
    folder = tmp_path_factory.mktemp("frame")
    for name, array in images.items():
        Image.fromarray(array).save(folder / f"{name}.png")
    rig.save(folder / "rig.json")
    return folder


@pytest.fixture(scope="session")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """occvino-nano with random weights, fp32, logits and depth as further outputs."""
    out = tmp_path_factory.mktemp("artifacts") / "nano"
    return converted("occvino-nano", None, out, precision="fp32", outputs=("logits", "depth"))


@pytest.fixture(scope="session")
def baked(tmp_path_factory: pytest.TempPathFactory, rig: Rig) -> Artifact:
    """occvino-nano with random weights, stored in half precision, and the calibration of `rig` baked in."""
    from occvino.conversion import convert

    out = tmp_path_factory.mktemp("artifacts") / "baked"
    # in another order than the network's, as files have it
    shuffled = rig.select(sorted(rig.names))
    return convert(
        "occvino-nano", None, out, precision="fp16", rig=shuffled, bake_calibration=True, outputs=("logits",)
    )


@pytest.fixture(scope="session")
def bf16() -> None:
    """A CPU that computes in bf16."""
    import openvino as ov

    if "BF16" not in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU does not compute in bf16")


@pytest.fixture
def fresh(nano: Artifact, tmp_path: Path) -> Artifact:
    """A copy of `nano` that a test may alter."""
    return Artifact.open(shutil.copytree(nano.path, tmp_path / "nano"))


@pytest.fixture(scope="session")
def nano_variant():
    return get_variant("occvino-nano")


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of one short scene with very small images. Tests copy it before they change it."""
    out = tmp_path_factory.mktemp("synth") / "scenes"
    assert list(synthesize(out, 1, SYNTH)) == ["scene-0001"]
    return out
