"""`occvino eval --predictions`: what `occvino batch` wrote, against ground truth."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from occvino.cli.console import err, print_json, say
from occvino.cli.console import out as screen
from occvino.cli.tables import print_score
from occvino.datasets.nuscenes import NuScenes
from occvino.errors import OccvinoError, warn

if TYPE_CHECKING:
    from occvino.evaluation.score import Score
    from occvino.scale.saved import SavedBatch


def score_batch(
    folder: Path,
    dataset: NuScenes,
    limit: int | None,
    *,
    masked: bool,
    rays: bool,
    against: Path | None,
    report: Path | None,
    json: bool,
) -> None:
    """Score the frames that have labels, and say which have none.

    Raises:
        OccvinoError: no frame has labels, or labels or ground truth are missing or damaged.
    """
    from occvino.datasets.sample import require_labels
    from occvino.evaluation.breakdown import break_down
    from occvino.evaluation.report import write_report
    from occvino.evaluation.score import score
    from occvino.scale.saved import SavedBatch

    labels = SavedBatch(folder)
    asked = range(len(dataset))[:limit]
    holes = labels.holes(dataset[index] for index in asked)
    without = {*holes.failed, *holes.pending, *holes.unknown}
    indices = [index for index in asked if f"{dataset[index].scene}/{dataset[index].token}" not in without]
    if not indices:
        raise OccvinoError(f"{folder} has labels of none of the {len(asked)} frames ({holes}): is it of this data set?")
    if holes:
        warn(
            f"{len(without)} of {len(asked)} frames have no labels in {folder}: {holes}. The figures are of the "
            f"{len(indices)} others; run the batch again, which goes on there"
        )
    _warn_of_changed(labels, dataset, indices)
    require_labels([dataset[index] for index in indices], dataset.root, masked=masked)
    if rays:
        dataset.require_lidar(indices)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err) as progress:
        scored = progress.track(indices, description="scoring")
        found = score(labels, dataset, scored, masked=masked, rays=rays, against=against)
        if report is not None:
            beside = beside_of(against, dataset, indices, masked=masked) if against is not None else None
            parts = break_down(labels, dataset, progress.track(indices, description="report"), masked=masked)
            write_report(report, folder.name, f"labels of {folder}", found, parts, labels, dataset, beside)
    if json:
        gone = {"failed": len(holes.failed), "pending": len(holes.pending), "unknown": len(holes.unknown)}
        print_json({"predictions": str(folder), "without_labels": gone, **found.to_dict()})
        return
    print_score(screen, found, f"{folder}: {len(indices)} of {len(asked)} frames", baked=False)
    if report is not None:
        say(f"wrote {report / 'index.html'}")


def beside_of(against: Path, dataset: NuScenes, indices: "list[int] | range", *, masked: bool) -> "tuple[str, Score]":
    """Name and figures of the run that this one is compared with."""
    from occvino.evaluation.predictions import SavedLabels
    from occvino.evaluation.score import score

    return against.name, score(SavedLabels(against), dataset, indices, masked=masked)


def _warn_of_changed(labels: "SavedBatch", dataset: NuScenes, indices: list[int]) -> None:
    """Tell labels of other images or rigs than the data set has now, where both are known in the same way."""
    from occvino.errors import FrameError
    from occvino.images.identity import identity
    from occvino.labelling.stored import frame_mark, same_frame

    changed: list[str] = []
    for index in indices:
        frame, told = dataset[index], labels.mark(dataset[index])
        try:
            place = frame.token, frame.scene, frame.timestamp
            own = identity(frame.image_files(), frame.rig, *place, contents=" content-" in told)
        except FrameError:  # the images are elsewhere: nothing to compare with
            continue
        if not same_frame(told, frame_mark(own)):
            changed.append(f"{frame.scene}/{frame.token}")
    if changed:
        warn(
            f"{len(changed)} frames have other images, rigs or times now than when they were labelled (first: "
            f"{changed[0]}): run the batch again, which labels these anew"
        )
