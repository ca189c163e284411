"""Images that EXIF says are stored turned: used as stored with a warning, turned, or used without a word."""

import io
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from occvino.errors import FrameError, OccvinoError
from occvino.images import decode as decoding
from occvino.images.decode import ImageDoubtWarning, Reading, read, read_into
from occvino.images.exif import exif_of, orientation_of_jpeg
from occvino.images.inputs import image_inputs, network_images, raw_images
from occvino.images.layout import ImageInput
from tests.conftest import make_camera

HEIGHT, WIDTH = 40, 64
PIXELS = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="%d"/></x:xmpmeta>'


def turned(orientation, kind="JPEG", pixels=PIXELS, **options):
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(file, kind, exif=exif, **options)
    return file.getvalue()


def camera(*, upright=False):
    width, height = (HEIGHT, WIDTH) if upright else (WIDTH, HEIGHT)
    return make_camera("CAM_FRONT", width=width, height=height)


def both_ways(source, camera, exif):
    """What `read` and `read_into` give, and what they note: these must be the same."""
    one, other = Reading(exif), Reading(exif)
    image, out = np.asarray(read(source, camera, one)), np.empty((camera.height, camera.width, 3), np.uint8)
    read_into(out, source, camera, "bgr", other)
    np.testing.assert_array_equal(image, out[..., ::-1])
    assert one == other
    return image, one


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_apply_is_pillows_exif_transpose_and_else_pixels_are_as_stored(decoder, kind, orientation):
    source = turned(orientation, kind)
    stored = np.asarray(Image.open(io.BytesIO(source)).convert("RGB"))
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(source))).convert("RGB"))
    image, noted = both_ways(source, camera(upright=orientation > 4), "apply")
    np.testing.assert_array_equal(image, upright)
    assert not noted.turned
    for exif in ("warn", "ignore"):
        image, noted = both_ways(source, camera(), exif)
        np.testing.assert_array_equal(image, stored)
        if exif == "warn":
            assert noted.turned == ({} if orientation == 1 else {"CAM_FRONT": orientation})


