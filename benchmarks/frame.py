"""One frame, u8 tensor to labels: the IR against ONNX Runtime, PyTorch and Intel's openvino_flashocc.

`python -m benchmarks.frame ARTIFACT... [--competitor SOURCE PREPARED]` (see `benchmarks.competitor`). Artifacts are of
`occvino convert NAME --random-weights --precision fp32 --out ARTIFACT` (weights do not change the time), for
flashocc-r50-M0 and flashocc-r50, and one of M0 in fp16, which is what `convert` makes unless told otherwise. Peak
memory is that of a process that loads one contestant and runs two frames.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import competitor
from benchmarks.harness import THREADS, peak_memory_of, save, show, take_turns
from occvino.artifact import IR, ONNX, Artifact
from occvino.datasets.shipped import shipped_scene
from occvino.geometry.lift import PoolingPlan
from occvino.images.inputs import network_images
from occvino.machine import peak_memory_mib

OURS, ORT, TORCH = "occvino IR", "ONNX Runtime", "torch eager"


def inputs_for(artifact: Artifact) -> dict[str, np.ndarray]:
    frame = shipped_scene()[0]
    rig = artifact.match(frame.rig)
    images = network_images(frame.image_files(), rig, artifact.variant)
    return {"images": images, **PoolingPlan.from_rig(rig, artifact.variant).inputs()}


def contestant(name: str, artifact: Artifact, theirs: list[Path] | None) -> Callable[[], np.ndarray]:
    """A call that gives labels. Imports what it needs only, so that its memory is its own."""
    inputs = inputs_for(artifact)
    if name == OURS:
        return openvino(artifact, inputs)
    if name == ORT:
        return onnxruntime(artifact, inputs)
    if name == TORCH:
        return torch_eager(artifact, inputs)
    assert theirs is not None
    source, prepared = theirs
    calibration = artifact.match(shipped_scene()[0].rig).calibration(artifact.variant)
    frame = competitor.sample(inputs["images"], calibration)
    if name == competitor.NAME:
        return competitor.whole(source, prepared, frame)
    return competitor.networks_alone(prepared, frame, artifact.variant.name)


def openvino(artifact: Artifact, inputs: dict[str, np.ndarray]) -> Callable[[], np.ndarray]:
    import openvino as ov

    settings: dict[str, Any] = {"INFERENCE_NUM_THREADS": THREADS, "INFERENCE_PRECISION_HINT": "f32"}
    request = ov.Core().compile_model(artifact.path / IR, "CPU", settings).create_infer_request()
    return lambda: np.array(request.infer(inputs, share_inputs=True)["labels"])


def onnxruntime(artifact: Artifact, inputs: dict[str, np.ndarray]) -> Callable[[], np.ndarray]:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = ort.InferenceSession(artifact.path / ONNX, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(["labels"], inputs)[0]


def torch_eager(artifact: Artifact, inputs: dict[str, np.ndarray]) -> Callable[[], np.ndarray]:
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


def title(artifact: Artifact) -> str:
    return artifact.variant.name + (", fp16 weights" if artifact.manifest.precision == "fp16" else "")


def names_of(artifact: Artifact, theirs: list[Path] | None) -> list[str]:
    runs_whole = artifact.variant.name == "flashocc-r50-M0"
    return [OURS, ORT, TORCH, *([competitor.NAME if runs_whole else competitor.NETWORKS_ALONE] if theirs else [])]


def peak(name: str, artifact: Artifact, theirs: list[Path] | None) -> float:
    more = ["--competitor", *map(str, theirs)] if theirs else []
    return peak_memory_of("benchmarks.frame", str(artifact.path), "--only", name, *more)


def measure(artifact: Artifact, theirs: list[Path] | None, rounds: int) -> dict[str, Any]:
    """Times, memory, and labels at both ends."""
    running = {name: contestant(name, artifact, theirs) for name in names_of(artifact, theirs)}
    labels = {name: run() for name, run in running.items()}
    agree = {name: float((found == labels[TORCH]).mean()) for name, found in labels.items()}
    timings = take_turns(running, rounds=rounds)
    show(f"{title(artifact)}: u8 tensor to labels, ms", timings)
    print("labels equal to torch:", agree)
    return {"timings": timings, "labels_equal": agree}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifacts", type=Path, nargs="+")
    parser.add_argument("--competitor", type=Path, nargs=2, metavar=("SOURCE", "PREPARED"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", help="run this contestant twice and print the peak memory in MiB")
    options = parser.parse_args()
    artifacts = [Artifact.open(path) for path in options.artifacts]
    if options.only:
        run = contestant(options.only, artifacts[0], options.competitor)
        run(), run()
        print(peak_memory_mib())
        return
    found = {title(artifact): measure(artifact, options.competitor, options.rounds) for artifact in artifacts}
    memory = {
        title(artifact): {
            name: peak(name, artifact, options.competitor) for name in names_of(artifact, options.competitor)
        }
        for artifact in artifacts
    }
    print("peak memory, MiB:", memory)
    content = {
        "rounds": options.rounds,
        "results": {name: each["timings"] for name, each in found.items()},
        "labels_equal": {name: each["labels_equal"] for name, each in found.items()},
        "peak_memory_mib": memory,
    }
    save("frame", content)


if __name__ == "__main__":
    main()
