"""Calls of a pipeline, one after another: how long each of their steps takes."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from occvino.bench.times import Times
from occvino.geometry.rig import Rig
from occvino.runtime import Frame, Pipeline

WARM_UP = 2
"""Calls before those that count: memory is allocated then, and the plan of a rig that stands is made."""
LEAST = 3
"""Calls that count, however long they take."""


@dataclass(frozen=True)
class Budget:
    """When to stop. At most so many `calls` of one kind, and no further one after so many `seconds`."""

    calls: int
    seconds: float

    def take(self, measure: Callable[[], Any]) -> list[Any]:
        """What `measure` gave, call after call; at least `LEAST` times, unless fewer calls are allowed."""
        found, end = list[Any](), time.perf_counter() + self.seconds
        while len(found) < min(self.calls, LEAST) or (len(found) < self.calls and time.perf_counter() < end):
            found.append(measure())
        return found


@dataclass(frozen=True)
class Calls:
    """Calls of one kind: images to labels, and by step.

    `steps` are "prepare", "infer" and "finish" of the `Pipeline`; `stages` are those of a split network.
    """

    whole: Times
    steps: dict[str, Times]
    stages: dict[str, Times]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        parts = {name: getattr(self, name) for name in ("steps", "stages")}
        return self.whole.to_dict(each=True) | {
            name: {step: times.to_dict() for step, times in found.items()} for name, found in parts.items()
        }


def time_calls(pipeline: Pipeline, frames: Iterator[Frame], budget: Budget) -> Calls:
    """Call after call; what the pipeline remembers is forgotten first.

    Raises:
        OccvinoError: as a call.
    """
    pipeline.reset()
    for frame in islice(frames, WARM_UP):
        _timed(pipeline, frame)
    rows = budget.take(lambda: _timed(pipeline, next(frames)))
    steps = {name: Times.of_seconds(row[name] for row, _ in rows) for name in rows[0][0]}
    stages = {name: Times.of_seconds(row[name] for _, row in rows) for name in rows[0][1] if name}
    return Calls(Times.of_seconds(sum(row.values()) for row, _ in rows), steps, stages)


def _timed(pipeline: Pipeline, frame: Frame) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds of the three steps that a call is, and of the stages of its network."""
    start = time.perf_counter()
    prepared = pipeline.prepare(frame)
    read = time.perf_counter()
    inferred = pipeline.infer(prepared)
    ran = time.perf_counter()
    pipeline.finish(prepared, inferred)
    steps = {"prepare": read - start, "infer": ran - read, "finish": time.perf_counter() - ran}
    return steps, dict(inferred.seconds)


def time_plans(pipeline: Pipeline, frames: Iterable[Frame], budget: Budget) -> Times:
    """What calibration gives the network, a new pooling plan or matrices, for each frame; nothing is run."""
    rigs = (_rigs(pipeline, frame) for frame in frames)

    def measure() -> float:
        given = next(rigs)
        start = time.perf_counter()
        pipeline.geometry_inputs(*given)
        return time.perf_counter() - start

    measure()
    return Times.of_seconds(budget.take(measure))


def _rigs(pipeline: Pipeline, frame: Frame) -> list[Rig]:
    """One for each frame that the network takes; the current frame stands in for missing ones."""
    given = [pipeline.artifact.match(rig) for rig in (frame.rig, *(rig for _, rig in frame.past)) if rig is not None]
    return given + given[:1] * (pipeline.artifact.variant.frames - len(given))
