"""A long stream: does memory stay flat, and what does overlapping gain? `python -m benchmarks.soak ARTIFACT`.

Images of the scene that ships inside, over and over, each with its rig turned a little, so that every frame has a plan
of its own. First a plain loop and a stream take turns on the same frames; then the stream runs on, and resident memory
is read after every tenth frame.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import RESULTS, THREADS, save, show, take_turns
from occvino.datasets.shipped import shipped_scene
from occvino.geometry.rig import Rig, turned
from occvino.images.find import Images
from occvino.runtime import Failure, Pipeline

PLOT = Path(__file__).resolve().parents[1] / "docs" / "soak.png"
EVERY = 10
WARM = 100
"""Frames before memory is judged: allocators fill their pools first."""


def frames(count: int) -> Iterator[tuple[Images, Rig]]:
    """Frame after frame of the scene; no two rigs are alike."""
    scene = shipped_scene()
    for number in range(count):
        frame = scene[number % len(scene)]
        yield frame.image_files(), turned(frame.rig, 0.002 * (number + 1))


def resident_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def soak(pipeline: Pipeline, count: int, wrong: int) -> dict[str, Any]:
    """Stream `count` frames; each `wrong`-th is no frame at all."""
    given = (
        OSError("no such frame") if number % wrong == wrong - 1 else frame for number, frame in enumerate(frames(count))
    )
    memory, failures, start = [], 0, time.perf_counter()
    for index, result in enumerate(pipeline.stream(given)):
        failures += isinstance(result, Failure)
        if index % EVERY == EVERY - 1:
            memory.append(resident_mib())
    seconds = time.perf_counter() - start
    late = np.array(memory[WARM // EVERY :])
    slope = float(np.polyfit(EVERY * np.arange(len(late)), late, 1)[0])
    return {
        "frames": count,
        "failures": failures,
        "seconds": seconds,
        "memory_mib": memory,
        "growth_mib_per_1000": 1000 * slope,
        "spread_mib": float(late.max() - late.min()),
    }


def plot(found: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 3), layout="constrained")
    axes.plot(EVERY * np.arange(1, len(found["memory_mib"]) + 1), found["memory_mib"], linewidth=1)
    axes.set(xlabel="frames", ylabel="resident memory, MiB", ylim=(0, 1.25 * max(found["memory_mib"])))
    axes.set_title(f"{found['frames']} frames, each with a plan of its own, {found['failures']} of them failing")
    figure.savefig(path, dpi=110)


def contestants(pipeline: Pipeline, count: int) -> dict[str, Callable[[], Any]]:
    return {
        "plain loop": lambda: [pipeline(*frame) for frame in frames(count)],
        "stream": lambda: list(pipeline.stream(frames(count))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    pipeline = Pipeline(options.artifact, threads=THREADS)
    results = {}
    for threads in (THREADS, 1):
        label = f"20 frames, network on {threads} of {THREADS} cores"
        running = contestants(Pipeline(options.artifact, threads=threads), 20)
        results[label] = take_turns(running, rounds=options.rounds)
        show(f"{label}, ms", results[label])
    found = soak(pipeline, options.frames, wrong=50)
    print({name: value for name, value in found.items() if name != "memory_mib"})
    plot(found, PLOT)
    running = str(pipeline.running)
    save("soak", {"rounds": options.rounds, "running": running, "results": results, "soak": found})
    print(f"wrote {RESULTS / 'soak.json'} and {PLOT}")


if __name__ == "__main__":
    main()
