"""The command `occvino run`: one frame, or many with the labels of each on disk and a list of those that failed."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from occvino.cli.bag_options import (
    BaseLink,
    BasePose,
    FixedFrame,
    InfoTopics,
    OdometryTopic,
    PoseGap,
    SceneGap,
    Topics,
    Window,
    bag_options,
)
from occvino.cli.complete import complete_variant
from occvino.cli.console import print_json, say, steps
from occvino.cli.options import (
    Cache,
    Exif,
    HashImages,
    Hint,
    Infos,
    Json,
    MappingName,
    OptionalDevice,
    OptionalRig,
    Past,
    Precision,
    StageDevices,
    Streams,
    Undistort,
    Version,
    hint_of,
    open_dataset,
    past_frames,
    stages_of,
)
from occvino.cli.run_bag import run_bag
from occvino.cli.tables import points_words
from occvino.cli.watch import watching
from occvino.datasets.nuscenes import NuScenes
from occvino.datasets.sample import warn_of_missing_images
from occvino.errors import OccvinoError, warn
from occvino.files import atomic_file
from occvino.geometry.doubts import shares_in_grid
from occvino.geometry.rig import Rig
from occvino.images.decode import jpeg_decoder
from occvino.labelling.frames import frames_of, frames_of_folders
from occvino.labelling.resume import STAMP, Labelled, Watch, label
from occvino.labelling.stored import Stored, check_output, made_by
from occvino.runtime import Frame, Pipeline
from occvino.runtime.names import device_name
from occvino.variants import get_variant
from occvino.viz import save_picture


def run(
    model: Annotated[Path, typer.Argument(help="Artifact folder, or a checkpoint with --torch.")],
    out_dir: Annotated[
        Path,
        typer.Option("--out", help="Folder for labels.npz and bev.png; for NAME/labels.npz, if there are many frames."),
    ],
    images: Annotated[Path | None, typer.Option(help="Folder with one image per camera: CAM_FRONT.jpg, ...")] = None,
    rig: OptionalRig = None,
    past: Past = None,
    sequence: Annotated[
        Path | None, typer.Option(help="Folder with a folder for each frame: images and rig.json. In order of names.")
    ] = None,
    moments: Annotated[Path | None, typer.Option(hidden=True, help="Old name of --sequence.")] = None,
    dataset: Annotated[Path | None, typer.Option(help="nuScenes folder: all of its key frames.")] = None,
    version: Version = None,
    infos: Infos = None,
    bag: Annotated[
        Path | None, typer.Option(help="ROS bag: a folder with metadata.yaml, or a .mcap, .db3 or .bag file.")
    ] = None,
    topic: Topics = None,
    camera_info: InfoTopics = None,
    window: Window = None,
    base_link: BaseLink = "base_link",
    fixed_frame: FixedFrame = None,
    odometry: OdometryTopic = None,
    base_pose: BasePose = None,
    pose_gap: PoseGap = 1.0,
    scene_gap: SceneGap = 2.0,
    out_bag: Annotated[
        Path | None,
        typer.Option(help="With --bag: write points, grid and tf to this .mcap file, for RViz and Foxglove."),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Label only this many frames, from the first.")] = None,
    device: OptionalDevice = None,
    precision: Precision = "default",
    stage: StageDevices = None,
    hint: Hint = None,
    streams: Streams = None,
    cache: Cache = None,
    torch: Annotated[str | None, typer.Option(help="Run the PyTorch model instead, on cpu or cuda.")] = None,
    variant: Annotated[
        str | None,
        typer.Option(autocompletion=complete_variant, help="Which model the checkpoint is of; with --torch."),
    ] = None,
    mapping: MappingName = "official",
    exif: Exif = "warn",
    undistort: Undistort = False,
    hash_images: HashImages = False,
    view: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE",
            help="Show results as they come, in Rerun: window, FILE.rrd, or the address of a viewer that runs.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Label one frame and draw it, or stream many.

    Writes labels.npz for each. Exit code 1 if one of many failed.

    Of many, those that have their labels from an earlier run are kept.

    Example: occvino run m0 --images frame --rig frame/rig.json --out result
    """
    if (torch is None) != (variant is None):
        raise OccvinoError("--torch and --variant belong together: --torch cpu --variant flashocc-r50-M0")
    if moments is not None:
        warn("--moments is called --sequence now", DeprecationWarning)
        sequence = moments
    kinds = {"images": images, "sequence": sequence, "dataset": dataset, "bag": bag}
    sources = [name for name, given in kinds.items() if given]
    if len(sources) != 1:
        found = " and ".join(sources) or "none"
        raise OccvinoError(f"give one of --images, --sequence, --dataset and --bag, not {found}")
    about = bag_options(
        topic,
        camera_info,
        window=window,
        base_link=base_link,
        fixed_frame=fixed_frame,
        odometry=odometry,
        base_pose=base_pose,
        pose_gap=pose_gap,
        scene_gap=scene_gap,
        rig=rig if bag else None,
    )
    if bag is None and any((topic, camera_info, window, fixed_frame, odometry, base_pose, out_bag)):
        raise OccvinoError("--topic, --window, --fixed-frame, --out-bag and the like go with --bag")
    check_output(out_dir, dataset=dataset, sequence=sequence)
    if dataset is None and (version or infos):
        raise OccvinoError(f"--{'version' if version else 'infos'} goes with a data set: give --dataset")
    samples = open_dataset(dataset, version, infos) if dataset else None
    with steps(quiet=as_json) as progress:
        progress("loading")
        options: dict[str, Any] = {"hint": hint, "streams": streams, "cache": cache, "stages": stages_of(stage)}
        options["undistort"] = undistort
        of_both = {"mapping": mapping, "exif": exif}
        pipeline, runs_on = _pipeline(model, device, precision, torch, variant, of_both, options)
    if images is None:
        if torch or past:
            raise OccvinoError(f"--{'torch' if torch else 'past'} goes with one frame: give --images")
        with watching(view) as watch:
            if bag is not None:
                done = run_bag(
                    pipeline,
                    bag,
                    out_dir,
                    about,
                    out_bag=out_bag,
                    limit=limit,
                    of_both=of_both,
                    undistort=undistort,
                    watch=watch,
                    as_json=as_json,
                )
                raise typer.Exit(0 if done else 1)
            failed = run_many(
                pipeline,
                out_dir,
                sequence=sequence,
                samples=samples,
                rig=rig,
                limit=limit,
                contents=hash_images,
                of_both=of_both,
                undistort=undistort,
                watch=watch,
                as_json=as_json,
            )
            raise typer.Exit(1 if failed else 0)
    if limit is not None:
        raise OccvinoError("--limit is for --sequence, --dataset and --bag: leave it out with --images")
    if view is not None:
        raise OccvinoError("--view is for --sequence, --dataset and --bag; of one frame: occvino view")
    with steps(quiet=as_json) as progress:
        progress("labelling")
        loaded = Rig.load(rig) if rig else None
        if torch and loaded is None:
            raise OccvinoError("--torch needs --rig: a checkpoint holds no calibration")
        before = past_frames(past)
        _warn_of_missing_frames(variant or pipeline.artifact.manifest.variant, len(before))
        occupancy = pipeline(images, loaded, before)
        seen_by = get_variant(variant) if variant else pipeline.artifact.variant
        used = loaded or pipeline.artifact.baked_rig
        points = shares_in_grid(used.straight() if undistort else used, seen_by)
        with atomic_file(out_dir / "labels.npz") as labels, atomic_file(out_dir / "bev.png") as picture:  # both or none
            occupancy.save(labels)
            save_picture(occupancy.picture(title=str(model.name)), picture)
    summary = {"model": str(model), "runs_on": runs_on, "voxels": occupancy.counts(), "out": str(out_dir)}
    summary["points_in_grid"] = points
    if as_json:
        print_json(summary)
    else:
        written = f"wrote {out_dir / 'labels.npz'} and {out_dir / 'bev.png'}"
        say(f"{runs_on}\npoints in the grid: {points_words(points)}\n{written}")


