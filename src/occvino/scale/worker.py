"""Labels the frames of units, one after another; the same whether in this process or in one of many."""

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from occvino.errors import DeviceError, OccvinoError
from occvino.runtime import Failure, Frame, Occupancy, Pipeline
from occvino.runtime.memory import Limits
from occvino.scale.forms import Form, digest, encode, form_of
from occvino.scale.remote import AHEAD, fetched
from occvino.scale.work import Result, Setup, Task, Unit


class Worker:
    """A network that was opened once.

    Streams go by the data set's scenes alone, as in `occvino eval`: they make no cuts of their own.

    Raises:
        ArtifactError, DeviceError: as `Pipeline`.
        DeviceError: this machine computes in something else than the first one, so that its labels would differ.
    """

    def __init__(self, setup: Setup) -> None:
        self.pipeline = Pipeline(setup.artifact, limits=Limits.none(), **setup.options)
        self._form: Form = form_of(setup.form)
        computes = self.pipeline.running.computes
        if setup.computes not in (None, computes):
            raise DeviceError(
                f"a worker computes in {computes}, the one that began in {setup.computes}: labels would depend on "
                "which machine made them; choose what all of them have with --precision fp32"
            )

    @property
    def computes(self) -> str:
        """The devices and what they compute in, in words."""
        return self.pipeline.running.computes

    def label(
        self, unit: Unit, given_up: Sequence[str] = (), look: Callable[[str], Any] | None = None
    ) -> Iterator[Result]:
        """Results of the wanted frames, in order. A frame that fails is a result with an error.

        Args:
            unit: what to do.
            given_up: frames that workers died of: they fail, and are not run.
            look: called before each frame that is run, which then are run one at a time.
        """
        for row in unit.rows:
            self.pipeline.reset()
            frames = fetched(_frames(row, given_up, look), ahead=0 if look else AHEAD)
            with contextlib.closing(self.pipeline.stream(frames, window=1 if look else None)) as stream:
                for task, found in zip(row, stream, strict=True):
                    if task.wanted:
                        yield self._result(task, found)

    def _result(self, task: Task, found: Occupancy | Failure) -> Result:
        if isinstance(found, Failure):
            kind = "" if isinstance(found.error, OccvinoError) else f"{type(found.error).__name__}: "
            return Result(task.name, task.mark, error=f"{kind}{found.error}")
        payload = encode(self._form, found, task.mark)
        return Result(task.name, task.mark, payload, digest(found.labels, found.instances))


def _frames(
    row: Sequence[Task], given_up: Sequence[str], look: Callable[[str], Any] | None
) -> Iterator[Frame | OccvinoError]:
    for task in row:
        if task.name in given_up:
            yield OccvinoError(
                "the worker died of it, more than once: killed, out of memory, or a file that crashes it"
            )
            continue
        if look is not None:
            look(task.name)
        yield task.frame


def run_here(worker: Worker, units: Sequence[Unit]) -> Generator[Result]:
    """Results of units in this process: images, plans and inference of successive frames overlap."""
    for unit in units:
        yield from worker.label(unit)
