"""Raw images of ROS as RGB arrays, by the encodings of `sensor_msgs/image_encodings.hpp`.

All that are read have 8 bits a channel, so that the order of bytes (`is_bigendian`) does not matter.
"""

import numpy as np
from numpy.typing import NDArray

from occvino.datasets.bags.messages import CompressedImage, RawImage
from occvino.errors import FrameError

Pixels = NDArray[np.uint8]

_WIDTHS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
"""Bytes of a pixel; a fourth one is alpha, which is left out."""
_BLUE_FIRST = ("bgr8", "bgra8")
_BAYER: dict[str, tuple[int, int]] = {
    "bayer_rggb8": (0, 0),
    "bayer_grbg8": (0, 1),
    "bayer_gbrg8": (1, 0),
    "bayer_bggr8": (1, 1),
}
"""Row and column of the first red pixel: the name has the first two rows of two pixels."""
_MAGIC = {b"\xff\xd8\xff": "jpeg", b"\x89PNG\r\n\x1a\n": "png"}
ENCODINGS = (*_WIDTHS, *_BAYER)


def check_raw(image: RawImage, topic: str) -> None:
    """See that an image can be read.

    Raises:
        FrameError: an encoding that is not read, or rows and data that do not fit the size.
    """
    if image.encoding not in ENCODINGS:
        raise FrameError(
            f"{topic}: the encoding is {image.encoding!r}, and {', '.join(ENCODINGS)} are read: convert the images, as "
            "with image_proc or cv_bridge, or record the compressed topic"
        )
    least = image.width * _WIDTHS.get(image.encoding, 1)
    if image.step < least or image.data.size < image.step * image.height:
        raise FrameError(
            f"{topic}: a {image.encoding} image of {image.width}x{image.height} has step {image.step} and "
            f"{image.data.size} bytes; a step of {least} or more and step * height bytes were expected"
        )


def rgb_of(image: RawImage, topic: str) -> Pixels:
    """RGB pixels u8 [height, width, 3]; a view of the message's own bytes where only their order differs.

    Raises:
        FrameError: as `check_raw`.
    """
    check_raw(image, topic)
    rows = image.data[: image.step * image.height].reshape(image.height, image.step)
    if image.encoding in _BAYER:
        return demosaic(rows[:, : image.width], *_BAYER[image.encoding])
    count = _WIDTHS[image.encoding]
    pixels = rows[:, : image.width * count].reshape(image.height, image.width, count)
    if count == 1:
        return np.repeat(pixels, 3, axis=2)
    return pixels[..., 2::-1] if image.encoding in _BLUE_FIRST else pixels[..., :3]


def check_compressed(image: CompressedImage, topic: str) -> None:
    """See that the bytes are those of a JPEG or PNG file.

    Raises:
        FrameError: they are something else, such as H.264 or a depth image.
    """
    if "compressedDepth" in image.format:
        raise FrameError(f"{topic} holds depth images ({image.format!r}), and images of a camera are expected")
    if not any(image.data.startswith(magic) for magic in _MAGIC):
        begins = image.data[:4].hex(" ") or "nothing"
        raise FrameError(
            f"{topic}: the format is {image.format!r} and the data begins with {begins}: only JPEG and PNG are read. "
            "Convert the topic, as with `ros2 run image_transport republish`, or name another one with --topic"
        )


def demosaic(mosaic: Pixels, red_row: int, red_column: int) -> Pixels:
    """RGB [H, W, 3] of a Bayer mosaic [H, W]: each missing colour is the mean of its neighbours (bilinear).

    Args:
        mosaic: one colour a pixel, in 2x2 tiles with two greens on a diagonal.
        red_row: row of red in the tile.
        red_column: column of red in the tile.
    """
    height, width = mosaic.shape
    rows, columns = np.arange(height)[:, None] % 2, np.arange(width) % 2
    masks = (
        (rows == red_row) & (columns == red_column),
        (rows == red_row) != (columns == red_column),
        (rows != red_row) & (columns != red_column),
    )
    out = np.empty((height, width, 3), np.uint8)
    for channel, mask in enumerate(masks):
        known = _smeared(np.where(mask, mosaic, 0).astype(np.uint16))
        weight = _smeared(mask.astype(np.uint16))
        out[..., channel] = np.where(mask, mosaic, (known + weight // 2) // weight)
    return out


def _smeared(values: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Sum over 3x3 neighbours with the weights 1 2 1 across and down; nothing lies outside."""
    across = 2 * values
    across[:, 1:] += values[:, :-1]
    across[:, :-1] += values[:, 1:]
    down = 2 * across
    down[1:] += across[:-1]
    down[:-1] += across[1:]
    return down
