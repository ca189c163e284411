"""How far a batch is: a live line on a terminal, and a line now and then in a log."""

from collections.abc import Generator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from occvino.cli.console import err

if TYPE_CHECKING:
    from occvino.scale.batch import Tally

EVERY = 30.0
"""Seconds between two lines of a log."""


class Report:
    """Frames done, frames a second, time left and failures. The rate is that of this run, and of its last minutes."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self._progress, self._console = progress, console
        self._task: TaskID | None = None
        self._tally: Tally | None = None
        self._times: list[tuple[float, int]] = []
        self._told = monotonic()

    def checking(self, frames: int) -> None:
        """What is there is looked at first."""
        self._task = self._progress.add_task("checking what is there", total=frames, words="")

    def looked(self) -> None:
        """One frame was looked at."""
        if self._task is not None:
            self._progress.advance(self._task)

    def labelling(self, tally: "Tally", runs_on: str) -> None:
        """Now frames are labelled; `tally` is kept up to date by who does so."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._tally, self._times, self._told = tally, [(monotonic(), 0)], monotonic()
        self._task = self._progress.add_task("labelling", total=tally.wanted, completed=tally.kept, words="")
        kept = f", {tally.kept} are there" if tally.kept else ""
        self._console.print(f"{tally.wanted} frames{kept}; {runs_on}", markup=False, highlight=False, soft_wrap=True)

    def step(self) -> None:
        """One more frame was labelled, or failed."""
        tally, now = self._tally, monotonic()
        if tally is None or self._task is None:
            return
        finished = tally.done + tally.failed
        self._times.append((now, finished))
        while len(self._times) > 2 and now - self._times[0][0] > 5 * EVERY:
            self._times.pop(0)
        since, before = self._times[0]
        rate = (finished - before) / max(1e-9, now - since)
        words = f"{rate:.2f} frames/s, {_clock(tally.left / rate)} left" + f", {tally.failed} failed" * bool(
            tally.failed
        )
        self._progress.update(self._task, completed=tally.kept + finished, words=words)
        if not self._console.is_terminal and now - self._told > EVERY:
            self._told = now
            line = f"{tally.kept + finished} of {tally.wanted} frames, {words}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def reporting(*, quiet: bool) -> Generator[Report]:
    """A report on stderr until the end of the block."""
    console: Any = Console(quiet=True) if quiet else err
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[words]}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield Report(progress, console)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
