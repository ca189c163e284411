"""The command `occvino batch`."""

import contextlib
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from occvino.cli.batch_progress import Report, reporting
from occvino.cli.complete import complete_words
from occvino.cli.console import err, print_json, say
from occvino.cli.options import (
    ArtifactPath,
    Cache,
    Device,
    Exif,
    HashImages,
    Hint,
    Infos,
    Json,
    MappingName,
    Precision,
    Streams,
    Undistort,
    Version,
    hint_of,
    open_dataset,
)
from occvino.errors import OccvinoError

if TYPE_CHECKING:
    from occvino.scale.batch import Batch
    from occvino.scale.source import Source
    from occvino.scale.work import Result

_SHOWN = 10
"""Failures that are printed; the manifest has all of them."""


def batch(
    artifact: ArtifactPath,
    dataset: Annotated[str, typer.Option(help="nuScenes folder, or its URL (s3://, gs://): all of its key frames.")],
    out: Annotated[Path, typer.Option(help="Folder for labels and manifest; a stopped run goes on there.")],
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            autocompletion=complete_words("npz", "parquet", "occ3d"),
            help="npz: a file a frame. parquet: shards. occ3d: Occ3D's submission.",
        ),
    ] = "npz",
    engine: Annotated[
        str,
        typer.Option(autocompletion=complete_words("local", "ray"), help="local: this process. ray: actors of Ray."),
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="Ray cluster, as HOST:6379 or auto; this machine alone when left out.")
    ] = None,
    actors: Annotated[int | None, typer.Option(help="Actors on each machine; by default as many as have room.")] = None,
    shard: Annotated[int, typer.Option(help="Frames a file of the format parquet.")] = 1000,
    limit: Annotated[int | None, typer.Option(help="Label only this many frames, from the first.")] = None,
    max_failures: Annotated[
        int | None, typer.Option(help="Stop once more frames than this failed; without it, none stops the run.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads: by default all, and 4 of an actor.")] = None,
    device: Device = "CPU",
    precision: Precision = "default",
    hint: Hint = None,
    streams: Streams = None,
    cache: Cache = None,
    mapping: MappingName = "official",
    exif: Exif = "warn",
    undistort: Undistort = False,
    version: Version = None,
    infos: Infos = None,
    hash_images: HashImages = False,
    as_json: Json = False,
) -> None:
    """Label a whole data set; a stopped run goes on.

    A frame that fails is listed in OUT/manifest.jsonl and does not stop the run. Exit code 1 if some failed.

    Example: occvino batch m0 --dataset nuscenes --out labels
    """
    from occvino.artifact import Artifact
    from occvino.datasets.sample import warn_of_missing_images
    from occvino.labelling.stored import check_output, made_by
    from occvino.scale.batch import Batch
    from occvino.scale.forms import form_of
    from occvino.scale.on_ray import cluster, pool_of, run_on_ray, unit_size
    from occvino.scale.plan import name_of
    from occvino.scale.remote import is_url
    from occvino.scale.work import Setup
    from occvino.scale.worker import Worker, run_here

    form = form_of(format_)
    if engine not in ("local", "ray"):
        raise OccvinoError(f"there is no engine {engine!r}: choose local or ray")
    if engine == "local" and (address or actors):
        raise OccvinoError(f"--{'address' if address else 'actors'} goes with --engine ray")
    numbers = {"--shard": shard, "--limit": limit, "--actors": actors, "--threads": threads}
    for option, number in numbers.items():
        if number is not None and number < 1:
            raise OccvinoError(f"{option} {number}: expected 1 or more")
    if max_failures is not None and max_failures < 0:
        raise OccvinoError(f"--max-failures {max_failures}: expected 0 or more")
    check_output(out, dataset=None if is_url(dataset) else Path(dataset))
    opened = Artifact.open(artifact)
    options: dict[str, Any] = {"device": device, "precision": hint_of(precision), "hint": hint, "streams": streams}
    options |= {"threads": threads, "cache": cache, "mapping": mapping, "exif": exif, "undistort": undistort}
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(_source(dataset, version, infos, contents=hash_images))
        chosen = list(source.dataset)[:limit]
        if not is_url(dataset):
            warn_of_missing_images(chosen)
        worker = Worker(setup := Setup(artifact.absolute(), form, options))
        setup, runs_on = replace(setup, computes=worker.computes), str(worker.pipeline.running)
        values = made_by(opened, worker.computes, mapping=mapping, contents=hash_images, exif=exif, undistort=undistort)
        run = stack.enter_context(contextlib.closing(Batch(source, opened, out, values, form=form, shard=shard)))
        report = stack.enter_context(reporting(quiet=as_json))
        report.checking(len(source.dataset))
        tally = run.begin([name_of(frame) for frame in chosen], report.looked)
        if engine == "local":
            report.labelling(tally, runs_on)
            _follow(run, run_here(worker, run.units()), max_failures, report)
        elif tally.left:
            del worker  # its memory is the actors' now
            with cluster(address) as cores:
                pool = pool_of(cores, actors=actors, threads=threads)
                runs_on = f"{pool}: {setup.computes}"
                report.labelling(tally, runs_on)
                units = run.units(unit_size(tally.left, pool))
                _follow(run, run_on_ray(setup, pool, units, ship=address is not None), max_failures, report)
    _tell(run, runs_on, as_json=as_json)
    raise typer.Exit(1 if tally.failed else 0)


@contextlib.contextmanager
def _source(dataset: str, version: str | None, infos: Path | None, *, contents: bool) -> "Generator[Source]":
    from occvino.scale.remote import is_url, opened_at
    from occvino.scale.source import LocalSource

    if is_url(dataset):
        with opened_at(dataset, version, infos, contents=contents) as source:
            yield source
    else:
        yield LocalSource(open_dataset(Path(dataset), version, infos), contents=contents)


def _follow(run: "Batch", results: "Generator[Result]", max_failures: int | None, report: Report) -> None:
    for _ in run.run(results, max_failures):
        report.step()


def _tell(run: "Batch", runs_on: str, *, as_json: bool) -> None:
    from occvino.scale.manifest import MANIFEST

    tally = run.tally
    if as_json:
        failed = [{"frame": name, "error": error} for name, error in tally.failures]
        counts = {"frames": tally.wanted, "kept": tally.kept, "labelled": tally.done, "left": tally.left}
        print_json({"runs_on": runs_on, **counts, "failed": failed, "stopped": tally.stopped, "out": str(run.out)})
        return
    for name, error in tally.failures[:_SHOWN]:
        err.print(f"failed: {name}: {error}", markup=False, highlight=False, soft_wrap=True)
    if len(tally.failures) > _SHOWN:
        more = f"... and {len(tally.failures) - _SHOWN} more failed: {run.out / MANIFEST} lists them"
        err.print(more, markup=False, highlight=False, soft_wrap=True)
    if tally.stopped:
        err.print(f"stopped after {tally.failed} failures (--max-failures)", markup=False, highlight=False)
    kept = f", {tally.kept} of them by an earlier run" if tally.kept else ""
    left = f"; {tally.left} are left" if tally.left else ""
    say(f"{tally.kept + tally.done} of {tally.wanted} frames labelled in {run.out}{kept}{left}")
