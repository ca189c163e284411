"""The command `occvino eval`."""

from pathlib import Path
from typing import Annotated

import typer

from occvino.cli.console import err, print_json, say
from occvino.cli.console import out as screen
from occvino.cli.options import (
    Device,
    Exif,
    HashImages,
    Infos,
    Json,
    MappingName,
    Precision,
    Version,
    hint_of,
    open_dataset,
)
from occvino.cli.score_batch import beside_of, score_batch
from occvino.cli.tables import print_score
from occvino.errors import OccvinoError


def evaluate(
    dataset: Annotated[Path, typer.Option(help="nuScenes folder with Occ3D's gts.")],
    artifact: Annotated[Path | None, typer.Argument(help="Folder made by `occvino convert`.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the labels; an interrupted run goes on from what is there.")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Score what `occvino batch` wrote to this folder, instead of an artifact.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Label only this many frames, from the first.")] = None,
    masked: Annotated[
        bool, typer.Option("--masked/--unmasked", help="Count voxels that a camera sees (FlashOCC), or all of them.")
    ] = True,
    rays: Annotated[bool, typer.Option("--rays", help="RayIoU too, and RayPQ of a panoptic model.")] = False,
    against: Annotated[Path | None, typer.Option(help="--out of another run: compare with its labels.")] = None,
    engine: Annotated[str, typer.Option(help="openvino, onnxruntime or torch.")] = "openvino",
    device: Device = "CPU",
    precision: Precision = "default",
    checkpoint: Annotated[Path | None, typer.Option(help="Weights for --engine torch, if they were moved.")] = None,
    mapping: MappingName = "official",
    exif: Exif = "warn",
    version: Version = None,
    infos: Infos = None,
    hash_images: HashImages = False,
    report: Annotated[
        Path | None, typer.Option(help="Folder for a report: figures as HTML, and pictures of the worst frames.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Label a data set and score it: mIoU, RayIoU.

    Both are counted as Occ3D and FlashOCC do.

    Example: occvino eval m0 --dataset nuscenes --out m0-labels --limit 100
    """
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from occvino.artifact import Artifact
    from occvino.datasets.sample import require_images, require_labels
    from occvino.evaluation.breakdown import break_down
    from occvino.evaluation.engines import load_engine
    from occvino.evaluation.predictions import Predictions
    from occvino.evaluation.report import write_report
    from occvino.evaluation.score import score
    from occvino.labelling.stored import check_output, made_by
    from occvino.runtime import Pipeline

    if predictions is not None:
        changed = {"ARTIFACT": artifact, "--out": out, "--checkpoint": checkpoint, "--hash-images": hash_images}
        changed |= {"--engine": engine != "openvino", "--device": device != "CPU", "--exif": exif != "warn"}
        changed |= {"--precision": precision != "default", "--mapping": mapping != "official"}
        if given := [name for name, value in changed.items() if value]:
            raise OccvinoError(f"--predictions scores labels that are there, nothing is run: leave {given[0]} out")
        frames = open_dataset(dataset, version, infos)
        score_batch(predictions, frames, limit, masked=masked, rays=rays, against=against, report=report, json=as_json)
        return
    if artifact is None or out is None:
        raise OccvinoError(
            "give an artifact and --out, to label and score; or --predictions, to score what `occvino batch` wrote"
        )
    check_output(out, dataset=dataset)
    opened = Artifact.open(artifact)
    if limit is not None and limit < 1:
        raise OccvinoError(f"--limit {limit}: expected 1 or more")
    frames = open_dataset(dataset, version, infos)
    count = len(frames) if limit is None else min(limit, len(frames))
    chosen = [frames[index] for index in range(count)]
    require_labels(chosen, frames.root, masked=masked)
    require_images(chosen)
    if rays:
        frames.require_lidar(range(count))
    labeller, runs_on = load_engine(
        engine, opened, device=device, precision=hint_of(precision), checkpoint=checkpoint, mapping=mapping, exif=exif
    )
    computes = labeller.running.computes if isinstance(labeller, Pipeline) else runs_on
    values = made_by(opened, computes, engine=engine, mapping=mapping, contents=hash_images, exif=exif)
    labels = Predictions(out, values)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err) as progress:
        takes, rig = opened.variant.frames, opened.baked_rig
        labelled = labels.fill(frames, range(count), labeller, rig=rig, takes=takes, contents=hash_images)
        for _ in progress.track(labelled, total=count, description=f"labelling on {runs_on}"):
            pass
        indices = progress.track(range(count), description="scoring")
        found = score(labels, frames, indices, masked=masked, rays=rays, against=against)
        if report is not None:
            beside = beside_of(against, frames, range(count), masked=masked) if against is not None else None
            parts = break_down(labels, frames, progress.track(range(count), description="report"), masked=masked)
            write_report(report, artifact.name, runs_on, found, parts, labels, frames, beside)
    if labels.kept and not as_json:
        err.print(f"{labels.kept} of {count} frames were labelled by an earlier run", highlight=False)
    if as_json:
        print_json({"runs_on": runs_on, "kept": labels.kept, **found.to_dict()})
    else:
        print_score(screen, found, f"{artifact.name}: {runs_on}", baked=opened.manifest.baked_calibration)
        if report is not None:
            say(f"wrote {report / 'index.html'}")
