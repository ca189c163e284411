"""The command `occvino bench`."""

from pathlib import Path
from typing import Annotated

import typer

from occvino.bench.benchmark import FRAMES, SECONDS, measure
from occvino.bench.figure import draw
from occvino.bench.request import Request
from occvino.bench.table import print_benchmark
from occvino.cli.console import out, print_json, say, steps
from occvino.cli.options import (
    ArtifactPath,
    Cache,
    Exif,
    Hint,
    Json,
    OptionalDevice,
    OptionalRig,
    Precision,
    StageDevices,
    Streams,
    hint_of,
    stages_of,
)
from occvino.viz import save_picture


def bench(
    artifact: ArtifactPath,
    frames: Annotated[int, typer.Option(help="Most calls of each kind; a 99th percentile takes 100.")] = FRAMES,
    seconds: Annotated[float, typer.Option(help="Begin no call later; at least three of each kind run.")] = SECONDS,
    device: OptionalDevice = None,
    precision: Precision = "default",
    hint: Hint = None,
    streams: Streams = None,
    threads: Annotated[int | None, typer.Option(help="Threads of the CPU plugin.")] = None,
    stage: StageDevices = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder with one image per camera; default: the scene that ships inside.")
    ] = None,
    rig: OptionalRig = None,
    exif: Exif = "warn",
    cache: Cache = None,
    plot: Annotated[Path | None, typer.Option(help="Also draw the result to this PNG.")] = None,
    as_json: Json = False,
) -> None:
    """Measure latency, throughput, first frame and memory here.

    Example: occvino bench m0 --plot m0.png
    """
    options = {
        "device": device,
        "precision": hint_of(precision),
        "hint": hint,
        "streams": streams,
        "threads": threads,
        "stages": stages_of(stage),
        "cache": cache and str(cache),
        "exif": exif,
    }
    request = Request(str(artifact), options, images and str(images), rig and str(rig))
    with steps(quiet=as_json) as progress:
        found = measure(
            request,
            frames=frames,
            seconds=seconds,
            opened=lambda pipeline: None if as_json else say(str(pipeline.running)),
            progress=progress,
        )
    if as_json:
        print_json(found.to_dict())
    else:
        print_benchmark(out, found)
    if plot is not None:  # last: what was measured is told even if it cannot be drawn there
        save_picture(draw(found), plot)
        if not as_json:
            say(f"wrote {plot}")
