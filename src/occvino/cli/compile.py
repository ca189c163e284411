"""The command `occvino compile`."""

from pathlib import Path
from typing import Annotated

import typer

from occvino.cli.complete import complete_device, complete_words
from occvino.cli.console import say, steps
from occvino.cli.options import ArtifactPath, Hint, Precision, Streams, hint_of
from occvino.errors import DeviceError
from occvino.runtime.compiled import blob_name, compile_artifact
from occvino.runtime.devices import Settings
from occvino.runtime.names import device_name
from occvino.runtime.npu_compiler import PLATFORMS


def compile_(
    artifact: ArtifactPath,
    device: Annotated[str, typer.Option(autocompletion=complete_device, help="OpenVINO device: NPU, GPU or CPU.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder to write; `occvino run` takes it as an artifact.")],
    platform: Annotated[
        str | None,
        typer.Option(
            autocompletion=complete_words(*PLATFORMS),
            help="Of the NPU, if not this machine's: 3720, 4000 (Lunar Lake), 5010 (Panther Lake).",
        ),
    ] = None,
    precision: Precision = "default",
    hint: Hint = None,
    streams: Streams = None,
) -> None:
    """Compile an artifact for a device ahead of time.

    Example: occvino compile m0 --device NPU --platform 4000 --out m0-lunar-lake
    """
    settings = Settings(hint_of(precision), None, hint, streams)
    with steps() as progress:
        progress(f"compiling for {device_name(device)}")
        try:
            found = compile_artifact(artifact, device, out_dir, platform=platform, settings=settings)
        except DeviceError as error:
            if device_name(device) == "NPU" and "there is no device" in str(error):
                raise DeviceError(
                    f"{error}. OpenVINO has an NPU plugin on Windows, and on Linux with Intel's NPU driver; on any "
                    "other Linux tools/npu of the repository asks its compiler"
                ) from error
            raise
    size = sum((out_dir / blob_name(stage)).stat().st_size for stage in found.parts)
    say(f"wrote {out_dir}: {size / 1e6:.0f} MB for {found.device}, compiled by OpenVINO {found.openvino}")
    say(f"run it: occvino run {out_dir} --images DIR --rig RIG.json")
