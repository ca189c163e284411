"""fp32 IR -> int8 IR: NNCF's post-training quantisation with accuracy control on our own mIoU.

Calibration frames reach NNCF exactly as `Pipeline` gives them to the network. What comes out is measured as it was
written; if it loses more than the budget, it is an error and nothing is left.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from occvino.artifact import IR, IR_WEIGHTS, Artifact, Manifest
from occvino.conversion.floats import kept_float
from occvino.conversion.macs import KINDS, Layer, by_kind, executed_int8, layers
from occvino.conversion.quiet import quiet
from occvino.datasets.fields import DatasetError
from occvino.datasets.nuscenes import NuScenes
from occvino.datasets.sample import Sample, require_labels
from occvino.errors import OccvinoError
from occvino.files import sha256
from occvino.geometry.rig import Rig
from occvino.images.identity import identity
from occvino.metrics import MIoU
from occvino.networks.flashocc import tap_names
from occvino.runtime import Pipeline
from occvino.runtime.devices import Settings, compile_model

CALIBRATION_FRAMES = 100
ACCURACY_BUDGET = 0.3
"""Points of mIoU that may be lost."""
RANKING_FRAMES = 16
"""On so many frames accuracy control tries what putting a layer back brings."""

NOT_QUANTISED = "not quantised"
IGNORED = "ignored"
REVERTED = "reverted"


@dataclass(frozen=True)
class Calibration:
    """What to quantise with.

    Attributes:
        dataset: with ground truth.
        calibrate: indices of the frames that ranges are measured on.
        validate: indices of the frames that mIoU is measured on: of other scenes, if there are several.
        budget: points of mIoU that may be lost.
    """

    dataset: NuScenes
    calibrate: tuple[int, ...]
    validate: tuple[int, ...]
    budget: float

    @classmethod
    def choose(
        cls,
        dataset: str | Path | NuScenes,
        cameras: Sequence[str],
        frames: int | None = None,
        budget: float | None = None,
    ) -> "Calibration":
        """Choose frames: every other scene for calibration, the rest for validation, spread evenly.

        Args:
            dataset: nuScenes folder with Occ3D's gts, or one that is open.
            cameras: names of the network's cameras.
            frames: how many at most, of each of the two; `CALIBRATION_FRAMES` when left out.
            budget: `ACCURACY_BUDGET` when left out.

        Raises:
            OccvinoError: no such data set or cameras, no ground truth, or a number that cannot be.
        """
        frames = CALIBRATION_FRAMES if frames is None else frames
        budget = ACCURACY_BUDGET if budget is None else budget
        if frames < 1:
            raise OccvinoError(f"{frames} calibration frames: at least 1 is needed, some 100 are good")
        if not 0 <= budget <= 100:
            raise OccvinoError(f"an accuracy budget of {budget:g}: expected points of mIoU, 0 to 100")
        opened = dataset if isinstance(dataset, NuScenes) else NuScenes(dataset, cameras=cameras)
        if set(opened[0].rig.names) != set(cameras):
            raise OccvinoError(
                f"the data set has cameras {', '.join(opened[0].rig.names)}, the network takes {', '.join(cameras)}"
            )
        scenes = list(opened.scenes)
        of_scene = [scenes.index(frame.scene) for frame in opened]
        every = range(len(opened))
        even = [index for index in every if of_scene[index] % 2 == 0]
        odd = [index for index in every if of_scene[index] % 2 == 1] or even
        found = cls(opened, _spread(even, frames), _spread(odd, frames), budget)
        _check_truth([opened[index] for index in found.validate], opened)
        return found

    def fingerprint(self) -> str:
        """Hash of the frames: the images by size and time, the rigs, and which are for what."""
        words: list[str] = []
        for index in (*self.calibrate, *self.validate):
            frame = self.dataset[index]
            words.append(identity(frame.image_files(), frame.rig, frame.token, index in self.calibrate))
        return hashlib.sha256(" ".join(words).encode()).hexdigest()


def _check_truth(frames: Sequence[Sample], dataset: NuScenes) -> None:
    try:
        require_labels(frames, dataset.root, masked=True)
    except DatasetError as error:
        raise OccvinoError(
            f"int8 is held to a budget of mIoU, which needs Occ3D's ground truth (gts): {error}"
        ) from error


def _spread(indices: Sequence[int], count: int) -> tuple[int, ...]:
    chosen = np.linspace(0, len(indices) - 1, min(count, len(indices))).round().astype(int)
    return tuple(indices[position] for position in chosen)


def load_nncf() -> Any:
    """The module; for int8 alone, since importing it takes half a second."""
    import nncf

    return nncf


def to_int8(
    artifact: Artifact, calibration: Calibration, progress: Callable[[str], Any] = lambda step: None
) -> Manifest:
    """Put an int8 IR in the place of an artifact's fp32 IR; gives the manifest that it has then, which is not written.

    Args:
        artifact: fp32, with the calibration as an input. A stream is run over the past frames of each frame: of the
            fp32 model for ranges, of the model that is judged for mIoU.
        calibration: see there.
        progress: called with a few words when a step begins.

    Raises:
        OccvinoError: a frame cannot be read, the budget cannot be met, or nothing could stay in int8.
    """
    judge = _Judge(artifact, calibration)
    model = ov.Core().read_model(artifact.path / IR)
    ignored = kept_float(model)
    sizes = len(calibration.calibrate), len(calibration.validate)
    progress(f"quantising: {sizes[0]} frames for ranges, {sizes[1]} for mIoU, run twice or more")
    with TemporaryDirectory(dir=artifact.path) as scratch:
        quantised = _run_nncf(model, judge, ignored, Path(scratch))
        every_layer = _layers(ov.Core().read_model(Path(scratch) / "intermediate_model.xml"), artifact)
        written = Path(scratch) / IR
        ov.save_model(quantised, written, compress_to_fp16=False)
        progress("measuring what was written")
        shipped = ov.Core().read_model(written)
        compiled = compile_model(shipped, "CPU", Settings(precision="fp32"))
        int8_miou = judge(compiled, calibration.validate)[0]
        left = _layers(shipped, artifact)
        _check(judge.first, int8_miou, left, every_layer, calibration)
        # the fp32 weights are mapped by the pipeline that makes inputs: they must be replaced, never written over
        del shipped
        for name in (IR, IR_WEIGHTS):
            (Path(scratch) / name).replace(artifact.path / name)
    report = _report(calibration, judge.first, int8_miou, left, _floats(left, every_layer, ignored))
    report["cpu_executes"] = executed_int8(compiled, left)
    files = {name: sha256(artifact.path / name) for name in artifact.manifest.files}
    versions = {**artifact.manifest.versions, "nncf": load_nncf().__version__}
    return replace(artifact.manifest, precision="int8", quantization=report, files=files, versions=versions)


class _Judge:
    """mIoU of a compiled model on some frames; remembers the first figure, which is that of the fp32 model."""

    def __init__(self, artifact: Artifact, calibration: Calibration) -> None:
        self.artifact, self.calibration = artifact, calibration
        self.first = float("nan")
        self._pipeline = Pipeline(artifact, "CPU", precision="fp32")

    def inputs(self, index: int) -> dict[str, NDArray[np.generic]]:
        """What `Pipeline` gives the network for a frame of the data set."""
        return self._pipeline.inputs(*self._given(index))

    def _given(self, index: int) -> tuple[dict[str, Path], Rig, list[tuple[dict[str, Path], Rig]]]:
        frame = self.calibration.dataset[index]
        before = self.calibration.dataset.previous(index, self.artifact.variant.frames - 1)
        return frame.image_files(), frame.rig, [(other.image_files(), other.rig) for other in before]

    def _labels(self, compiled: ov.CompiledModel) -> Callable[[int], NDArray[Any]]:
        """Labels of a frame by its index. A stream's state is what the same model kept of the frames before."""
        if self._pipeline.memory is None:
            request = compiled.create_infer_request()
            return lambda index: np.array(request.infer(self.inputs(index), share_inputs=True)["labels"])
        stream = self._pipeline.of_compiled(compiled)

        def last_of_stream(index: int) -> NDArray[Any]:
            stream.reset()
            return stream(*self._given(index)).labels

        return last_of_stream

    def __call__(self, compiled: ov.CompiledModel, indices: Iterable[int]) -> tuple[float, list[float]]:
        """Of all frames together, 0..1, and of each by itself, as NNCF asks for it."""
        labels_of = self._labels(compiled)
        whole, single = MIoU("camera"), MIoU("camera")
        each: list[float] = []
        for index in indices:
            labels = labels_of(index)
            truth = self.calibration.dataset[index].load_labels()
            single.reset()
            for metric in (whole, single):
                metric.update(labels, truth.semantics, truth.mask_camera)
            each.append(single.measured())
        if np.isnan(self.first) and len(each) == len(self.calibration.validate):
            self.first = whole.compute()
        return whole.measured(), each


