"""The PyTorch model itself on the same frames: the NVIDIA side of a comparison, with no mmcv and no CUDA extension."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from occvino.conversion.export import Deployable
from occvino.errors import DeviceError
from occvino.geometry.image_transform import parse_crop
from occvino.geometry.inputs import GeometryCache
from occvino.geometry.rig import Rig
from occvino.images.exif import Exif, exif_of
from occvino.images.find import Images
from occvino.images.inputs import ImagesAndRig, image_inputs, with_past
from occvino.networks import build
from occvino.networks.flashocc import tap_names
from occvino.networks.panoptic import CENTRE_HEADS
from occvino.runtime.memory import Memory
from occvino.runtime.occupancy import Occupancy
from occvino.runtime.panoptic import Mapping
from occvino.variant import Crop
from occvino.variants import get_variant


class TorchPipeline:
    """A checkpoint run by PyTorch, called as `Pipeline` is.

    Args:
        name: one of `occvino.variants()`.
        checkpoint: the weights (see `build`).
        device: a PyTorch device, "cpu" or "cuda".
        mapping: "official" or "corrected", as for `Pipeline`.
        crop: of images that are too high, as for `convert`.
        exif: "warn", "apply" or "ignore", as for `Pipeline`.

    Raises:
        CheckpointError: the checkpoint cannot be read or does not fit.
        DeviceError: this PyTorch has no such device.
        OccvinoError: there is no such mapping or `exif`, or a mapping was asked for and the model finds no instances.
    """

    def __init__(
        self,
        name: str,
        checkpoint: str | Path | None,
        device: str = "cpu",
        *,
        mapping: str = "official",
        crop: Crop = "top",
        exif: str = "warn",
    ) -> None:
        self._exif: Exif = exif_of(exif)
        self._mapping = Mapping.named(mapping, get_variant(name))
        if device.split(":")[0] not in ("cpu", "cuda"):
            raise DeviceError(f"PyTorch is run on cpu or cuda here, not on {device}")
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise DeviceError(f"PyTorch {torch.__version__} finds no CUDA device here: use --torch cpu")
        torch.backends.cudnn.allow_tf32 = False  # 10-bit mantissas, cuDNN's default, are no reference
        self._device = torch.device(device)
        model = build(name, checkpoint)
        self._variant = replace(model.variant, crop=parse_crop(crop))
        self._geometry = GeometryCache(self._variant)
        self.memory: Memory | None = None
        self._network = Deployable(model).eval().to(self._device)
        self._names = (*tap_names(model.variant), "labels")
        self._kept = CENTRE_HEADS if model.variant.panoptic else ()

    def __call__(
        self,
        images: Images,
        rig: Rig,
        past: Sequence[ImagesAndRig] = (),
        *,
        scene: str | None = None,
        time: float | None = None,
    ) -> Occupancy:
        """Occupancy of one frame; images, rig and past as in `Pipeline.__call__`. Nothing is remembered.

        Raises:
            FrameError: an image is missing, unreadable or of another size than the rig says.
        """
        seen = with_past(images, rig, past, self._variant.frames)
        names = self._variant.camera_names
        rigs = [rig.select(names) if set(rig.names) == set(names) else rig for _, rig in seen]
        inputs = {**image_inputs(seen, rigs, self._variant, exif=self._exif), **self._geometry(rigs).inputs}
        with torch.inference_mode():
            outputs = self._network(*(torch.from_numpy(array).to(self._device) for array in inputs.values()))
        found = {name: value.cpu().numpy() for name, value in zip(self._names, outputs, strict=True)}
        return Occupancy.of_outputs(
            found["labels"], {name: found[name] for name in self._kept}, self._variant, self._mapping
        )
