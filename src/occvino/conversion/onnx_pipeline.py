"""The artifact's ONNX file in ONNX Runtime: the middle one of the three forms, called as `Pipeline` is."""

from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from occvino.artifact import ONNX, Artifact
from occvino.cameras import Rig
from occvino.errors import ArtifactError
from occvino.lift import PoolingPlan
from occvino.preprocess import Frames, by_camera, network_images
from occvino.runtime.occupancy import Occupancy


class OnnxPipeline:
    """An artifact run by ONNX Runtime on the CPU.

    Raises:
        ArtifactError: the ONNX file is missing or altered.
    """

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        path = str(artifact.checked(ONNX))
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def __call__(self, frames: Frames, rig: Rig | None = None) -> Occupancy:
        """Occupancy of one moment; frames and rig as in `Pipeline.__call__`.

        Raises:
            FrameError: a picture is missing, unreadable or of another size than the rig says.
            ArtifactError: no rig, other cameras than the artifact's, or another calibration than the baked one.
        """
        rig = rig or self.artifact.baked_rig
        if rig is None:
            raise ArtifactError(f"{self.artifact.path} takes the calibration as an input: give the rig of these frames")
        matched, variant = self.artifact.match(rig), self.artifact.variant
        inputs: dict[str, NDArray[Any]] = {"images": network_images(by_camera(frames, rig), matched, variant)}
        if not self.artifact.manifest.baked_calibration:
            inputs |= PoolingPlan.from_rig(matched, variant).inputs()
        (labels,) = self._session.run(["labels"], inputs)
        return Occupancy(np.asarray(labels), variant.class_names, variant.occupancy_grid)