def _run_nncf(model: ov.Model, judge: _Judge, ignored: Mapping[str, str], scratch: Path) -> ov.Model:
    nncf = load_nncf()
    calibration = judge.calibration
    with quiet("nncf"):  # it tells every layer that it reverts; the report says the same once, at the end
        return nncf.quantize_with_accuracy_control(
            model,
            calibration_dataset=nncf.Dataset(calibration.calibrate, judge.inputs),
            validation_dataset=nncf.Dataset(calibration.validate),
            validation_fn=judge,
            max_drop=calibration.budget / 100,
            drop_type=nncf.DropType.ABSOLUTE,
            # signed activations here are lopsided: with a zero point they keep up to twice the resolution
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(calibration.calibrate),
            model_type=nncf.ModelType.TRANSFORMER if judge.artifact.variant.swin else None,
            ignored_scope=nncf.IgnoredScope(names=list(ignored)),
            advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(
                ranking_subset_size=min(RANKING_FRAMES, len(calibration.validate)),
                intermediate_model_dir=str(scratch),
            ),
        )


def _layers(model: ov.Model, artifact: Artifact) -> tuple[Layer, ...]:
    return layers(model, tap_names(artifact.variant, artifact.manifest.temporal))


def _check(
    fp32: float, int8: float, left: Sequence[Layer], every_layer: Sequence[Layer], calibration: Calibration
) -> None:
    put_back = sum(layer.int8 for layer in every_layer) - sum(layer.int8 for layer in left)
    loss, frames = 100 * (fp32 - int8), len(calibration.validate)
    if not math.isfinite(loss):
        raise OccvinoError(
            f"mIoU is not a number on the {frames} validation frames, in which no camera sees a voxel: give a data set "
            "with Occ3D's gts and camera masks"
        )
    if loss > calibration.budget:
        raise OccvinoError(
            f"int8 loses {loss:.2f} points of mIoU ({100 * fp32:.2f} to {100 * int8:.2f} on {frames} frames) and the "
            f"budget is {calibration.budget:g}; accuracy control put {put_back} layers back: calibrate on more frames "
            "(--calibration-frames), allow more (--accuracy-budget), or take --precision fp16"
        )
    if not any(layer.int8 for layer in left):
        raise OccvinoError(
            f"to lose {calibration.budget:g} points of mIoU at most, all {put_back} layers had to be put back to "
            "floating point: calibrate on more frames, allow more (--accuracy-budget), or take --precision fp16"
        )


