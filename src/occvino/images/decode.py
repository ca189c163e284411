"""Decode one camera's image, in any form it may come in, to RGB pixels. Pillow is the reference.

Where the extra `fast` is installed, JPEG files and bytes go to simplejpeg, libjpeg-turbo with nothing around it, which
gives the same pixels in about half of the time. Everything else still goes to Pillow - another format or size, CMYK, a
file that simplejpeg rejects - so that which images are accepted, and the messages for those that are not, do not depend
on what is installed.

Size, format and depth are checked by the header, before any pixel is decoded.
"""

import io
import stat
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Literal, TypeAlias

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from occvino.errors import FrameError, warn
from occvino.geometry.camera import Camera
from occvino.images.depth import Depth, depth_of, to_8_bits
from occvino.images.exif import TURNS, UPRIGHT, Exif, orientation_of, orientation_of_jpeg
from occvino.images.png import PNG, damaged_pixels

try:
    import simplejpeg
except ModuleNotFoundError:  # a broken installation of it is an error, not a reason to go slower
    simplejpeg = None

ImageLike: TypeAlias = str | Path | bytes | NDArray[np.uint8] | Image.Image
"""One camera's image: a file, what a file holds, an array u8 [H, W, 3] in RGB order, or a Pillow image.

Arrays for an IR that takes BGR or NV12 are in that layout."""

FORMATS = ("JPEG", "PNG", "BMP", "PPM", "GIF", "TIFF", "WEBP")
"""What Pillow may take a file for. For others it would run programs (EPS), or not say how many bits they hold."""
JPEG = b"\xff\xd8\xff"
"""How a JPEG begins."""
_ROOM = 64 << 20
"""Bytes that a file may have beside 8 for each pixel: metadata, previews."""
_LOADING = Lock()


class ImageDoubtWarning(UserWarning):
    """Images were read, and may not show what the camera saw: stored turned, or with transparent pixels."""


@dataclass
class Reading:
    """How the images of a frame are read, and what is doubtful about them. Several threads may share one.

    Attributes:
        exif: what to do about an EXIF orientation.
        turned: orientation of each camera's image that has one and was used as stored.
        transparent: cameras whose image has transparent pixels.
    """

    exif: Exif = "warn"
    turned: dict[str, int] = field(default_factory=dict[str, int])
    transparent: set[str] = field(default_factory=set[str])

    def warn(self) -> None:
        """Warn of what is doubtful, with `ImageDoubtWarning`: once for all cameras, in words that stay the same."""
        for orientation in sorted(set(self.turned.values())) if self.exif == "warn" else ():
            names = ", ".join(sorted(name for name, found in self.turned.items() if found == orientation))
            warn(
                f"the EXIF orientation of {names} is {orientation}, to be {TURNS[orientation][0]}: the pixels are used "
                "as stored, as the official loader does. If the camera was calibrated on upright images, use "
                'exif="apply" (--exif apply); if on the stored ones, exif="ignore"',
                ImageDoubtWarning,
            )
        if self.transparent:
            names = ", ".join(sorted(self.transparent))
            warn(
                f"{names}: the image has transparent pixels, and their stored colours are used: save it without alpha",
                ImageDoubtWarning,
            )


def jpeg_decoder() -> str:
    """What decodes JPEG files and bytes here, and its version: "simplejpeg 1.9.0" or "Pillow 13.0.0"."""
    return f"Pillow {PIL.__version__}" if simplejpeg is None else f"simplejpeg {simplejpeg.__version__}"


def read(source: ImageLike, camera: Camera, reading: Reading) -> Image.Image:
    """The image of a camera, RGB and of the camera's size. What is doubtful is noted in `reading`.

    Raises:
        FrameError: it cannot be read, or has another size than the camera, or a depth or form that leaves in doubt
            what its colours are.
    """
    _check_file(source, camera)
    pixels = _fast(source, camera, reading, "RGB")
    return _read(source, camera, reading) if pixels is None else Image.fromarray(pixels)


