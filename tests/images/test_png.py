"""Damaged pixels of a PNG are never read, wherever the damage is."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from occvino.errors import FrameError
from occvino.geometry.camera import Camera
from occvino.images.decode import Reading, read
from occvino.images.png import damaged_pixels

CAMERA = Camera("CAM_FRONT", 64, 36, np.array([[50, 0, 32], [0, 50, 18], [0, 0, 1]]), np.eye(4), np.eye(4))
PIXELS = np.random.default_rng(0).integers(0, 256, (36, 64, 3), np.uint8)


def png(**options):
    out = io.BytesIO()
    Image.fromarray(PIXELS).save(out, "PNG", **options)
    return out.getvalue()


def stored():
    """Without compression: a changed byte is a changed colour and nothing else would notice."""
    return bytearray(png(compress_level=0))


def test_a_good_one_is_read(tmp_path):
    assert not damaged_pixels(png())
    (tmp_path / "a.png").write_bytes(png())
    for source in (png(), tmp_path / "a.png", str(tmp_path / "a.png")):
        np.testing.assert_array_equal(np.asarray(read(source, CAMERA, Reading())), PIXELS)


def test_any_changed_byte_of_the_pixels_is_found(tmp_path):
    good = stored()
    first = good.index(b"IDAT") + 4
    length = int.from_bytes(good[first - 8 : first - 4], "big")
    for at in np.random.default_rng(1).integers(first, first + length, 100):
        data = good.copy()
        data[at] ^= 16
        (tmp_path / "a.png").write_bytes(data)
        for source in (bytes(data), tmp_path / "a.png"):
            with pytest.raises(FrameError, match="check sum of this PNG does not fit"):
                read(source, CAMERA, Reading())


def test_only_pixels_are_checked():
    """A comment with a wrong check sum is read over by every decoder; so is what follows the end."""
    good = png()
    at = good.index(b"IDAT") - 4
    comment = b"\0\0\0\1tEXta" + (zlib.crc32(b"tEXta") ^ 1).to_bytes(4, "big")
    assert not damaged_pixels(good[:at] + comment + good[at:])
    assert not damaged_pixels(good + b"rest")
    assert not damaged_pixels(good[:-30])  # cut off: Pillow says so
    assert not damaged_pixels(b"no png")
