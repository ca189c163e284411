"""From a raw image to the network's input: the official test-time resize and crop."""

from dataclasses import dataclass

import numpy as np

from occvino.errors import RigError
from occvino.variant import CROPS, Crop


@dataclass(frozen=True)
class ImageTransform:
    """How a raw image becomes the network's input: resize to `resized`, then cut out the box `crop`.

    `resized` is (width, height) and `crop` is (left, top, right, bottom), in pixels, as Pillow takes them.
    `scale` is the factor that the published models put in their camera matrices; the pixel sizes are rounded down
    from it, as the official test pipeline does.
    """

    scale: float
    resized: tuple[int, int]
    crop: tuple[int, int, int, int]

    @classmethod
    def for_test(
        cls, source_size: tuple[int, int], input_size: tuple[int, int], crop: Crop = "top"
    ) -> "ImageTransform":
        """The test-time transform: scale the width to fit, cut rows as `crop` says, centre the columns.

        Args:
            source_size: (height, width) of the raw image.
            input_size: (height, width) that the network takes.
            crop: see `Variant.crop`; "top" is the official transform.

        Raises:
            RigError: the image is too flat to fill the input height, or has fewer rows to spare than `crop` cuts.
        """
        (height, width), (out_height, out_width) = source_size, input_size
        scale = out_width / width
        resized_width, resized_height = int(width * scale), int(height * scale)
        spare, left = resized_height - out_height, max(0, resized_width - out_width) // 2
        resized = f"a {width}x{height} image scaled to width {out_width} is {resized_height} pixels high, and the"
        if spare < 0:
            raise RigError(
                f"{resized} network takes {out_height}: use images of at least {int(np.ceil(out_height / scale))} rows"
            )
        top = {"top": spare, "middle": spare // 2}[crop] if isinstance(crop, str) else crop
        if top > spare:
            raise RigError(f"{resized} network takes {out_height}: a crop of {crop} is too much, use 0 to {spare}")
        return cls(scale, (resized_width, resized_height), (left, top, left + out_width, top + out_height))


def parse_crop(text: str | int) -> Crop:
    """A crop from text, "top", "middle" or a number of rows; or one that is checked.

    Raises:
        RigError: it is none.
    """
    if isinstance(text, str) and text.isdecimal():
        return int(text)
    if text not in CROPS and (type(text) is not int or text < 0):
        raise RigError(
            f"crop {text!r} is none: expected {', '.join(CROPS)}, or how many rows of the resized image to cut from "
            "its top, 0 or more"
        )
    return text  # type: ignore[return-value]  # one of CROPS, or a number
