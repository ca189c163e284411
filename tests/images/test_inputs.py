import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from occvino.errors import FrameError, OccvinoError
from occvino.geometry.rig import Rig
from occvino.images.inputs import network_images, side_by_side
from occvino.images.layout import ImageInput
from occvino.variant import NUSCENES_CAMERAS
from occvino.variants import get_variant
from tests.conftest import make_camera


def write(frames, folder, suffix=".png"):
    for name, array in frames.items():
        Image.fromarray(array).save(folder / f"{name}{suffix}")


def test_real_images_equal_the_official_canvas(real_frame, golden):
    """u8 for u8: Pillow's bicubic, then the crop, then R, G, B."""
    rig = Rig.load(real_frame / "calibration.json").select(NUSCENES_CAMERAS)
    with np.load(golden / "real_canvas_uint8.npz") as recorded:
        np.testing.assert_array_equal(
            network_images(real_frame, rig, get_variant("flashocc-r50-M0")), recorded["canvas"]
        )


def test_folder_mapping_sequence_and_images_give_the_same(rig, images, nano_variant, tmp_path):
    write(images, tmp_path)
    from_folder = network_images(tmp_path, rig, nano_variant)
    assert from_folder.shape == (6, 128, 352, 3)
    assert from_folder.dtype == np.uint8
    forms = [
        images,
        {name: tmp_path / f"{name}.png" for name in images},
        [images[name] for name in rig.names],
        [Image.fromarray(images[name]) for name in rig.names],
    ]
    for form in forms:
        np.testing.assert_array_equal(network_images(form, rig, nano_variant), from_folder)


def test_nuscenes_file_names_are_found(rig, images, nano_variant, tmp_path):
    for name, array in images.items():
        (tmp_path / name).mkdir()
        Image.fromarray(array).save(tmp_path / name / f"n015__{name}__1533201470448696.png")
    np.testing.assert_array_equal(
        network_images(tmp_path, rig, nano_variant), network_images(images, rig, nano_variant)
    )


def test_a_missing_camera_is_named(rig, images, nano_variant, tmp_path):
    write(images, tmp_path)
    (tmp_path / "CAM_BACK.png").unlink()
    with pytest.raises(FrameError, match=r"image not found: CAM_BACK\.jpg .* in "):
        network_images(tmp_path, rig, nano_variant)
    with pytest.raises(FrameError, match=r"image not found: CAM_BACK \(given: CAM_BACK_LEFT"):
        network_images({name: images[name] for name in images if name != "CAM_BACK"}, rig, nano_variant)
    with pytest.raises(FrameError, match="5 images for a rig of 6 cameras"):
        network_images(list(images.values())[:5], rig, nano_variant)
    with pytest.raises(FrameError, match="image folder not found"):
        network_images(tmp_path / "nowhere", rig, nano_variant)


def test_an_image_of_another_size_says_how_to_rescale():
    rig = Rig((make_camera("CAM_BACK", width=1600, height=900),))
    variant = get_variant("occvino-nano")
    with pytest.raises(FrameError, match=r"is 1280x720, the rig says 1600x900: .* Rig\.scaled\(0\.8\)"):
        network_images([np.zeros((720, 1280, 3), np.uint8)], rig, variant)
    with pytest.raises(FrameError, match="is 1280x800, the rig says 1600x900: the shapes differ"):
        network_images([np.zeros((800, 1280, 3), np.uint8)], rig, variant)


