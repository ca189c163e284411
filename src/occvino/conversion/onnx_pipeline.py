"""The artifact's ONNX file in ONNX Runtime: the middle one of the three forms, called as `Pipeline` is."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from occvino.artifact import ONNX, Artifact
from occvino.errors import ArtifactError
from occvino.geometry.inputs import GeometryCache
from occvino.geometry.rig import Rig
from occvino.geometry.temporal import state_slots
from occvino.images.exif import Exif, exif_of
from occvino.images.find import Images
from occvino.images.inputs import ImagesAndRig, image_inputs, with_past
from occvino.runtime.memory import Limits, Memory, memory_of
from occvino.runtime.occupancy import Occupancy
from occvino.runtime.panoptic import Mapping as ClassMapping


class OnnxPipeline:
    """An artifact run by ONNX Runtime on the CPU. `mapping`, `limits` and `exif` are as for `Pipeline`.

    Raises:
        ArtifactError: the ONNX file is missing or altered.
        OccvinoError: there is no such mapping or `exif`, or a mapping was asked for and the model finds no instances.
    """

    def __init__(
        self, artifact: Artifact, *, mapping: str = "official", limits: Limits | None = None, exif: str = "warn"
    ) -> None:
        self._exif: Exif = exif_of(exif)
        self.artifact = artifact
        self.memory = memory_of(artifact, limits)
        self._geometry = GeometryCache(artifact.variant, artifact.manifest.temporal)
        self._mapping = ClassMapping.named(mapping, artifact.variant)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        path = str(artifact.checked(ONNX))
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def __call__(
        self,
        images: Images,
        rig: Rig | None = None,
        past: Sequence[ImagesAndRig] = (),
        *,
        scene: str | None = None,
        time: float | None = None,
    ) -> Occupancy:
        """Occupancy of one frame; the arguments are as in `Pipeline.__call__`.

        Raises:
            FrameError: an image is missing, unreadable or of another size than the rig says.
            ArtifactError: no rig, other cameras than the artifact's, or another calibration than the baked one.
        """
        rig = rig or self.artifact.baked_rig
        if rig is None:
            raise ArtifactError(f"{self.artifact.path} takes the calibration as an input: give the rig of these images")
        variant = self.artifact.variant
        seen = with_past(images, rig, past, variant.frames)
        if self.memory is not None:
            if past:
                self.memory.reset()
            for before in reversed(past):
                self._step(self.memory, before, None, None, follows=True)
            return self._step(self.memory, (images, rig), scene, time, follows=bool(past))
        rigs = [self.artifact.match(rig) for _, rig in seen]
        inputs: dict[str, NDArray[np.generic]] = {**image_inputs(seen, rigs, variant, exif=self._exif)}
        if not self.artifact.manifest.baked_calibration:
            inputs |= self._geometry(rigs).inputs
        arrays = self._run(inputs, self.artifact.manifest.outputs)
        return Occupancy.of_outputs(arrays.pop("labels"), arrays, variant, self._mapping)

    def _step(
        self, memory: Memory, frame: ImagesAndRig, scene: str | None, time: float | None, *, follows: bool
    ) -> Occupancy:
        """One frame of a stream."""
        variant, manifest = self.artifact.variant, self.artifact.manifest
        rig = self.artifact.match(frame[1])
        recalled = memory.recall(rig, scene, time, follows=follows)
        images = image_inputs([frame], [rig], variant, exif=self._exif)
        kept = state_slots(variant, manifest.temporal)
        names = tuple(dict.fromkeys((*manifest.outputs, *kept)))
        arrays = self._run({**images, **self._geometry(recalled.rigs).inputs, **recalled.inputs}, names)
        memory.keep(recalled, {name: arrays[name] for name in kept}, scene, time)
        extras = {name: arrays[name] for name in manifest.outputs if name != "labels"}
        return Occupancy.of_outputs(arrays["labels"], extras, variant, self._mapping, recalled.history)

    def _run(self, inputs: Mapping[str, NDArray[np.generic]], names: Sequence[str]) -> dict[str, NDArray[Any]]:
        values = self._session.run(list(names), dict(inputs))
        return {name: np.asarray(value) for name, value in zip(names, values, strict=True)}
