"""The command line as its users meet it: in a process of its own, by exit code and words."""

import json
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from occvino.cli.app import app
from occvino.cli.console import print_json
from occvino.datasets.shipped import SCENE, shipped_scene
from occvino.images.decode import jpeg_decoder
from occvino.runtime import Occupancy
from occvino.variants import variants


def occvino(*arguments, check=None):
    """Run the command; `check` is the exit code that is expected."""
    command = [sys.executable, "-c", "from occvino.cli.app import main; main()", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if check is not None:
        assert done.returncode == check, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def frame(tmp_path_factory, rig, images):
    """A folder as a deployer has it: six images and a rig."""
    folder = tmp_path_factory.mktemp("frame")
    for name, array in images.items():
        Image.fromarray(array).save(folder / f"{name}.png")
    rig.save(folder / "rig.json")
    return folder


def test_every_command_shows_an_example():
    for command in ("demo", "convert", "verify", "run", "info", "synth", "doctor", "train", "eval", "bench"):
        assert f"Example: occvino {command}" in occvino(command, "--help", check=0).stdout


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


def test_convert_with_a_crop_says_so(tmp_path):
    occvino("convert", "occvino-nano", "--out", tmp_path / "n", "--crop", "40", "--image-size", "240x352", check=0)
    done = occvino("info", tmp_path / "n", check=0)
    assert "40 rows of the resized image are cut from the top" in " ".join(done.stdout.split())
    wrong = occvino("convert", "occvino-nano", "--out", tmp_path / "m", "--crop", "bottom", check=2)
    assert "crop 'bottom' is none: expected top, middle, or how many rows" in wrong.stderr


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


def test_a_checkpoint_is_described(tmp_path):
    from occvino.networks.checkpoint import shipped_weights

    weights = shipped_weights("occvino-nano")
    assert "fits occvino-nano" in occvino("info", weights, check=0).stdout
    found = json.loads(occvino("info", weights, "--json", check=0).stdout)
    assert (found["container"], found["fits"], found["nearest"]) == ("safetensors", ["occvino-nano"], None)
    (tmp_path / "x.pth").write_bytes(b"<html>")
    assert "is a web page" in occvino("info", tmp_path / "x.pth", check=2).stderr


def test_a_checkpoint_is_described_only_where_torch_is():
    code = "import sys; sys.modules['torch'] = None; from occvino.cli.app import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "info", "x.pth"], capture_output=True, text=True)
    assert done.returncode == 2
    assert 'pip install "occvino[convert]"' in done.stderr


def test_printed_json_holds_no_number_that_json_has_not(capsys):
    print_json({"a": float("nan"), "b": [1.5, float("inf")], "c": {"d": (float("-inf"), None, "x")}})
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "a": None,
        "b": [1.5, None],
        "c": {"d": [None, None, "x"]},
    }


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


def test_verify_on_a_made_up_scene_passes_and_prints_the_taps(fresh):
    done = occvino("verify", fresh.path, check=0)
    assert "agrees: every tap" in done.stdout
    for tap in ("backbone", "bev", "logits"):
        assert tap in done.stdout


def test_verify_exits_1_and_names_the_tap(fresh):
    import openvino as ov

    from tests.conversion.test_verify import rehash

    model = ov.Core().read_model(fresh.path / "model.xml")
    softmax = next(op for op in model.get_ops() if op.get_type_name() == "Softmax")
    softmax.input(0).replace_source_output(
        ov.opset8.multiply(softmax.input_value(0), ov.opset8.constant(np.float32(2))).output(0)
    )
    ov.save_model(model, fresh.path / "new.xml", compress_to_fp16=False)
    for suffix in ("xml", "bin"):
        (fresh.path / f"new.{suffix}").replace(fresh.path / f"model.{suffix}")
    rehash(fresh)
    done = occvino("verify", fresh.path, check=1)
    assert "parts from PyTorch first at depth (IR)" in done.stdout


