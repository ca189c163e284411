"""Intel's openvino_flashocc as a contestant, from a copy of it (openvino_contrib/modules/openvino_flashocc).

`python -m benchmarks.competitor SOURCE PREPARED` builds its C++ extension with cmake and converts random weights of
seed 0 with its own converter, for M0 and M1; that needs a torchvision which fits the torch here. The other benchmarks
then take `--competitor SOURCE PREPARED`.

Its pipeline is run on the CPU in fp32, its IO optimisations off: with them on, which is its default, the trunk never
gets the BEV features on a CPU. It is given what its encoder takes, float32 images that are normalised already. It has
M0's sizes written into it, so that of M1 only its two networks can be run, with no pool between them.
"""

import argparse
import contextlib
import importlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from occvino.geometry.calibration import Calibration

NAME = "openvino_flashocc"
NETWORKS_ALONE = f"{NAME}, its networks without a pool"
CONFIGS = {"flashocc-r50-M0": "m0", "flashocc-r50": "m1"}
MEAN, STD = np.array([123.675, 116.28, 103.53], np.float32), np.array([58.395, 57.12, 57.375], np.float32)


def prepare(source: Path, out: Path) -> None:
    """Its extension and its IRs, made by its own means."""
    build = out / "build"
    extension = source / "openvino_extensions" / "bev_pool"
    subprocess.run(
        ["cmake", "-S", extension, "-B", build, "-DCMAKE_BUILD_TYPE=Release", f"-DPython3_EXECUTABLE={sys.executable}"],
        check=True,
    )
    subprocess.run(["cmake", "--build", build], check=True)
    for variant, config in CONFIGS.items():
        weights = out / f"{config}.pth"
        _save_weights(variant, weights)
        arguments = ["--model-variant", config, "--checkpoint", weights, "--split-out-dir", out / config]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(source), os.environ.get("PYTHONPATH", "")])}
        subprocess.run([sys.executable, "convert_to_openvino.py", *arguments], cwd=source, env=environment, check=True)


def _save_weights(variant: str, path: Path) -> None:
    import torch

    from occvino.networks import build

    torch.save({"state_dict": build(variant, None, seed=0).state_dict()}, path)


def sample(images: np.ndarray, calibration: Calibration) -> dict[str, np.ndarray]:
    """A frame as its runner takes it; `images` are u8 [6, H, W, 3], RGB."""
    return {
        # the model sees blue, green, red, with the mean and deviation of red, green, blue
        "images": np.ascontiguousarray(((images[..., ::-1] - MEAN) / STD).transpose(0, 3, 1, 2)),
        "post_rots": calibration.post_rot,
        "post_trans": calibration.post_trans,
        "sensor2egos": calibration.sensor2ego,
        "ego2globals": calibration.ego2global,
        "intrins": calibration.intrinsics,
    }


def pool(source: Path, prepared: Path) -> Any:
    """Its pooling operator: `compute_geom(sample)`, and `run_with_geom(depth, features, geometry)`, in NCHW."""
    return _runner(source).BEVPoolOVSO(_extension(prepared), device="CPU", inference_precision="f32")


def whole(source: Path, prepared: Path, frame: dict[str, np.ndarray]) -> Callable[[], np.ndarray]:
    """A frame of M0 through its pipeline: labels u8 [200, 200, 16]."""
    runner = _runner(source)
    with contextlib.redirect_stdout(io.StringIO()):
        pipeline = runner.OpenVINOSplitPipeline(
            str(prepared / "m0"),
            "CPU",
            inference_precision="f32",
            bev_pool_so=pool(source, prepared),
            report_infer_only_timing=False,  # its counters cost time
            enable_io_optimizations=False,
        )
    return lambda: pipeline.run(frame)[0]


def networks_alone(prepared: Path, frame: dict[str, np.ndarray], variant: str) -> Callable[[], np.ndarray]:
    """Its encoder, its trunk on a BEV that is not the encoder's, and the class of each voxel, as its pipeline does."""
    core, folder = ov.Core(), prepared / CONFIGS[variant]
    models = [core.read_model(folder / f"{name}.xml") for name in ("image_encoder", "bev_trunk")]
    given = [frame["images"], np.random.default_rng(0).random((1, 64, 200, 200), np.float32)]
    for model, array in zip(models, given, strict=True):
        model.reshape(list(array.shape))
    encoder, trunk = (
        core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request() for model in models
    )

    def run() -> np.ndarray:
        encoder.infer([given[0]])
        trunk.infer([given[1]])
        return trunk.get_output_tensor(0).data[0].argmax(-1).astype(np.uint8)

    return run


def _extension(prepared: Path) -> str:
    return str(prepared / "build" / "libopenvino_bevpool_extension.so")


def _runner(source: Path) -> Any:
    if str(source) not in sys.path:
        sys.path.insert(0, str(source))
    return importlib.import_module("run_flashocc_ov")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("prepared", type=Path)
    options = parser.parse_args()
    prepare(options.source.resolve(), options.prepared.resolve())
