"""`occvino run` over many moments: labels of each on disk, and which of them failed."""

import contextlib
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from occvino.cameras import Rig
from occvino.datasets.nuscenes import NuScenes
from occvino.errors import OccvinoError
from occvino.evaluation.shots import shots_of, shots_of_folders
from occvino.runtime import Failure, Pipeline, Shot

StageDevices = Annotated[
    list[str] | None,
    typer.Option("--stage", help="A device for encoder, pool or trunk, as pool=GPU: give all three, and no --device."),
]


@dataclass(frozen=True)
class Labelled:
    """One moment that was streamed: its folder under the output, and what went wrong if it failed."""

    name: str
    error: str | None = None


def stages_of(given: list[str] | None) -> dict[str, str] | None:
    """["encoder=CPU", ...] by name; None if there is none.

    Raises:
        OccvinoError: one that is not NAME=DEVICE, or a name that stands twice.
    """
    pairs = [pair.partition("=") for pair in given or ()]
    if any(not name or not device for name, _, device in pairs) or len({name for name, *_ in pairs}) < len(pairs):
        raise OccvinoError(f"--stage {' --stage '.join(given or ())}: expected NAME=DEVICE, each name once")
    return {name: device for name, _, device in pairs} or None


def run_many(
    pipeline: Pipeline,
    out: Path,
    *,
    moments: Path | None,
    dataset: Path | None,
    rig: Path | None,
    limit: int | None,
    as_json: bool,
) -> list[Labelled]:
    """Stream a data set or a folder of moments with progress, and say what failed; gives that.

    Raises:
        OccvinoError: options that contradict each other, nothing to label, or a file that cannot be written.
    """
    names, shots = _moments(pipeline, dataset=dataset, moments=moments, rig=rig, limit=limit)
    runs_on, screen = str(pipeline.running), Console(stderr=True, quiet=as_json)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen) as progress:
        done = label(pipeline, names, shots, out)
        failed = [each for each in progress.track(done, total=len(names), description="labelling") if each.error]
    summary = f"{len(names) - len(failed)} of {len(names)} moments labelled in {out}"
    if as_json:
        found = {"runs_on": runs_on, "moments": len(names), "failed": [asdict(each) for each in failed]}
        sys.stdout.write(json.dumps(found | {"out": str(out)}, indent=1) + "\n")
    else:
        lines = [runs_on, *(f"failed: {each.name}: {each.error}" for each in failed), summary]
        Console().print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
    return failed


def label(
    pipeline: Pipeline, names: Sequence[str], shots: Iterable[Shot | OccvinoError], out: Path
) -> Iterator[Labelled]:
    """Stream the shots and write `OUT/NAME/labels.npz` for each; gives each once it is on disk, or failed.

    Raises:
        OutputError: a file cannot be written.
    """
    with contextlib.closing(pipeline.stream(shots)) as results:
        for name, result in zip(names, results, strict=True):
            if isinstance(result, Failure):
                yield Labelled(name, str(result.error))
            else:
                result.save(out / name / "labels.npz")
                yield Labelled(name)


def _moments(
    pipeline: Pipeline, *, dataset: Path | None, moments: Path | None, rig: Path | None, limit: int | None
) -> tuple[Sequence[str], Iterable[Shot | OccvinoError]]:
    if limit is not None and limit < 1:
        raise OccvinoError(f"--limit {limit}: expected 1 or more")
    baked = pipeline.artifact.baked_rig
    if moments is not None:
        names, shots = shots_of_folders(moments, Rig.load(rig) if rig else baked)
        return names[:limit], itertools.islice(shots, limit)
    if dataset is None or rig is not None:
        raise OccvinoError("--dataset has its own rigs: leave --rig out")
    frames, count = NuScenes(dataset), pipeline.artifact.variant.frames
    indices = range(len(frames))[:limit]
    shots = shots_of(frames, indices, rig=baked, frames=count, remembers=pipeline.memory is not None)
    return [f"{frames[index].scene}/{frames[index].token}" for index in indices], shots