def test_an_image_that_cannot_be_read_is_named(rig, images, nano_variant, tmp_path):
    write(images, tmp_path, ".jpg")
    whole = (tmp_path / "CAM_FRONT.jpg").read_bytes()
    for broken in (whole[: len(whole) // 2], b"not an image", b""):
        (tmp_path / "CAM_FRONT.jpg").write_bytes(broken)
        with pytest.raises(FrameError, match=r"CAM_FRONT\.jpg cannot be read as an image"):
            network_images(tmp_path, rig, nano_variant)


def test_an_array_that_is_no_image_is_named(rig, images, nano_variant):
    grey = {**images, "CAM_BACK": images["CAM_BACK"][..., 0]}
    with pytest.raises(FrameError, match=r"the image of CAM_BACK is uint8 \[198, 352\], expected uint8"):
        network_images(grey, rig, nano_variant)
    scaled = {**images, "CAM_BACK": images["CAM_BACK"] / 255}
    with pytest.raises(FrameError, match="the image of CAM_BACK is float64"):
        network_images(scaled, rig, nano_variant)


def test_deep_images_and_other_things_are_refused(rig, images, nano_variant):
    deep = Image.fromarray(np.full((198, 352), 30_000, np.uint16))
    with pytest.raises(
        FrameError,
        match="the image of CAM_BACK has pixels of mode I;16, expected 8-bit .*: save it with 8 bits",
    ):
        network_images({**images, "CAM_BACK": deep}, rig, nano_variant)
    with pytest.raises(FrameError, match="the image of CAM_BACK is a NoneType, expected a file"):
        network_images({**images, "CAM_BACK": None}, rig, nano_variant)


def test_upper_case_suffixes_are_found(rig, images, nano_variant, tmp_path):
    write(images, tmp_path, ".PNG")
    assert network_images(tmp_path, rig, nano_variant).shape == (6, 128, 352, 3)


def test_two_images_of_one_camera_are_refused(rig, images, nano_variant, tmp_path):
    write(images, tmp_path)
    write(images, tmp_path, ".jpg")
    with pytest.raises(FrameError, match="holds 2 images of CAM_FRONT_LEFT"):
        network_images(tmp_path, rig, nano_variant)


@settings(max_examples=60, deadline=None)
@given(
    delays=st.lists(st.integers(0, 3), max_size=8),
    wrong=st.sets(st.integers(0, 7)),
    threads=st.integers(1, 4),
    from_within=st.booleans(),
)
def test_side_by_side_is_a_loop_with_more_hands(delays, wrong, threads, from_within):
    """Results in order, or the first error in order, from outside of the pool and from one of its own threads."""
    under_way, lock = 0, threading.Lock()

    def work(item):
        nonlocal under_way
        index, delay = item
        with lock:
            under_way += 1
        time.sleep(delay / 1000)
        with lock:
            under_way -= 1
        if index in wrong:
            raise FrameError(str(index))
        return 10 * index

    items = list(enumerate(delays))
    first = min((index for index, _ in items if index in wrong), default=None)
    with ThreadPoolExecutor(threads) as pool:
        run = (lambda *args: pool.submit(side_by_side, *args).result()) if from_within else side_by_side
        if first is None:
            assert run(work, items, pool) == side_by_side(work, items, None) == [10 * index for index, _ in items]
        else:
            with pytest.raises(FrameError, match=f"^{first}$"):
                run(work, items, pool)
        assert under_way == 0, "something goes on after the end"


def test_cameras_are_read_by_two_at_a_time_if_there_are_two(rig, images, nano_variant, monkeypatch):
    """Nobody gets on before another one is there."""
    from occvino.images import decode as decoding
    from occvino.images import inputs as preprocess

    two = threading.Barrier(2, timeout=20)
    monkeypatch.setattr(preprocess, "read", lambda *given: (two.wait(), decoding.read(*given))[1])
    with ThreadPoolExecutor(1) as pool:
        together = network_images(images, rig, nano_variant, pool)
    monkeypatch.undo()
    np.testing.assert_array_equal(together, network_images(images, rig, nano_variant))


def test_of_several_bad_images_the_first_camera_is_told(rig, images, nano_variant):
    bad = {**images, rig.names[1]: b"", rig.names[4]: b"no"}
    with ThreadPoolExecutor(3) as pool:
        for _ in range(20):
            with pytest.raises(FrameError, match=f"the image of {rig.names[1]} cannot be read"):
                network_images(bad, rig, nano_variant, pool)


def test_portrait_sizes_are_doubted_unless_the_cameras_have_them(recwarn):
    """(width, height) is the habit of the field, and a portrait image would be cropped to something plausible."""
    ImageInput((900, 1600)).check_orientation()
    ImageInput((700, 700)).check_orientation([(480, 640)])
    ImageInput((1600, 900)).check_orientation([(1600, 900)])
    assert not recwarn
    with pytest.raises(OccvinoError, match=r"image size 1600x900: HEIGHTxWIDTH is expected: did you mean 900x1600\?"):
        ImageInput((1600, 900)).check_orientation()
    with pytest.raises(OccvinoError, match=r"did you mean 480x640\? \(that is the size of the rig's images"):
        ImageInput((640, 480)).check_orientation([(480, 640)])
    with pytest.warns(UserWarning, match=r"did you mean 1080x1920\? It is taken as images 1920 high and 1080 wide"):
        ImageInput((1920, 1080)).check_orientation()
