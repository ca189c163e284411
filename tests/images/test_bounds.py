"""Files that are no images, or too much of one: an error, at once, and without the memory that they claim."""

import io
import os
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from occvino.errors import FrameError
from occvino.images import decode as decoding
from occvino.images.decode import Reading, read, read_into
from tests.conftest import make_camera
from tests.images.test_depth import chunk

CAMERA = make_camera("CAM_FRONT", width=64, height=36)
PIXELS = np.random.default_rng(1).integers(0, 256, (36, 64, 3), dtype=np.uint8)


def saved(kind, pixels=PIXELS, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def giant_png(interlaced):
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, interlaced)
    data = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def giant_jpeg():
    whole = saved("JPEG")
    at = whole.index(b"\xff\xc0") + 5
    return whole[:at] + b"\xff\xff\xff\xff" + whole[at + 4 :]


def giant_webp():
    whole = saved("WEBP", lossless=True)
    at = whole.index(b"VP8L") + 9
    bits = struct.unpack("<I", whole[at : at + 4])[0] | 0x0FFFFFFF  # 14 of width - 1, 14 of height - 1
    return whole[:at] + struct.pack("<I", bits) + whole[at + 4 :]


def giant_bmp():
    whole = bytearray(saved("BMP"))
    whole[18:26] = struct.pack("<ii", 100_000, 100_000)
    return bytes(whole)


