"""From a request to what a `Pipeline` is called with: images and a rig."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from occvino.artifact import Artifact
from occvino.errors import FrameError
from occvino.geometry.rig import Rig
from occvino.images.decode import FORMATS
from occvino.runtime.frame import Frame
from occvino.serve.rig import rig_of_matrices
from occvino.serve.tensors import Tensor, array_of, tensors_of

IMAGES, INTRINSICS, CAMERA2EGO = "images", "intrinsics", "camera2ego"
CAMERAS = "cameras"
"""A parameter of the request: the order of its cameras, as a JSON list of names."""
MATRIX_TYPES = ("FP32", "FP64")


@dataclass(frozen=True)
class Contract:
    """What a request for an artifact holds.

    Args:
        cameras: names, in the network's order.
        image: [H, W, C] of one raw image, -1 where any is taken.
        calibrated: the calibration is baked in, and matrices may be left out.
        most_bytes: of all decoded images together.
    """

    cameras: tuple[str, ...]
    image: tuple[int, int, int]
    calibrated: bool
    most_bytes: int

    @classmethod
    def of_artifact(cls, artifact: Artifact, most_bytes: int) -> "Contract":
        """Raw images of any size in RGB; those of an IR that takes BGR or NV12 are as the IR takes them."""
        manifest = artifact.manifest
        takes = manifest.image_input
        image = (-1, -1, 3) if takes is None or takes.layout == "rgb" else takes.shape
        return cls(manifest.cameras, image, manifest.baked_calibration, most_bytes)

    def inputs(self) -> list[dict[str, Any]]:
        """As the protocol's metadata lists them. Images may also be BYTES [N]: what JPEG or PNG files hold."""
        count = len(self.cameras)
        return [
            {"name": IMAGES, "datatype": "UINT8", "shape": [count, *self.image]},
            {"name": INTRINSICS, "datatype": "FP32", "shape": [count, 3, 3]},
            {"name": CAMERA2EGO, "datatype": "FP32", "shape": [count, 4, 4]},
        ]

    def frame(self, inputs: Sequence[Tensor], parameters: Mapping[str, Any]) -> Frame:
        """The frame of a request.

        Raises:
            FrameError: an input is missing, unknown or of another type or shape, or an image cannot be read.
            RigError: a matrix that cannot be right; it names the camera.
        """
        names = self._names(parameters.get(CAMERAS))
        tensors = tensors_of(inputs, (IMAGES, INTRINSICS, CAMERA2EGO))
        images, sizes = self._images(tensors, names)
        if self.calibrated and not {INTRINSICS, CAMERA2EGO} & set(tensors):
            return Frame(dict(zip(names, images, strict=True)))
        return Frame(dict(zip(names, images, strict=True)), self._rig(tensors, names, sizes))

    def _names(self, given: Any) -> tuple[str, ...]:
        """The request's order of cameras; the network's own when left out."""
        if given is None:
            return self.cameras
        try:
            names = json.loads(given)
        except (TypeError, ValueError, RecursionError):
            names = None
        if not isinstance(names, list) or sorted(map(repr, names)) != sorted(map(repr, self.cameras)):  # pyright: ignore[reportUnknownArgumentType]
            raise FrameError(
                f"the parameter {CAMERAS} is {str(given)[:200]!r}: expected a JSON list of these names in the order of "
                f"the images, {json.dumps(self.cameras)}"
            )
        return tuple(map(str, names))  # pyright: ignore[reportUnknownArgumentType]

    def _images(
        self, tensors: Mapping[str, Tensor], names: Sequence[str]
    ) -> tuple[list[bytes | NDArray[np.uint8]], list[tuple[int, int]]]:
        """One image a camera, and (width, height) of each."""
        count = len(names)
        found = array_of(tensors, IMAGES, {"UINT8": [count, *self.image], "BYTES": [count]})
        if found.dtype == np.uint8:
            height, width, colours = found.shape[1:]
            size = (width, height * 2 // 3) if colours == 1 else (width, height)
            return list(found), [size] * count
        sizes = [_size(image, name) for image, name in zip(found, names, strict=True)]
        decoded = sum(3 * width * height for width, height in sizes)
        if decoded > self.most_bytes:
            raise FrameError(
                f"the images have {decoded >> 20} MiB when decoded, at most {self.most_bytes >> 20} are taken: send "
                "smaller ones with intrinsics to match, or start the server with a larger --max-body"
            )
        return list(found), sizes

    def _rig(self, tensors: Mapping[str, Tensor], names: Sequence[str], sizes: Sequence[tuple[int, int]]) -> Rig:
        count = len(names)
        intrinsics = array_of(tensors, INTRINSICS, dict.fromkeys(MATRIX_TYPES, (count, 3, 3)))
        camera2ego = array_of(tensors, CAMERA2EGO, dict.fromkeys(MATRIX_TYPES, (count, 4, 4)))
        return rig_of_matrices(names, sizes, intrinsics, camera2ego)


def _size(image: Any, name: str) -> tuple[int, int]:
    """(width, height) by the header of an image file. What is wrong with the pixels is found when it is decoded."""
    if not isinstance(image, bytes):
        raise FrameError(
            f"the image of {name} is text: the bytes of an image file do not go into JSON; send them behind it, as "
            "the binary data extension of the protocol has it, or by gRPC"
        )
    try:
        with Image.open(io.BytesIO(image), formats=FORMATS) as opened:
            return opened.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        told = str(error).split(" <_io")[0]  # Pillow names the address of the buffer
        raise FrameError(
            f"the image of {name}, {len(image)} bytes, cannot be read as an image of {', '.join(FORMATS)}: {told}"
        ) from error
