"""The command `occvino synth`."""

from pathlib import Path
from typing import Annotated

import typer


def synth(
    out: Annotated[Path, typer.Argument(help="Folder to write; an interrupted set goes on where it stopped.")],
    scenes: Annotated[int, typer.Option(help="How many scenes.")] = 8,
    seed: Annotated[int, typer.Option(help="Seed of the world; another seed gives other scenes.")] = 0,
    frames: Annotated[int, typer.Option(help="Key frames in each scene, two a second.")] = 10,
    width: Annotated[int, typer.Option(help="Width of the images in pixels, 16:9.")] = 704,
    quality: Annotated[int, typer.Option(help="JPEG quality, 1 to 95.")] = 90,
) -> None:
    """Write synthetic scenes as a nuScenes set with labels.

    Example: occvino synth scenes --scenes 4 --seed 7 --width 352
    """
    # numba compiles the renderer: imported here, so that other commands neither need nor wait for it.
    from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

    from occvino.synth.write import SynthSettings, synthesize

    settings = SynthSettings(seed=seed, frames=frames, width=width, quality=quality)
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn()) as progress:
        for name in progress.track(synthesize(out, scenes, settings), total=scenes, description="scenes"):
            progress.console.print(f"{name} written", highlight=False)
    typer.echo(f"{scenes} scenes of {frames} key frames in {out}")