def run_many(
    pipeline: Pipeline,
    out: Path,
    *,
    sequence: Path | None,
    samples: NuScenes | None,
    rig: Path | None,
    limit: int | None,
    contents: bool,
    of_both: Mapping[str, Any],
    undistort: bool = False,
    watch: Watch | None = None,
    as_json: bool,
) -> list[Labelled]:
    """Stream a data set or a folder of frames with progress, and say which failed; returns those.

    Frames that an earlier run labelled are kept.

    Raises:
        OccvinoError: options that contradict each other, nothing to label, a file that cannot be written, or labels of
            something else in the folder.
    """
    names, frames = _frames(pipeline, samples=samples, sequence=sequence, rig=rig, limit=limit)
    values = made_by(pipeline.artifact, pipeline.running.computes, contents=contents, undistort=undistort, **of_both)
    stored = Stored(out, values, stamp=STAMP, alone=False)
    runs_on, screen = str(pipeline.running), Console(stderr=True, quiet=as_json)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen) as progress:
        done = label(pipeline, names, frames, stored, contents=contents, watch=watch)
        failed = [each for each in progress.track(done, total=len(names), description="labelling") if each.error]
    summary = f"{len(names) - len(failed)} of {len(names)} frames labelled in {out}"
    summary += f", {stored.kept} of them by an earlier run" if stored.kept else ""
    if as_json:
        failures = [{"name": each.name, "error": each.error} for each in failed]
        found = {"runs_on": runs_on, "frames": len(names), "kept": stored.kept, "changed": stored.changed}
        print_json(found | {"failed": failures, "out": str(out)})
    else:
        lines = [runs_on, *(f"failed: {each.name}: {each.error}" for each in failed), summary]
        say("\n".join(lines))
    return failed


