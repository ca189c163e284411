"""Decode one camera's image, in any form it may come in, to RGB pixels. Pillow is the reference.

Where the extra `fast` is installed, JPEG files and bytes go to simplejpeg, libjpeg-turbo with nothing around it, which
gives the same pixels in about half of the time. Everything else still goes to Pillow - another format or size, CMYK, a
file that simplejpeg rejects - so that which images are accepted, and the messages for those that are not, do not depend
on what is installed.
"""

import io
from pathlib import Path
from threading import Lock
from typing import Any, Literal, TypeAlias

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from occvino.errors import FrameError
from occvino.geometry.camera import Camera

try:
    import simplejpeg
except ModuleNotFoundError:  # a broken installation of it is an error, not a reason to go slower
    simplejpeg = None

ImageLike: TypeAlias = str | Path | bytes | NDArray[np.uint8] | Image.Image
"""One camera's image: a file, what a file holds, an array u8 [H, W, 3] in RGB order, or a Pillow image.

Arrays for an IR that takes BGR or NV12 are in that layout."""

MODES = ("RGB", "RGBA", "L", "P", "CMYK", "YCbCr")
"""Pillow's modes of 8 bits a channel; converting deeper ones would clip them at 255."""
JPEG = b"\xff\xd8\xff"
"""How a JPEG begins."""
_LOADING = Lock()


def jpeg_decoder() -> str:
    """What decodes JPEG files and bytes here, and its version: "simplejpeg 1.9.0" or "Pillow 13.0.0"."""
    return f"Pillow {PIL.__version__}" if simplejpeg is None else f"simplejpeg {simplejpeg.__version__}"


def read(source: ImageLike, camera: Camera) -> Image.Image:
    """The image of a camera, RGB and of the camera's size.

    Raises:
        FrameError: it cannot be read, or has another size than the camera.
    """
    pixels = _fast(source, camera, "RGB")
    return _read(source, camera) if pixels is None else Image.fromarray(pixels)


def read_into(out: NDArray[np.uint8], source: ImageLike, camera: Camera, layout: Literal["rgb", "bgr"]) -> None:
    """Write the image of a camera, u8 [height, width, 3], to `out`, which is contiguous.

    Raises:
        FrameError: as `read`.
    """
    if _fast(source, camera, "BGR" if layout == "bgr" else "RGB", out) is None:
        out[:] = np.asarray(_read(source, camera))[..., :: -1 if layout == "bgr" else 1]


def _fast(
    source: ImageLike, camera: Camera, order: Literal["RGB", "BGR"], out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8] | None:
    """The pixels by simplejpeg, written to `out` if there is one. None if Pillow has to decode the image."""
    if simplejpeg is None or not isinstance(source, str | Path | bytes):
        return None
    try:
        encoded = _jpeg(source)
        if encoded is None:
            return None
        height, width, colours, _ = simplejpeg.decode_jpeg_header(encoded)
        if (height, width) != (camera.height, camera.width) or colours not in ("YCbCr", "Gray", "RGB"):
            return None
        return simplejpeg.decode_jpeg(encoded, order, buffer=out)
    except (OSError, ValueError, KeyError):  # KeyError: a subsampling that it has no name for
        return None


def _jpeg(source: str | Path | bytes) -> bytes | None:
    """All of a JPEG; None if it is something else."""
    if isinstance(source, bytes):
        return source if source.startswith(JPEG) else None
    with Path(source).open("rb") as file:
        begins = file.read(len(JPEG))
        return begins + file.read() if begins == JPEG else None


def _read(source: ImageLike, camera: Camera) -> Image.Image:
    label = Path(source).name if isinstance(source, str | Path) else f"the image of {camera.name}"
    image = _decode(source, label)
    if image.size != (camera.width, camera.height):
        width, height = image.size
        raise FrameError(
            f"{label} is {width}x{height}, the rig says {camera.width}x{camera.height}: " + _fix(image, camera)
        )
    return image


def _fix(image: Image.Image, camera: Camera) -> str:
    factor = image.width / camera.width
    if round(camera.height * factor) == image.height:
        return f"rescale the intrinsics with Rig.scaled({factor:g})"
    return "the shapes differ, so it was cropped or belongs to another camera; calibrate the images you have"


def _decode(source: ImageLike, label: str) -> Image.Image:
    if isinstance(source, np.ndarray):
        return _from_array(source, label)
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        image = file if isinstance(file, Image.Image) else Image.open(file)
        if image.mode not in MODES:
            raise FrameError(
                f"{label} has pixels of mode {image.mode}, expected 8-bit colour or grey: convert it first"
            )
        if image is source:
            with _LOADING:  # it may not be loaded yet, and be another camera's image too
                image.load()
        return image.convert("RGB")
    except AttributeError:
        kind = type(source).__name__
        raise FrameError(f"{label} is a {kind}, expected a file, bytes, a uint8 array or a Pillow image") from None
    except (OSError, UnidentifiedImageError, SyntaxError, Image.DecompressionBombError) as error:
        raise FrameError(f"{label} cannot be read as an image: {error}") from error


def _from_array(array: NDArray[Any], label: str) -> Image.Image:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise FrameError(
            f"{label} is {array.dtype} {list(array.shape)}, expected uint8 [height, width, 3] in RGB order"
        )
    return Image.fromarray(np.ascontiguousarray(array))
