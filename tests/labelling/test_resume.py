"""Stored labels know what they were made of."""

import json
import os
import shutil

import numpy as np
import pytest

from occvino.datasets.nuscenes import NuScenes
from occvino.datasets.shipped import SCENE
from occvino.evaluation.predictions import Predictions
from occvino.files import OutputError
from occvino.labelling.frames import frames_of_folders
from occvino.labelling.resume import label
from occvino.labelling.stored import Stored, marked, same_frame
from occvino.runtime import Occupancy, Pipeline
from tests.converted import converted
from tests.labelling.test_frames import folder, tell  # noqa: F401  # a fixture
from tests.small import known


@pytest.fixture
def scene(tmp_path):
    """A copy of the shipped scene that a test may alter."""
    return shutil.copytree(SCENE, tmp_path / "scene")


class Counts:
    """A labeller that gives the number of its call and the frames it was asked for."""

    def __init__(self, value):
        self.value, self.asked = value, []

    def __call__(self, images, rig, past):
        self.asked.append(next(iter(images.values())).name)
        self.labels, self.instances = np.full((200, 200, 16), self.value, np.uint8), None
        return self


def fill(out, root, value, **options):
    """Frames that were labelled, and the label of each frame on disk."""
    dataset, labeller, predictions = NuScenes(root), Counts(value), Predictions(out, {"by": "a test"})
    frames = list(predictions.fill(dataset, range(3), labeller, **options))
    names = [frame.images[0].name for frame in frames]
    return [names.index(name) for name in labeller.asked], [int(predictions.load(frame).flat[0]) for frame in frames]


def test_only_what_changed_is_labelled_anew_and_told(scene, tmp_path):
    out = tmp_path / "o"
    assert fill(out, scene, 1) == ([0, 1, 2], [1, 1, 1])
    assert fill(out, scene, 2) == ([], [1, 1, 1])
    moved = shutil.copytree(scene, tmp_path / "moved")  # with its times
    assert fill(out, moved, 2) == ([], [1, 1, 1])
    image = NuScenes(scene)[1].images[3]
    image.write_bytes(image.read_bytes() + b"\0")
    token = NuScenes(scene)[1].token
    with pytest.warns(UserWarning, match=rf"1 frames are not what the labels .* made of \(first: scene-0001/{token}\)"):
        assert fill(out, scene, 3) == ([1], [1, 3, 1])


def test_another_calibration_makes_all_labels_anew(scene, tmp_path):
    """The fault: labels of the old calibration were scored against the new data set."""
    fill(tmp_path / "o", scene, 1)
    path = next(scene.glob("v1.0-*")) / "calibrated_sensor.json"
    sensors = json.loads(path.read_text())
    for sensor in sensors:
        sensor["translation"][2] += 0.5
    path.write_text(json.dumps(sensors))
    with pytest.warns(UserWarning, match="3 frames are not what the labels"):
        assert fill(tmp_path / "o", scene, 2) == ([0, 1, 2], [2, 2, 2])


def test_labels_follow_from_past_frames_too(scene, tmp_path):
    fill(tmp_path / "o", scene, 1, takes=2)
    image = NuScenes(scene)[0].images[0]
    os.utime(image, ns=(0, 0))
    with pytest.warns(UserWarning, match="2 frames are not what the labels"):
        assert fill(tmp_path / "o", scene, 2, takes=2) == ([0, 1], [2, 2, 1])


def test_by_content_the_time_of_a_file_does_not_count(scene, tmp_path):
    fill(tmp_path / "o", scene, 1, contents=True)
    image = NuScenes(scene)[0].images[0]
    os.utime(image, ns=(0, 0))
    assert fill(tmp_path / "o", scene, 2, contents=True) == ([], [1, 1, 1])
    told = image.stat()
    changed = bytearray(image.read_bytes())
    changed[-10] ^= 255
    image.write_bytes(changed)
    os.utime(image, ns=(told.st_atime_ns, told.st_mtime_ns))
    with pytest.warns(UserWarning, match="1 frames"):
        assert fill(tmp_path / "o", scene, 2, contents=True) == ([0], [2, 1, 1])


