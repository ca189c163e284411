"""What runs the units of a batch: this process."""

from collections.abc import Generator, Sequence

from occvino.scale.work import Result, Unit
from occvino.scale.worker import Worker


def run_here(worker: Worker, units: Sequence[Unit]) -> Generator[Result]:
    """One process: images, plans and inference of successive frames overlap (`Pipeline.stream`)."""
    for unit in units:
        yield from worker.label(unit)
