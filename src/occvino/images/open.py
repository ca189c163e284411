"""An image for looking at, in any form that is not read for a network."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from occvino.errors import FrameError


def opened(image: Path | bytes | NDArray[np.uint8] | Image.Image) -> Image.Image:
    """A Pillow image of a file, of what a file holds, or of an array u8 [H, W, 3] in RGB order.

    Raises:
        FrameError: it cannot be read.
    """
    if isinstance(image, Image.Image):
        return image
    try:
        if isinstance(image, np.ndarray):
            return Image.fromarray(image)
        found = Image.open(io.BytesIO(image) if isinstance(image, bytes) else image)
        found.load()
    except (OSError, ValueError, TypeError, Image.DecompressionBombError) as error:
        name = image.name if isinstance(image, Path) else "the image"
        raise FrameError(f"{name} cannot be read as an image: {error}") from error
    return found
