"""Two decoders, one answer: what simplejpeg gives is what Pillow gives, pixels and refusals alike."""

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import PIL
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from occvino.errors import FrameError
from occvino.images import decode as decoding
from occvino.images.decode import Reading, jpeg_decoder, read, read_into
from occvino.images.inputs import network_images, raw_images
from occvino.images.layout import ImageInput
from tests.conftest import make_camera


def noise(height, width, channels, seed, cell=1):
    """Noise of square cells: of single pixels, or nearly smooth."""
    small = np.random.default_rng(seed).integers(
        0, 256, (-(-height // cell), -(-width // cell), channels), dtype=np.uint8
    )
    large = small.repeat(cell, axis=0).repeat(cell, axis=1)[:height, :width]
    return np.ascontiguousarray(large)


def encoded(image, mode="RGB", **options):
    file = io.BytesIO()
    image = image[..., 0] if mode == "L" else image
    Image.fromarray(image, mode).save(file, "JPEG", **options)
    return file.getvalue()


def by_pillow(jpeg):
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def camera_of(jpeg):
    width, height = Image.open(io.BytesIO(jpeg)).size
    return make_camera("CAM_FRONT", width=width, height=height)


@pytest.fixture
def only_fast(monkeypatch):
    """What goes to Pillow fails."""
    monkeypatch.setattr(decoding, "_read", lambda *_: pytest.fail("went to Pillow"))


@settings(max_examples=150, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    seed=st.integers(0, 99),
    cell=st.sampled_from([1, 8]),
    mode=st.sampled_from(["RGB", "L"]),
    options=st.fixed_dictionaries(
        {
            "quality": st.integers(1, 100),
            "subsampling": st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]),
            "progressive": st.booleans(),
            "optimize": st.booleans(),
            "restart_marker_blocks": st.sampled_from([0, 3]),
        }
    ),
)
def test_pixels_are_pillows(height, width, seed, cell, mode, options):
    jpeg = encoded(noise(height, width, 3, seed, cell), mode, **options)
    camera, out = camera_of(jpeg), np.empty((height, width, 3), np.uint8)
    assert decoding._fast(jpeg, camera, Reading(), "RGB") is not None, "it was not left to Pillow"
    np.testing.assert_array_equal(np.asarray(read(jpeg, camera, Reading())), by_pillow(jpeg))
    read_into(out, jpeg, camera, "bgr", Reading())
    np.testing.assert_array_equal(out[..., ::-1], by_pillow(jpeg))


def test_real_images_too(real_frame, only_fast):
    files = sorted(real_frame.glob("*.jpg"))
    assert len(files) == 6
    for file in files:
        jpeg = file.read_bytes()
        np.testing.assert_array_equal(np.asarray(read(file, camera_of(jpeg), Reading())), by_pillow(jpeg))


def test_colours_that_were_never_turned_and_turned_images(only_fast):
    """RGB stored as it is; and the official loader does not turn an image as its EXIF says, so nobody does unasked."""
    turned = Image.Exif()
    turned[0x0112] = 6
    for options in ({"keep_rgb": True}, {"exif": turned}):
        jpeg = encoded(noise(40, 50, 3, 1, 8), **options)
        np.testing.assert_array_equal(np.asarray(read(jpeg, camera_of(jpeg), Reading())), by_pillow(jpeg))


def test_other_images_are_pillows(monkeypatch):
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *_, **__: pytest.fail("went to simplejpeg"))
    cmyk = encoded(noise(20, 30, 4, 2, 8), "CMYK", quality=95)
    png = io.BytesIO()
    Image.fromarray(noise(20, 30, 3, 3)).save(png, "PNG")
    for image in (cmyk, png.getvalue()):
        np.testing.assert_array_equal(np.asarray(read(image, camera_of(image), Reading())), by_pillow(image))


