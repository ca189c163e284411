"""`occvino demo`: the whole path on what ships inside. A made-up street stands in for a drive."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from occvino.artifact import Artifact
from occvino.cameras import Rig
from occvino.convert import convert
from occvino.convert.verify import Report, verify
from occvino.datasets.scene import make_scene
from occvino.errors import OccvinoError
from occvino.preprocess import Frames
from occvino.report import save_picture
from occvino.runtime import Pipeline
from occvino.viz import demo_figure

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
    frames = scene.render(scene.rig)
    artifact = convert(VARIANT, None, out / "artifact", precision="fp32", seed=seed, progress=progress)
    progress("verifying")
    report = verify(artifact, frames, scene.rig, device=device, progress=progress)
    progress("running")
    predicted = Pipeline(artifact, device)(frames, scene.rig)
    predicted.save(out / "labels.npz")
    progress("drawing")
    figure = demo_figure(
        frames,
        {"Truth": scene.occupancy(predicted.grid), "occvino-nano with random weights": predicted.labels},
        predicted.grid,
        predicted.class_names,
    )
    save_picture(figure, out / "demo.png")
    scene.rig.save(out / "rig.json")
    return DemoResult(report, (out / "artifact", out / "labels.npz", out / "demo.png", out / "rig.json"))


def frames_and_rig(artifact: str | Path) -> tuple[Frames, Rig]:
    """A made-up scene for an artifact, when there is no real frame at hand.

    Raises:
        OccvinoError: its cameras are not the six of the scene, or its calibration is baked in.
    """
    opened = Artifact.open(artifact)
    scene = make_scene(0)
    if opened.manifest.baked_calibration or set(opened.manifest.cameras) != set(scene.rig.names):
        raise OccvinoError(
            f"{artifact} takes {len(opened.manifest.cameras)} cameras of its own"
            f"{', with a baked calibration' if opened.manifest.baked_calibration else ''}; the made-up scene has the six "
            "of nuScenes: give --images and --rig"
        )
    return scene.render(scene.rig), scene.rig