@pytest.mark.parametrize("damage", [lambda raw: raw[:-30], lambda raw: b"", lambda raw: raw[:100] + b"x" + raw[101:]])
def test_a_damaged_file_is_made_anew(scene, tmp_path, damage):
    fill(tmp_path / "o", scene, 1)
    frame = NuScenes(scene)[2]
    path = tmp_path / "o" / frame.scene / frame.token / "labels.npz"
    path.write_bytes(damage(path.read_bytes()))
    assert fill(tmp_path / "o", scene, 2) == ([2], [1, 1, 2])


@pytest.mark.parametrize("text", ['{"format": 2, "by"', "[]", "", "\xff"])
def test_a_damaged_stamp_is_refused_with_the_fix(tmp_path, text):
    Predictions(tmp_path / "o", {})
    (tmp_path / "o" / "eval.json").write_text(text, encoding="latin-1")
    with pytest.raises(OutputError, match=r"eval\.json is damaged \(.*\), so nothing says .*: delete .*, or choose an"):
        Predictions(tmp_path / "o", {})


def test_labels_of_others_are_not_replaced(scene, tmp_path):
    fill(tmp_path / "o", scene, 1)
    with pytest.raises(OutputError, match=r"holds labels of another command, which eval\.json tells of"):
        Stored(tmp_path / "o", {}, stamp="run.json", alone=False)
    truth = NuScenes(scene)[0].labels
    stored = Stored(tmp_path / "run", {}, stamp="run.json", alone=False)
    with pytest.raises(OutputError, match=r"labels\.npz was not written by occvino and would be replaced"):
        stored.keeps("0", truth, "occvino frame x")


def test_labels_of_a_release_that_did_not_know_its_data_are_refused(tmp_path):
    (tmp_path / "eval.json").write_text('{"by": "a test"}')
    with pytest.raises(OutputError, match="holds labels of another release of occvino"):
        Predictions(tmp_path, {"by": "a test"})


def test_a_comparison_tells_labels_of_other_frames(scene, tmp_path):
    fill(tmp_path / "a", scene, 1)
    fill(tmp_path / "b", scene, 1, takes=2)
    os.utime(NuScenes(scene)[0].images[0], ns=(0, 0))
    fill(tmp_path / "c", scene, 1)
    fill(tmp_path / "d", scene, 1, contents=True)
    paths = {name: sorted((tmp_path / name).rglob("labels.npz")) for name in "abcd"}
    for name, others in (("b", 0), ("c", 1), ("d", 0)):  # those of "d" do not say the same thing
        assert sum(not same_frame(*map(marked, pair)) for pair in zip(paths["a"], paths[name], strict=True)) == others


@pytest.mark.slow
@pytest.mark.parametrize("form", ["small-4d exact", "small-4d batch", "small-stereo exact"])
def test_a_sequence_that_was_interrupted_gives_the_labels_of_one_that_was_not(folder, tmp_path, form):  # noqa: F811
    name, temporal = form.split()
    tell(folder / "10", time=60.0)  # a cut, which must be one for those that go on there, too
    tell(folder / "11", time=60.5)
    with known():
        artifact = converted(name, None, tmp_path / "a", precision="fp32", cameras=2, temporal=temporal)

        def run(out):
            pipeline = Pipeline(artifact, precision="f32")
            takes, remembers = artifact.variant.frames, pipeline.memory is not None
            names, frames = frames_of_folders(folder, takes=takes, remembers=remembers)
            stored = Stored(out, {}, stamp="run.json", alone=False)
            done = list(label(pipeline, names, frames, stored))
            assert [each.name for each in done] == ["8", "9", "10", "11"]
            return [each.name for each in done if not each.kept], {
                each.name: Occupancy.load(out / each.name / "labels.npz").labels for each in done
            }

        ran, whole = run(tmp_path / "whole")
        assert ran == ["8", "9", "10", "11"]
        for gone in (["11"], ["9", "11"], ["10"], ["8"]):
            out = shutil.copytree(tmp_path / "whole", tmp_path / "-".join(gone))
            for each in gone:
                (out / each / "labels.npz").unlink()
            ran, found = run(out)
            assert ran == gone
            for each, labels in whole.items():
                np.testing.assert_array_equal(found[each], labels)