def _frames(
    pipeline: Pipeline, *, samples: NuScenes | None, sequence: Path | None, rig: Path | None, limit: int | None
) -> tuple[Sequence[str], Iterable[Frame | OccvinoError]]:
    if limit is not None and limit < 1:
        raise OccvinoError(f"--limit {limit}: expected 1 or more")
    baked, takes = pipeline.artifact.baked_rig, pipeline.artifact.variant.frames
    remembers = pipeline.memory is not None
    if sequence is not None:
        given = Rig.load(rig) if rig else baked
        names, frames = frames_of_folders(sequence, given, takes=takes, remembers=remembers)
        return names[:limit], itertools.islice(frames, limit)
    if samples is None or rig is not None:
        raise OccvinoError("--dataset has its own rigs: leave --rig out")
    indices = range(len(samples))[:limit]
    warn_of_missing_images([samples[index] for index in indices])
    frames = frames_of(samples, indices, rig=baked, takes=takes, remembers=remembers)
    return [f"{samples[index].scene}/{samples[index].token}" for index in indices], frames


def _warn_of_missing_frames(name: str, past: int) -> None:
    wanted = get_variant(name).frames - 1
    if past < wanted:
        warn(
            f"{name} takes {wanted} past frames and was given {past}: the current frame stands in for the others, as "
            "at the start of a scene; give them with --past DIR, newest first"
        )


def _pipeline(
    model: Path,
    device: str | None,
    precision: str,
    torch: str | None,
    variant: str | None,
    of_both: Mapping[str, Any],
    options: dict[str, Any],
) -> tuple[Any, str]:
    if torch and variant:
        if device_name(device or "CPU") != "CPU" or hint_of(precision) is not None or any(options.values()):
            raise OccvinoError(
                "--device, --precision, --stage, --hint, --streams, --cache and --undistort are for OpenVINO, "
                f"--torch {torch} is PyTorch: give one or other"
            )
        from occvino.conversion.torch_pipeline import TorchPipeline

        return TorchPipeline(variant, model, torch, **of_both), f"PyTorch on {torch}; JPEG by {jpeg_decoder()}"
    pipeline = Pipeline(model, device, precision=hint_of(precision), **of_both, **options)
    return pipeline, str(pipeline.running)
