"""`occvino run` as its users meet it: in a process of its own, by exit code and words."""

import json
import pickle
import shutil

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from occvino.cli.app import app
from occvino.datasets.shipped import SCENE, shipped_scene
from occvino.images.decode import jpeg_decoder
from occvino.runtime import Occupancy
from tests.cli.command import occvino


def test_run_writes_labels_and_a_picture(nano, frame, tmp_path):
    done = occvino(
        "run", nano.path, "--images", frame, "--rig", frame / "rig.json", "--out", tmp_path / "o", "--json", check=0
    )
    summary = json.loads(done.stdout)
    occupancy = Occupancy.load(tmp_path / "o" / "labels.npz")
    assert summary["voxels"] == occupancy.counts()
    assert summary["runs_on"].startswith("CPU -> CPU")
    assert set(summary["points_in_grid"]) == set(camera_names(frame))
    assert all(0.6 < share < 1 for share in summary["points_in_grid"].values())
    assert f"JPEG by {jpeg_decoder()}" in summary["runs_on"]
    with Image.open(tmp_path / "o" / "bev.png") as image:
        assert image.width > 600
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 10


def camera_names(frame):
    return json.loads((frame / "rig.json").read_text())["cameras"]


@pytest.mark.slow
def test_a_rig_that_can_hardly_be_right_is_told_on_every_way(fresh, frame, tmp_path):
    """Five of six cameras 300 m away."""
    document = json.loads((frame / "rig.json").read_text())
    for name, camera in document["cameras"].items():
        if name != "CAM_FRONT":
            camera["sensor2ego"][0][3] += 300.0
    (tmp_path / "rig.json").write_text(json.dumps(document))
    given = ("--images", frame, "--rig", tmp_path / "rig.json")
    done = occvino("verify", fresh.path, *given, check=1)
    assert "proves little: 14% of the points are in the grid, 81% are usual" in done.stdout
    assert "CAM_BACK 0%" in done.stdout
    assert "agrees" not in done.stdout
    assert "proves little: 14%" in " ".join(occvino("info", fresh.path, check=0).stdout.split())
    done = occvino("run", fresh.path, *given, "--out", tmp_path / "o", check=0)
    assert "points in the grid: CAM_FRONT_LEFT 0%, CAM_FRONT 82%" in done.stdout
    assert "warning: doubts about the rig" in done.stderr
    for name in "abc":
        shutil.copytree(frame, tmp_path / "scene" / name)
        shutil.copy(tmp_path / "rig.json", tmp_path / "scene" / name)
    done = occvino("run", fresh.path, "--sequence", tmp_path / "scene", "--out", tmp_path / "s", check=0)
    assert done.stderr.count("doubts about the rig") == 1


@pytest.mark.slow
def test_what_exif_says_is_warned_of_once(nano, frame, images, tmp_path):
    """Also in a stream, which warns in several threads."""
    exif = Image.Exif()
    exif[0x0112] = 3
    for name in "ab":
        shutil.copytree(frame, tmp_path / "scene" / name)
        Image.fromarray(images["CAM_BACK"]).save(tmp_path / "scene" / name / "CAM_BACK.png", exif=exif)
    run = ("run", nano.path, "--sequence", tmp_path / "scene", "--out", tmp_path / "o")
    told = " ".join(occvino(*run, check=0).stderr.split())
    assert told.count("warning: the EXIF orientation of CAM_BACK is 3, to be turned by 180 degrees") == 1
    assert "warning" not in occvino(*run, "--exif", "ignore", check=0).stderr


class SeenError(Exception):
    """Ends a command where a test has seen enough."""


@pytest.mark.parametrize(
    ("command", "where"),
    [
        (("run", "--images", "{0}", "--out", "o"), "occvino.cli.run.Pipeline"),
        (("verify", "--images", "{0}", "--rig", "{0}/rig.json"), "occvino.conversion.verify.verify"),
        (("eval", "--dataset", str(SCENE), "--out", "o"), "occvino.evaluation.engines.load_engine"),
        (("bench", "--images", "{0}", "--rig", "{0}/rig.json"), "occvino.bench.request.Pipeline"),
    ],
)
def test_each_command_hands_on_what_to_do_about_exif(nano, frame, monkeypatch, command, where):
    def seen(*_, exif, **__):
        raise SeenError(exif)

    monkeypatch.setattr(where, seen)
    name, *rest = command
    given = [name, str(nano.path), *(word.format(frame) for word in rest)]
    for choice in ("warn", "apply", "ignore"):
        done = CliRunner().invoke(app, [*given, "--exif", choice])
        assert isinstance(done.exception, SeenError), done.output
        assert done.exception.args == (choice,)


