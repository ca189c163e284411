"""The command `occvino verify`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from occvino.artifact import Artifact
from occvino.cli.complete import complete_words
from occvino.cli.console import out, print_json, steps
from occvino.cli.options import (
    ArtifactPath,
    Checkpoint,
    Device,
    Exif,
    Json,
    OptionalRig,
    Past,
    Precision,
    hint_of,
    past_frames,
)
from occvino.cli.tables import print_verification
from occvino.errors import OccvinoError
from occvino.geometry.rig import Rig


def verify(
    artifact: ArtifactPath,
    images: Annotated[Path | None, typer.Option(help="Folder of images; default: the scene that ships inside.")] = None,
    rig: OptionalRig = None,
    past: Past = None,
    checkpoint: Checkpoint = None,
    device: Device = "CPU",
    precision: Precision = "fp32",
    emulate: Annotated[
        str | None, typer.Option(autocompletion=complete_words("f16"), help="f16: tell what half precision does too.")
    ] = None,
    exif: Exif = "warn",
    as_json: Json = False,
) -> None:
    """Compare an IR with PyTorch and ONNX, tap by tap.

    On one frame. Exit code 1 if they part.

    Example: occvino verify m0 --images frame --rig frame/rig.json
    """
    if (images is None) != (rig is None):
        raise OccvinoError("--images and --rig belong together: give both, or neither for the scene that ships inside")
    if past and images is None:
        raise OccvinoError("--past needs --images and --rig: it is the past of these images")
    from occvino.conversion.verify import verify as run
    from occvino.datasets.shipped import frames_for
    from occvino.evaluation.as_run import miou_as_run
    from occvino.networks.checkpoint import shipped_weights

    (given, loaded), *before = [(images, Rig.load(rig)), *past_frames(past)] if images and rig else frames_for(artifact)
    with steps(quiet=as_json) as progress:
        result = run(
            artifact,
            given,
            loaded,
            past=before,
            checkpoint=checkpoint,
            device=device,
            precision=hint_of(precision),
            emulate=emulate,
            exif=exif,
            progress=progress,
        )
        opened = Artifact.open(artifact)
        own = shipped_weights(opened.variant.name) is not None and not opened.manifest.baked_calibration
        if own and result.as_run and result.as_run.precision != "fp32":
            progress("mIoU of the scene that ships inside")
            result = replace(result, as_run=replace(result.as_run, miou=miou_as_run(opened, device)))
    if as_json:
        print_json(result.to_dict())
    else:
        print_verification(out, result)
    raise typer.Exit(0 if result.ok else 1)
