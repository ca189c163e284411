"""The command line as its users meet it: in a process of its own, by exit code and words."""

import json
import subprocess
import sys

import numpy as np
import pytest

from occvino.cli.console import print_json
from occvino.variants import variants
from tests.cli.command import occvino


def test_every_command_shows_an_example():
    for command in ("demo", "convert", "verify", "run", "info", "synth", "doctor", "train", "eval", "bench"):
        assert f"Example: occvino {command}" in occvino(command, "--help", check=0).stdout


@pytest.mark.slow
def test_convert_with_a_crop_says_so(tmp_path):
    occvino("convert", "occvino-nano", "--out", tmp_path / "n", "--crop", "40", "--image-size", "240x352", check=0)
    done = occvino("info", tmp_path / "n", check=0)
    assert "40 rows of the resized image are cut from the top" in " ".join(done.stdout.split())
    wrong = occvino("convert", "occvino-nano", "--out", tmp_path / "m", "--crop", "bottom", check=2)
    assert "crop 'bottom' is none: expected top, middle, or how many rows" in wrong.stderr


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


@pytest.mark.slow
def test_verify_on_a_made_up_scene_passes_and_prints_the_taps(fresh):
    done = occvino("verify", fresh.path, check=0)
    assert "agrees: every tap" in done.stdout
    for tap in ("backbone", "bev", "logits"):
        assert tap in done.stdout


@pytest.mark.slow
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


@pytest.mark.slow
def test_demo_writes_what_it_says(tmp_path):
    done = occvino("demo", "--out", tmp_path / "demo", check=0)
    assert "agrees: every tap" in done.stdout
    assert "mIoU of this frame" in done.stdout
    written = {path.name for path in (tmp_path / "demo").iterdir()}
    assert written == {"artifact", "labels.npz", "rig.json", "demo.png", "demo.html"}
