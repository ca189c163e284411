"""Evaluation on the scene that ships inside, with the model that ships inside."""

import json
import shutil
import zlib
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.baseline import best_constant
from occvino.conversion import convert
from occvino.datasets.occ3d import Occ3DLabels
from occvino.datasets.shipped import SCENE, shipped_scene
from occvino.errors import OccvinoError
from occvino.evaluation.engines import load_engine
from occvino.evaluation.predictions import Predictions, load_labels
from occvino.evaluation.score import score
from occvino.files import OutputError
from occvino.metrics import MIoU
from occvino.metrics.ray_pq import THINGS
from occvino.networks.checkpoint import shipped_weights
from occvino.runtime.panoptic import FIRST_ID
from occvino.variant import OCC3D_CLASSES
from tests.cli.command import occvino
from tests.converted import converted

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The shipped model as an artifact."""
    folder = tmp_path_factory.mktemp("trained") / "nano"
    return converted("occvino-nano", shipped_weights("occvino-nano"), folder, precision="fp32")


@pytest.fixture(scope="module")
def labels(trained, tmp_path_factory):
    """Its labels by PyTorch, ONNX Runtime and the IR, by engine."""
    folders = {}
    for engine in ("torch", "onnxruntime", "openvino"):
        precision = "f32" if engine == "openvino" else None
        label, runs_on = load_engine(engine, trained, device="CPU", precision=precision, checkpoint=None)
        predictions = Predictions(tmp_path_factory.mktemp("labels") / engine, {"runs_on": runs_on})
        assert len(list(predictions.fill(shipped_scene(), range(3), label))) == 3
        folders[engine] = predictions
    return folders


def test_an_evaluation_may_go_on_with_another_jpeg_decoder(trained, monkeypatch):
    """Its folder remembers in words what it ran on, and pixels do not depend on the decoder."""
    options = {"device": "CPU", "precision": "f32", "checkpoint": None}
    _, before = load_engine("openvino", trained, **options)
    monkeypatch.setattr("occvino.images.decode.simplejpeg", None)
    assert load_engine("openvino", trained, **options)[1] == before


def test_the_three_forms_label_alike(labels):
    scene = shipped_scene()
    for engine in ("onnxruntime", "openvino"):
        found = score(labels[engine], scene, range(3), against=labels["torch"].folder)
        assert found.equal_labels > 0.9999


def test_the_trained_model_beats_what_no_image_is_needed_for(labels):
    """Against a baseline fitted to the truth of these very frames, which makes the bar higher than it should be."""
    scene = shipped_scene()
    constant, _, _ = best_constant(scene, list(scene), occ3d_grid(), masked=True)
    assert score(labels["openvino"], scene, range(3)).miou > 2 * constant


def occ3d_grid():
    from occvino.variants import get_variant

    return get_variant("occvino-nano").occupancy_grid


@pytest.mark.parametrize("masked", [True, False])
def test_the_score_is_the_metric_of_the_labels_on_disk(labels, masked):
    scene, metric = shipped_scene(), MIoU("camera" if masked else None)
    for frame in scene:
        truth = frame.load_labels()
        metric.update(load_labels(labels["torch"].path(frame)), truth.semantics, truth.mask_camera)
    found = score(labels["torch"], scene, range(3), masked=masked)
    assert found.miou == metric.compute()
    assert found.frames == 3
    assert sum(found.voxels.values()) == metric.confusion.sum()


class Told:
    """An engine that knows the answer of the frame it is asked next, and gives the objects in it `ids`, if that is."""

    def __init__(self, ids=None):
        self.order, self.ids = iter(shipped_scene()), ids

    def __call__(self, frames, rig, past):
        truth = next(self.order).load_labels()
        self.labels = truth.semantics
        self.instances = None
        if self.ids is not None:
            things = np.isin(truth.semantics, [OCC3D_CLASSES.index(name) for name in THINGS])
            self.instances = np.where(things, self.ids(truth.instances), truth.semantics).astype(np.uint16)
        return self


def test_perfect_labels_score_one(tmp_path):
    predictions = Predictions(tmp_path / "perfect", {"runs_on": "the truth"})
    list(predictions.fill(shipped_scene(), range(3), Told()))
    found = score(predictions, shipped_scene(), range(3), masked=False, rays=True)
    assert found.miou == 1.0
    assert found.rays["RayIoU@1"] == 1.0
    assert "RayPQ" not in found.rays


def test_figures_of_nothing_are_an_error_and_other_numbering_a_warning(tmp_path, monkeypatch):
    predictions = Predictions(tmp_path / "perfect", {"runs_on": "the truth"})
    list(predictions.fill(shipped_scene(), range(3), Told()))
    load = Occ3DLabels.load

    def unseen(path):
        truth = load(path)
        return replace(truth, mask_camera=np.zeros_like(truth.mask_camera))

    def turned(path):
        truth = load(path)
        return replace(truth, semantics=((truth.semantics + 1) % 18).astype(np.uint8))

    monkeypatch.setattr(Occ3DLabels, "load", unseen)
    with pytest.raises(OccvinoError, match=r"mIoU is not a number: over 3 frames 0 voxels were counted.*camera masks"):
        score(predictions, shipped_scene(), range(3))
    monkeypatch.setattr(Occ3DLabels, "load", turned)
    with pytest.warns(UserWarning, match=r"of the ground truth is others \(0\) and .* is free \(17\): are its classes"):
        score(predictions, shipped_scene(), range(3))


def test_a_data_set_without_lidar_is_evaluated(trained, tmp_path):
    own = shutil.copytree(SCENE, tmp_path / "own")
    path = own / "v1.0-synth" / "sample_data.json"
    path.write_text(json.dumps([r for r in json.loads(path.read_text()) if "LIDAR" not in r["filename"]]))
    common = ("eval", trained.path, "--precision", "f32", "--limit", 1, "--json")
    figures = [
        json.loads(occvino(*common, "--dataset", root, "--out", tmp_path / name, check=0).stdout)["miou"]
        for name, root in (("with", SCENE), ("without", own))
    ]
    assert figures[0] == figures[1]
    refused = occvino(*common, "--dataset", own, "--out", tmp_path / "rays", "--rays", check=2)
    assert "has no LIDAR_TOP record, which rays (--rays)" in refused.stderr
    assert not (tmp_path / "rays").exists()


def test_instances_are_scored_where_both_sides_have_them(tmp_path, monkeypatch):
    scene, scores = shipped_scene(), {}
    for name, ids in (("right", lambda true: true + FIRST_ID), ("all one", lambda true: np.full_like(true, FIRST_ID))):
        predictions = Predictions(tmp_path / name, {"runs_on": name})
        list(predictions.fill(scene, range(3), Told(ids)))
        scores[name] = score(predictions, scene, range(3), masked=False, rays=True).rays
    assert scores["right"]["RayPQ"] == scores["right"]["RayIoU"] == 1.0
    assert scores["all one"]["RayPQ"] < 1.0
    assert scores["all one"]["RayIoU"] == 1.0

    load = Occ3DLabels.load
    monkeypatch.setattr(Occ3DLabels, "load", lambda path: replace(load(path), instances=None))
    with pytest.warns(UserWarning, match="the ground truth of 3 frames has no instance ids"):
        assert "RayPQ" not in score(predictions, scene, range(3), rays=True).rays


def test_an_interrupted_run_goes_on(labels, tmp_path):
    scene, folder = shipped_scene(), tmp_path / "labels"
    shutil.copytree(labels["torch"].folder, folder)
    predictions = Predictions(folder, {"runs_on": "PyTorch, CPU, fp32"})
    predictions.path(scene[1]).unlink()
    asked = []

    def label(frames, rig, past):
        asked.append(frames)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(predictions.fill(scene, range(3), label))
    assert [list(frames.values()) for frames in asked] == [list(scene[1].images)]
    assert not predictions.path(scene[1]).exists()


def test_labels_of_something_else_are_not_mixed_in(labels, tmp_path):
    with pytest.raises(OutputError, match=r"runs_on: PyTorch, CPU, fp32 there, a GPU now"):
        Predictions(labels["torch"].folder, {"runs_on": "a GPU"})
    (tmp_path / "mine.txt").write_text("not yours")
    with pytest.raises(OutputError, match="holds other things, and no eval.json of an earlier run"):
        Predictions(tmp_path, {"runs_on": "a GPU"})
    assert (tmp_path / "mine.txt").read_text() == "not yours"


def test_a_damaged_file_of_labels_is_named(tmp_path):
    (tmp_path / "labels.npz").write_bytes(b"PK damaged")
    with pytest.raises(OutputError, match=r"labels\.npz is not a file of labels"):
        load_labels(tmp_path / "labels.npz")


def test_a_network_of_several_frames_is_given_its_past_frames(tmp_path):
    scene, given = shipped_scene(), []

    def label(frames, rig, past):
        given.append([next(iter(frames.values())), *(next(iter(files.values())) for files, _ in past)])
        raise KeyboardInterrupt

    for index, expected in ((2, (2, 1, 0)), (0, (0, 0, 0))):  # at the start of a scene the current frame stands in
        with pytest.raises(KeyboardInterrupt):
            list(Predictions(tmp_path / str(index), {}).fill(scene, [index], label, takes=3))
        assert given[-1] == [scene[each].images[0] for each in expected]


def test_labels_on_another_grid_are_refused(tmp_path):
    class Coarse:
        labels, instances = np.zeros((100, 100, 16), np.uint8), None

    predictions = Predictions(tmp_path / "coarse", {})
    with pytest.raises(OccvinoError, match=r"shape \(100, 100, 16\), Occ3D's ground truth has \(200, 200, 16\)"):
        list(predictions.fill(shipped_scene(), range(3), lambda frames, rig, past: Coarse()))


def test_options_that_contradict_are_refused(trained, nano):
    for engine, options, message in (
        ("tensorrt", {}, "there is no engine 'tensorrt'"),
        ("torch", {"precision": "fp16"}, "device and precision are OpenVINO's"),
        ("openvino", {"checkpoint": "w.pth"}, "a checkpoint is for the engine torch"),
    ):
        with pytest.raises(OccvinoError, match=message):
            load_engine(engine, trained, **{"device": "CPU", "precision": None, "checkpoint": None, **options})
    with pytest.raises(OccvinoError, match="random weights"):
        load_engine("torch", nano, device="CPU", precision=None, checkpoint=None)


def test_the_command_prints_a_table_or_json_and_goes_on(trained, tmp_path):
    common = ("eval", trained.path, "--dataset", SCENE, "--out", tmp_path / "o", "--precision", "f32")
    table = occvino(*common, "--limit", 1, "--rays", check=0).stdout
    assert "driveable_surface" in table
    assert "mIoU" in table
    assert "RayIoU@4" in table
    found = json.loads(occvino(*common, "--unmasked", "--json", check=0).stdout)
    assert (found["frames"], found["masked"]) == (3, False)
    assert len(list((tmp_path / "o").rglob("labels.npz"))) == 3
    refused = occvino(*common[:-1], "bf16", check=2)
    assert "labels made otherwise" in refused.stderr or "bf16 was asked for" in refused.stderr


def test_a_baked_artifact_is_scored_with_its_own_calibration_and_says_so(tmp_path):
    scene = shipped_scene()
    baked = convert(
        "occvino-nano",
        shipped_weights("occvino-nano"),
        tmp_path / "baked",
        precision="fp32",
        rig=scene[0].rig,
        bake_calibration=True,
    )
    done = occvino("eval", baked.path, "--dataset", SCENE, "--out", tmp_path / "o", "--limit", 2, check=0)
    assert "The calibration is baked in" in done.stdout


class Remembers:
    """A stream whose labels tell which frames it has seen: the last three of their scene."""

    memory = object()

    def __init__(self):
        self.seen, self.scene, self.calls = [], None, []

    def __call__(self, frames, rig, past=(), *, scene, time):
        self.calls.append((next(iter(frames.values())).name, len(past), time))
        if past:
            self.seen, self.scene = [files for files, _ in reversed(past)], scene
        self.seen = [*(self.seen if scene == self.scene else []), frames]
        self.scene = scene
        names = [next(iter(files.values())).name for files in self.seen[-3:]]
        self.labels, self.instances = np.full((200, 200, 16), zlib.crc32(repr(names).encode()) % 18, np.uint8), None
        return self


def test_a_stream_is_walked_in_order_and_an_interrupted_one_gives_the_same_labels(tmp_path):
    scene, whole = shipped_scene(), Predictions(tmp_path / "whole", {})
    labeller = Remembers()
    list(whole.fill(scene, range(3), labeller, takes=3))
    assert labeller.calls == [(scene[i].images[0].name, 0, scene[i].timestamp / 1e6) for i in range(3)]
    for gone in ((2,), (1,), (0, 2), (1, 2)):
        folder = tmp_path / "-".join(map(str, gone))
        shutil.copytree(whole.folder, folder)
        resumed, labeller = Predictions(folder, {}), Remembers()
        for index in gone:
            resumed.path(scene[index]).unlink()
        list(resumed.fill(scene, range(3), labeller, takes=3))
        assert [past for _, past, _ in labeller.calls] == [i if i - 1 not in gone else 0 for i in gone]
        for frame in scene:
            np.testing.assert_array_equal(resumed.load(frame), whole.load(frame))
