"""What the fast form and int8 cost a temporal model: a small trained one on held-out scenes, in all its forms.

    occvino synth train1 --scenes 20 --seed 1 --frames 6 --width 352
    python -m benchmarks.fast --train train1 --work work --steps 560

The model is occvino-nano with a camera-aware depth net and one past frame. It begins with the weights of the nano that
ships (`warm_start.py`), whose image encoder it keeps. Scenes to measure on are made under --work: ordinary ones, ones
that brake and ones that brake with cameras that fire three times as far apart in time, where fast and exact differ
most. Training and labels go on from what is under --work.
"""

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from benchmarks.baseline import best_constant
from benchmarks.harness import THREADS, save
from benchmarks.warm_start import widened
from occvino.artifact import Artifact
from occvino.conversion import convert
from occvino.datasets.nuscenes import NuScenes
from occvino.evaluation.engines import load_engine
from occvino.evaluation.predictions import Predictions
from occvino.evaluation.score import score
from occvino.geometry.inputs import camera_vectors, joint_calibration
from occvino.geometry.temporal import FORMS
from occvino.networks import build
from occvino.networks.checkpoint import shipped_weights
from occvino.synth import write as synth
from occvino.synth.actors import Speed
from occvino.synth.rig import SensorSet
from occvino.synth.world import SyntheticScene
from occvino.training.examples import load_example, samples_of
from occvino.training.loop import Training, TrainSettings
from occvino.variant import DepthNet
from occvino.variants import get_variant
from tests.small import known

NANO = get_variant("occvino-nano")
VARIANT = replace(
    NANO,
    name="occvino-nano-4d",
    summary="occvino-nano with a camera-aware depth net and one past frame",
    depth_net=DepthNet(aspp_channels=NANO.neck_channels),
    past_frames=1,
)
_FROZEN = ("img_backbone", "img_neck")
SEED, WIDTH = 1001, 352
INT8_FRAMES = 60
"""At most so many calibrate."""
BRAKING, SPREAD = -3.0, 3.0
"""Metres a second squared, and how many times as far apart cameras fire, on the harder scenes."""


def braking(make: Callable[..., SyntheticScene]) -> Callable[..., SyntheticScene]:
    """Scenes that begin at 8 m/s or more and brake all the way."""

    def changed(*arguments: Any) -> SyntheticScene:
        scene = make(*arguments)
        return replace(scene, speed=Speed(max(8.0, scene.speed.start), BRAKING))

    return changed


def apart(make: Callable[..., SensorSet]) -> Callable[..., SensorSet]:
    """Rigs whose cameras fire further apart in time."""

    def changed(*arguments: Any) -> SensorSet:
        sensors = make(*arguments)
        mounts = tuple(replace(mount, delay=SPREAD * mount.delay) for mount in sensors.mounts)
        return replace(sensors, mounts=mounts)

    return changed


def held_out(work: Path, scenes: int, frames: int) -> dict[str, NuScenes]:
    """The sets to measure on, made unless they are there."""
    brakes = lambda: patch.object(SyntheticScene, "make", braking(SyntheticScene.make))  # noqa: E731 - a patch serves once
    fires = lambda: patch.object(synth, "make_rig", apart(synth.make_rig))  # noqa: E731
    kinds = {"ordinary": (), "braking": (brakes,), "braking, cameras apart": (brakes, fires)}
    found: dict[str, NuScenes] = {}
    for kind, changes in kinds.items():
        folder = work / kind.replace(", ", "-").replace(" ", "-")
        with ExitStack() as stack:
            for change in changes:
                stack.enter_context(change())
            for _ in synth.synthesize(folder, scenes, synth.SynthSettings(SEED, frames, WIDTH)):
                pass
        found[kind] = NuScenes(folder)
    return found


def train(folders: list[Path], work: Path, steps: int) -> tuple[Path, Training]:
    """Weights after that many steps, and the run that made them."""
    settings = TrainSettings(VARIANT.name, steps, 1, 2e-4, warmup=20, average=0.97, frozen=_FROZEN)
    sets = [NuScenes(folder) for folder in folders]
    training = Training(settings, [each for data in sets for each in samples_of(data, VARIANT)], work / "run")
    if not training.step:
        training.begin_with(first_weights(training, sets[0]))
    for line in training.run(report_every=20, save_every=20):
        print(" ".join(f"{name} {value:.3f}" for name, value in line.items()), flush=True)
    weights = work / f"{VARIANT.name}.safetensors"
    training.export(weights)
    return weights, training


