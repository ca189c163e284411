"""What half precision does to the model that ships inside, emulated in PyTorch. `python -m benchmarks.half`.

mIoU on the frames of the scene that ships inside, which it was not trained on, in f32 and in emulated f16, with bags
that add in f32 and in f16, and with convolutions that add in f16 as well; and of models with random weights, the
labels. The largest value is that before rounding.
"""

from typing import Any

import numpy as np
import torch

from benchmarks.harness import save
from occvino.conversion.half import EVERYWHERE, SUMS, run_half
from occvino.conversion.references import run_torch
from occvino.datasets.shipped import shipped_scene
from occvino.geometry.inputs import Geometry
from occvino.images.inputs import network_images
from occvino.metrics import MIoU
from occvino.networks import build
from occvino.networks.checkpoint import shipped_weights
from occvino.variant import NUSCENES_CAMERAS
from occvino.variants import get_variant

RANDOM = ("flashocc-r50-M0", "panoptic-flashocc-r50-depth-tiny-pano")


def named(sums: str) -> str:
    return f"f16, sums in {sums}" if sums == EVERYWHERE else f"f16, bags in {sums}"


def measure(name: str, checkpoint: Any, frames: int) -> dict[str, Any]:
    variant, model = get_variant(name), build(name, checkpoint).eval()
    forms = (*SUMS, EVERYWHERE) if checkpoint else SUMS  # the last is slow
    scores = {form: MIoU() for form in ("f32", *(named(sums) for sums in forms))}
    labels: dict[str, list[float]] = {form: [] for form in scores}
    peak, peak_at = 0.0, ""
    for frame in list(shipped_scene())[:frames]:
        rig = frame.rig.select(NUSCENES_CAMERAS)
        images = network_images(frame.image_files(), rig, variant)
        inputs = {"images": images, **Geometry.of_rigs([rig], variant).inputs}
        expected = run_torch(model, inputs, "batch")
        found = {"f32": expected["labels"]}
        for sums in forms:
            outputs, rounded = run_half(model, inputs, "batch", sums)
            found[named(sums)] = outputs["labels"]
            peak, peak_at = max((peak, peak_at), (rounded.peak, rounded.peak_at))
        truth = frame.load_labels()
        for form, volume in found.items():
            scores[form].update(volume, truth.semantics, truth.mask_camera)
            labels[form].append(float(np.mean(volume == expected["labels"])))
    return {
        "frames": frames,
        "miou": {form: score.compute() for form, score in scores.items()} if checkpoint else None,
        "labels": {form: float(np.mean(shares)) for form, shares in labels.items()},
        "peak": peak,
        "peak_at": peak_at,
    }


def main() -> None:
    torch.manual_seed(0)
    results = {"occvino-nano": measure("occvino-nano", shipped_weights("occvino-nano"), 3)}
    results |= {name: measure(name, None, 1) for name in RANDOM}
    save("half", {"results": results})
    print(results)


if __name__ == "__main__":
    main()
