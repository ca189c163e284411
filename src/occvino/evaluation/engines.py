"""What can label the frames of a set: the IR, the artifact's ONNX file, or the PyTorch model it was made from."""

import contextlib
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol, cast

from occvino.artifact import Artifact
from occvino.errors import OccvinoError
from occvino.geometry.rig import Rig
from occvino.images.find import Images
from occvino.images.inputs import ImagesAndRig
from occvino.runtime import Failure, Frame, Occupancy, Pipeline
from occvino.runtime.memory import Limits, Memory
from occvino.runtime.names import device_name

Engine = Literal["openvino", "onnxruntime", "torch"]
ENGINES: tuple[Engine, ...] = ("openvino", "onnxruntime", "torch")


class Labeller(Protocol):
    """What `Pipeline` and its two counterparts have in common. `memory`: of a stream, None for what has none."""

    memory: Memory | None

    def __call__(
        self,
        images: Images,
        rig: Rig,
        past: Sequence[ImagesAndRig] = (),
        *,
        scene: str | None = None,
        time: float | None = None,
    ) -> Occupancy:
        """Occupancy of one frame."""
        ...


def label_all(label: Labeller, frames: Iterable[Frame]) -> Generator[Occupancy]:
    """Results of the frames, in order; a `Pipeline` overlaps them.

    Raises:
        Exception: what the first frame that failed raised.
    """
    if not isinstance(label, Pipeline):
        for frame in frames:
            place = {} if getattr(label, "memory", None) is None else {"scene": frame.scene, "time": frame.time}
            yield label(frame.images, cast(Rig, frame.rig), frame.past, **place)  # type: ignore[arg-type]
        return
    with contextlib.closing(label.stream(frames)) as results:
        for result in results:
            if isinstance(result, Failure):
                raise result.error
            yield result


def load_engine(
    engine: str,
    artifact: Artifact,
    *,
    device: str,
    precision: str | None,
    checkpoint: Path | None,
    mapping: str = "official",
    exif: str = "warn",
) -> tuple[Labeller, str]:
    """Something that labels a frame as `Pipeline` does, and what it runs on, in words.

    PyTorch takes all frames of a temporal model at once, whatever the artifact's form. A stream goes by the data set's
    scenes alone, as the official loader does, and makes no cuts of its own.

    Args:
        engine: one of `ENGINES`.
        artifact: folder made by `convert`.
        device: of OpenVINO; the others run on the CPU.
        precision: of OpenVINO; the device's own choice when left out.
        checkpoint: the weights for PyTorch, if they are no longer where they were converted from.
        mapping: of a panoptic model's centres, as for `Pipeline`.
        exif: "warn", "apply" or "ignore", as for `Pipeline`.

    Raises:
        OccvinoError: there is no such engine, device, precision, mapping or `exif`; or an option is not that engine's.
        ArtifactError: the checkpoint is not the one that was converted.
    """
    if engine not in ENGINES:
        raise OccvinoError(f"there is no engine {engine!r}: choose one of {', '.join(ENGINES)}")
    device = device_name(device)
    if engine != "openvino" and (device != "CPU" or precision is not None):
        raise OccvinoError(f"device and precision are OpenVINO's: {engine} runs on the CPU in fp32 here")
    if engine != "torch" and checkpoint is not None:
        raise OccvinoError(f"a checkpoint is for the engine torch; {engine} runs what is in {artifact.path}")
    if engine == "openvino":
        pipeline = Pipeline(artifact, device, precision=precision, mapping=mapping, limits=Limits.none(), exif=exif)
        # pixels are the same whatever decodes them: an evaluation may go on where another decoder is installed
        return pipeline, str(replace(pipeline.running, jpeg_decoder=None))
    if engine == "onnxruntime":
        from occvino.conversion.onnx_pipeline import OnnxPipeline

        return OnnxPipeline(artifact, mapping=mapping, limits=Limits.none(), exif=exif), "ONNX Runtime, CPU, fp32"
    from occvino.conversion.provenance import weights_path
    from occvino.conversion.torch_pipeline import TorchPipeline

    if artifact.manifest.baked_calibration:
        raise OccvinoError(f"the calibration of {artifact.path} is baked in, and PyTorch has none: use another engine")
    weights = weights_path(artifact, checkpoint)
    if weights is None:
        raise OccvinoError(f"{artifact.path} has random weights: there is no accuracy to measure with PyTorch")
    crop = artifact.manifest.crop
    model = TorchPipeline(artifact.manifest.variant, weights, mapping=mapping, crop=crop, exif=exif)
    return model, "PyTorch, CPU, fp32"