def first_weights(training: Training, dataset: NuScenes) -> dict[str, Tensor]:
    """Those of the nano that ships, brought to two frames."""
    some = slice(None, None, len(dataset) // 4)
    samples = [load_example(each, NANO, None, depth_from=None) for each in samples_of(dataset, NANO)[some]]
    return widened(training.model, build(NANO.name, shipped_weights(NANO.name)), samples)


def artifacts(weights: Path, work: Path, calibration: NuScenes) -> dict[str, Artifact]:
    """The model in its three forms, batch first, one of them in int8, and the one-frame model that it began as.

    In int8 nothing is put back, whatever it costs.
    """
    found = {form: convert(VARIANT.name, weights, work / form, precision="fp32", temporal=form) for form in FORMS}
    found["exact, int8"] = convert(
        VARIANT.name,
        weights,
        work / "exact-int8",
        precision="int8",
        temporal="exact",
        dataset=calibration,
        calibration_frames=INT8_FRAMES,
        accuracy_budget=100,
    )
    nano = convert(NANO.name, shipped_weights(NANO.name), work / "nano", precision="fp32")
    return {**found, "one frame (occvino-nano)": nano}


def measure(forms: dict[str, Artifact], name: str, work: Path, dataset: NuScenes) -> dict[str, Any]:
    """MIoU of each form on a set, and in how many voxels its labels are those of batch."""
    found: dict[str, Any] = {}
    reference = None
    for form, artifact in forms.items():
        label, runs_on = load_engine("openvino", artifact, device="CPU", precision="fp32", checkpoint=None)
        folder = work / "labels" / name / form
        predictions = Predictions(folder, {"files": dict(artifact.manifest.files), "runs_on": runs_on})
        for _ in predictions.fill(dataset, range(len(dataset)), label, takes=artifact.variant.frames):
            pass
        reference = reference or folder
        scored = score(predictions, dataset, range(len(dataset)), against=reference)
        found[form] = {"miou": scored.miou, "labels_equal": scored.equal_labels, "per_class": scored.per_class}
        print(f"{name:24} {form:24} mIoU {scored.miou:.4%}  labels equal {scored.equal_labels:.5%}", flush=True)
    return {"frames": len(dataset), "moved_mm": told_apart(dataset), "forms": found}


def told_apart(dataset: NuScenes) -> dict[str, float]:
    """How far a camera's place in the key ego frame is from what it was a frame before, millimetres."""
    places = []
    for index, frame in enumerate(dataset):
        (before,) = dataset.previous(index, 1)
        vectors = [camera_vectors(joint_calibration([f.rig, f.rig], VARIANT), VARIANT)[:6] for f in (frame, before)]
        places.append(1e3 * np.linalg.norm((vectors[0] - vectors[1])[:, [18, 22, 26]], axis=1))
    return {"mean": float(np.mean(places)), "largest": float(np.max(places))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, action="append", required=True, help="repeatable")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--drives", type=int, default=6, help="scenes of each kind to measure on")
    parser.add_argument("--frames", type=int, default=10, help="of each of these scenes")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    with known(VARIANT):
        weights, training = train(options.train, options.work, options.steps)
        forms = artifacts(weights, options.work, NuScenes(options.train[0]))
        sets = held_out(options.work, options.drives, options.frames)
        keys = [frames[0] for frames in training.frames]
        constant, _, _ = best_constant(keys, list(sets["ordinary"]), VARIANT.occupancy_grid, masked=True)
        results = {
            "steps": training.step,
            "measured_on": {"drives": options.drives, "frames": options.frames},
            "training_frames": len(training.frames),
            "constant_miou": constant,
            "drives": {name: measure(forms, name, options.work, data) for name, data in sets.items()},
        }
    save("fast", results)


if __name__ == "__main__":
    main()
