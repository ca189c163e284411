"""Which way up an image is stored, as its EXIF orientation says.

The official loader opens images with Pillow and turns none. So they are used as stored here too, with a warning, since
a camera that writes an orientation may have been calibrated on upright images.
"""

import io
from typing import Literal, TypeAlias, get_args

from PIL import Image

from occvino.errors import OccvinoError

Exif: TypeAlias = Literal["warn", "apply", "ignore"]
"""What to do about an orientation: use the image as stored and warn; turn it; use it as stored."""

UPRIGHT = 1
TURNS: dict[int, tuple[str, Image.Transpose]] = {
    2: ("mirrored left to right", Image.Transpose.FLIP_LEFT_RIGHT),
    3: ("turned by 180 degrees", Image.Transpose.ROTATE_180),
    4: ("mirrored top to bottom", Image.Transpose.FLIP_TOP_BOTTOM),
    5: ("mirrored left to right and turned by 90 degrees to the left", Image.Transpose.TRANSPOSE),
    6: ("turned by 90 degrees to the right", Image.Transpose.ROTATE_270),
    7: ("mirrored left to right and turned by 90 degrees to the right", Image.Transpose.TRANSVERSE),
    8: ("turned by 90 degrees to the left", Image.Transpose.ROTATE_90),
}
"""By orientation: what is to be done to the stored image, and what does it. 5 to 8 swap width and height."""

_TAG = 0x0112
_APP1, _START_OF_SCAN, _END = 0xE1, 0xDA, 0xD9


def exif_of(name: str) -> Exif:
    """One of the three by its name.

    Raises:
        OccvinoError: there is no such choice.
    """
    if name not in get_args(Exif):
        raise OccvinoError(f"exif {name!r} is not one of {', '.join(get_args(Exif))}")
    return name  # type: ignore[return-value]  # checked


def orientation_of(image: Image.Image) -> int:
    """1 to 8; 1 is as stored. Of an image that is loaded: Pillow turns a TIFF then, so that it is always as stored."""
    if image.format == "TIFF":
        return UPRIGHT
    try:
        found = image.getexif().get(_TAG)
    except Exception:  # damaged: it says nothing, and the pixels may be fine
        return UPRIGHT
    return found if found in TURNS else UPRIGHT


def orientation_of_jpeg(encoded: bytes) -> int:
    """The same of a JPEG. Only one with an APP1 segment, which EXIF and XMP need, costs a look by Pillow (60 us)."""
    return orientation_of(Image.open(io.BytesIO(encoded), formats=("JPEG",))) if _has_app1(encoded) else UPRIGHT


def _has_app1(encoded: bytes) -> bool:
    at = 2
    while at + 4 <= len(encoded) and encoded[at] == 0xFF:
        marker = encoded[at + 1]
        if marker == _APP1:
            return True
        if marker in (_START_OF_SCAN, _END):
            return False
        at += 1 if marker == 0xFF else 2 + int.from_bytes(encoded[at + 2 : at + 4], "big")
    return True  # nothing that this walk understands
