"""INT8: what it costs in accuracy, what it gains in time, where the multiply-accumulates run.

    occvino synth train1 --scenes 20 --seed 1 --frames 6 --width 352
    occvino synth held-out --scenes 20 --seed 1001 --frames 10 --width 352
    python -m benchmarks.int8 --calibration train1 --held-out held-out --work work

The trained small model is judged on scenes that neither calibration nor accuracy control saw. M0 has random weights:
they do not change time or shares, and there is no accuracy to lose (its budget is 100 points).
"""

import argparse
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import openvino as ov

from benchmarks.harness import THREADS, save, show, take_turns
from occvino.artifact import IR, Artifact
from occvino.conversion import convert
from occvino.conversion.quantize import Calibration
from occvino.datasets.nuscenes import NuScenes
from occvino.metrics import MIoU
from occvino.networks.checkpoint import shipped_weights
from occvino.runtime import Pipeline
from occvino.runtime.names import COMPUTED

ALONE = "NNCF's defaults"
FORMS = (("fp32 IR", "fp32", "fp32"), ("fp32 IR, bf16", "fp32", "bf16"))
FORMS += (("int8 IR", "int8", "fp32"), ("int8 IR, rest in bf16", "int8", "bf16"))


def pipelines(artifacts: dict[str, Artifact]) -> dict[str, Pipeline]:
    """A pipeline for each form that this CPU can run natively."""
    able = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return {
        name: Pipeline(artifacts[stored], precision=computed, threads=THREADS)
        for name, stored, computed in FORMS
        if computed == "fp32" or "BF16" in able
    }


def nncf_alone(fp32: Artifact, calibration: Calibration) -> ov.CompiledModel | str:
    """NNCF's defaults on the same frames: nothing is kept in floating point by us, nothing is put back.

    What the plugin says, where it does not compile that.
    """
    pipe = Pipeline(fp32, precision="fp32")

    def inputs(index: int) -> Any:
        frame = calibration.dataset[index]
        return pipe.inputs(frame.image_files(), frame.rig)

    model = ov.Core().read_model(fp32.path / IR)
    found = nncf.quantize(model, nncf.Dataset(calibration.calibrate, inputs), subset_size=len(calibration.calibrate))
    try:
        return ov.Core().compile_model(found, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    except RuntimeError as error:
        return str(error).strip().splitlines()[-1].split(": ")[-1]


def accuracy(pipes: dict[str, Pipeline], alone: ov.CompiledModel | str, held_out: NuScenes) -> dict[str, Any]:
    """MIoU of every form, frame after frame, and the share of labels that are those of the first form."""
    metrics = {name: MIoU("camera") for name in (*pipes, *([] if isinstance(alone, str) else [ALONE]))}
    equal: dict[str, list[float]] = {name: [] for name in metrics}
    for frame in held_out:
        truth, given = frame.load_labels(), next(iter(pipes.values())).inputs(frame.image_files(), frame.rig)
        labels = {name: pipe(frame.image_files(), frame.rig).labels for name, pipe in pipes.items()}
        if not isinstance(alone, str):
            labels[ALONE] = np.array(alone(given)["labels"])
        for name, found in labels.items():
            metrics[name].update(found, truth.semantics, truth.mask_camera)
            equal[name].append(float((found == next(iter(labels.values()))).mean()))
    return {
        name: {"miou": metric.compute(), "labels_equal": float(np.mean(equal[name]))}
        for name, metric in metrics.items()
    }


def timed(pipes: dict[str, Pipeline], scenes: NuScenes, rounds: int) -> list[Any]:
    frame = scenes[0]
    requests = {}
    for name, pipe in pipes.items():
        model = ov.Core().read_model(pipe.artifact.path / IR)
        settings = {"INFERENCE_NUM_THREADS": THREADS, "INFERENCE_PRECISION_HINT": COMPUTED[pipe.running.precision]}
        requests[name] = ov.Core().compile_model(model, "CPU", settings).create_infer_request()
    given = next(iter(pipes.values())).inputs(frame.image_files(), frame.rig)
    return take_turns(
        {name: lambda request=request: request.infer(given, share_inputs=True) for name, request in requests.items()},
        rounds=rounds,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calibration", type=Path, required=True)
    parser.add_argument("--held-out", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    options = parser.parse_args()
    held_out, source = NuScenes(options.held_out), NuScenes(options.calibration)
    timings, quantization, found, refused = {}, {}, {}, None
    for name, weights, frames, budget, rounds in (
        ("occvino-nano", shipped_weights("occvino-nano"), 60, 0.3, 20),
        ("flashocc-r50-M0", None, 3, 100.0, 5),
    ):
        fp32 = convert(name, weights, options.work / f"{name}-fp32", precision="fp32")
        asked: dict[str, Any] = {"dataset": source, "calibration_frames": frames, "accuracy_budget": budget}
        int8 = convert(name, weights, options.work / f"{name}-int8", precision="int8", **asked)
        pipes = pipelines({"fp32": fp32, "int8": int8})
        timings[name] = timed(pipes, source, rounds)
        show(f"{name}: u8 tensor to labels, ms", timings[name])
        quantization[name] = int8.manifest.quantization
        if weights is not None:
            calibration = Calibration.choose(source, fp32.manifest.cameras, frames)
            alone = nncf_alone(fp32, calibration)
            refused = alone if isinstance(alone, str) else None
            found = accuracy(pipes, alone, held_out)
            print({form: f"mIoU {row['miou']:.4%}" for form, row in found.items()}, flush=True)
    results = {"rounds": 20, "held_out_frames": len(held_out), "accuracy": found, "results": timings}
    save("int8", {**results, "quantization": quantization, "nncf_refused": refused})


if __name__ == "__main__":
    main()
