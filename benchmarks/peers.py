"""Our three precisions against the best form of every peer: time, memory, labels, mIoU.

    occvino synth train1 --scenes 100 --seed 1 --frames 6 --width 352
    occvino synth held-out --scenes 20 --seed 1001 --frames 10 --width 352
    python -m benchmarks.peers --calibration train1 --held-out held-out --work work

Contestants take turns on the same frame with the same weights: the IR in fp32, bf16 and int8; ONNX Runtime in f32, and
quantised by its own static quantisation (QDQ, per channel, MinMax) on the frames that ours was calibrated on; and
torch.compile in f32 and under bf16 autocast. occvino-nano has its own weights and is judged by mIoU; flashocc-r50-M0
has random ones, so that only its labels can be compared with PyTorch's. By default ONNX Runtime quantises all operators
that it can; convolutions and matrix products alone are a contestant of its own.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import RESULTS, THREADS, peak_memory_of, save, show, take_turns
from benchmarks.markdown import load
from occvino.artifact import IR, ONNX, Artifact
from occvino.datasets.nuscenes import NuScenes
from occvino.geometry.lift import PoolingPlan
from occvino.images.inputs import network_images
from occvino.machine import peak_memory_mib
from occvino.metrics.miou import MIoU

MODELS = ("occvino-nano", "flashocc-r50-M0")
FRAMES = {"occvino-nano": 100, "flashocc-r50-M0": 10}
"""That both quantisations are calibrated on."""
SOME = ("Conv", "Gemm", "MatMul")
Run = Callable[[dict[str, np.ndarray]], np.ndarray]


def inputs_of(artifact: Artifact, frame: Any) -> dict[str, np.ndarray]:
    """What the network takes of a frame."""
    rig = artifact.match(frame.rig)
    images = network_images(frame.image_files(), rig, artifact.variant)
    return {"images": images, **PoolingPlan.from_rig(rig, artifact.variant).inputs()}


def ours(folder: Path, precision: str) -> Run:
    import openvino as ov

    hint = {} if precision == "int8" else {"INFERENCE_PRECISION_HINT": {"fp32": "f32"}.get(precision, precision)}
    xml = folder / ("int8" if precision == "int8" else "fp32") / IR
    settings: dict[str, Any] = {"INFERENCE_NUM_THREADS": THREADS, **hint}
    request = ov.Core().compile_model(xml, "CPU", settings).create_infer_request()
    return lambda inputs: np.array(request.infer(inputs, share_inputs=True)["labels"])


def onnxruntime(folder: Path, name: str) -> Run:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = ort.InferenceSession(folder / name, options, providers=["CPUExecutionProvider"])
    return lambda inputs: np.asarray(session.run(["labels"], inputs)[0])


def torch_compile(folder: Path, half: bool) -> Run:
    import torch

    from occvino.conversion.export import Deployable
    from occvino.networks import build

    torch.set_num_threads(THREADS)
    torch.compiler.reset()  # else sizes that differ from those of the model before are taken for variable ones
    manifest = Artifact.open(folder / "fp32").manifest
    weights = manifest.weights
    model = Deployable(build(manifest.variant, weights.get("path"), seed=weights.get("random_seed", 0)))
    compiled = torch.compile(model)

    def run(inputs: dict[str, np.ndarray]) -> np.ndarray:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            return compiled(*map(torch.from_numpy, inputs.values()))[-1].numpy()

    return run


CONTESTANTS: dict[str, Callable[[Path], Run]] = {
    "occvino IR, fp32": partial(ours, precision="fp32"),
    "occvino IR, bf16": partial(ours, precision="bf16"),
    "occvino IR, int8": partial(ours, precision="int8"),
    "ONNX Runtime, f32": partial(onnxruntime, name=f"fp32/{ONNX}"),
    "ONNX Runtime, its int8 of products": partial(onnxruntime, name="qdq-some.onnx"),
    "ONNX Runtime, its int8 of all": partial(onnxruntime, name="qdq-all.onnx"),
    "torch.compile, f32": partial(torch_compile, half=False),
    "torch.compile, bf16 autocast": partial(torch_compile, half=True),
}


def prepare(name: str, calibration: NuScenes, folder: Path) -> Artifact:
    """Everything that contestants open; what is there is taken as it is."""
    # not above: they import torch, which would be in the peak memory of every contestant
    from occvino.conversion import convert
    from occvino.networks.checkpoint import shipped_weights

    weights = shipped_weights(name) if name == "occvino-nano" else None
    if not (folder / "fp32").is_dir():
        convert(name, weights, folder / "fp32", precision="fp32")
    if not (folder / "int8").is_dir():
        budget = 0.3 if weights else 100.0
        given: dict[str, Any] = {"calibration_frames": FRAMES[name], "accuracy_budget": budget}
        convert(name, weights, folder / "int8", precision="int8", dataset=calibration, **given)
    artifact = Artifact.open(folder / "fp32")
    for kind, operators in {"some": SOME, "all": None}.items():
        if not (folder / f"qdq-{kind}.onnx").is_file():
            qdq(artifact, calibration, folder / f"qdq-{kind}.onnx", operators)
    return artifact


def qdq(artifact: Artifact, calibration: NuScenes, out: Path, operators: Sequence[str] | None) -> None:
    """ONNX Runtime's static quantisation, as its documentation has it for CPUs: prepared, then per channel, MinMax."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Frames(CalibrationDataReader):
        def __init__(self) -> None:
            count = FRAMES[artifact.variant.name]
            chosen = np.linspace(0, len(calibration) - 1, count).astype(int)
            self._left: Iterator[int] = iter(chosen)

        # None at the end, as in the library's examples and not in its types
        def get_next(self) -> dict[str, np.ndarray] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
            index = next(self._left, None)
            return None if index is None else inputs_of(artifact, calibration[index])

    prepared = out.with_suffix(".prepared.onnx")
    quant_pre_process(str(artifact.path / ONNX), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(out.with_suffix(".part")),
        Frames(),
        op_types_to_quantize=list(operators) if operators else None,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )
    out.with_suffix(".part").rename(out)
    prepared.unlink()


