"""One frame of M0, u8 tensor to labels: the IR against ONNX Runtime and PyTorch. `python -m benchmarks.frame ARTIFACT`.

The artifact is one of `occvino convert flashocc-r50-M0 ... --precision fp32`; weights do not change the time, so random
ones do. Peak memory is that of a process that loads one contestant and runs two frames.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import THREADS, peak_memory_mb, report_peak, save, show, take_turns
from occvino.artifact import IR, ONNX, Artifact
from occvino.datasets.shipped import shipped_drive
from occvino.lift import PoolingPlan
from occvino.preprocess import network_images

NAMES = ("ir", "onnxruntime", "torch")
TITLES = {"ir": "occvino IR", "onnxruntime": "ONNX Runtime", "torch": "torch eager"}


def inputs_for(artifact: Artifact) -> dict[str, np.ndarray]:
    frame = shipped_drive()[0]
    images = network_images(list(frame.images), frame.rig, artifact.variant)
    return {"images": images, **PoolingPlan.from_rig(frame.rig, artifact.variant).inputs()}


def contestant(name: str, artifact: Artifact, inputs: dict[str, np.ndarray]) -> Callable[[], np.ndarray]:
    """A call that gives labels. Imports what it needs only, so that its memory is its own."""
    if name == "ir":
        import openvino as ov

        settings: dict[str, Any] = {"INFERENCE_NUM_THREADS": THREADS, "INFERENCE_PRECISION_HINT": "f32"}
        request = ov.Core().compile_model(artifact.path / IR, "CPU", settings).create_infer_request()
        return lambda: np.array(request.infer(inputs, share_inputs=True)["labels"])
    if name == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        session = onnxruntime.InferenceSession(artifact.path / ONNX, options, providers=["CPUExecutionProvider"])
        return lambda: session.run(["labels"], inputs)[0]
    import torch

    from occvino.conversion.export import Deployable
    from occvino.networks import build

    torch.set_num_threads(THREADS)
    weights = artifact.manifest.weights
    model = Deployable(build(artifact.manifest.variant, weights.get("path"), seed=weights.get("random_seed", 0)))
    tensors = [torch.from_numpy(array) for array in inputs.values()]

    def run() -> np.ndarray:
        with torch.inference_mode():
            return model(*tensors)[-1].numpy()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=NAMES, help="run this one twice and print the peak memory in MiB")
    options = parser.parse_args()
    artifact = Artifact.open(options.artifact)
    inputs = inputs_for(artifact)
    if options.only:
        run = contestant(options.only, artifact, inputs)
        run(), run()
        report_peak()
        return
    running = {TITLES[name]: contestant(name, artifact, inputs) for name in NAMES}
    labels = {name: run() for name, run in running.items()}
    agreement = {name: float((found == labels["torch eager"]).mean()) for name, found in labels.items()}
    timings = take_turns(running, rounds=options.rounds)
    show(f"{artifact.manifest.variant}: u8 tensor to labels, ms", timings)
    memory = {TITLES[name]: peak_memory_mb("benchmarks.frame", str(options.artifact), "--only", name) for name in NAMES}
    print("peak memory, MiB:", {name: round(value) for name, value in memory.items()})
    print("labels equal to torch:", agreement)
    save(
        "frame",
        {"rounds": options.rounds, "results": {"M0": timings}, "peak_memory_mib": memory, "labels_equal": agreement},
    )


if __name__ == "__main__":
    main()
