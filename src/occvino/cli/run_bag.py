"""The part of `occvino run` that labels a bag."""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from occvino.cli.console import err, print_json, say
from occvino.datasets.bags.messages import BagError
from occvino.datasets.bags.options import BagOptions
from occvino.datasets.bags.result_bag import result_bag
from occvino.datasets.bags.source import open_bag
from occvino.datasets.bags.stream import BagStream
from occvino.errors import OccvinoError, warn
from occvino.evaluation.bag_run import LabelledMoment, check_takes_bags, label_bag, look_of
from occvino.labelling.resume import STAMP, Watch
from occvino.labelling.stored import Stored, made_by
from occvino.runtime import Pipeline


def run_bag(
    pipeline: Pipeline,
    bag: Path,
    out: Path,
    options: BagOptions,
    *,
    out_bag: Path | None,
    limit: int | None,
    of_both: Mapping[str, Any],
    undistort: bool = False,
    watch: Watch | None = None,
    as_json: bool,
) -> bool:
    """Label the frames of a bag as they are read, say what failed and what was missing; whether all went well.

    Raises:
        OccvinoError: the bag lacks something, or a file cannot be written.
    """
    if limit is not None and limit < 1:
        raise OccvinoError(f"--limit {limit}: expected 1 or more")
    _check_outputs(bag, out, out_bag)
    check_takes_bags(pipeline)
    options = _with_baked_rig(pipeline, options)
    failed: list[LabelledMoment] = []
    with ExitStack() as stack:
        source = stack.enter_context(open_bag(bag))
        if source.damaged:
            warn(f"{bag} is {source.damaged}")
        stream = BagStream(source, options, pipeline.artifact.manifest.cameras)
        if not as_json:
            err.print("\n".join(stream.setup.lines()), markup=False, highlight=False, soft_wrap=True)
        _ = Stored(out, _made_by(pipeline, bag, of_both, undistort=undistort), stamp=STAMP, alone=False)
        results = stack.enter_context(result_bag(out_bag, look_of(pipeline, stream))) if out_bag else None
        columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
        progress = stack.enter_context(Progress(*columns, console=Console(stderr=True, quiet=as_json)))
        frames = progress.track(
            label_bag(pipeline, stream, out, results, limit, watch),
            total=limit or stream.expected,
            description="labelling",
        )
        broken = ""
        labelled = 0
        try:
            for each in frames:
                labelled += not each.error
                failed += [each] if each.error else []
        except BagError as error:  # what was labelled before is kept, in the bag of results too
            broken = str(error)
    _tell(pipeline, stream, out, out_bag, labelled, failed, broken, as_json=as_json)
    return not failed and not broken


def _check_outputs(bag: Path, out: Path, out_bag: Path | None) -> None:
    """Nothing is written into the bag that is read, or over it."""
    for option, path in {"--out": out, "--out-bag": out_bag}.items():
        if path is not None and bag.resolve() in (path.resolve(), *path.resolve().parents):
            raise OccvinoError(f"{option} {path} is in the bag {bag}, or would replace it: choose another output")


def _with_baked_rig(pipeline: Pipeline, options: BagOptions) -> BagOptions:
    """An artifact whose calibration is baked in has a rig of its own."""
    baked = pipeline.artifact.baked_rig
    if baked is None:
        return options
    if options.rig is not None:
        raise OccvinoError(f"{pipeline.artifact.path} has its calibration baked in: leave --rig out")
    return replace(options, rig=baked)


def _made_by(pipeline: Pipeline, bag: Path, of_both: Mapping[str, Any], *, undistort: bool) -> dict[str, Any]:
    values = made_by(pipeline.artifact, pipeline.running.computes, undistort=undistort, **of_both)
    return {**values, "bag": bag.resolve().name, "cameras": list(pipeline.artifact.manifest.cameras)}


def _tell(
    pipeline: Pipeline,
    stream: BagStream,
    out: Path,
    out_bag: Path | None,
    labelled: int,
    failed: list[LabelledMoment],
    broken: str,
    *,
    as_json: bool,
) -> None:
    moments = stream.moments
    counts = {"missing": moments.missing, "late": moments.late, "unused": moments.unused}
    if as_json:
        found: dict[str, Any] = {
            "runs_on": str(pipeline.running),
            "frames": labelled + len(failed),
            "failed": [{"name": each.name, "time_ns": each.time, "error": each.error} for each in failed],
            "scenes": stream.breaks,
            "images": {what: dict(+counter) for what, counter in counts.items()},
            "broken": broken or None,
            "out": str(out),
            "out_bag": str(out_bag) if out_bag else None,
        }
        print_json(found)
        return
    lines = [str(pipeline.running), *(f"failed: {each.name}: {each.error}" for each in failed)]
    lines += [f"new scene: {each}" for each in stream.breaks]
    lines += [f"{_WORDS[what]}: {_counted(counter)}" for what, counter in counts.items() if any(counter.values())]
    lines += [f"failed: {broken}"] if broken else []
    lines += [f"{labelled} of {labelled + len(failed)} frames labelled in {out}"]
    lines += [f"wrote {out_bag}"] if out_bag else []
    say("\n".join(lines))


_WORDS = {
    "missing": "frames without an image of",
    "late": "images that came too late",
    "unused": "images between two frames, not used",
}


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.items() if count)