def test_the_transposition_moves_what_the_words_say(decoder):
    """A bright spot at the top left, where each orientation must put it."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:4, :4] = 255
    corners = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}
    for orientation, corner in corners.items():
        source = turned(orientation, "PNG", pixels)
        image, _ = both_ways(source, camera(upright=orientation > 4), "apply")
        assert image[corner].min() == 255, orientation
        assert (image > 127).all(axis=2).sum() == 16


@settings(max_examples=60, deadline=None)
@given(
    orientation=st.integers(0, 9),
    comment=st.binary(max_size=40),
    icc=st.binary(min_size=1, max_size=200),
    xmp=st.booleans(),
    progressive=st.booleans(),
    exif=st.sampled_from(["warn", "apply", "ignore"]),
)
def test_both_decoders_see_the_same_orientation(orientation, comment, icc, xmp, progressive, exif):
    """Among other segments, in EXIF or in XMP; numbers that are no orientation are none."""
    options = {"comment": comment, "icc_profile": icc, "progressive": progressive}
    if xmp:
        file = io.BytesIO()
        Image.fromarray(PIXELS).save(file, "JPEG", xmp=XMP % orientation, **options)
        source = file.getvalue()
    else:
        source = turned(orientation, **options)
    expected = orientation if 1 <= orientation <= 8 else 1
    assert orientation_of_jpeg(source) == expected
    seen_by = camera(upright=exif == "apply" and expected > 4)
    image, noted = both_ways(source, seen_by, exif)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "simplejpeg", None)
        by_pillow, noted_by_pillow = both_ways(source, seen_by, exif)
    np.testing.assert_array_equal(image, by_pillow)
    if exif == "warn":
        assert noted == noted_by_pillow
        assert noted.turned == ({} if expected == 1 else {"CAM_FRONT": expected})


def test_damaged_exif_says_nothing(decoder):
    source = turned(3)
    at = source.index(b"Exif\0\0") + 6
    for damage in (b"XX", b"II\0\0\0\0\0\0"):
        broken = source[:at] + damage + source[at + len(damage) :]
        assert not both_ways(broken, camera(), "warn")[1].turned


def test_a_tiff_is_turned_by_pillow_and_by_the_official_loader_alike():
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.fromarray(PIXELS).save(file, "TIFF", exif=exif)
    for choice in ("warn", "apply", "ignore"):
        image, noted = both_ways(file.getvalue(), camera(upright=True), choice)
        np.testing.assert_array_equal(image, PIXELS[::-1].transpose(1, 0, 2))
        assert not noted.turned


def test_size_is_checked_after_turning_and_the_fix_is_named(decoder):
    source = turned(6)
    with pytest.raises(FrameError, match=r'is 64x40, the rig says 40x64: .*orientation 6 .* use exif="apply" \(--exif'):
        read(source, camera(upright=True), Reading())
    with pytest.raises(FrameError, match=r'is 64x40, turned to 40x64 .* the rig says 64x40: .* exif="ignore" \(--exif'):
        read(source, camera(), Reading("apply"))


def test_the_warning_names_cameras_orientation_and_fix_once_for_all(decoder, rig, images, nano_variant):
    """Words stay the same from frame to frame, so that a stream warns once; every way into a network warns."""
    jpegs = {name: turned(1, pixels=image) for name, image in images.items()}
    jpegs |= {name: turned(3, pixels=images[name]) for name in ("CAM_FRONT", "CAM_BACK")}
    words = (
        r"the EXIF orientation of CAM_BACK, CAM_FRONT is 3, to be turned by 180 degrees: .* as stored, as the official "
        r'loader does\. .* use exif="apply" \(--exif apply\); .* exif="ignore"'
    )
    raw = ImageInput((198, 352))
    for way in (
        lambda **exif: network_images(jpegs, rig, nano_variant, **exif),
        lambda **exif: raw_images([(jpegs, rig)], [rig], raw, **exif),
        lambda **exif: image_inputs([(jpegs, rig)], [rig], nano_variant, **exif)["images"],
        lambda **exif: image_inputs([(jpegs, rig)], [rig], nano_variant, raw, **exif)["frames"],
    ):
        with pytest.warns(ImageDoubtWarning, match=words) as caught:
            stored = way()
        assert len(caught) == 1
        assert caught[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_array_equal(way(exif="ignore"), stored)
            upright = way(exif="apply")
        same = (upright == stored).all(axis=(1, 2, 3))
        assert [name for name, equal in zip(rig.names, same, strict=True) if not equal] == ["CAM_FRONT", "CAM_BACK"]


def test_pillow_images_are_looked_at_too():
    image = Image.open(io.BytesIO(turned(3)))
    assert both_ways(image, camera(), "warn")[1].turned == {"CAM_FRONT": 3}
    assert not both_ways(ImageOps.exif_transpose(image), camera(), "warn")[1].turned


def test_transparent_pixels_are_warned_of(rig, images, nano_variant):
    clear = Image.fromarray(images["CAM_BACK"]).convert("RGBA")
    for source in (clear, clear.quantize(16, method=Image.Quantize.FASTOCTREE)):
        given = {**images, "CAM_BACK": source}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            expected = network_images(given, rig, nano_variant)
    np.testing.assert_array_equal(
        network_images({**images, "CAM_BACK": clear}, rig, nano_variant), network_images(images, rig, nano_variant)
    )
    clear.putpixel((3, 4), (9, 9, 9, 254))
    with pytest.warns(ImageDoubtWarning, match="CAM_BACK: the image has transparent pixels, and their stored colours"):
        found = network_images({**images, "CAM_BACK": clear}, rig, nano_variant)
    assert found.shape == expected.shape
    palette = io.BytesIO()
    Image.fromarray(images["CAM_BACK"]).quantize(8).save(palette, "PNG", transparency=b"\xff\x00")
    with pytest.warns(ImageDoubtWarning, match="CAM_BACK: the image has transparent pixels") as caught:
        network_images({**images, "CAM_BACK": palette.getvalue()}, rig, nano_variant)
    assert len(caught) == 1, "Pillow's own word about palettes is not for the user"


def test_other_choices_are_refused():
    assert exif_of("apply") == "apply"
    with pytest.raises(OccvinoError, match="exif 'turn' is not one of warn, apply, ignore"):
        exif_of("turn")
