"""All that `occvino bench` measures, in order."""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov
import PIL

import occvino
from occvino.bench.calls import Budget, Calls, time_calls, time_plans
from occvino.bench.fresh import Starts, time_starts
from occvino.bench.request import Request
from occvino.bench.streams import Throughput, compare
from occvino.bench.times import Times
from occvino.errors import OccvinoError
from occvino.machine import cpu_name
from occvino.runtime import Pipeline
from occvino.runtime.devices import Running

FRAMES, SECONDS = 100, 40.0
SHARES = {"still": 0.5, "moving": 0.2, "plans": 0.05, "streams": 0.25}
"""Of the seconds: most for the calls whose high percentiles are wanted."""


@dataclass(frozen=True)
class Benchmark:
    """What was measured of one artifact.

    Attributes:
        artifact: its folder.
        variant: its model.
        stored: precision of its weights.
        images: where they are from.
        running: what really ran.
        still: calls with the rig as before.
        moving: calls with another rig each; None where the calibration is baked in.
        plans: new pooling plans alone; None likewise.
        throughput: stream against loop.
        starts: first frame and memory, in processes of their own.
        remembers: the artifact is a stream, whose plans are made between inferences.
        seconds: that all of this took.
    """

    artifact: str
    variant: str
    stored: str
    images: str
    running: Running
    still: Calls
    moving: Calls | None
    plans: Times | None
    throughput: Throughput
    starts: Starts
    remembers: bool
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; the unit is the end of a name."""
        return {
            "artifact": self.artifact,
            "variant": self.variant,
            "stored_precision": self.stored,
            "images": self.images,
            "running": self.running.to_dict(),
            "machine": machine(),
            "versions": versions(),
            "latency": {
                "rig_as_before": self.still.to_dict(),
                "rig_moved": self.moving and self.moving.to_dict(),
            },
            "new_plan": self.plans and self.plans.to_dict(),
            "throughput": self.throughput.to_dict(),
            "first_frame": self.starts.to_dict(),
            "peak_memory_mib": self.starts.peak_memory_mib,
            "measured_for_s": self.seconds,
        }


def measure(
    request: Request,
    *,
    frames: int = FRAMES,
    seconds: float = SECONDS,
    opened: Callable[[Pipeline], Any] = lambda pipeline: None,
    progress: Callable[[str], Any] = lambda step: None,
) -> Benchmark:
    """Measure one artifact.

    Args:
        request: what to measure.
        frames: the most calls of each kind.
        seconds: after so many no further call is begun, but for the first three of each kind; the processes of
            `fresh` come on top.
        opened: called with the pipeline before anything is measured.
        progress: called with a few words when a step begins.

    Raises:
        OccvinoError: a number that cannot be, or whatever opening the artifact and calling it raise.
    """
    if frames < 1:
        raise OccvinoError(f"--frames {frames}: expected 1 or more")
    if not 0 < seconds < float("inf"):
        raise OccvinoError(f"--seconds {seconds:g}: expected more than 0")
    begin = time.perf_counter()
    budgets = {name: Budget(frames, share * seconds) for name, share in SHARES.items()}
    progress("opening")
    workload = request.workload()
    pipeline = request.open()
    opened(pipeline)
    progress(f"calls, the rig as before: at most {frames}")
    still = time_calls(pipeline, workload.still(), budgets["still"])
    moving = plans = None
    if workload.movable:
        progress("calls, another rig each")
        moving = time_calls(pipeline, workload.moving(), budgets["moving"])
        plans = time_plans(pipeline, workload.moving(), budgets["plans"])
    progress("stream against a plain loop")
    throughput = compare(pipeline, workload, still.whole.mean, budgets["streams"])
    manifest, running, remembers = pipeline.artifact.manifest, pipeline.running, pipeline.memory is not None
    del pipeline  # its threads and memory are not to be in the way of the next processes
    progress("first frames, in processes of their own")
    starts = time_starts(request)
    took = time.perf_counter() - begin
    about = request.artifact, manifest.variant, manifest.precision, workload.name, running
    return Benchmark(*about, still, moving, plans, throughput, starts, remembers, took)


def machine() -> dict[str, Any]:
    """Where it ran."""
    return {"cpu": cpu_name(), "logical_cpus": os.cpu_count(), "system": platform.platform()}


def versions() -> dict[str, str]:
    """What ran."""
    return {
        "occvino": occvino.__version__,
        "openvino": ov.__version__,
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "python": platform.python_version(),
    }