ANIMATED = {"save_all": True, "append_images": [Image.fromarray(255 - PIXELS)]}
BAD = {
    "giant png": (giant_png(0), "is far larger than the 64x36 that the rig says"),
    "giant interlaced png": (giant_png(1), "is far larger than the 64x36 that the rig says"),
    "giant jpeg": (giant_jpeg(), "is far larger than the 64x36 that the rig says"),
    "giant webp": (giant_webp(), "is far larger than the 64x36 that the rig says"),
    "giant bmp": (giant_bmp(), "is far larger than the 64x36 that the rig says"),
    "giant ppm": (b"P6 100000 100000 255\n", "is far larger than the 64x36 that the rig says"),
    "giant gif": (b"GIF89a\xff\xff\xff\xff" + saved("GIF")[10:], "is far larger than the 64x36 that the rig says"),
    "empty": (b"", "cannot be read as an image: it is none of JPEG, PNG, BMP, PPM, GIF, TIFF, WEBP$"),
    "text": (b"no image", "cannot be read as an image"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 36\n%%EndComments\n", "cannot be read as an image"),
    "cut jpeg": (saved("JPEG")[:-200], "cannot be read as an image"),
    "cut png": (saved("PNG")[:-200], "cannot be read as an image"),
    "cut bmp": (saved("BMP")[:-200], "cannot be read as an image"),
    "cut tiff": (saved("TIFF")[:-200], "cannot be read as an image"),
    "cut webp": (saved("WEBP")[:-200], "cannot be read as an image"),
    "cut ppm": (saved("PPM")[:-200], "cannot be read as an image"),
    "cut deep ppm": (b"P6 64 36 65535\n" + bytes(300), "cannot be read as an image"),
    "animated gif": (saved("GIF", **ANIMATED), "holds several images, and which one to take is not known: save one"),
    "animated webp": (saved("WEBP", **ANIMATED), "holds several images"),
    "animated png": (saved("PNG", **ANIMATED), "holds several images"),
    "tiff of pages": (saved("TIFF", **ANIMATED), "holds several images"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_end_at_once_without_memory(decoder, tmp_path, name):
    """As a file, as bytes and as Pillow's image, into an image and into an array: an error of ours each time."""
    content, words = BAD[name]
    path = tmp_path / "CAM_FRONT.jpg"
    path.write_bytes(content)
    tracemalloc.start()
    began = time.perf_counter()
    for source, label in ((path, r"CAM_FRONT\.jpg"), (content, "the image of CAM_FRONT")):
        with pytest.raises(FrameError, match=f"^{label} ({words})"):
            read(source, CAMERA, Reading())
        with pytest.raises(FrameError, match=f"^{label} ({words})"):
            read_into(np.empty((36, 64, 3), np.uint8), source, CAMERA, "rgb", Reading())
    assert time.perf_counter() - began < 5
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def test_the_memory_of_the_process_stays_small(tmp_path):
    """What C code takes is in no trace: the peak of a process of its own, over what it had before the bad files."""
    names = [name for name in BAD if name.startswith("giant")]
    for index, name in enumerate(names):
        (tmp_path / f"{index}.img").write_bytes(BAD[name][0])
    code = f"""
import resource
from occvino.errors import FrameError
from occvino.images.decode import Reading, read
from tests.images.test_bounds import CAMERA, saved
for kind in ("JPEG", "PNG", "TIFF", "WEBP"):
    read(saved(kind), CAMERA, Reading())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for index in range({len(names)}):
    try:
        read(f"{tmp_path}/{{index}}.img", CAMERA, Reading())
    except FrameError:
        continue
    raise SystemExit(f"read {{index}}")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    grown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert int(grown) < 64 << 10, "KiB"


def outcome(source):
    try:
        read(source, CAMERA, Reading())
    except FrameError as error:
        return str(error)
    return "read"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFO on this system")
@pytest.mark.parametrize("kind", ["folder", "fifo", "device", "device with the link's name", "nowhere", "null"])
def test_only_regular_files_are_opened(decoder, tmp_path, kind):
    path = tmp_path / "CAM_FRONT.jpg"
    words = "a device, a pipe or a socket, expected a file"
    if kind == "folder":
        path.mkdir()
        words = "is a folder, expected a file"
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "nowhere":
        path.symlink_to(tmp_path / "gone")
        words = "No such file"
    elif kind == "null":
        path = tmp_path / "CAM\0.jpg"
        words = "null"
    else:
        path.symlink_to("/dev/zero")
    assert words in outcome(path)
    assert outcome(str(path)) == outcome(path)
    assert "cannot be read as an image" in outcome(path)


def test_a_huge_file_is_not_read(decoder, tmp_path, monkeypatch):
    """Sparse, and it begins as a JPEG."""
    path = tmp_path / "CAM_FRONT.jpg"
    path.write_bytes(saved("JPEG"))
    os.truncate(path, 80 << 20)
    monkeypatch.setattr(decoding, "_read", lambda *_: pytest.fail("opened"))
    monkeypatch.setattr(decoding, "_fast", lambda *_: pytest.fail("opened"))
    assert outcome(path).endswith("has 80 MiB, and an image of 64x36, as the rig says, has at most 64")


def test_a_file_that_may_not_be_read_is_an_error(decoder, tmp_path, monkeypatch):
    """Whoever runs the tests may read everything."""
    path = tmp_path / "CAM_FRONT.png"
    path.write_bytes(saved("PNG"))

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(decoding.Path, "open", refused)
    monkeypatch.setattr(decoding.Image, "open", refused)
    assert "CAM_FRONT.png cannot be read as an image: [Errno 13] Permission denied" in outcome(path)


def test_both_decoders_use_the_same_words(tmp_path, monkeypatch):
    fast = {name: outcome(content) for name, (content, _) in BAD.items()}
    monkeypatch.setattr(decoding, "simplejpeg", None)
    assert fast == {name: outcome(content) for name, (content, _) in BAD.items()}


def test_a_photograph_with_previews_is_one_image(decoder):
    """MPO: Pillow counts the previews, simplejpeg does not see them."""
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "MPO", save_all=True, append_images=[Image.fromarray(255 - PIXELS)])
    expected = Image.open(io.BytesIO(file.getvalue()))
    assert expected.n_frames == 2
    np.testing.assert_array_equal(np.asarray(read(file.getvalue(), CAMERA, Reading())), np.asarray(expected))
