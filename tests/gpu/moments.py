"""What both plugins are given: the last moment of the shipped drive, or all of them in order for a stream.

Imported in two ways: as a module of the tests, and by the process that has the GPU plugin, after its layer is in place.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np

from occvino.datasets.shipped import shipped_drive
from occvino.runtime import Pipeline
from tests.small import known, small_forms


def run(artifact: Path | str, device: str, hint: str) -> dict[str, Any]:
    """Logits and labels of T moments, each [T, ...]; the devices they ran on; seconds to compile and to run."""
    with known(*small_forms()):
        start = time.perf_counter()
        pipeline = Pipeline(artifact, device, precision=hint)
        compiled = time.perf_counter()
        drive = shipped_drive()
        if pipeline.memory is None:
            last = len(drive) - 1
            frame, *past = (drive[last], *drive.previous(last, pipeline.artifact.variant.frames - 1))
            found = [pipeline(frame.pictures(), frame.rig, [(each.pictures(), each.rig) for each in past])]
        else:
            found = [pipeline(frame.pictures(), frame.rig, scene="", time=frame.timestamp / 1e6) for frame in drive]
        end = time.perf_counter()
    return {
        "logits": np.stack([each.extras["logits"] for each in found]),
        "labels": np.stack([each.labels for each in found]),
        "devices": np.array(pipeline.running.devices),
        "seconds": np.array([compiled - start, end - compiled]),
    }