@pytest.mark.slow
def test_names_of_ros_topics_and_names_that_no_file_can_have(nano, frame, images, tmp_path):
    """`convert --rig` refuses what no run could find; the names of topics are found as files."""
    rig = json.loads((frame / "rig.json").read_text())["cameras"]
    (tmp_path / "bad.json").write_text(json.dumps({"cameras": {f"../frame1/{name}": rig[name] for name in rig}}))
    convert = ("convert", "occvino-nano", "--random-weights", "--out", tmp_path / "n", "--rig")
    done = occvino(*convert, tmp_path / "bad.json", check=2)
    assert "the camera name '../frame1/CAM_FRONT_LEFT' can be no file name" in done.stderr
    assert not (tmp_path / "n").exists()
    (tmp_path / "rig.json").write_text(json.dumps({"cameras": {f"/{name}/image_raw": rig[name] for name in rig}}))
    occvino(*convert, tmp_path / "rig.json", check=0)
    run = ("run", tmp_path / "n", "--images", tmp_path, "--rig", tmp_path / "rig.json", "--out", tmp_path / "o")
    done = occvino(*run, check=2)
    assert "image not found: CAM_FRONT_LEFT_image_raw.jpg" in done.stderr
    for name, image in images.items():
        (tmp_path / name).mkdir()
        Image.fromarray(image).save(tmp_path / name / "image_raw.bmp")
    occvino(*run, check=0)


@pytest.mark.slow
def test_run_streams_a_sequence_and_names_what_failed(nano, frame, tmp_path):
    for name in "abcd":
        shutil.copytree(frame, tmp_path / "scene" / name)
    (tmp_path / "scene" / "b" / "CAM_FRONT.png").write_bytes(b"no image")
    (tmp_path / "scene" / "c" / "rig.json").write_text("{}")
    (tmp_path / "scene" / ".ipynb_checkpoints").mkdir()
    (tmp_path / "scene" / "e").mkdir()
    common = ("run", nano.path, "--sequence", tmp_path / "scene", "--out")
    done = occvino(*common, tmp_path / "o", "--json", check=1)
    assert f"1 folders in {tmp_path / 'scene'} are empty and no frames (first: e): left out" in done.stderr
    summary = json.loads(done.stdout)
    assert [each["name"] for each in summary["failed"]] == ["b", "c"]
    assert "CAM_FRONT.png cannot be read" in summary["failed"][0]["error"]
    assert sorted(path.parent.name for path in (tmp_path / "o").rglob("labels.npz")) == ["a", "d"]
    stages = [word for name in ("encoder", "pool", "trunk") for word in ("--stage", f"{name}=cpu")]
    done = occvino(*common, tmp_path / "s", "--limit", 1, *stages, "--precision", "f32", check=0)
    assert "pool: CPU -> CPU, fp32" in done.stdout
    assert "1 of 1 frames labelled" in done.stdout
    one = occvino(
        "run",
        nano.path,
        "--images",
        frame,
        "--rig",
        frame / "rig.json",
        "--out",
        tmp_path / "one",
        "--precision",
        "f32",
        check=0,
    )
    assert "wrote" in one.stdout
    found = [Occupancy.load(path / "labels.npz").labels for path in (tmp_path / "s" / "a", tmp_path / "one")]
    np.testing.assert_array_equal(*found)


@pytest.mark.slow
def test_run_streams_a_data_set(nano, tmp_path):
    done = occvino("run", nano.path, "--dataset", SCENE, "--limit", 2, "--out", tmp_path / "o", check=0)
    assert "2 of 2 frames labelled" in done.stdout
    frames = shipped_scene()
    paths = [tmp_path / "o" / frames[i].scene / frames[i].token / "labels.npz" for i in range(2)]
    assert all(path.is_file() for path in paths)
    written = paths[0].stat().st_mtime_ns
    paths[1].write_bytes(paths[1].read_bytes()[:-300])
    done = occvino("run", nano.path, "--dataset", SCENE, "--limit", 3, "--out", tmp_path / "o", check=0)
    assert "3 of 3 frames labelled" in done.stdout
    assert "1 of them by an earlier run" in done.stdout
    assert paths[0].stat().st_mtime_ns == written
    assert Occupancy.load(paths[1]).labels.shape == (200, 200, 16)
    done = occvino("run", nano.path, "--dataset", SCENE, "--out", tmp_path / "o", "--hash-images", check=2)
    assert "labels made otherwise (images: by size and time there, by content now)" in " ".join(done.stderr.split())


