"""Distorted images: is a plan that follows the lens better than straightened images? `python -m benchmarks.lenses`.

    python -m benchmarks.lenses --scenes 20 --frames 2 --work work

The trained small model on held-out synthetic scenes that are rendered through lenses. All ways of one lens show the
same moments to cameras at the same places, and are scored in the same voxels: those that the straight cameras see.
Records are added to `--work` as they come; the figures go to `benchmarks/results/lenses.json`.
"""

import argparse
import json
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.compilers import put_between
from benchmarks.harness import RESULTS, save
from benchmarks.markdown import load, of_which_weights, table
from occvino.conversion import convert
from occvino.geometry.camera import Camera
from occvino.geometry.lens import Lens
from occvino.geometry.rig import Rig
from occvino.metrics import MIoU
from occvino.networks.checkpoint import shipped_weights
from occvino.runtime import Pipeline
from occvino.synth.render import Solids, render
from occvino.synth.rig import make_rig
from occvino.synth.voxels import camera_mask, label_voxels
from occvino.synth.world import SyntheticScene
from occvino.variants import get_variant

SEED, WIDTH = 1001, 352
GRID = get_variant("flashocc-r50-M0").occupancy_grid


@dataclass(frozen=True)
class Optics:
    """A lens, and what the focal lengths of the straight rig are multiplied with."""

    words: str
    lens: Lens
    zoom: float = 1.0


OPTICS = {
    "mild": Optics("plumb_bob -0.1 0.01", Lens("plumb_bob", (-0.1, 0.01, 0, 0, 0))),
    "barrel": Optics("plumb_bob -0.3 0.1", Lens("plumb_bob", (-0.3, 0.1, 0, 0, 0))),
    "fisheye": Optics("fisheye, same focal length", Lens("fisheye", (-0.02, 0.001, 0, 0))),
    "wide": Optics("fisheye, 0.6 of the focal length", Lens("fisheye", (-0.02, 0.001, 0, 0)), 0.6),
}
WAYS = ("straight", "in the plan", "ignored", "undistorted")


def zoomed(camera: Camera, zoom: float) -> Camera:
    return replace(camera, intrinsics=camera.intrinsics * np.array([[zoom, 1, 1], [1, zoom, 1], [1, 1, 1]]))


def moments(scenes: int, frames: int) -> Iterator[tuple[str, SyntheticScene, float, list[Camera]]]:
    for index in range(scenes):
        scene = SyntheticScene.make(SEED, index, 4.5)
        mounts = make_rig(np.random.default_rng([SEED, index, 1]), WIDTH).mounts
        for t in np.linspace(0.5, 4.0, frames):
            yield f"{index}-{t:.2f}", scene, float(t), [m.camera(scene.ego2global(t)) for m in mounts]


def rendered(scene: SyntheticScene, t: float, cameras: list[Camera], seed: int) -> dict[str, NDArray[np.uint8]]:
    solids = Solids.of(scene.shapes_at(t), scene.ground)
    with ThreadPoolExecutor(2) as pool:
        made = pool.map(lambda c: render(solids, scene.light, c, seed)[0], cameras)
        return dict(zip((camera.name for camera in cameras), made, strict=True))


def label(
    pipelines: dict[bool, Pipeline], optics: Optics, scene: SyntheticScene, t: float, cameras: list[Camera]
) -> dict[str, NDArray[np.uint8]]:
    """The labels of each way."""
    straight = [zoomed(camera, optics.zoom) for camera in cameras]
    bent = [replace(camera, lens=optics.lens) for camera in straight]
    flat, curved = (rendered(scene, t, those, round(t * 1000)) for those in (straight, bent))
    return {
        "straight": pipelines[False](flat, Rig(tuple(straight))).labels,
        "in the plan": pipelines[False](curved, Rig(tuple(bent))).labels,
        "ignored": pipelines[False](curved, Rig(tuple(straight))).labels,
        "undistorted": pipelines[True](curved, Rig(tuple(bent))).labels,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--frames", type=int, default=2)
    parser.add_argument("--work", type=Path, required=True)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    artifact = convert("occvino-nano", shipped_weights("occvino-nano"), asked.work / "nano", precision="fp32")
    pipelines = {undistort: Pipeline(artifact, undistort=undistort) for undistort in (False, True)}
    metrics = {name: {way: MIoU("camera") for way in WAYS} for name in OPTICS}
    store = asked.work / "lenses"
    store.mkdir(parents=True, exist_ok=True)
    done = 0
    for moment, scene, t, cameras in moments(asked.scenes, asked.frames):
        pose = scene.ego2global(t)
        solids = Solids.of(scene.shapes_at(t), scene.ground)
        truth, _ = label_voxels(solids.shapes, solids.ground, pose, GRID)
        for name, optics in OPTICS.items():
            path = store / f"{name}-{moment}.npz"
            if not path.exists():
                np.savez_compressed(path, **label(pipelines, optics, scene, t, cameras))
            mask = camera_mask(truth, [zoomed(camera, optics.zoom) for camera in cameras], pose, GRID)
            with np.load(path) as found:
                for way in WAYS:
                    metrics[name][way].update(found[way], truth, mask)
        done += 1
        figures: dict[str, Any] = {n: {w: round(m.compute(), 4) for w, m in of.items()} for n, of in metrics.items()}
        print(done, json.dumps(figures), flush=True)
    save("lenses", {name: {"lens": OPTICS[name].words, "frames": done, "miou": figures[name]} for name in OPTICS})
    print(f"wrote {RESULTS / 'lenses.json'}")
    page()


def page() -> None:
    """The table of docs/your-cameras.md."""
    found = load("lenses")
    heads = ["lens", "straight images", "distorted, lens in the plan", "distorted, lens ignored", "undistorted"]
    rows = [[of["lens"], *(f"{100 * of['miou'][way]:.2f}" for way in WAYS)] for of in (found[name] for name in OPTICS)]
    put_between(
        Path("docs/your-cameras.md"),
        "<!-- made by benchmarks/lenses.py -->",
        "<!-- end -->",
        [table(heads, rows), of_which_weights(found).strip()],
    )


if __name__ == "__main__":
    main()