def test_info_lists_models_and_describes_an_artifact(nano):
    rows = json.loads(occvino("info", "--json", check=0).stdout)
    assert tuple(row["name"] for row in rows) == variants()
    assert "not measured here" in " ".join(occvino("info", check=0).stdout.split())
    told = " ".join(occvino("info", "panoptic-flashocc-r50-depth-tiny-pano", check=0).stdout.split())
    for words in ("million", "GFLOPs", "29.14", "34.81", "12.90", "README", "verified:", "cameras", "peak memory"):
        assert words in told
    assert json.loads(occvino("info", "flashocc-r50-M0", "--json", check=0).stdout)["gflops"] == 306.6
    described = occvino("info", nano.path, check=0).stdout
    assert "random_seed 0" in described
    assert "not measured yet" in described
    assert json.loads(occvino("info", nano.path, "--json", check=0).stdout)["variant"] == "occvino-nano"


def test_npu_is_a_rule_check_and_says_so(nano):
    done = occvino("info", nano.path, "--device", "NPU", check=0)
    assert "neither an NPU nor its compiler was used" in done.stdout
    check = json.loads(occvino("info", nano.path, "--device", "NPU", "--json", check=0).stdout)
    assert check["ok"] is True
    assert check["operators"]["EmbeddingBagOffsetsSum-3"] == 1
    occvino("info", nano.path, "--device", "GPU", check=2)


def test_npu_rules_find_what_an_npu_would_not_take(tmp_path):
    import openvino as ov

    from occvino.runtime.npu_rules import check_npu_rules

    value = ov.opset8.parameter([1, 2, 2, 4, 4, 4], np.float32, name="wide")
    wide = ov.opset8.reduce_sum(value, np.array([1]), False)
    scatter = ov.opset15.scatter_nd_update(
        ov.opset8.constant(np.zeros((4, 2), np.float32)),
        ov.opset8.constant(np.zeros((1, 1), np.int32)),
        ov.opset8.constant(np.ones((1, 2), np.float32)),
        reduction="sum",
    )
    free = ov.opset8.parameter([-1, 3], np.float32)
    model = ov.Model([wide.output(0), scatter.output(0), ov.opset8.relu(free).output(0)], [value, free])
    ov.save_model(model, tmp_path / "m.xml")
    check = check_npu_rules(tmp_path / "m.xml")
    assert not check.ok
    assert "ScatterNDUpdate-15" in check.refused[0]
    assert "unsupported reduction type" in check.refused[0]
    assert check.rank == ("wide of rank 6",)
    assert check.unbounded


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("convert", "flashocc-r50-M0", "--out", "x"),
            "no weights of flashocc-r50-M0 ship with occvino",
        ),
        (
            ("convert", "occvino-nano", "--out", "x", "--random-weights", "--checkpoint", "w.pth"),
            "--checkpoint and --random-weights contradict each other",
        ),
        (
            ("convert", "occvino-nano", "--out", "x", "--image-size", "network", "--image-layout", "bgr"),
            "--image-layout bgr needs raw images of one size",
        ),
        (("demo", "--out", "x", "--frame", "3"), "there is no frame 3: the scene that ships inside has frames 0 to 2"),
        (
            ("convert", "flashocc-r50-m2", "--out", "x", "--random-weights"),
            "no variant is called 'flashocc-r50-m2': did you mean flashocc-r50",
        ),
        (("convert", "paint", "--out", "x", "--random-weights"), "no variant is called 'paint': choose one of"),
        (
            ("convert", "occvino-nano", "--out", "x", "--random-weights", "--image-size", "1600x900"),
            "image size 1600x900: HEIGHTxWIDTH is expected: did you mean 900x1600?",
        ),
        (
            ("convert", "occvino-nano", "--out", "x", "--random-weights", "--precision", "bf16"),
            "not one of fp32, fp16, int8, in which weights are stored: bf16 is what a device computes in",
        ),
        (
            ("run", "nowhere", "--images", ".", "--out", "x", "--precision", "int8"),
            "int8 is a property of the artifact: convert with --precision int8",
        ),
        (("info", "flashocc_r50_m0x"), "nor a model: did you mean flashocc-r50-M0? `occvino info` lists the models"),
        (("verify", "nowhere"), "nowhere is not an artifact"),
        (("run", "w.pth", "--images", ".", "--out", "x", "--torch", "cpu"), "--torch and --variant belong together"),
        (("run", "nowhere", "--images", ".", "--out", "x"), "nowhere is not an artifact"),
        (("info", "nowhere"), "nowhere is not an artifact"),
        (("bench", "nowhere"), "nowhere is not an artifact"),
        (("bench", "nowhere", "--stage", "pool"), "expected NAME=DEVICE, each name once"),
        (("paint",), "No such command"),
    ],
)
def test_wrong_use_exits_2_with_one_readable_message(arguments, words):
    done = occvino(*arguments, check=2)
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_an_artifact_takes_raw_images_of_the_rig_or_of_nuscenes(frame, tmp_path):
    """Converted on the command line; verified on the scene that ships inside, enlarged, and on the rig's own."""
    for name, options, size in (("a", (), "900x1600"), ("b", ("--rig", frame / "rig.json"), "198x352")):
        done = occvino("convert", "occvino-nano", *options, "--out", tmp_path / name, check=0)
        assert f"takes raw images of {size} rgb" in " ".join(done.stdout.split())
        own = ("--images", frame, "--rig", frame / "rig.json") if options else ()
        report = json.loads(occvino("verify", tmp_path / name, *own, "--json", check=0).stdout)
        assert report["ok"]
        assert report["resized"]["levels"] <= 1
    refused = occvino("verify", tmp_path / "a", "--images", frame, "--rig", frame / "rig.json", check=2).stderr
    assert "convert again with --rig" in " ".join(refused.split())
    done = occvino("convert", "occvino-nano", "--image-size", "network", "--out", tmp_path / "c", check=0)
    assert "takes images resized by Pillow" in " ".join(done.stdout.split())


