"""`occvino view`: each source, each output, and what contradicts."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from occvino.cli.app import app
from occvino.datasets.shipped import SCENE, shipped_scene
from occvino.errors import OccvinoError
from occvino.runtime import Occupancy
from occvino.variants import get_variant

MODEL = get_variant("flashocc-r50-M0")


def view(*arguments):
    result = CliRunner().invoke(app, ["view", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """What `run --images` leaves, with the frame's images beside it."""
    folder, sample = tmp_path_factory.mktemp("result"), shipped_scene()[0]
    Occupancy(sample.load_labels().semantics, MODEL.class_names, MODEL.occupancy_grid).save(folder / "labels.npz")
    sample.rig.save(folder / "rig.json")
    for name, path in sample.image_files().items():
        (folder / f"{name}.jpg").write_bytes(path.read_bytes())
    return folder


def test_saved_labels_with_their_images(saved, tmp_path):
    assert "wrote" in view(saved, "--png", tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width == 1280
        assert picture.height > 800  # with the cameras


def test_a_data_set_shows_its_truth(tmp_path):
    assert "3 frames" in view(SCENE, "--gif", tmp_path / "a.gif")
    assert "2 frames" in view(SCENE, "--gif", tmp_path / "b.gif", "--limit", 2)


def test_labels_of_eval_with_the_truth_of_the_data_set(tmp_path):
    for sample in shipped_scene():
        path = tmp_path / "labels" / sample.scene / sample.token / "labels.npz"
        path.parent.mkdir(parents=True)
        np.savez_compressed(path, semantics=sample.load_labels().semantics)
    pytest.importorskip("rerun", reason="recordings are written by rerun-sdk (extra viz)")
    assert "3 frames" in view(tmp_path / "labels", "--dataset", SCENE, "--save", tmp_path / "a.rrd")
    assert (tmp_path / "a.rrd").stat().st_size < 3 * 2_000_000


def test_a_page(saved, tmp_path):
    told = view(saved, "--html", tmp_path / "a.html")
    assert "1 frames" in told
    assert 0.1e6 < (tmp_path / "a.html").stat().st_size < 3e6


def test_an_artifact_runs(nano, tmp_path):
    assert "wrote" in view(nano.path, "--dataset", SCENE, "--limit", 1, "--png", tmp_path / "a.png")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--png", "a.png", "--gif", "a.gif"], "--png and --gif: give one of them"),
        (["--png", "a.png", "--limit", "0"], "--limit 0: expected 1 or more"),
        (["--gif", "a.gif", "--rate", "0"], "--rate 0: expected 0.1 to 60"),
        (["--png", "a.png", "--device", "CPU"], "go with an artifact"),
        (["--png", "a.png", "--version", "v1.0-mini"], "--version goes with a data set"),
        (["--png", "a.png", "--topic", "CAM_FRONT=/front"], "go with --bag"),
        (["--png", "a.png", "--bag", "a.mcap", "--dataset", str(SCENE)], "give one of them"),
    ],
)
def test_options_that_contradict_are_refused(saved, options, words):
    with pytest.raises(OccvinoError, match=words):
        view(saved, *options)


def test_a_folder_without_labels_is_refused(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({}))
    with pytest.raises(OccvinoError, match="holds no labels.npz"):
        view(tmp_path, "--png", tmp_path / "a.png")


def test_an_artifact_wants_frames(nano, tmp_path):
    with pytest.raises(OccvinoError, match="give one of --images, --sequence, --dataset and --bag, not none"):
        view(nano.path, "--png", tmp_path / "a.png")