def _floats(
    left: Sequence[Layer], every_layer: Sequence[Layer], ignored: Mapping[str, str]
) -> dict[tuple[str, str], list[Layer]]:
    """The layers that stayed in floating point, by who left them so, and why."""
    was_int8 = {layer.name for layer in every_layer if layer.int8}
    groups: dict[tuple[str, str], list[Layer]] = {}
    for layer in left:
        if layer.int8:
            continue
        if layer.kind == KINDS["EmbeddingBagOffsetsSum"]:
            group = NOT_QUANTISED, "the pooling bags: no plugin sums them in 8 bits, and NNCF leaves them"
        elif layer.name in ignored:
            group = IGNORED, ignored[layer.name]
        elif layer.name in was_int8:
            group = REVERTED, "put back by accuracy control"
        else:
            group = NOT_QUANTISED, "NNCF leaves products of two computed values, as in attention, and what follows them"
        groups.setdefault(group, []).append(layer)
    return groups


def _report(
    calibration: Calibration,
    fp32: float,
    int8: float,
    left: Sequence[Layer],
    floats: Mapping[tuple[str, str], Sequence[Layer]],
) -> dict[str, Any]:
    """Plain values, for the manifest."""
    return {
        "miou_fp32": fp32,
        "miou_int8": int8,
        "budget": calibration.budget,
        "calibration_frames": len(calibration.calibrate),
        "validation_frames": len(calibration.validate),
        "data": calibration.fingerprint(),
        "validated_on_other_drives": not set(calibration.validate) & set(calibration.calibrate),
        "macs": {kind: {**asdict(share), "int8": share.int8} for kind, share in by_kind(left).items()},
        "floats": [
            {
                "by": by,
                "why": why,
                "layers": [f"{layer.name} ({layer.part})" for layer in group],
                "macs": sum(layer.macs for layer in group),
            }
            for (by, why), group in floats.items()
        ],
    }
