"""The command line: one thin function a command. Exit codes: 0 fine, 1 a check failed, 2 wrong use."""

import sys
import warnings
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.markup import escape

from occvino import __version__, report
from occvino.bench.command import bench
from occvino.cameras import Rig
from occvino.console import err, out, print_json, say, steps
from occvino.datasets.command import synth
from occvino.errors import OccvinoError
from occvino.evaluation.command import evaluate
from occvino.evaluation.run_command import run
from occvino.image_input import NUSCENES, ImageInput
from occvino.options import (
    ArtifactPath,
    Checkpoint,
    Device,
    Json,
    OptionalRig,
    Past,
    Precision,
    hint_of,
    past_moments,
)
from occvino.training.command import train
from occvino.variants import get_variant, variants

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_EXTRA = ("torch", "onnx", "onnxscript", "onnxruntime", "nncf", "safetensors")
"""Modules of the `convert` extra, which commands other than `run` and `info` need."""


def _show_version(asked: bool) -> None:
    if asked:
        say(f"occvino {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """FlashOcc 3D occupancy on Intel CPUs, GPUs and NPUs: convert a checkpoint, prove it, run it."""


@app.command()
def demo(
    out_dir: Annotated[Path, typer.Option("--out", help="Folder to write.")] = Path("demo"),
    frame: Annotated[int, typer.Option(help="Which frame of the drive that ships inside, from 0.")] = 0,
    device: Device = "CPU",
) -> None:
    """Convert the small trained model, verify it, run it on a synthetic drive, draw it. Needs nothing but this package.

    Example: occvino demo --out demo
    """
    from occvino.demo import run_demo

    with steps() as progress:
        result = run_demo(out_dir, frame=frame, device=device, progress=progress)
    report.print_verification(out, result.report)
    out.print(
        f"mIoU of this frame, in voxels that a camera sees: [bold]{result.miou:.1%}[/]. The model learnt from "
        "synthetic drives and knows no real street."
    )
    for path in result.written:
        say(f"wrote {path}")
    raise typer.Exit(0 if result.report.ok else 1)


@app.command()
def convert(
    variant: Annotated[str, typer.Argument(help="Model name, as `occvino info` lists them.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Artifact folder to write.")],
    checkpoint: Checkpoint = None,
    precision: Annotated[
        str, typer.Option(help="Of the stored weights: fp32 or fp16; or int8 (docs/int8.md).")
    ] = "fp16",
    rig: OptionalRig = None,
    cameras: Annotated[int | None, typer.Option(help="How many cameras, if not the model's six.")] = None,
    bake_calibration: Annotated[
        Path | None,
        typer.Option(help="Rig to make a constant. The IR is then wrong for any other: 0.1 degree of yaw moves 10 %."),
    ] = None,
    output: Annotated[
        list[str] | None, typer.Option(help="Also give this tap, as logits or depth. Repeatable.")
    ] = None,
    temporal: Annotated[
        str | None,
        typer.Option(help="Of a model of several frames: exact (default) or fast, one at a time, or batch."),
    ] = None,
    dataset: Annotated[Path | None, typer.Option(help="For int8: nuScenes folder with Occ3D's gts.")] = None,
    calibration_frames: Annotated[int | None, typer.Option(help="For int8: at most so many; else 100.")] = None,
    accuracy_budget: Annotated[float | None, typer.Option(help="For int8: points of mIoU to lose; else 0.3.")] = None,
    image_size: Annotated[
        str | None,
        typer.Option(
            help="Of the whole pictures that the IR takes and resizes itself, HEIGHTxWIDTH; else that of the rig, else "
            "900x1600. network: pictures that are resized already."
        ),
    ] = None,
    image_layout: Annotated[str, typer.Option(help="Of those: rgb, bgr or nv12.")] = "rgb",
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Convert without a checkpoint, with noise.")
    ] = False,
) -> None:
    """Convert a checkpoint to one OpenVINO IR of stock operators.

    Example: occvino convert flashocc-r50-M0 --checkpoint flashocc-r50-M0-256x704.pth --out m0
    """
    if checkpoint and random_weights:
        raise OccvinoError("--checkpoint and --random-weights contradict each other: give one of the two")
    if not checkpoint and not random_weights:
        from occvino.networks.checkpoint import shipped_weights

        checkpoint = shipped_weights(variant)
        if checkpoint is None:
            raise OccvinoError(f"no weights of {variant} ship with occvino: give --checkpoint FILE or --random-weights")
        say(f"weights: {checkpoint.name}, which ship with occvino")
    if rig and bake_calibration:
        raise OccvinoError("--rig and --bake-calibration both name a rig: give one of the two")
    source = bake_calibration or rig
    loaded = Rig.load(source) if source else None
    takes = _image_input(image_size, image_layout, loaded)
    from occvino.conversion import convert as run

    with steps() as progress:
        artifact = run(
            variant,
            checkpoint,
            out_dir,
            precision=precision,  # type: ignore[arg-type]  # checked by convert
            rig=loaded,
            cameras=cameras,
            bake_calibration=bake_calibration is not None,
            outputs=tuple(output or ()),
            temporal=temporal or ("exact" if get_variant(variant).frames > 1 else "batch"),  # type: ignore[arg-type]
            dataset=dataset,
            calibration_frames=calibration_frames,
            accuracy_budget=accuracy_budget,
            image_input=takes,
            progress=progress,
        )
    if artifact.manifest.quantization:
        report.print_quantization(out, artifact.manifest.quantization)
    pictures = f"whole pictures of {takes}" if takes else "pictures resized by Pillow"
    say(f"wrote {artifact.path}: {artifact.manifest.variant}, {artifact.manifest.precision} weights, takes {pictures}")
    say(f"prove it: occvino verify {artifact.path} --images DIR --rig RIG.json")


def _image_input(size: str | None, layout: str, rig: Rig | None) -> ImageInput | None:
    """What whole pictures the IR is to take: as asked for, else those of the rig, else nuScenes'; None for none."""
    if size and size != "network":
        return ImageInput.parse(size, layout)
    cameras = [(camera.height, camera.width) for camera in rig.cameras] if rig else [NUSCENES]
    found = None if size else ImageInput.of_sizes(cameras, layout)
    if found is None and layout != "rgb":
        raise OccvinoError(f"--image-layout {layout} is of whole pictures of one size: give --image-size HEIGHTxWIDTH")
    if found is None and not size:
        warnings.warn(
            "the rig's cameras have several sizes: Pillow will resize their pictures on the host", stacklevel=2
        )
    return found


@app.command()
def verify(
    artifact: ArtifactPath,
    images: Annotated[Path | None, typer.Option(help="Folder of pictures; else the drive that ships inside.")] = None,
    rig: OptionalRig = None,
    past: Past = None,
    checkpoint: Checkpoint = None,
    device: Device = "CPU",
    precision: Precision = "f32",
    as_json: Json = False,
) -> None:
    """Run one frame through PyTorch, ONNX Runtime and the IR and compare them tap by tap; exit 1 if they part.

    Example: occvino verify m0 --images frame --rig frame/rig.json
    """
    if (images is None) != (rig is None):
        raise OccvinoError("--images and --rig belong together: give both, or neither for the drive that ships inside")
    if past and images is None:
        raise OccvinoError("--past needs --images and --rig: it is the past of these pictures")
    from occvino.conversion.verify import verify as run
    from occvino.datasets.shipped import moments_for

    (frames, loaded), *before = (
        [(images, Rig.load(rig)), *past_moments(past)] if images and rig else moments_for(artifact)
    )
    with steps(quiet=as_json) as progress:
        result = run(
            artifact,
            frames,
            loaded,
            past=before,
            checkpoint=checkpoint,
            device=device,
            precision=hint_of(precision),
            progress=progress,
        )
    if as_json:
        print_json(result.to_dict())
    else:
        report.print_verification(out, result)
    raise typer.Exit(0 if result.ok else 1)


app.command()(run)
app.command()(bench)


@app.command()
def info(
    artifact: Annotated[
        Path | None, typer.Argument(help="Artifact folder, or a model's name; the list of models when left out.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="NPU: check the IR against the rules of its importer.")] = None,
    as_json: Json = False,
) -> None:
    """List the models, describe one or an artifact, or check an artifact against the rules of an NPU.

    Example: occvino info m0 --device NPU
    """
    if artifact is None:
        rows = report.variant_rows()
        if as_json:
            print_json(rows)
        else:
            report.print_variants(out, rows)
        return
    if not artifact.is_dir() and str(artifact) in variants():
        row = next(row for row in report.variant_rows() if row["name"] == str(artifact))
        if as_json:
            print_json(row)
        else:
            report.print_variant(out, row)
        return
    from occvino.artifact import IR, Artifact

    opened = Artifact.open(artifact)
    if device is None:
        if as_json:
            sys.stdout.write(opened.manifest.to_json())
        else:
            report.print_manifest(out, opened)
        return
    if device.upper() != "NPU":
        raise OccvinoError(
            f"--device {device}: only NPU is checked by rules; for others, run `occvino verify --device`"
        )
    from occvino.runtime.npu_rules import check_npu_rules

    check = check_npu_rules(opened.path / IR)
    if as_json:
        print_json(check.to_dict())
    else:
        report.print_rule_check(out, check)
    raise typer.Exit(0 if check.ok else 1)


app.command()(synth)
app.command()(train)
app.command("eval")(evaluate)


@app.command()
def doctor(
    target: Annotated[str, typer.Argument(help="package.module:factory; the factory returns (module, args, kwargs).")],
    as_json: Json = False,
    html: Annotated[Path | None, typer.Option(help="Also write the report as one HTML file.")] = None,
    device: Annotated[list[str] | None, typer.Option(help="OpenVINO device to ask. Repeatable.")] = None,
) -> None:
    """Find what breaks between PyTorch, ONNX and OpenVINO in any torch.nn.Module, and where in its source.

    The target is imported and its factory called: that is your own code, and it runs. Reports never execute anything.
    As a fourth value the factory may return other calls that the graph must take: [(args, kwargs), ...].

    Example: occvino doctor my_project.export:example --html report.html
    """
    from occvino.doctor import examine
    from occvino.doctor.target import load
    from occvino.files import write_text

    with steps(quiet=as_json) as progress:
        progress(f"importing {target}")
        module, args, kwargs, variations = load(target)
        progress(f"examining {type(module).__name__}: running, varying its inputs, exporting in four ways")
        findings = examine.diagnose(module, args, kwargs, devices=device or ["CPU"], variations=variations)
    if html is not None:
        write_text(html, findings.to_html())
    if as_json:
        sys.stdout.write(findings.to_json() + "\n")
    else:
        out.print(findings)
    raise typer.Exit(0 if findings.clean else 1)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    err.print(f"[yellow]warning:[/] {escape(str(message))}", highlight=False, soft_wrap=True)


def main() -> None:
    """Entry point: errors of ours end the program with exit code 2 and one readable message."""
    warnings.showwarning = _show_warning
    try:
        app()
    except OccvinoError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        _fail(f'{error.name} is not installed, and this command needs it: pip install "occvino[convert]"')


def _fail(message: str) -> NoReturn:
    err.print(f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)
    raise SystemExit(2) from None
