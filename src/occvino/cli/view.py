"""The command `occvino view`: results in Rerun, as pictures and as films."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from occvino.artifact import MANIFEST
from occvino.cli.console import err, say
from occvino.cli.options import Infos, OptionalDevice, OptionalRig, Version, open_dataset
from occvino.datasets.nuscenes import NuScenes
from occvino.errors import OccvinoError
from occvino.evaluation.view import dataset_frames, run_and_view, saved_frames
from occvino.geometry.rig import Rig
from occvino.labelling.frames import frames_of, frames_of_folders
from occvino.runtime import Frame, Pipeline
from occvino.viz import save_picture
from occvino.viz.film import film_frame, write_gif, write_mp4
from occvino.viz.frame import ViewFrame


def view(
    source: Annotated[Path, typer.Argument(help="Artifact, data set, or folder of labels that `run` or `eval` wrote.")],
    images: Annotated[Path | None, typer.Option(help="With an artifact: folder with one image per camera.")] = None,
    rig: OptionalRig = None,
    sequence: Annotated[
        Path | None, typer.Option(help="With an artifact: folder with a folder for each frame.")
    ] = None,
    dataset: Annotated[
        Path | None, typer.Option(help="nuScenes folder: frames for an artifact, images and truth for labels.")
    ] = None,
    version: Version = None,
    infos: Infos = None,
    limit: Annotated[int | None, typer.Option(help="Show only this many frames, from the first.")] = None,
    device: OptionalDevice = None,
    save: Annotated[Path | None, typer.Option(help="Write a recording of Rerun, FILE.rrd.")] = None,
    web: Annotated[bool, typer.Option("--web", help="Show it in the browser; serves on 127.0.0.1 only.")] = False,
    connect: Annotated[
        str | None, typer.Option(help="Show it in a viewer that runs: rerun+http://HOST:PORT/proxy.")
    ] = None,
    png: Annotated[Path | None, typer.Option(help="Write a picture of the first frame.")] = None,
    gif: Annotated[Path | None, typer.Option(help="Write an animated GIF.")] = None,
    mp4: Annotated[Path | None, typer.Option(help="Write a film.")] = None,
    rate: Annotated[float, typer.Option(help="Frames a second of GIF and film.")] = 2.0,
) -> None:
    """Look at results in 3D: cameras, voxels, truth, over a drive.

    Opens Rerun's window (extra `viz`), unless another way is asked for.

    Example: occvino view m0 --dataset nuscenes --limit 40 --save drive.rrd
    """
    outputs = {"--save": save, "--web": web, "--connect": connect, "--png": png, "--gif": gif, "--mp4": mp4}
    asked = [name for name, value in outputs.items() if value]
    if len(asked) > 1:
        raise OccvinoError(f"{' and '.join(asked)}: give one of them, since frames are made as they are shown")
    if limit is not None and limit < 1:
        raise OccvinoError(f"--limit {limit}: expected 1 or more")
    if not 0.1 <= rate <= 60:
        raise OccvinoError(f"--rate {rate:g}: expected 0.1 to 60 frames a second")
    samples = open_dataset(dataset, version, infos) if dataset else None
    if samples is None and (version or infos) and not _is_dataset(source):
        raise OccvinoError(f"--{'version' if version else 'infos'} goes with a data set: give --dataset")
    frames = _told(_frames(source, images, rig, sequence, samples, version, infos, device), limit)
    if png:
        _picture(frames, png)
    elif gif:
        say(f"wrote {gif}, {write_gif(frames, gif, rate=rate)} frames")
    elif mp4:
        say(f"wrote {mp4}, {write_mp4(frames, mp4, rate=rate)} frames")
    else:
        _record(frames, save, connect, web=web)


def _record(frames: Iterator[ViewFrame], save: Path | None, connect: str | None, *, web: bool) -> None:
    from occvino.viz.rerun import NewViewer, ToBrowser, ToFile, ToViewer, record

    if save:
        say(f"wrote {save}, {record(frames, ToFile(save))} frames; look at it: rerun {save}")
    elif connect:
        say(f"{record(frames, ToViewer(connect))} frames shown in {connect}")
    elif web:
        record(frames, ToBrowser(told=lambda page: say(f"{page}\nCtrl-C ends it")))
    else:
        say(f"{record(frames, NewViewer())} frames shown")


def _picture(frames: Iterator[ViewFrame], path: Path) -> None:
    first = next(frames, None)
    if first is None:
        raise OccvinoError("there is no frame to show")
    save_picture(film_frame(first), path)
    say(f"wrote {path}")


def _told(frames: Iterator[ViewFrame], limit: int | None) -> Iterator[ViewFrame]:
    """The same, with progress."""
    with Progress(console=err, transient=True) as progress:
        yield from progress.track(islice(frames, limit), description="frames", total=limit)


def _frames(
    source: Path,
    images: Path | None,
    rig: Path | None,
    sequence: Path | None,
    samples: NuScenes | None,
    version: str | None,
    infos: Path | None,
    device: str | None,
) -> Iterator[ViewFrame]:
    if (source / MANIFEST).exists():
        return _of_artifact(source, images, rig, sequence, samples, device)
    if images or rig or sequence or device:
        raise OccvinoError(f"--images, --rig, --sequence and --device go with an artifact, and {source} is none")
    if _is_dataset(source):
        if samples is not None:
            raise OccvinoError(f"{source} and --dataset are both data sets: leave one out")
        opened = open_dataset(source, version, infos)
        return dataset_frames(opened, range(len(opened)))
    return saved_frames(source, samples)


def _is_dataset(source: Path) -> bool:
    return any(source.glob("v1.0-*")) or source.name.startswith("v1.0-")


def _of_artifact(
    source: Path,
    images: Path | None,
    rig: Path | None,
    sequence: Path | None,
    samples: NuScenes | None,
    device: str | None,
) -> Iterator[ViewFrame]:
    given = [name for name, value in {"images": images, "sequence": sequence, "dataset": samples}.items() if value]
    if len(given) != 1:
        raise OccvinoError(f"give one of --images, --sequence and --dataset, not {' and '.join(given) or 'none'}")
    if samples is not None and rig is not None:
        raise OccvinoError("--dataset has its own rigs: leave --rig out")
    pipeline = Pipeline(source, device)
    takes, remembers = pipeline.artifact.variant.frames, pipeline.memory is not None
    if samples is not None:
        indices = range(len(samples))
        frames = frames_of(samples, indices, rig=pipeline.artifact.baked_rig, takes=takes, remembers=remembers)
        return run_and_view(pipeline, frames, (sample.token for sample in samples), samples)
    loaded = Rig.load(rig) if rig else None
    if sequence is not None:
        names, found = frames_of_folders(
            sequence, loaded or pipeline.artifact.baked_rig, takes=takes, remembers=remembers
        )
        return run_and_view(pipeline, found, names)
    assert images is not None
    return run_and_view(pipeline, [Frame(images, loaded)], [images.resolve().name])