def judged(run: Run, artifact: Artifact, held_out: NuScenes, frames: int) -> dict[str, float]:
    """Score under the camera mask of so many frames, spread over the held-out ones."""
    metric = MIoU()
    for index in np.linspace(0, len(held_out) - 1, frames).astype(int):
        truth = held_out[int(index)].load_labels()
        metric.update(run(inputs_of(artifact, held_out[int(index)])), truth.semantics, truth.mask_camera)
    return {"frames": frames, "miou": metric.compute()}


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    folder, held_out = options.work / name, NuScenes(options.held_out)
    artifact = prepare(name, NuScenes(options.calibration), folder)
    frame = inputs_of(artifact, held_out[0])
    running = {each: make(folder) for each, make in CONTESTANTS.items()}
    labels = {each: run(frame) for each, run in running.items()}
    reference = labels["torch.compile, f32"]
    equal = {each: float((found == reference).mean()) for each, found in labels.items()}
    rounds = options.rounds * (5 if name == "occvino-nano" else 1)
    timings = take_turns({each: partial(run, frame) for each, run in running.items()}, rounds=rounds)
    show(f"{name}: u8 tensor to labels, ms", timings)
    print("labels equal to torch.compile in f32:", equal, flush=True)
    found: dict[str, Any] = {"timings": timings, "labels_equal": equal, "rounds": rounds}
    if name == "occvino-nano":
        found["miou"] = {each: judged(run, artifact, held_out, options.frames) for each, run in running.items()}
        print({each: f"{row['miou']:.2%}" for each, row in found["miou"].items()}, flush=True)
    del running
    found["peak_memory_mib"] = {
        each: peak_memory_of("benchmarks.peers", "--only", each, "--model", name, "--work", str(options.work))
        for each in CONTESTANTS
    }
    print("peak memory, MiB:", found["peak_memory_mib"], flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calibration", type=Path, help="data set")
    parser.add_argument("--held-out", type=Path, help="data set with labels")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", choices=MODELS, help="this one alone")
    parser.add_argument("--rounds", type=int, default=9, help="of M0; five times as many of occvino-nano")
    parser.add_argument("--frames", type=int, default=100, help="held-out frames that mIoU is of")
    parser.add_argument("--only", help="run this contestant twice and print the peak memory in MiB")
    options = parser.parse_args()
    if options.only:
        from occvino.datasets.shipped import shipped_scene

        folder = options.work / options.model
        inputs = inputs_of(Artifact.open(folder / "fp32"), shipped_scene()[0])
        run = CONTESTANTS[options.only](folder)
        for _ in range(2):
            run(inputs)
        print(peak_memory_mib())
        return
    content = load("peers") if (RESULTS / "peers.json").is_file() else {"results": {}, "found": {}}
    for name in [options.model] if options.model else MODELS:
        found = measure(name, options)
        content["results"][name] = found.pop("timings")
        content["found"][name] = found
        save("peers", {"results": content["results"], "found": content["found"]})


if __name__ == "__main__":
    main()