def test_run_puts_nothing_into_an_artifact_or_the_data(nano, frame, tmp_path):
    before = sorted(nano.path.iterdir())
    for out, options, words in (
        (nano.path, ("--images", frame), "is in the artifact"),
        (nano.path / "labels", ("--dataset", SCENE), "is in the artifact"),
        (SCENE / "samples" / "labels", ("--dataset", SCENE), "is a folder of the data set"),
        (tmp_path, ("--sequence", tmp_path), "is among the frames of"),
    ):
        done = occvino("run", nano.path, *options, "--out", out, check=2)
        assert words in done.stderr
    assert sorted(nano.path.iterdir()) == before
    assert not (SCENE / "samples" / "labels").exists()


def test_data_sets_are_judged_before_anything_is_labelled(nano, tmp_path):
    own = shutil.copytree(SCENE, tmp_path / "own")
    shutil.copytree(own / "v1.0-synth", own / "v1.0-mini")
    common = ("--dataset", own, "--out", tmp_path / "o")
    assert "name one: --version v1.0-mini" in occvino("run", nano.path, *common, check=2).stderr
    done = occvino("run", nano.path, *common, "--version", "v1.0-mini", "--limit", 1, "--json", check=0)
    assert json.loads(done.stdout)["frames"] == 1
    shutil.rmtree(own / "v1.0-mini")
    shutil.rmtree(own / "gts")
    done = occvino("eval", nano.path, "--dataset", own, "--out", tmp_path / "e", check=2)
    assert "the ground truth of 3 of 3 frames is missing" in done.stderr
    assert not (tmp_path / "e").exists()
    (tmp_path / "infos.pkl").write_bytes(pickle.dumps({"infos": [{"token": "a"}]}))
    done = occvino(
        "eval", nano.path, "--dataset", own, "--out", tmp_path / "e", "--infos", tmp_path / "infos.pkl", check=2
    )
    assert "infos.pkl, frame 0 has no 'cams'" in done.stderr


def test_run_options_that_contradict_are_refused(nano, frame, tmp_path):
    for options, message in (
        ((), "give one of --images, --sequence, --dataset and --bag, not none"),
        (("--images", frame, "--sequence", tmp_path), "not images and sequence"),
        (("--images", frame, "--limit", 1), "--limit is for --sequence, --dataset and --bag"),
        (("--sequence", frame), "no frames in"),
        (("--sequence", frame, "--version", "v1.0-mini"), "--version goes with a data set"),
        (("--dataset", SCENE, "--version", "v1.0-synth", "--infos", "x.pkl"), "takes their place: give one"),
        (("--images", frame, "--stage", "pool"), "expected NAME=DEVICE, each name once"),
        (("--images", frame, "--stage", "pool=CPU"), "no device for encoder, trunk"),
    ):
        assert message in occvino("run", nano.path, "--out", tmp_path / "o", *options, check=2).stderr


@pytest.mark.slow
def test_torch_on_the_same_frame_gives_the_same_labels(nano, frame, tmp_path):
    import torch

    from occvino.networks import build

    torch.save({"state_dict": build("occvino-nano").state_dict()}, tmp_path / "w.pth")
    common = ("--images", frame, "--rig", frame / "rig.json")
    occvino(
        "run",
        tmp_path / "w.pth",
        "--variant",
        "occvino-nano",
        "--torch",
        "cpu",
        *common,
        "--out",
        tmp_path / "t",
        check=0,
    )
    occvino("run", nano.path, *common, "--precision", "f32", "--out", tmp_path / "o", check=0)
    labels = [Occupancy.load(tmp_path / out / "labels.npz").labels for out in "to"]
    assert (labels[0] == labels[1]).mean() > 0.9999
