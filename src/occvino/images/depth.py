"""Images of more than 8 bits a channel, brought to 8 by what their file says, and refused where it says too little.

Pillow keeps the upper 8 of 16 bits of a colour without a word. Cameras of 10, 12 or 14 bits are often stored in the
lower bits of 16, which makes such an image nearly black.
"""

import re
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from occvino.errors import FrameError

EIGHT_BITS = ("RGB", "RGBA", "L", "LA", "P", "PA", "CMYK", "YCbCr")
"""Pillow's modes of 8 bits a channel."""

_RAW = re.compile(r"(?!BGR)\w+;(12|16)[BLNR]?$")
"""Pillow's names for pixels of 12 or 16 bits a channel in a file. BGR;16 is 16 bits a pixel."""
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_LEAST = 64
"""Of 255: 14 bits or fewer in the lower end of 16 stay below a quarter of the range, and few real images do."""


class Depth(NamedTuple):
    """How many bits more than 8 a channel of Pillow's image has or had, and whether the file says that all are used.

    `rounded`: Pillow rounds what does not fit into 8, and does not cut it off.
    """

    shift: int
    sure: bool
    rounded: bool = False


def depth_of(image: Image.Image, label: str) -> Depth | None:
    """Depth of an image whose pixels are not loaded yet; None if it has 8 bits a channel.

    Raises:
        FrameError: neither the file nor the mode says how many bits are used.
    """
    tiles: list[Any] = list(getattr(image, "tile", ()))
    codec, args = (tiles[0][0], tiles[0][3]) if tiles else ("", ())
    fields: list[Any] = [*args] if isinstance(args, tuple) else [args]
    if codec.startswith("ppm") and fields[-1] > 255:
        return Depth(8, sure=fields[-1] != 65535, rounded=image.mode != "I")
    raw = _RAW.match(str(fields[0])) if fields else None
    if _is_deep_tiff(image) and (raw is None or image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO):  # type: ignore[attr-defined]
        raise FrameError(f"{label} is a TIFF of more than 8 bits a channel in a form that is not read: {_FIX}")
    if raw is not None:
        return Depth(int(raw[1]) - 8, sure=raw[1] == "12")
    if image.mode not in EIGHT_BITS:
        raise FrameError(
            f"{label} has pixels of mode {image.mode}, expected 8-bit colour or grey, and nothing says which value is "
            f"white: {_FIX}"
        )
    return None


_FIX = "save it with 8 bits a channel"


def _is_deep_tiff(image: Image.Image) -> bool:
    bits = image.tag_v2.get(_BITS_PER_SAMPLE, (1,)) if image.format == "TIFF" and image.tile else (1,)  # type: ignore[attr-defined]
    return max(bits) > 8


def to_8_bits(image: Image.Image, depth: Depth, label: str) -> Image.Image:
    """The image with 8 bits a channel.

    Raises:
        FrameError: it is so dark that it may hold fewer bits than its file has room for.
    """
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> depth.shift).astype(np.uint8))
    colours = [image.getchannel(band) for band in image.getbands() if band != "A"]
    brightest = max(int(colour.getextrema()[1]) for colour in colours)  # type: ignore[arg-type]  # of one channel
    white = max(brightest - depth.rounded, 0)  # at least so bright, before it was rounded
    if not depth.sure and white < _LEAST:
        bits = (white * 256 + 255).bit_length()
        raise FrameError(
            f"{label} has 16 bits a channel, and its brightest value fills {bits} of them: either no more are used, or "
            f"it is nearly black, and the file does not say which. {_FIX.capitalize()}: value >> {bits - 8} if {bits} "
            "are used, value >> 8 if all 16 are"
        )
    return image
