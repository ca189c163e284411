"""Which files are found for which names, and which never."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from occvino.errors import FrameError, RigError
from occvino.files import parts_inside
from occvino.geometry.rig import Rig
from occvino.images.find import SUFFIXES, by_camera
from occvino.images.inputs import network_images
from tests.conftest import make_camera


def rig_of(*names):
    return Rig(tuple(make_camera(name) for name in names))


def file(folder, name):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"not read here")
    return path


@pytest.mark.parametrize("suffix", [*SUFFIXES, *(suffix.upper() for suffix in SUFFIXES)])
@pytest.mark.parametrize("name", ["CAM{}", "n015__CAM__1533{}", "CAM/n015__CAM__1533{}", "CAM/7{}", "CAM.0001{}"])
def test_every_suffix_under_every_name_beside_other_files(tmp_path, suffix, name):
    path = file(tmp_path, name.format(suffix))
    for other in ("CAM.json", "CAM.txt", "x__CAM__1.json", "._CAM.jpg", "._n__CAM__1.jpg", "CAM_BACK.jpg"):
        file(tmp_path, other)
    assert by_camera(tmp_path, rig_of("CAM")) == {"CAM": path}


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "WEBP", "PPM", "PNG", "GIF"])
def test_pixels_of_every_kind_are_those_that_were_written(rig, images, nano_variant, tmp_path, kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    expected = network_images(images, rig, nano_variant)
    suffix = ".png" if kind == "GIF" else f".{kind.lower()}"  # a name may lie about the content
    for name, image in images.items():
        shown = Image.fromarray(image)
        if kind == "GIF":
            shown = shown.quantize(255)
            images = {**images, name: np.asarray(shown.convert("RGB"))}
        shown.save(tmp_path / f"{name}{suffix}", kind, **options)
    expected = network_images(images, rig, nano_variant)
    np.testing.assert_array_equal(network_images(tmp_path, rig, nano_variant), expected)


def test_two_files_of_one_camera_are_an_error(tmp_path):
    file(tmp_path, "CAM.jpg"), file(tmp_path, "CAM.webp")
    with pytest.raises(FrameError, match=r"holds 2 images of CAM \(CAM.jpg, CAM.webp, ...\): one is expected"):
        by_camera(tmp_path, rig_of("CAM"))


def test_one_file_of_two_cameras_is_an_error(tmp_path):
    file(tmp_path, "CAM.LEFT.jpg")
    with pytest.raises(FrameError, match=r"CAM.LEFT.jpg fits two cameras, CAM.LEFT and CAM: name each file as"):
        by_camera(tmp_path, rig_of("CAM.LEFT", "CAM"))
    file(tmp_path, "a_b.jpg")
    with pytest.raises(FrameError, match=r"a_b.jpg fits two cameras, /a/b and a_b"):
        by_camera(tmp_path, rig_of("/a/b", "a_b"))


def test_another_kind_of_file_is_named(tmp_path):
    file(tmp_path, "CAM.heic")
    with pytest.raises(FrameError, match=r"image not found: CAM.jpg \(or .jpeg.* in .*, which holds CAM.heic$"):
        by_camera(tmp_path, rig_of("CAM"))


@pytest.mark.parametrize("name", ["CAM_FRON?", "CAM_*", "*", "[C]AM_FRONT", "CAM_[A-Z]RONT", "**", "?AM_FRONT"])
def test_names_are_no_patterns(tmp_path, name):
    file(tmp_path, "CAM_FRONT.jpg")
    file(tmp_path, "n__CAM_FRONT__1.jpg")
    file(tmp_path, "CAM_FRONT/1.jpg")
    with pytest.raises(FrameError, match="image not found"):
        by_camera(tmp_path, rig_of(name))
    path = file(tmp_path, f"{name}.png")
    assert by_camera(tmp_path, rig_of(name)) == {name: path}


@pytest.mark.parametrize(
    "name", ["/camera/front", "camera/front", "//camera//front/", "./camera/front", "camera\\front"]
)
def test_slashes_are_underscores_or_subfolders(tmp_path, name):
    """As in ROS topics."""
    for place in ("camera_front.jpg", "camera/front.png", "x__camera_front__1.jpg", "camera/front/1.jpg"):
        folder = tmp_path / place.replace("/", "-")
        path = file(folder, place)
        assert by_camera(folder, rig_of(name)) == {name: path}
    both = file(tmp_path / "both", "camera_front.jpg").parent
    file(both, "camera/front.jpg")
    with pytest.raises(FrameError, match=r"holds 2 images of .* \(camera_front.jpg, camera.front.jpg, ...\)"):
        by_camera(both, rig_of(name))
    with pytest.raises(FrameError, match=r"image not found: camera_front\.jpg"):
        by_camera(file(tmp_path, "empty/x.txt").parent, rig_of(name))


def test_a_name_leads_to_no_other_folder(tmp_path):
    """The absolute path of an image is no way to it."""
    secret = file(tmp_path, "frame1/CAM_FRONT.jpg")
    frame = tmp_path / "frame0"
    frame.mkdir()
    with pytest.raises(FrameError, match="image not found"):
        by_camera(frame, rig_of(str(secret.with_suffix(""))))


NEVER = ["../frame1/CAM_FRONT", "..", "a/../b", "a\\..\\b", "", "/", ".", "a\0b"]


@pytest.mark.parametrize("name", NEVER)
def test_names_that_no_file_can_have_are_refused_by_the_rig(tmp_path, name):
    """So `convert --rig` says it, and not the first run."""
    words = "can be no file name, and images are found by it: rename it"
    with pytest.raises(RigError, match=words):
        make_camera(name)
    rig_of("CAM").save(tmp_path / "rig.json")
    cameras = json.loads((tmp_path / "rig.json").read_text())["cameras"]
    (tmp_path / "rig.json").write_text(json.dumps({"cameras": {name: cameras["CAM"]}}))
    with pytest.raises(RigError, match=words):
        Rig.load(tmp_path / "rig.json")


@given(st.text(st.sampled_from("./\\a:\0*"), max_size=8))
@settings(max_examples=300)
def test_parts_never_lead_out(name):
    parts = parts_inside(name)
    if parts is None:
        return
    assert parts
    for part in parts:
        assert part not in ("", ".", "..")
        assert not set(part) & set("/\\\0")


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path, monkeypatch):
    def refused(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "iterdir", refused)
    with pytest.raises(FrameError, match="cannot list the image folder .*: Permission denied"):
        by_camera(tmp_path, rig_of("CAM"))
