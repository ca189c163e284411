"""More than 8 bits a channel: brought to 8 by what the file says, or refused; never wrapped, never darkened."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from occvino.errors import FrameError
from occvino.images.decode import Reading, read
from tests.conftest import make_camera

HEIGHT, WIDTH = 9, 14
RNG = np.random.default_rng(3)
COLOUR = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
COLOUR[0, 0] = 255
CAMERA = make_camera("CAM_FRONT", width=WIDTH, height=HEIGHT)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png16(values):
    """uint16 [H, W] or [H, W, 3 or 4] as a PNG of 16 bits, which Pillow cannot write in colour."""
    height, width = values.shape[:2]
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[1 if values.ndim == 2 else values.shape[2]]
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def tiff(values, *, order="<", photometric=None, planar=1, bits=16):
    """uint16 [H, W] or [H, W, 3] as an uncompressed TIFF."""
    height, width = values.shape[:2]
    channels = 1 if values.ndim == 2 else values.shape[2]
    photometric = (1 if channels == 1 else 2) if photometric is None else photometric
    planes = [values] if planar == 1 else list(values.transpose(2, 0, 1))
    data = [plane.astype(f"{order}u2").tobytes() if bits == 16 else packed12(plane) for plane in planes]
    start = 8 + 2 + 12 * 10 + 4
    tags, extra = [], b""
    offsets = [start + 64 + sum(map(len, data[:index])) for index in range(len(data))]
    for tag, kind, found in (
        (256, "I", [width]),
        (257, "I", [height]),
        (258, "H", [bits] * channels),
        (259, "H", [1]),
        (262, "H", [photometric]),
        (273, "I", offsets),
        (277, "H", [channels]),
        (278, "I", [height]),
        (279, "I", [len(part) for part in data]),
        (284, "H", [planar]),
    ):
        packed = struct.pack(f"{order}{len(found)}{kind}", *found)
        entry = struct.pack(f"{order}HHI", tag, 3 if kind == "H" else 4, len(found))
        if len(packed) > 4:
            entry += struct.pack(f"{order}I", start + len(extra))
            extra += packed
        else:
            entry += packed.ljust(4, b"\0")
        tags.append(entry)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    return head + struct.pack(f"{order}H", 10) + b"".join(tags) + bytes(4) + extra.ljust(64, b"\0") + b"".join(data)


def packed12(values):
    """Two values in three bytes, the upper bits first."""
    first, second = values.reshape(-1, 2).T.astype(np.uint16)
    packed = [first >> 4, (first & 15) << 4 | second >> 8, second & 255]
    return np.stack(packed, 1).astype(np.uint8).tobytes()


def netpbm(values, most):
    magic = b"P5" if values.ndim == 2 else b"P6"
    kind = ">u2" if most > 255 else "u1"
    return b"%s %d %d %d\n" % (magic, WIDTH, HEIGHT, most) + values.astype(kind).tobytes()


def found(source):
    return np.asarray(read(source, CAMERA, Reading()))


def compressed_tiff(values):
    file = io.BytesIO()
    Image.fromarray(values).save(file, "TIFF", compression="tiff_lzw")
    return file.getvalue()


def test_16_bits_are_scaled_from_every_kind_of_file():
    """An 8-bit image spread over 16 bits comes back as it was."""
    deep = COLOUR.astype(np.uint16) * 257
    alpha = np.full((HEIGHT, WIDTH, 1), 65535, np.uint16)
    for source in (
        png16(deep),
        png16(np.concatenate([deep, alpha], 2)),
        tiff(deep),
        tiff(deep, order=">"),
        netpbm(deep, 65535),
        b"P3 %d %d 65535\n%s" % (WIDTH, HEIGHT, b" ".join(b"%d" % value for value in deep.ravel())),
    ):
        np.testing.assert_array_equal(found(source), COLOUR)
    grey = np.repeat(COLOUR[..., :1], 3, axis=2)
    deep_grey = deep[..., 0]
    lit = np.concatenate([deep_grey[..., None], alpha], 2)
    for source in (
        png16(deep_grey),
        png16(lit),
        tiff(deep_grey),
        tiff(deep_grey, order=">"),
        compressed_tiff(deep_grey),
        netpbm(deep_grey, 65535),
        Image.open(io.BytesIO(png16(deep_grey))),
    ):
        np.testing.assert_array_equal(found(source), grey)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_low_bytes_are_dropped_and_never_wrap(seed):
    deep = np.random.default_rng(seed).integers(0, 65536, (HEIGHT, WIDTH, 3), dtype=np.uint16)
    for source in (png16(deep), tiff(deep)):
        np.testing.assert_array_equal(found(source), deep >> 8)


@pytest.mark.parametrize("most", [15, 100, 1023, 4095])
def test_a_netpbm_file_says_what_white_is(most):
    values = RNG.integers(0, most + 1, (HEIGHT, WIDTH, 3))
    for given_values in (values, values[..., 0], values // 8):
        grey = given_values if given_values.ndim == 3 else np.repeat(given_values[..., None], 3, axis=2)
        difference = np.abs(found(netpbm(given_values, most)) - grey * 255 / most)
        assert difference.max() <= 1


def test_a_tiff_of_12_bits_says_so():
    """Nearly black is nearly black there."""
    for most in (4096, 100):
        values = RNG.integers(0, most, (HEIGHT, WIDTH), dtype=np.uint16)
        np.testing.assert_array_equal(found(tiff(values, bits=12))[..., 1], values >> 4)


def test_ink_of_16_bits_is_scaled_too():
    ink = RNG.integers(0, 256, (HEIGHT, WIDTH, 4), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(ink, "CMYK").convert("RGB"))
    np.testing.assert_array_equal(found(tiff(ink.astype(np.uint16) * 257, photometric=5)), expected)


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_fewer_bits_in_16_are_refused_with_the_fix(bits):
    """They would be nearly black, and a night may be."""
    values = RNG.integers(0, 2**bits, (HEIGHT, WIDTH, 3), dtype=np.uint16)
    values[0, 0] = 2**bits - 1
    words = rf"has 16 bits a channel, .* fills {bits} of them: .* value >> {bits - 8} if {bits} are used, value >> 8 if"
    for source in (png16(values), tiff(values), png16(values[..., 0]), tiff(values[..., 0]), netpbm(values, 65535)):
        with pytest.raises(FrameError, match=words):
            found(source)


def test_the_fault_that_was_reported(shared_pictures):
    camera = make_camera("CAM_FRONT", width=704, height=396)
    with pytest.raises(FrameError, match=r"png_rgb16.* fills 12 of them: .* value >> 4 if 12 are used"):
        read(shared_pictures / "png_rgb16_holding_12_bits.png", camera, Reading())
    reading = Reading()
    read(shared_pictures / "exif_orientation_3.jpg", camera, reading)
    assert reading.turned == {"CAM_FRONT": 3}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (tiff(COLOUR.astype(np.uint16) * 257, planar=2), "a TIFF of more than 8 bits a channel in a form that is not"),
        (tiff(COLOUR[..., 0].astype(np.uint16) * 257, photometric=0), "a TIFF of more than 8 bits a channel in a form"),
        (Image.fromarray(COLOUR[..., 0].astype(np.float32)), "pixels of mode F, .* save it with 8 bits"),
        (Image.fromarray(COLOUR[..., 0].astype(np.int32)), "pixels of mode I, .* save it with 8 bits"),
        (Image.fromarray(COLOUR[..., 0].astype(np.uint16)), "pixels of mode I;16, .* save it with 8 bits"),
        (COLOUR.astype(np.uint16), r"uint16 \[9, 14, 3\], expected uint8 .*: bring it to 8 bits, as \(image >> 8\)"),
        (COLOUR / 255, r"float64 \[9, 14, 3\], expected uint8 \[height, width, 3\] in RGB order$"),
    ],
)
def test_what_does_not_say_which_value_is_white_is_refused(source, words):
    with pytest.raises(FrameError, match=words):
        found(source)


def test_a_tiff_of_floats_is_refused():
    for values in (COLOUR[..., 0].astype(np.float32), COLOUR[..., 0].astype(np.int32)):
        with pytest.raises(FrameError, match="expected 8-bit colour or grey|more than 8 bits"):
            found(compressed_tiff(values))
