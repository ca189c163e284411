"""Raw images of every encoding, and those that are refused."""

import cv2
import numpy as np
import pytest

from occvino.datasets.bags.messages import CompressedImage, RawImage
from occvino.datasets.bags.pixels import check_compressed, demosaic, rgb_of
from occvino.errors import FrameError
from tests.datasets.bags.writing import encoded, png


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (6, 10, 3), dtype=np.uint8)


def raw(pixels, encoding, padding=0):
    data, step = encoded(pixels, encoding, padding)
    return RawImage(0, "camera", pixels.shape[1], pixels.shape[0], encoding, step, data)


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "mono8"])
def test_pixels_come_back(pixels, encoding, padding):
    expected = np.repeat(pixels[..., :1], 3, axis=2) if encoding == "mono8" else pixels
    assert np.array_equal(rgb_of(raw(pixels, encoding, padding), "/front"), expected)


@pytest.mark.parametrize("name", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_as_opencv_does_it_away_from_the_border(name):
    """OpenCV names its patterns by the second row and column of the tile."""
    mosaic = np.random.default_rng(1).integers(0, 256, (12, 16), dtype=np.uint8)
    code = {"rggb": "BG", "bggr": "RG", "gbrg": "GR", "grbg": "GB"}[name]
    reference = cv2.cvtColor(mosaic, getattr(cv2, f"COLOR_Bayer{code}2RGB"))
    image = RawImage(0, "camera", 16, 12, f"bayer_{name}8", 16, mosaic.reshape(-1))
    found = rgb_of(image, "/front")
    assert np.abs(found.astype(int) - reference)[1:-1, 1:-1].max() <= 1
    assert (found == reference)[1:-1, 1:-1].mean() > 0.9


def test_bayer_of_a_plain_colour_is_that_colour_to_the_border():
    mosaic = np.zeros((5, 7), np.uint8)
    mosaic[0::2, 0::2], mosaic[1::2, 1::2] = 200, 50
    mosaic[0::2, 1::2] = mosaic[1::2, 0::2] = 100
    assert (demosaic(mosaic, 0, 0) == [200, 100, 50]).all()


def test_what_cannot_be_read_is_named(pixels):
    image = raw(pixels, "rgb8")
    with pytest.raises(FrameError, match=r"/front: the encoding is 'mono16', and rgb8, bgr8"):
        rgb_of(RawImage(0, "c", 10, 6, "mono16", 20, image.data), "/front")
    with pytest.raises(FrameError, match=r"step 29 .* a step of 30 or more"):
        rgb_of(RawImage(0, "c", 10, 6, "rgb8", 29, image.data), "/front")
    with pytest.raises(FrameError, match="and 170 bytes"):
        rgb_of(RawImage(0, "c", 10, 6, "rgb8", 30, image.data[:170]), "/front")


def test_compressed_topics_with_something_else(pixels):
    check_compressed(CompressedImage(0, "c", "rgb8; jpeg compressed bgr8", png(pixels)), "/front")
    with pytest.raises(FrameError, match=r"/depth holds depth images \('16UC1; compressedDepth png'\)"):
        check_compressed(CompressedImage(0, "c", "16UC1; compressedDepth png", b"\0" * 12 + png(pixels)), "/depth")
    with pytest.raises(FrameError, match="/front: the format is 'h264' and the data begins with 00 00 00 01"):
        check_compressed(CompressedImage(0, "c", "h264", b"\0\0\0\1\x67"), "/front")
