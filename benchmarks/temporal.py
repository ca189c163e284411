"""A temporal model with all frames at once against its two streams: `python -m benchmarks.temporal VARIANT DIR`.

Converts the three forms with random weights into DIR unless they are there, and runs them in turn over the scene that
ships inside: images in memory to labels, in fp32. Random weights do not tell what fast costs in accuracy.
"""

import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.harness import RESULTS, THREADS, Timing, save, show
from occvino.conversion import convert
from occvino.datasets.shipped import shipped_scene
from occvino.geometry.temporal import FORMS
from occvino.images.inputs import ImagesAndRig
from occvino.runtime import Occupancy, Pipeline

ROUNDS = 2


def pipelines(name: str, folder: Path) -> dict[str, Pipeline]:
    found: dict[str, Pipeline] = {}
    for form in FORMS:
        path = folder / f"{name}-{form}"
        if not path.exists():
            convert(name, None, path, precision="fp32", outputs=("logits",), temporal=form)
        found[form] = Pipeline(path, precision="fp32", threads=THREADS)
    return found


def run(name: str, folder: Path) -> tuple[list[Timing], dict[str, list[dict[str, float]]]]:
    """Times of all frames after a first round, and of that round how far each frame is from all frames at once."""
    pipes, scene = pipelines(name, folder), list(shipped_scene())
    frames: list[ImagesAndRig] = [(dict(zip(f.rig.names, f.load_images(), strict=True)), f.rig) for f in scene]
    wanted = pipes["batch"].artifact.variant.frames - 1
    times: dict[str, list[float]] = defaultdict(list)
    apart: dict[str, list[dict[str, float]]] = defaultdict(list)
    for turn in range(1 + ROUNDS):
        for pipe in pipes.values():
            pipe.reset()
        for index, frame in enumerate(frames):
            results: dict[str, Occupancy] = {}
            for form, pipe in pipes.items():
                past = frames[max(0, index - wanted) : index][::-1] if form == "batch" else ()
                start = time.perf_counter()
                results[form] = pipe(*frame, past)
                if turn:
                    times[form].append(1e3 * (time.perf_counter() - start))
            for form in () if turn else FORMS[1:]:
                apart[form].append(difference(results[form], results["batch"]))
    first = median(times["batch"])
    return [Timing(f, min(t), median(t), max(t), median(t) / first) for f, t in times.items()], dict(apart)


def difference(found: Occupancy, expected: Occupancy) -> dict[str, float]:
    logits, reference = found.extras["logits"], expected.extras["logits"]
    return {
        "labels": float((found.labels == expected.labels).mean()),
        "logits": float(np.abs(logits - reference).max() / reference.std()),
    }


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    timings, apart = run(name, folder)
    show(name, timings)
    path = RESULTS / "temporal.json"
    before = json.loads(path.read_text()) if path.exists() else {"results": {}, "apart": {}}
    results, differences = {**before["results"], name: timings}, {**before["apart"], name: apart}
    save("temporal", {"rounds": ROUNDS, "results": results, "apart": differences})


if __name__ == "__main__":
    main()