def outcome(jpeg, camera):
    try:
        return np.asarray(read(jpeg, camera, Reading())).tobytes()
    except FrameError as error:
        return str(error)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_broken_files_end_alike_with_both(data):
    """Cut off, or some bytes changed: the same pixels, or the same words."""
    whole = encoded(noise(48, 64, 3, 4, 8), quality=90)
    camera, jpeg = camera_of(whole), bytearray(whole)
    for _ in range(data.draw(st.integers(0, 3))):
        jpeg[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    jpeg = bytes(jpeg[: data.draw(st.integers(0, len(whole)))])
    with pytest.MonkeyPatch.context() as patch:
        found = outcome(jpeg, camera)
        patch.setattr(decoding, "simplejpeg", None)
        assert found == outcome(jpeg, camera)


def test_a_file_that_is_cut_off_is_an_error_and_never_half_an_image(decoder, tmp_path):
    whole = encoded(noise(198, 352, 3, 5, 8), quality=95)
    camera, file = camera_of(whole), tmp_path / "CAM_FRONT.jpg"
    for share in (0.02, 0.3, 0.9, 0.999):
        file.write_bytes(whole[: int(len(whole) * share)])
        for frame, name in ((file, r"CAM_FRONT\.jpg"), (file.read_bytes(), "the image of CAM_FRONT")):
            with pytest.raises(FrameError, match=f"{name} cannot be read as an image"):
                read(frame, camera, Reading())
            with pytest.raises(FrameError, match=f"{name} cannot be read as an image"):
                read_into(np.empty((198, 352, 3), np.uint8), frame, camera, "rgb", Reading())


def test_files_that_are_not_there_or_of_another_size_end_alike(decoder, tmp_path):
    camera = make_camera("CAM_FRONT", width=1600, height=900)
    with pytest.raises(FrameError, match=r"none\.jpg cannot be read as an image: .*No such file"):
        read(tmp_path / "none.jpg", camera, Reading())
    for frame in (encoded(noise(450, 800, 3, 6, 8)), encoded(noise(180, 320, 3, 6, 8))):
        with pytest.raises(FrameError, match="the rig says 1600x900: rescale"):
            read_into(np.empty((900, 1600, 3), np.uint8), frame, camera, "rgb", Reading())


def test_frames_are_the_same_with_and_without_it(rig, images, nano_variant, tmp_path, monkeypatch):
    whole = ImageInput((198, 352), "bgr")
    for name, image in images.items():
        (tmp_path / f"{name}.jpg").write_bytes(encoded(image, quality=90))
    given = {name: (tmp_path / f"{name}.jpg").read_bytes() for name in images}

    def taken(images):
        frames = [(images, rig), ({**images, "CAM_BACK": images["CAM_FRONT"]}, rig)]
        frames.append(frames[0])
        return network_images(images, rig, nano_variant), raw_images(frames, [rig] * 3, whole)

    fast, from_files = taken(given), taken({name: tmp_path / f"{name}.jpg" for name in images})
    monkeypatch.setattr(decoding, "simplejpeg", None)
    for found in (fast, from_files):
        for one, other in zip(found, taken(given), strict=True):
            np.testing.assert_array_equal(one, other)
    expected = np.stack([by_pillow(given[name])[..., ::-1] for name in rig.names])
    np.testing.assert_array_equal(fast[1][:6], expected)
    np.testing.assert_array_equal(fast[1][12:], expected)
    assert (fast[1][6:12] != expected).any()


def test_raw_images_are_decoded_in_place(rig, images, monkeypatch):
    places, decode = [], simplejpeg.decode_jpeg

    def watched(jpeg, order, buffer):
        places.append(buffer)
        return decode(jpeg, order, buffer=buffer)

    monkeypatch.setattr(simplejpeg, "decode_jpeg", watched)
    jpegs = {name: encoded(image) for name, image in images.items()}
    out = raw_images([(jpegs, rig)], [rig], ImageInput((198, 352)))
    assert [np.shares_memory(place, image) for place, image in zip(places, out, strict=True)] == [True] * 6


def test_which_one_decodes_is_told(decoder):
    version = simplejpeg.__version__ if decoder == "simplejpeg" else PIL.__version__
    assert jpeg_decoder() == f"{decoder} {version}"


def test_nothing_needs_the_extra(tmp_path):
    """In a process of its own, where it cannot be imported."""
    jpeg = encoded(noise(20, 30, 3, 7, 8))
    (tmp_path / "a.jpg").write_bytes(jpeg)
    code = f"""
import sys
sys.modules["simplejpeg"] = None
import numpy as np, occvino
from occvino.images.decode import Reading, jpeg_decoder, read
from tests.conftest import make_camera
image = read({str(tmp_path / "a.jpg")!r}, make_camera("CAM_FRONT", width=30, height=20), Reading())
print(jpeg_decoder().split()[0], np.asarray(image).astype(int).sum())
"""
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert told.split() == ["Pillow", str(by_pillow(jpeg).astype(int).sum())]


def test_an_image_still_in_its_file_may_be_that_of_all_cameras(rig, nano_variant, tmp_path):
    image = noise(198, 352, 3, 8, 8)
    Image.fromarray(image).save(tmp_path / "a.png")
    expected = network_images([image] * 6, rig, nano_variant)
    with ThreadPoolExecutor(6) as pool:
        for _ in range(20):
            lazy = Image.open(tmp_path / "a.png")
            np.testing.assert_array_equal(network_images([lazy] * 6, rig, nano_variant, pool), expected)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "BMP", "PPM"])
def test_a_damaged_image_is_refused_also_the_second_time(kind, tmp_path):
    """Pillow gives black pixels for an image whose loading failed before."""
    camera = make_camera("CAM_FRONT", width=64, height=36)
    stored = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (36, 64, 3), np.uint8)
    Image.fromarray(noise).save(stored, kind)
    cut = stored.getvalue()[: len(stored.getvalue()) * 2 // 3]
    (tmp_path / "cut").write_bytes(cut)
    for source in (cut, tmp_path / "cut"):
        for _ in range(2):
            with pytest.raises(FrameError):
                read(source, camera, Reading())
    try:
        opened = Image.open(io.BytesIO(cut))
    except OSError:  # it is found out as it is opened
        return
    for _ in range(2):
        with pytest.raises(FrameError):
            read(opened, camera, Reading())


def test_a_png_with_a_flipped_bit_is_refused():
    camera = make_camera("CAM_FRONT", width=64, height=36)
    stored = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (36, 64, 3), np.uint8)).save(stored, "PNG")
    for at in range(60, len(stored.getvalue()) - 30, 97):
        damaged = bytearray(stored.getvalue())
        damaged[at] ^= 16
        with pytest.raises(FrameError):
            read(bytes(damaged), camera, Reading())
