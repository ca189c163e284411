"""The commands `occvino rig ...`."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from occvino.cli.app import app
from occvino.datasets.shipped import shipped_scene
from occvino.errors import FrameError
from occvino.geometry.rig import Rig
from tests.cli.command import occvino
from tests.geometry.rigs import camera, each, right_rigs
from tests.geometry.test_mistakes import body_axes

RIGHT = dict(right_rigs())


def rig(*arguments, check=0):
    done = CliRunner().invoke(app, ["rig", *map(str, arguments)])
    if not isinstance(done.exception, SystemExit | None):
        raise done.exception
    assert done.exit_code == check, done.output
    return done.output


def shown(*arguments, columns=80):
    """In a process of its own, since a console keeps its width."""
    done = occvino("rig", *arguments, COLUMNS=str(columns))
    return done.returncode, done.stdout, done.stderr


def saved(found, folder):
    found.save(folder / "rig.json")
    return folder / "rig.json"


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """The folder of a frame of the scene that ships inside, with its rig."""
    folder, frame = tmp_path_factory.mktemp("frame"), shipped_scene()[0]
    frame.rig.save(folder / "rig.json")
    for name, path in frame.image_files().items():
        (folder / f"{name}.jpg").write_bytes(path.read_bytes())
    return folder


def test_the_group_alone_prints_its_help_and_errors_are_one_line():
    _, words, _ = shown()
    assert "check" in words
    assert "show" in words
    code, _, told = shown("show", "nowhere.json")
    assert code == 2
    assert told.startswith("error: cannot read the rig nowhere.json")
    assert "Traceback" not in told


@pytest.mark.parametrize("command", ["show", "check"])
def test_each_command_shows_an_example(command):
    assert f"Example: occvino rig {command}" in rig(command, "--help")


def test_show_names_views_overlaps_and_gaps(tmp_path):
    found = Rig(tuple(camera(f"CAM_{side}", yaw, [1.0, 0.5, 1.5], focal=0.5) for side, yaw in (("A", 0), ("B", 80))))
    words = rig("show", saved(found, tmp_path))
    line = next(line.split() for line in words.splitlines() if line.startswith("CAM_B"))
    assert line[1:5] == ["1.50", "80.0", "0.0", "0.0"]
    assert line[5] == "90x59"
    assert "1280x720, no lens, 1.00 m ahead and 0.50 m left of the ego origin" in words
    assert "10  CAM_A and CAM_B" in words
    assert "the ring has a gap: 190 degrees between CAM_B and CAM_A, behind on the right" in words
    assert "doubts" not in words


def test_show_says_when_the_ring_is_whole(shipped):
    words = rig("show", shipped / "rig.json")
    assert "the ring has no gap" in words
    assert words.count(" and CAM_") == 6


def test_show_as_json(tmp_path):
    found = json.loads(rig("show", saved(RIGHT["parking"], tmp_path), "--json"))
    assert [each["name"] for each in found["cameras"]] == list(RIGHT["parking"].names)
    front = found["cameras"][0]
    assert (front["width"], front["lens"], front["above_ground"]) == (1280, "fisheye", 0.7)
    assert front["pitch"] == pytest.approx(25)
    assert len(found["overlaps"]) == 4
    assert found["gaps"] == found["doubts"] == found["mistakes"] == []


def test_show_tells_doubts_at_the_end_and_leaves_angles_out_that_mean_nothing(tmp_path):
    words = rig("show", saved(each(RIGHT["synthetic"], body_axes), tmp_path))
    assert "likely: sensor2ego is that of a body frame" in words
    assert words.index("doubts about this rig") > words.index("not in the ring")
    figures = next(line.split() for line in words.splitlines() if line.startswith("CAM_BACK "))
    assert (figures[2], figures[4], figures[6]) == ("-", "-", "none")


@pytest.mark.parametrize("columns", [60, 80])
def test_no_name_is_broken_at_any_width(tmp_path, columns):
    names = [f"/sensing/camera/camera{index}/image_rect_color_compressed" for index in range(3)] + ["front"]
    found = Rig(tuple(camera(name, 90 * i, [1.0, 0.0, 1.5]) for i, name in enumerate(names)))
    code, words, _ = shown("show", saved(found, tmp_path), columns=columns)
    assert code == 0
    lines = words[: words.index("\nheight:")].splitlines()
    assert [line for line in lines if line.startswith("/")] == names[:3]
    assert max(map(len, lines)) <= 80


def test_check_of_a_right_rig_writes_the_picture(shipped, tmp_path):
    given = ("check", shipped / "rig.json", "--images", shipped, "--out", tmp_path / "a.png")
    assert "no doubts about" in rig(*given)
    with Image.open(tmp_path / "a.png") as picture:
        colours = np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)
    assert len(colours) > 1000, "the images are in it"
    rig("check", shipped / "rig.json", "--out", tmp_path / "b.png")
    assert (tmp_path / "b.png").stat().st_size < (tmp_path / "a.png").stat().st_size / 2


def test_check_names_a_mistake_and_exits_1(shipped, tmp_path):
    wrong = saved(each(Rig.load(shipped / "rig.json"), body_axes), tmp_path)
    words = rig("check", wrong, "--images", shipped, "--out", tmp_path / "a.png", check=1)
    assert "likely: sensor2ego is that of a body frame" in words
    assert "it looks 89 degrees up" in words
    assert (tmp_path / "a.png").is_file()
    found = json.loads(rig("check", wrong, "--out", tmp_path / "a.png", "--json", check=1))
    assert "body axes" in [mistake["kind"] for mistake in found["mistakes"]]
    assert {doubt["camera"] for doubt in found["doubts"]} == set(Rig.load(wrong).names)
    assert found["out"] == str(tmp_path / "a.png")


def test_check_says_what_a_crop_cuts_and_calls_it_no_mistake(tmp_path):
    words = rig("check", saved(RIGHT["truck"], tmp_path), "--out", tmp_path / "a.png")
    assert "since the crop 'top' cuts" in words


def test_check_needs_the_image_of_every_camera(shipped, tmp_path):
    (tmp_path / "CAM_FRONT.jpg").write_bytes((shipped / "CAM_FRONT.jpg").read_bytes())
    with pytest.raises(FrameError, match=r"image not found: CAM_FRONT_LEFT\.jpg"):
        rig("check", shipped / "rig.json", "--images", tmp_path, "--out", tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()


def test_check_refuses_images_of_another_size(shipped, tmp_path):
    larger = saved(Rig.load(shipped / "rig.json").scaled(2.0), tmp_path)
    with pytest.raises(FrameError, match="704x396"):
        rig("check", larger, "--images", shipped, "--out", tmp_path / "a.png")


def test_a_rig_and_images_of_a_bag_are_what_check_takes(tmp_path):
    pytest.importorskip("rosbags", reason="bags are read by rosbags (extra ros)")
    from tests.datasets.bags.writing import drive_events, shipped_drive, write_bag

    drive = shipped_drive()
    bag = write_bag(tmp_path / "drive", drive_events(drive))
    told = rig("from-bag", bag, "--out", tmp_path / "rig.json", "--images", tmp_path / "frame")
    assert "wrote an image of each" in told
    found = Rig.load(tmp_path / "rig.json")
    assert set(found.names) == set(drive.rigs[0].names)
    for name in found.names:
        shown = np.asarray(Image.open(tmp_path / "frame" / f"{name}.png"))
        np.testing.assert_array_equal(shown, drive.pixels[0][name])
    rig("check", tmp_path / "rig.json", "--images", tmp_path / "frame", "--out", tmp_path / "check.png")