def read_into(
    out: NDArray[np.uint8], source: ImageLike, camera: Camera, layout: Literal["rgb", "bgr"], reading: Reading
) -> None:
    """Write the image of a camera, u8 [height, width, 3], to `out`, which is contiguous.

    Raises:
        FrameError: as `read`.
    """
    _check_file(source, camera)
    if _fast(source, camera, reading, "BGR" if layout == "bgr" else "RGB", out) is None:
        out[:] = np.asarray(_read(source, camera, reading))[..., :: -1 if layout == "bgr" else 1]


def _check_file(source: ImageLike, camera: Camera) -> None:
    """Opening a FIFO would wait for ever, and a device or a huge file would fill the memory."""
    if not isinstance(source, str | Path):
        return
    label = _label(source, camera)
    try:
        found = Path(source).stat()
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise FrameError(f"{label} cannot be read as an image: {error}") from error
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a device, a pipe or a socket"
        raise FrameError(f"{label} cannot be read as an image: {source} is {kind}, expected a file")
    most = _ROOM + 8 * camera.width * camera.height
    if found.st_size > most:
        raise FrameError(
            f"{label} cannot be read as an image: {source} has {found.st_size >> 20} MiB, and an image of "
            f"{camera.width}x{camera.height}, as the rig says, has at most {most >> 20}"
        )