def test_paths_are_printed_as_they_are(tmp_path):
    """What rich would take for markup, and longer than a terminal is wide."""
    name = "a[/b][bold]" + "x" * 90
    assert f"{name} is not an artifact" in occvino("info", tmp_path / name, check=2).stderr


def test_a_missing_extra_says_what_to_install(nano, tmp_path):
    code = "import sys\nsys.modules['onnx'] = None\nfrom occvino.cli.app import main\nmain()"
    arguments = ["convert", "occvino-nano", "--random-weights", "--out", str(tmp_path / "o")]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert 'pip install "occvino[convert]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_version():
    import occvino as package

    assert occvino("--version", check=0).stdout.startswith(f"occvino {package.__version__}, OpenVINO 20")


def test_bad_frames_exit_2_and_write_nothing(nano, frame, tmp_path):
    (tmp_path / "empty").mkdir()
    done = occvino(
        "run", nano.path, "--images", tmp_path / "empty", "--rig", frame / "rig.json", "--out", tmp_path / "o", check=2
    )
    assert "image not found: CAM_FRONT_LEFT.jpg" in " ".join(done.stderr.split())
    assert not (tmp_path / "o").exists()


def test_cuda_where_there_is_none_is_refused(frame, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    arguments = ("--variant", "occvino-nano", "--torch", "cuda", "--images", frame, "--rig", frame / "rig.json")
    done = occvino("run", "w.pth", *arguments, "--out", tmp_path / "o", check=2)
    assert "finds no CUDA device here: use --torch cpu" in " ".join(done.stderr.split())


def test_demo_writes_what_it_says(tmp_path):
    done = occvino("demo", "--out", tmp_path / "demo", check=0)
    assert "agrees: every tap" in done.stdout
    assert "mIoU of this frame" in done.stdout
    written = {path.name for path in (tmp_path / "demo").iterdir()}
    assert written == {"artifact", "labels.npz", "rig.json", "demo.png", "demo.html"}
