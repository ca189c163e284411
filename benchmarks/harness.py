"""Contestants take turns in one process, so that whatever else the machine does falls on all of them alike."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from occvino.files import sha256
from occvino.machine import cpu_name

# PyTorch's idle threads would otherwise go on spinning and take a core from whoever's turn is next
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("KMP_BLOCKTIME", "0")

RESULTS = Path(__file__).with_name("results")
THREADS = 2


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one contestant. `ratio` is its median over the first contestant's."""

    name: str
    best: float
    median: float
    worst: float
    ratio: float


def take_turns(contestants: Mapping[str, Callable[[], Any]], *, rounds: int, warmup: int = 1) -> list[Timing]:
    """Time each contestant once a round; the first one is what the others are compared with."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(warmup + rounds):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            if turn >= warmup:
                times[name].append(1e3 * (time.perf_counter() - start))
    first = statistics.median(next(iter(times.values())))
    return [
        Timing(name, min(taken), statistics.median(taken), max(taken), statistics.median(taken) / first)
        for name, taken in times.items()
    ]


def show(title: str, timings: list[Timing]) -> None:
    print(f"\n{title}\n{'':34}{'best':>9}{'median':>9}{'worst':>9}   ratio")
    for timing in timings:
        print(
            f"{timing.name:34}{timing.best:9.2f}{timing.median:9.2f}{timing.worst:9.2f}   {timing.ratio:.2f}x",
            flush=True,
        )


def nano_weights() -> str:
    """Which weights of occvino-nano ship: the first digits of their SHA-256."""
    from occvino.networks.checkpoint import shipped_weights  # brings PyTorch, whose memory is not that of contestants

    return sha256(shipped_weights("occvino-nano"))[:12]


def save(name: str, content: dict[str, Any]) -> None:
    """Write results/NAME.json, which `python -m benchmarks.page` makes docs/benchmarks.md of."""
    import numpy
    import openvino
    import torch

    versions = {"openvino": openvino.__version__.split("-")[0], "torch": torch.__version__, "numpy": numpy.__version__}
    document = {
        "command": f"python -m benchmarks.{name}",
        "machine": cpu_name(),
        "threads": THREADS,
        "versions": versions,
        "nano_weights": nano_weights(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps({**document, **content}, indent=1, default=asdict) + "\n")


def peak_memory_of(module: str, *arguments: str) -> float:
    """Run `python -m MODULE ARGUMENTS` in a process of its own; it prints its `peak_memory_mib()` last."""
    printed = subprocess.run([sys.executable, "-m", module, *arguments], check=True, capture_output=True, text=True)
    return float(printed.stdout.splitlines()[-1])
