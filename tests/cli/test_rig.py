"""`occvino rig`: what it prints, writes and exits with."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from occvino.cli.app import app
from occvino.datasets.shipped import shipped_scene
from occvino.geometry.rig import Rig
from tests.geometry.rigs import each, right_rigs
from tests.geometry.test_mistakes import body_axes


@pytest.fixture(scope="module")
def rigs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rigs")
    for name, rig in right_rigs():
        rig.save(folder / f"{name}.json")
    return folder


def run(*arguments, code=0):
    result = CliRunner().invoke(app, ["rig", *map(str, arguments)], env={"COLUMNS": "80"})
    assert result.exit_code == code, result.output
    return result.output


def test_show_fits_80_columns_and_breaks_no_name(rigs):
    told = run("show", rigs / "ring.json")
    for name in Rig.load(rigs / "ring.json").names:
        assert name in told
    assert "45° left" in told
    assert "overlaps:" in told


def test_show_as_json(rigs):
    found = json.loads(run("show", rigs / "parking.json", "--json"))
    assert [camera["lens"] for camera in found["cameras"]] == ["fisheye"] * 4
    assert found["gaps"] == found["doubts"] == []


def test_show_tells_of_doubts(rigs, tmp_path):
    each(Rig.load(rigs / "truck.json"), body_axes).save(tmp_path / "wrong.json")
    assert "likely: sensor2ego is that of a body frame" in run("show", tmp_path / "wrong.json").replace("\n", " ")


def test_check_of_a_right_rig_with_its_images(tmp_path):
    sample = shipped_scene()[0]
    sample.rig.save(tmp_path / "rig.json")
    for name, path in sample.image_files().items():
        (tmp_path / f"{name}.jpg").write_bytes(path.read_bytes())
    told = run("check", tmp_path / "rig.json", "--images", tmp_path, "--out", tmp_path / "check.png")
    assert "no doubts" in told
    assert (tmp_path / "check.png").read_bytes().startswith(b"\x89PNG")


def test_check_names_the_mistake(rigs, tmp_path):
    each(Rig.load(rigs / "truck.json"), body_axes).save(tmp_path / "wrong.json")
    out = tmp_path / "check.png"
    found = json.loads(run("check", tmp_path / "wrong.json", "--out", out, "--json", code=1))
    assert "body axes" in {mistake["kind"] for mistake in found["mistakes"]}
    assert {doubt["camera"] for doubt in found["doubts"]} == {"front", "left", "right", "rear"}
    assert out.exists()


def test_check_without_an_image_of_each_camera(rigs, tmp_path):
    result = CliRunner().invoke(app, ["rig", "check", str(rigs / "truck.json"), "--images", str(tmp_path)])
    assert result.exit_code != 0
    assert "image not found: front.jpg" in str(result.exception)


def test_a_rig_and_images_of_a_bag_are_what_check_takes(tmp_path):
    pytest.importorskip("rosbags", reason="bags are read by rosbags (extra ros)")
    from tests.datasets.bags.writing import drive_events, shipped_drive, write_bag

    drive = shipped_drive()
    bag = write_bag(tmp_path / "drive", drive_events(drive))
    told = run("from-bag", bag, "--out", tmp_path / "rig.json", "--images", tmp_path / "frame")
    assert "wrote an image of each" in told
    rig = Rig.load(tmp_path / "rig.json")
    assert set(rig.names) == set(drive.rigs[0].names)
    for name in rig.names:
        shown = np.asarray(Image.open(tmp_path / "frame" / f"{name}.png"))
        np.testing.assert_array_equal(shown, drive.pixels[0][name])
    run("check", tmp_path / "rig.json", "--images", tmp_path / "frame", "--out", tmp_path / "check.png")
