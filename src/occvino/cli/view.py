"""The command `occvino view`: results in Rerun, as pictures and as films."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from occvino.cli.bag_options import BaseLink, BasePose, FixedFrame, InfoTopics, Topics, bag_options
from occvino.cli.console import err, say
from occvino.cli.options import Infos, OptionalDevice, OptionalRig, Version
from occvino.cli.view_source import Source
from occvino.errors import OccvinoError
from occvino.viz import save_picture
from occvino.viz.film import film_frame, write_gif, write_mp4
from occvino.viz.frame import ViewFrame
from occvino.viz.html import write_html


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
    bag: Annotated[
        Path | None, typer.Option(help="ROS bag: frames for an artifact, images for labels that `run --bag` wrote.")
    ] = None,
    topic: Topics = None,
    camera_info: InfoTopics = None,
    base_link: BaseLink = "base_link",
    fixed_frame: FixedFrame = None,
    base_pose: BasePose = None,
    limit: Annotated[int | None, typer.Option(help="Show only this many frames, from the first.")] = None,
    device: OptionalDevice = None,
    save: Annotated[Path | None, typer.Option(help="Write a recording of Rerun, FILE.rrd.")] = None,
    web: Annotated[bool, typer.Option("--web", help="Show it in the browser; serves on 127.0.0.1 only.")] = False,
    connect: Annotated[
        str | None, typer.Option(help="Show it in a viewer that runs: rerun+http://HOST:PORT/proxy.")
    ] = None,
    png: Annotated[Path | None, typer.Option(help="Write a picture of the first frame.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write one HTML page to mail: voxels to turn and hide.")] = None,
    gif: Annotated[Path | None, typer.Option(help="Write an animated GIF.")] = None,
    mp4: Annotated[Path | None, typer.Option(help="Write a film.")] = None,
    rate: Annotated[float, typer.Option(help="Frames a second of GIF and film.")] = 2.0,
) -> None:
    """Look at results in 3D: cameras, voxels, truth.

    Opens Rerun's window (extra `viz`), unless another way is asked for.

    Example: occvino view m0 --dataset nuscenes --limit 40 --save drive.rrd
    """
    outputs: dict[str, object] = {
        "--save": save,
        "--web": web,
        "--connect": connect,
        "--png": png,
        "--html": html,
        "--gif": gif,
        "--mp4": mp4,
    }
    asked = [name for name, value in outputs.items() if value]
    if len(asked) > 1:
        raise OccvinoError(f"{' and '.join(asked)}: give one of them, since frames are made as they are shown")
    if limit is not None and limit < 1:
        raise OccvinoError(f"--limit {limit}: expected 1 or more")
    if not 0.1 <= rate <= 60:
        raise OccvinoError(f"--rate {rate:g}: expected 0.1 to 60 frames a second")
    if bag is None and any((topic, camera_info, fixed_frame, base_pose)):
        raise OccvinoError("--topic, --camera-info, --fixed-frame and --base-pose go with --bag")
    about = bag_options(topic, camera_info, base_link=base_link, fixed_frame=fixed_frame, base_pose=base_pose)
    given = Source(source, images, rig, sequence, dataset, bag, about, version, infos, device)
    frames = _told(given.frames(), limit)
    if png:
        _picture(frames, png)
    elif html:
        shown = "Truth" if given.is_dataset else "Prediction"
        count = write_html(frames, html, title=source.resolve().name, labels=shown)
        say(f"wrote {html}, {count} frames, {html.stat().st_size / 1e6:.1f} MB; open it in a browser")
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
