"""The trained small model on held-out scenes: every form of it, and a frozen calibration.

    occvino synth train1 --scenes 100 --seed 1 --frames 6 --width 352
    occvino synth train2 --scenes 100 --seed 2 --frames 6 --width 352
    occvino synth held-out --scenes 20 --seed 1001 --frames 10 --width 352
    python -m benchmarks.accuracy --train train1 --train train2 --held-out held-out --work work

Labels are kept under --work, so that an interrupted run goes on. The training sets are only read for the baseline.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from benchmarks.baseline import best_constant
from benchmarks.harness import save
from occvino.artifact import Artifact
from occvino.conversion import convert
from occvino.datasets.nuscenes import NuScenes
from occvino.evaluation.engines import load_engine
from occvino.evaluation.predictions import Predictions
from occvino.evaluation.score import score
from occvino.geometry.rig import turned
from occvino.metrics import RayIoU
from occvino.networks.checkpoint import shipped_weights
from occvino.variants import get_variant

VARIANT = "occvino-nano"


def forms(work: Path, dataset: NuScenes) -> dict[str, tuple[Artifact, str, str | None]]:
    """Each form of the network: artifact, engine, what the device computes in. PyTorch first: it is the reference."""
    weights = shipped_weights(VARIANT)
    fp32 = convert(VARIANT, weights, work / "fp32", precision="fp32")
    fp16 = convert(VARIANT, weights, work / "fp16", precision="fp16")
    frozen = convert(VARIANT, weights, work / "frozen", precision="fp32", rig=dataset[0].rig, bake_calibration=True)
    found: dict[str, tuple[Artifact, str, str | None]] = {
        "PyTorch": (fp32, "torch", None),
        "ONNX Runtime": (fp32, "onnxruntime", None),
        "IR fp32": (fp32, "openvino", "fp32"),
        "IR fp16": (fp16, "openvino", "fp32"),
    }
    if "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        found["IR fp16, computed in bf16"] = (fp16, "openvino", "bf16")
    found["IR fp32, plan frozen at the first frame"] = (frozen, "openvino", "fp32")
    for degrees in (2.0, 5.0):
        rig = turned(dataset[0].rig, degrees)
        artifact = convert(
            VARIANT, weights, work / f"off-{degrees:g}", precision="fp32", rig=rig, bake_calibration=True
        )
        found[f"IR fp32, frozen and {degrees:g} degrees of yaw off"] = (artifact, "openvino", "fp32")
    return found


def measure(work: Path, dataset: NuScenes) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    reference = None
    for name, (artifact, engine, precision) in forms(work, dataset).items():
        label, runs_on = load_engine(engine, artifact, device="CPU", precision=precision, checkpoint=None)
        folder = work / f"labels-{len(rows)}"
        stamp = {"files": dict(artifact.manifest.files), "engine": engine, "runs_on": runs_on}
        predictions = Predictions(folder, stamp)
        for _ in predictions.fill(dataset, range(len(dataset)), label, rig=artifact.baked_rig):
            pass
        reference = reference or folder
        found = score(predictions, dataset, range(len(dataset)), rays=True, against=reference)
        rows[name] = {"runs_on": runs_on, **found.to_dict()}
        if reference == folder:
            rows[name]["unmasked"] = score(predictions, dataset, range(len(dataset)), masked=False).to_dict()
        print(f"{name:42} mIoU {found.miou:.4%}  labels equal {found.equal_labels:.4%}", flush=True)
    return rows


def baseline(training: list[NuScenes], dataset: NuScenes) -> dict[str, Any]:
    """Figures of the best constant volume (see `baseline.py`)."""
    frames = [frame for part in training for frame in part]
    grid = get_variant(VARIANT).occupancy_grid
    found: dict[str, Any] = {}
    for masked in (True, False):
        miou, ring, labels = best_constant(frames, list(dataset), grid, masked=masked)
        rays = RayIoU()
        for index, frame in enumerate(dataset):
            rays.update(labels, frame.load_labels().semantics, dataset.ray_origins(index))
        found["masked" if masked else "unmasked"] = {"miou": miou, "ring": ring, "rays": rays.compute()}
    print("baseline", found, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, action="append", required=True, help="repeatable")
    parser.add_argument("--held-out", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    options = parser.parse_args()
    dataset = NuScenes(options.held_out)
    training = [NuScenes(folder) for folder in options.train]
    yaw = [np.rad2deg(np.arctan2(*frame.rig.cameras[1].sensor2ego[[1, 0], 2])) for frame in dataset]
    results = {
        "frames": len(dataset),
        "training_frames": sum(map(len, training)),
        "front_camera_yaw_degrees": [float(min(yaw)), float(max(yaw))],
        "baseline": baseline(training, dataset),
        "forms": measure(options.work, dataset),
    }
    save("accuracy", results)


if __name__ == "__main__":
    main()
