"""`Pipeline.stream` against a plain loop of calls, taking turns."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import Any

from occvino.bench.calls import Budget
from occvino.bench.request import Workload
from occvino.runtime import Failure, Frame, Pipeline

FRAMES = 12
"""Frames of one turn where they are quick; filling and draining the stream counts."""


@dataclass(frozen=True)
class Throughput:
    """Frames a second of each turn; the first of the loop was followed by the first of the stream, and so on."""

    frames: int
    loop: tuple[float, ...]
    stream: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        """How many times as fast the stream was, turn by turn."""
        return [fast / slow for fast, slow in zip(self.stream, self.loop, strict=True)]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON. Each figure is the median over the turns."""
        return {
            "frames_each_turn": self.frames,
            "turns": len(self.loop),
            "loop_frames_per_s": median(self.loop),
            "stream_frames_per_s": median(self.stream),
            "stream_over_loop": median(self.ratios),
            "stream_over_loop_least": min(self.ratios),
            "stream_over_loop_most": max(self.ratios),
        }


def compare(pipeline: Pipeline, workload: Workload, call_ms: float, budget: Budget) -> Throughput:
    """Let the two take turns, the rig as before. `call_ms`: what one call takes, for the length of a turn.

    Raises:
        OccvinoError: as a call.
    """
    affordable = int(1e3 * budget.seconds / (2 * 3 * call_ms))
    frames = min(budget.calls, max(3, min(affordable, FRAMES + 2 * pipeline.parallel)))

    def turn() -> tuple[float, float]:
        return _rate(frames, _loop(pipeline, workload, frames)), _rate(frames, _stream(pipeline, workload, frames))

    for _ in _stream(pipeline, workload, 2):  # its threads, and what they allocate
        pass
    turns = Budget(max(3, budget.calls // frames), budget.seconds).take(turn)
    loop, stream = zip(*turns, strict=True)
    return Throughput(frames, loop, stream)


def _rate(frames: int, results: Iterable[object]) -> float:
    start = time.perf_counter()
    for _ in results:
        pass
    return frames / (time.perf_counter() - start)


def _loop(pipeline: Pipeline, workload: Workload, frames: int) -> Iterable[object]:
    pipeline.reset()
    return (pipeline(frame.images, frame.rig, frame.past) for frame in _some(workload, frames))


def _stream(pipeline: Pipeline, workload: Workload, frames: int) -> Iterable[object]:
    pipeline.reset()
    for result in pipeline.stream(_some(workload, frames)):
        if isinstance(result, Failure):
            raise result.error
        yield result


def _some(workload: Workload, frames: int) -> Iterable[Frame]:
    return islice(workload.still(), frames)
