"""The command `occvino export-server`."""

from pathlib import Path
from typing import Annotated

import typer

from occvino.cli.console import say
from occvino.cli.options import ArtifactPath, Device, Hint, Precision, Streams, hint_of
from occvino.runtime.devices import Settings
from occvino.serve.repository import export_repository


def export_server(
    artifact: ArtifactPath,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder to write: the model repository.")],
    name: Annotated[str | None, typer.Option(help="What clients call the model; its variant when left out.")] = None,
    device: Device = "CPU",
    precision: Precision = "default",
    hint: Hint = None,
    streams: Streams = None,
) -> None:
    """Write a model repository for OpenVINO Model Server.

    The artifact is one of `convert --calibration matrices`: clients send images and matrices (docs/serving.md).

    Example: occvino export-server m0 --out repository
    """
    settings = Settings(hint_of(precision), None, hint, streams)
    config = export_repository(artifact, out_dir, name=name, device=device, settings=settings)
    say(f"wrote {out_dir}\nserve it: ovms --config_path {config.resolve()} --port 9000 --rest_port 8000")
