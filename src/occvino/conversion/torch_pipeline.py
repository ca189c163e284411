"""The PyTorch model itself on the same frames: the NVIDIA side of a comparison, with no mmcv and no CUDA extension."""

from pathlib import Path

import torch

from occvino.cameras import Rig
from occvino.conversion.export import Deployable
from occvino.errors import DeviceError
from occvino.geometry import joint_calibration, network_inputs
from occvino.networks import build
from occvino.preprocess import Frames, by_camera, network_images
from occvino.runtime.occupancy import Occupancy


class TorchPipeline:
    """A checkpoint run by PyTorch, called as `Pipeline` is.

    Args:
        name: one of `occvino.variants()`.
        checkpoint: the weights (see `build`).
        device: a PyTorch device, "cpu" or "cuda".

    Raises:
        CheckpointError: the checkpoint cannot be read or does not fit.
        DeviceError: this PyTorch has no such device.
    """

    def __init__(self, name: str, checkpoint: str | Path | None, device: str = "cpu") -> None:
        if device.split(":")[0] not in ("cpu", "cuda"):
            raise DeviceError(f"PyTorch is run on cpu or cuda here, not on {device}")
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise DeviceError(f"PyTorch {torch.__version__} finds no CUDA device here: use --torch cpu")
        torch.backends.cudnn.allow_tf32 = False  # 10-bit mantissas, cuDNN's default, are no reference
        self._device = torch.device(device)
        model = build(name, checkpoint)
        self._variant = model.variant
        self._network = Deployable(model).eval().to(self._device)

    def __call__(self, frames: Frames, rig: Rig) -> Occupancy:
        """Occupancy of one moment; frames and rig as in `Pipeline.__call__`.

        Raises:
            FrameError: a picture is missing, unreadable or of another size than the rig says.
        """
        pictures = by_camera(frames, rig)
        if set(rig.names) == set(self._variant.camera_names):
            rig = rig.select(self._variant.camera_names)
        geometry = network_inputs(joint_calibration([rig], self._variant), self._variant)
        arrays = (network_images(pictures, rig, self._variant), *geometry.values())
        with torch.inference_mode():
            *_, labels = self._network(*(torch.from_numpy(array).to(self._device) for array in arrays))
        return Occupancy(labels.cpu().numpy(), self._variant.class_names, self._variant.occupancy_grid)
