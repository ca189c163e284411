"""The artifact's ONNX file in ONNX Runtime: the middle one of the three forms, called as `Pipeline` is."""

from collections.abc import Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from occvino.artifact import ONNX, Artifact
from occvino.cameras import Rig
from occvino.errors import ArtifactError
from occvino.geometry import joint_calibration, network_inputs
from occvino.preprocess import Frames, Moment, images_of, moments
from occvino.runtime.occupancy import Occupancy
from occvino.runtime.panoptic import Mapping
from occvino.runtime.pipeline import occupancy


class OnnxPipeline:
    """An artifact run by ONNX Runtime on the CPU. `mapping` is as for `Pipeline`.

    Raises:
        ArtifactError: the ONNX file is missing or altered.
        OccvinoError: there is no such mapping, or one was asked for and the model finds no instances.
    """

    def __init__(self, artifact: Artifact, *, mapping: str = "official") -> None:
        self.artifact = artifact
        self._mapping = Mapping.named(mapping, artifact.variant)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        path = str(artifact.checked(ONNX))
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def __call__(self, frames: Frames, rig: Rig | None = None, past: Sequence[Moment] = ()) -> Occupancy:
        """Occupancy of one moment; frames, rig and past as in `Pipeline.__call__`.

        Raises:
            FrameError: a picture is missing, unreadable or of another size than the rig says.
            ArtifactError: no rig, other cameras than the artifact's, or another calibration than the baked one.
        """
        rig = rig or self.artifact.baked_rig
        if rig is None:
            raise ArtifactError(f"{self.artifact.path} takes the calibration as an input: give the rig of these frames")
        variant = self.artifact.variant
        seen = moments(frames, rig, past, variant.frames)
        rigs = [self.artifact.match(rig) for _, rig in seen]
        inputs: dict[str, NDArray[np.generic]] = {"images": images_of(seen, rigs, variant)}
        if not self.artifact.manifest.baked_calibration:
            inputs |= network_inputs(joint_calibration(rigs, variant), variant)
        names = list(self.artifact.manifest.outputs)
        arrays = {name: np.asarray(value) for name, value in zip(names, self._session.run(names, inputs), strict=True)}
        return occupancy(arrays.pop("labels"), arrays, variant, self._mapping)