def _fast(
    source: ImageLike,
    camera: Camera,
    reading: Reading,
    order: Literal["RGB", "BGR"],
    out: NDArray[np.uint8] | None = None,
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
        orientation = UPRIGHT if reading.exif == "ignore" else orientation_of_jpeg(encoded)
        if orientation != UPRIGHT and reading.exif == "apply":
            return None
        pixels = simplejpeg.decode_jpeg(encoded, order, buffer=out)
    except (OSError, ValueError, KeyError, SyntaxError):  # KeyError: a subsampling that it has no name for
        return None
    if orientation != UPRIGHT:
        reading.turned[camera.name] = orientation
    return pixels


def _jpeg(source: str | Path | bytes) -> bytes | None:
    """All of a JPEG; None if it is something else."""
    if isinstance(source, bytes):
        return source if source.startswith(JPEG) else None
    with Path(source).open("rb") as file:
        begins = file.read(len(JPEG))
        return begins + file.read() if begins == JPEG else None


def _label(source: ImageLike, camera: Camera) -> str:
    return Path(source).name if isinstance(source, str | Path) else f"the image of {camera.name}"


def _read(source: ImageLike, camera: Camera, reading: Reading) -> Image.Image:
    label = _label(source, camera)
    if isinstance(source, np.ndarray):
        image = _from_array(source, label)
        if image.size != (camera.width, camera.height):
            raise _wrong_size(image.size, camera, label)
        return image
    known = isinstance(source, str | Path | bytes | Image.Image)  # pyright: ignore[reportUnnecessaryIsInstance]
    if not (known or hasattr(source, "read")):
        kind = type(source).__name__
        raise FrameError(f"{label} is a {kind}, expected a file, bytes, a uint8 array or a Pillow image")
    try:
        if isinstance(source, Image.Image):
            return _decode(source, camera, reading, label, _LOADING)
        with Image.open(_undamaged(source, label), formats=FORMATS) as image:
            return _decode(image, camera, reading, label, nullcontext())
    except FrameError:
        raise
    except UnidentifiedImageError as error:
        raise FrameError(f"{label} cannot be read as an image: it is none of {', '.join(FORMATS)}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        size = f"{camera.width}x{camera.height}"
        raise FrameError(f"{label} is far larger than the {size} that the rig says: {error}") from error
    except Exception as error:  # what Pillow's readers raise on a damaged file is of many kinds
        raise FrameError(f"{label} cannot be read as an image: {error}") from error


def _undamaged(source: Any, label: str) -> Any:
    """What Pillow is to open: a file, its bytes or a stream. Pillow leaves the check sums of a PNG alone."""
    if hasattr(source, "read"):
        return source
    if not isinstance(source, bytes):
        with Path(source).open("rb") as file:
            begins = file.read(len(PNG))
            if begins != PNG:
                return source
            source = begins + file.read()
    if damaged_pixels(source):
        raise FrameError(f"{label} cannot be read as an image: a check sum of this PNG does not fit its pixels")
    return io.BytesIO(source)


def _decode(
    image: Image.Image, camera: Camera, reading: Reading, label: str, loading: AbstractContextManager[Any]
) -> Image.Image:
    with loading:  # a caller's image may not be loaded yet, and be another camera's image too
        depth, orientation = _load(image, camera, reading, label)
    if depth is not None:
        image = to_8_bits(image, depth, label)
    image = _opaque(image, camera, reading)
    if orientation == UPRIGHT:
        return image
    if reading.exif == "apply":
        return image.transpose(TURNS[orientation][1])
    reading.turned[camera.name] = orientation
    return image


def _load(image: Image.Image, camera: Camera, reading: Reading, label: str) -> tuple[Depth | None, int]:
    """Load the pixels once the header has passed; depth and orientation."""
    expected = camera.width, camera.height
    if image.size not in (expected, expected[::-1]):
        raise _wrong_size(image.size, camera, label)
    if getattr(image, "is_animated", False) and image.format != "MPO":  # the others of that are previews
        raise FrameError(f"{label} holds several images, and which one to take is not known: save one alone")
    depth = depth_of(image, label)  # before loading, which forgets it
    try:
        image.load()  # before EXIF is read, which may load a PNG and would keep a failure to itself
    except Exception:
        image.close()  # loaded again it would give pixels that never were
        raise
    orientation = orientation_of(image)
    applied = reading.exif == "apply" and orientation > 4
    if (image.size[::-1] if applied else image.size) != expected:
        raise _wrong_size(image.size, camera, label, orientation, applied=applied)
    return depth, orientation


def _opaque(image: Image.Image, camera: Camera, reading: Reading) -> Image.Image:
    """The stored colours."""
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        if with_alpha.getchannel("A").getextrema()[0] < 255:  # type: ignore[operator]  # one channel has one pair
            reading.transparent.add(camera.name)
        image = with_alpha if image.mode == "P" else image
    return image.convert("RGB")


def _wrong_size(
    size: tuple[int, int], camera: Camera, label: str, orientation: int = UPRIGHT, *, applied: bool = False
) -> FrameError:
    width, height = size
    turned = f", turned to {height}x{width} as its EXIF orientation {orientation} says" if applied else ""
    message = f"{label} is {width}x{height}{turned}, the rig says {camera.width}x{camera.height}: "
    if applied:
        return FrameError(message + 'the rig is of the stored image, use exif="ignore" (--exif ignore)')
    if orientation > 4:
        return FrameError(message + f'its EXIF orientation {orientation} swaps them, use exif="apply" (--exif apply)')
    factor = width / camera.width
    if round(camera.height * factor) == height:
        return FrameError(message + f"rescale the intrinsics with Rig.scaled({factor:g})")
    fix = "the shapes differ, so it was cropped or belongs to another camera; calibrate the images you have"
    return FrameError(message + fix)


def _from_array(array: NDArray[Any], label: str) -> Image.Image:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        deep = np.issubdtype(array.dtype, np.integer) and array.dtype != np.uint8
        fix = ": bring it to 8 bits, as (image >> 8).astype(np.uint8) where 16 are used, >> 4 where 12 are" * deep
        raise FrameError(
            f"{label} is {array.dtype} {list(array.shape)}, expected uint8 [height, width, 3] in RGB order{fix}"
        )
    return Image.fromarray(np.ascontiguousarray(array))
