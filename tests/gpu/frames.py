"""What both plugins are given: the last frame of the shipped scene, or all of them in order for a stream.

Imported in two ways: as a module of the tests, and by the process that has the GPU plugin, after its layer is in place.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np

from occvino.datasets.shipped import shipped_scene
from occvino.runtime import Pipeline
from tests.small import known, small_forms


def run(artifact: Path | str, device: str, hint: str) -> dict[str, Any]:
    """Logits and labels of T frames, each [T, ...]; the devices they ran on; seconds to compile and to run."""
    with known(*small_forms()):
        start = time.perf_counter()
        pipeline = Pipeline(artifact, device, precision=hint)
        compiled = time.perf_counter()
        scene = shipped_scene()
        if pipeline.memory is None:
            last = len(scene) - 1
            frame, *past = (scene[last], *scene.previous(last, pipeline.artifact.variant.frames - 1))
            found = [pipeline(frame.image_files(), frame.rig, [(each.image_files(), each.rig) for each in past])]
        else:
            found = [pipeline(frame.image_files(), frame.rig, scene="", time=frame.timestamp / 1e6) for frame in scene]
        end = time.perf_counter()
    return {
        "logits": np.stack([each.extras["logits"] for each in found]),
        "labels": np.stack([each.labels for each in found]),
        "devices": np.array(pipeline.running.devices),
        "seconds": np.array([compiled - start, end - compiled]),
    }
