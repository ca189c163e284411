"""The command `occvino demo`: the whole path with the shipped model and a shipped scene that it never saw."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from PIL import Image

from occvino.artifact import refuse_inside
from occvino.cli.console import out, say, steps
from occvino.cli.options import Device
from occvino.cli.tables import print_verification
from occvino.datasets.nuscenes import Sample
from occvino.datasets.shipped import shipped_scene
from occvino.errors import OccvinoError
from occvino.evaluation.view import of_occupancy, with_truth
from occvino.metrics import MIoU
from occvino.runtime import Occupancy, Pipeline
from occvino.viz import compose, save_picture
from occvino.viz.html import write_html

if TYPE_CHECKING:
    from occvino.conversion.report import Report

VARIANT = "occvino-nano"


def demo(
    out_dir: Annotated[Path, typer.Option("--out", help="Folder to write.")] = Path("demo"),
    frame: Annotated[int, typer.Option(help="Which frame of the scene that ships inside, from 0.")] = 0,
    device: Device = "CPU",
) -> None:
    """Convert, verify, run and draw the model inside.

    It is trained, and runs on a synthetic scene that it never saw. Needs nothing but the extra `convert`.

    Example: occvino demo --out demo
    """
    with steps() as progress:
        result = run_demo(out_dir, frame=frame, device=device, progress=progress)
    print_verification(out, result.report)
    out.print(
        f"mIoU of this frame, in voxels that a camera sees: [bold]{result.miou:.1%}[/]. The model learnt from "
        "synthetic scenes and knows no real street."
    )
    for path in result.written:
        say(f"wrote {path}")
    say(f"look at it in 3D: open {result.page} in a browser")
    raise typer.Exit(0 if result.report.ok else 1)


@dataclass(frozen=True)
class DemoResult:
    """What the demo proved and wrote. `miou` is that of its one frame, 0..1, in voxels that a camera sees."""

    report: "Report"
    miou: float
    written: tuple[Path, ...]

    @property
    def page(self) -> Path:
        """The HTML page."""
        return next(path for path in self.written if path.suffix == ".html")


def run_demo(out: Path, *, frame: int, device: str, progress: Callable[[str], Any]) -> DemoResult:
    """Convert, verify, run, compare with the truth, draw; all in the folder `out`.

    Args:
        out: folder to write.
        frame: index into the scene that ships inside.
        device: OpenVINO device.
        progress: called with a few words when a step begins.

    Raises:
        OccvinoError: there is no such frame, or the folder or the device cannot be used.
    """
    from occvino.conversion import convert
    from occvino.conversion.verify import verify
    from occvino.networks.checkpoint import shipped_weights

    refuse_inside(out)
    scene = shipped_scene()
    if not 0 <= frame < len(scene):
        raise OccvinoError(f"there is no frame {frame}: the scene that ships inside has frames 0 to {len(scene) - 1}")
    chosen = scene[frame]
    images = chosen.image_files()
    weights = shipped_weights(VARIANT)
    artifact = convert(VARIANT, weights, out / "artifact", precision="fp32", progress=progress)
    progress("verifying")
    report = verify(artifact, images, chosen.rig, device=device, progress=progress)
    progress("running")
    predicted = Pipeline(artifact, device)(images, chosen.rig)
    predicted.save(out / "labels.npz")
    progress("drawing")
    miou = _draw(chosen, predicted, out / "demo.png")
    shown = with_truth(of_occupancy(predicted, f"frame {frame}", images=dict(images), rig=chosen.rig), chosen)
    write_html([shown], out / "demo.html", title=f"{VARIANT} on a synthetic scene")
    chosen.rig.save(out / "rig.json")
    names = ("artifact", "labels.npz", "rig.json", "demo.png", "demo.html")
    return DemoResult(report, miou, tuple(out / name for name in names))


def _draw(frame: Sample, predicted: Occupancy, path: Path) -> float:
    """Write the figure; returns the mIoU of the frame."""
    truth = frame.load_labels()
    metric = MIoU("camera")
    metric.update(predicted.labels, truth.semantics, truth.mask_camera)
    figure = compose(
        {camera.name: Image.fromarray(raw) for camera, raw in zip(frame.rig.cameras, frame.load_images(), strict=True)},
        {"Ground truth": truth.semantics, f"{VARIANT}, on OpenVINO": predicted.labels},
        predicted.grid,
        predicted.class_names,
        title="Six cameras in, 640,000 labelled voxels out",
        subtitle=f"a synthetic scene that the model was not trained on; mIoU of this frame {metric.compute():.1%}",
    )
    save_picture(figure, path)
    return metric.compute()
