"""Six raw images to the network's u8 tensor: in the graph against Pillow on one thread.

    occvino synth wide --scenes 10 --seed 2001 --frames 10 --width 800
    python -m benchmarks.preprocess --held-out wide --work work

Timed for several sizes; the trained small model is judged on a synthetic set with images larger than it takes.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from PIL import Image

from benchmarks.harness import THREADS, Timing, save, show, take_turns
from occvino.conversion import convert
from occvino.conversion.raw_images import resizing
from occvino.datasets.nuscenes import NuScenes
from occvino.datasets.shipped import shipped_scene
from occvino.geometry.image_transform import ImageTransform
from occvino.images.layout import ImageInput
from occvino.metrics import MIoU
from occvino.networks.checkpoint import shipped_weights
from occvino.runtime import Pipeline

ROUNDS = 40
GRAPH, GRAPH_ALONE, PILLOW = "in the graph", "in the graph, one thread", "Pillow, one thread"
CASES = {"M0": ((900, 1600), (256, 704)), "occvino-nano": ((900, 1600), (128, 352)), "odd": ((1013, 1811), (256, 704))}
"""Whole and network size. `odd` shares no small factor with its result."""


def images(size: tuple[int, int]) -> np.ndarray:
    """Those of the shipped scene, enlarged: smooth, as camera images are."""
    frame = shipped_scene()[0].load_images()
    return np.stack([np.asarray(Image.fromarray(one).resize(size[::-1], Image.Resampling.BICUBIC)) for one in frame])


def by_pillow(frames: np.ndarray, transform: ImageTransform) -> np.ndarray:
    resized = (Image.fromarray(one).resize(transform.resized, Image.Resampling.BICUBIC) for one in frames)
    return np.stack([np.asarray(one.crop(transform.crop)) for one in resized])


def contestants(size: tuple[int, int], taken: tuple[int, int]) -> dict[str, Callable[[], np.ndarray]]:
    """From images of one (height, width) to what a network takes."""
    frames, transform = images(size), ImageTransform.for_test(size, taken)
    model = resizing(ImageInput(size), transform, len(frames))

    def graph(threads: int) -> Callable[[], np.ndarray]:
        settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
        request = ov.Core().compile_model(model, "CPU", settings).create_infer_request()
        return lambda: request.infer({"frames": frames}, share_inputs=True, share_outputs=True)["images"]

    return {GRAPH: graph(THREADS), GRAPH_ALONE: graph(1), PILLOW: lambda: by_pillow(frames, transform)}


def accuracy(held_out: NuScenes, work: Path) -> dict[str, Any]:
    """MIoU of the trained small model on raw images that Pillow resizes, and that the graph does."""
    camera = held_out[0].rig.cameras[0]
    size, weights = (camera.height, camera.width), shipped_weights("occvino-nano")
    forms = {PILLOW: None, GRAPH: ImageInput(size)}
    pipes = {
        name: Pipeline(
            convert("occvino-nano", weights, work / f"nano-{index}", precision="fp32", image_input=takes),
            precision="fp32",
            threads=THREADS,
        )
        for index, (name, takes) in enumerate(forms.items())
    }
    metrics, equal = {name: MIoU("camera") for name in pipes}, []
    for frame in held_out:
        truth = frame.load_labels()
        labels = [pipe(frame.image_files(), frame.rig).labels for pipe in pipes.values()]
        for metric, found in zip(metrics.values(), labels, strict=True):
            metric.update(found, truth.semantics, truth.mask_camera)
        equal.append(float((labels[0] == labels[1]).mean()))
    miou = {name: metric.compute() for name, metric in metrics.items()}
    return {"frames": len(held_out), "size": size, "miou": miou, "labels_equal": float(np.mean(equal))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--held-out", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    options = parser.parse_args()
    judged = accuracy(NuScenes(options.held_out), options.work)
    print(judged, flush=True)
    results: dict[str, list[Timing]] = {}
    equal: dict[str, dict[str, float]] = {}
    for name, (size, taken) in CASES.items():
        running = contestants(size, taken)
        graph, pillow = running[GRAPH](), running[PILLOW]()
        difference = np.abs(graph.astype(np.int16) - pillow)
        equal[name] = {"share": float((difference == 0).mean()), "levels": int(difference.max())}
        label = f"{name}: {size[0]}x{size[1]} to {taken[0]}x{taken[1]}"
        results[label] = take_turns(running, rounds=ROUNDS, warmup=3)
        show(label, results[label])
        print(equal[name])
    save("preprocess", {"rounds": ROUNDS, "results": results, "equal": equal, "accuracy": judged})


if __name__ == "__main__":
    main()
