"""Frames and a rig in, occupancy out: the object an integrator calls ten times a second."""

from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from occvino.artifact import IR, Artifact
from occvino.cameras import Rig
from occvino.errors import ArtifactError
from occvino.lift import PoolingPlan
from occvino.preprocess import Frames, by_camera, network_images
from occvino.runtime.devices import Running, check_release, compile_model, running
from occvino.runtime.occupancy import Occupancy


class Pipeline:
    """An artifact compiled for a device.

    The pooling plan is built from the rig on the first call and again whenever the rig moves; a call with the same
    calibration as the one before reuses it.

    Args:
        artifact: folder made by `convert`. Every file is checked against its hash.
        device: any OpenVINO device string.
        precision: what to compute in, "f32" or "f16"; the device's own choice when left out.
        threads: of the CPU plugin; all when left out.
        cache: folder for compiled models.

    One object serves one thread at a time; give each thread its own.

    Raises:
        ArtifactError: the folder is incomplete or altered.
        DeviceError: the device or precision cannot be had.
    """

    def __init__(
        self,
        artifact: str | Path | Artifact,
        device: str = "CPU",
        *,
        precision: str | None = None,
        threads: int | None = None,
        cache: str | Path | None = None,
    ) -> None:
        self.artifact = artifact if isinstance(artifact, Artifact) else Artifact.open(artifact)
        check_release(ov.__version__)
        model = ov.Core().read_model(self.artifact.path / IR)
        self._compiled = compile_model(
            model, device, precision=precision, threads=threads, cache=str(cache) if cache else None
        )
        self._request = self._compiled.create_infer_request()
        self.running: Running = running(self._compiled, device)
        self._baked = self.artifact.baked_rig
        self._planned: tuple[bytes, PoolingPlan] | None = None

    def __call__(self, frames: Frames, rig: Rig | None = None) -> Occupancy:
        """Occupancy of one moment.

        Args:
            frames: one picture per camera: a folder, a mapping from camera names, or a sequence in the rig's order.
                Files, arrays u8 [H, W, 3] in RGB order, or Pillow images.
            rig: of these frames. May be left out only when the calibration was baked in.

        Raises:
            FrameError: a picture is missing, unreadable or of another size than the rig says.
            ArtifactError: no rig, other cameras than the artifact's, or another calibration than the baked one.
        """
        rig = rig or self._baked
        if rig is None:
            raise ArtifactError(f"{self.artifact.path} takes the calibration as an input: give the rig of these frames")
        matched = self.artifact.match(rig)
        variant = self.artifact.variant
        pictures = by_camera(frames, rig)
        inputs: dict[str, NDArray[np.generic]] = {"images": network_images(pictures, matched, variant)}
        if self._baked is None:
            inputs |= self.plan(matched).inputs()
        outputs = self._request.infer(inputs, share_inputs=True)
        arrays = {name: np.array(outputs[name]) for name in self.artifact.manifest.outputs}
        return Occupancy(arrays.pop("labels"), self.artifact.manifest.class_names, variant.occupancy_grid, arrays)

    def plan(self, rig: Rig) -> PoolingPlan:
        """The pooling plan of a rig, from the cache if the calibration is that of the last call."""
        calibration = rig.calibration(self.artifact.variant)
        fingerprint = calibration.fingerprint()
        if self._planned is None or self._planned[0] != fingerprint:
            self._planned = fingerprint, PoolingPlan.from_calibration(calibration, self.artifact.variant)
        return self._planned[1]
