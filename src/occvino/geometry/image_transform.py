"""From a raw image to the network's input: the official test-time resize and crop."""

from dataclasses import dataclass

import numpy as np

from occvino.errors import RigError


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
    def for_test(cls, source_size: tuple[int, int], input_size: tuple[int, int]) -> "ImageTransform":
        """The official test-time transform: scale the width to fit, keep the bottom rows, centre the columns.

        Args:
            source_size: (height, width) of the raw image.
            input_size: (height, width) that the network takes.

        Raises:
            RigError: the image is too flat to fill the input height.
        """
        (height, width), (out_height, out_width) = source_size, input_size
        scale = out_width / width
        resized_width, resized_height = int(width * scale), int(height * scale)
        top, left = resized_height - out_height, max(0, resized_width - out_width) // 2
        if top < 0:
            raise RigError(
                f"a {width}x{height} image scaled to width {out_width} is {resized_height} pixels high, and the "
                f"network takes {out_height}: use images of at least {int(np.ceil(out_height / scale))} rows"
            )
        return cls(scale, (resized_width, resized_height), (left, top, left + out_width, top + out_height))
