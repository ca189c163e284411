"""`occvino demo`: the whole path on what ships inside. A made-up street stands in for a drive."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occvino.artifact import Artifact
from occvino.cameras import Rig
from occvino.conversion import convert
from occvino.conversion.verify import Report, verify
from occvino.datasets.scene import Scene, make_scene
from occvino.errors import OccvinoError
from occvino.preprocess import Frames
from occvino.runtime import Pipeline
from occvino.variants import Variant, get_variant
from occvino.viz import compose, save_picture

VARIANT = "occvino-nano"


@dataclass(frozen=True)
class DemoResult:
    """What the demo proved and wrote."""

    report: Report
    written: tuple[Path, ...]


def run_demo(out: Path, *, seed: int, device: str, progress: Callable[[str], Any]) -> DemoResult:
    """Scene -> convert -> verify -> run -> picture, all in the folder `out`.

    Raises:
        OccvinoError: the folder or the device cannot be used.
    """
    progress("drawing a street seen by six cameras")
    scene = make_scene(seed)
    frames, rig = _look(scene, get_variant(VARIANT))
    artifact = convert(VARIANT, None, out / "artifact", precision="fp32", seed=seed, progress=progress)
    progress("verifying")
    report = verify(artifact, frames, rig, device=device, progress=progress)
    progress("running")
    predicted = Pipeline(artifact, device)(frames, rig)
    predicted.save(out / "labels.npz")
    progress("drawing")
    figure = compose(
        frames,
        {"Truth": scene.occupancy(predicted.grid), "Network with random weights": predicted.labels},
        predicted.grid,
        predicted.class_names,
        title="occvino demo",
    )
    save_picture(figure, out / "demo.png")
    rig.save(out / "rig.json")
    return DemoResult(report, (out / "artifact", out / "labels.npz", out / "demo.png", out / "rig.json"))


def frames_and_rig(artifact: str | Path) -> tuple[Frames, Rig]:
    """A made-up scene for an artifact, when there is no real frame at hand.

    Raises:
        OccvinoError: its cameras are not the six of the scene, or its calibration is baked in.
    """
    opened = Artifact.open(artifact)
    scene = make_scene(0)
    if opened.manifest.baked_calibration or set(opened.manifest.cameras) != set(scene.rig.names):
        own = "a baked calibration" if opened.manifest.baked_calibration else f"cameras {opened.manifest.cameras}"
        raise OccvinoError(f"{artifact} has {own}; the made-up scene is seen by nuScenes' six: give --images and --rig")
    return _look(scene, opened.variant)


def _look(scene: Scene, variant: Variant) -> tuple[dict[str, NDArray[np.uint8]], Rig]:
    """The scene at about the size the network takes: larger pictures would only be scaled down again."""
    rig = scene.rig.scaled(variant.input_size[1] / scene.rig.cameras[0].width)
    return scene.render(rig.cameras[0].width, rig.cameras[0].height), rig
