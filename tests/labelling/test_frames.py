"""Frames of a folder: their order, their past frames, scenes and times."""

import json

import numpy as np
import pytest
from PIL import Image

from occvino.errors import RigError
from occvino.labelling.frames import frames_of_folders, in_order
from occvino.labelling.resume import label
from occvino.labelling.stored import Stored
from occvino.runtime import Frame, Occupancy, Pipeline
from tests.converted import converted
from tests.sequences import sequence
from tests.small import known


@pytest.fixture
def folder(tmp_path):
    """Frames "8" to "11" of a small scene, half a second apart."""
    for index, (images, rig) in enumerate(sequence(4)):
        place = tmp_path / "scene" / str(8 + index)
        rig.save(place / "rig.json")
        tell(place, time=0.5 * index, scene="monday")
        for name, image in images.items():
            Image.fromarray(image).save(place / f"{name}.png")
    return tmp_path / "scene"


def tell(place, **words):
    path = place / "rig.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **words}))


def given(folder, **options):
    names, frames = frames_of_folders(folder, **options)
    return dict(zip(names, frames, strict=True))


def past(frame):
    return [images.name for images, _ in frame.past]


def test_numbers_in_names_count_as_numbers():
    assert sorted(["10", "9", "a10b", "a9c", "a", ""], key=in_order) == ["", "9", "10", "a", "a9c", "a10b"]


def test_a_network_of_several_frames_is_given_past_frames_newest_first(folder):
    found = given(folder, takes=3)
    assert list(found) == ["8", "9", "10", "11"]
    assert list(map(past, found.values())) == [[], ["8"], ["9", "8"], ["10", "9"]]
    assert [past(frame) for frame in given(folder).values()] == [[], [], [], []]


def test_what_remembers_is_told_scene_and_time_instead(folder):
    found = given(folder, takes=3, remembers=True)
    assert [(past(frame), frame.scene, frame.time) for frame in found.values()] == [
        ([], "monday", 0.5 * index) for index in range(4)
    ]


def test_the_past_ends_with_its_scene_and_has_no_frame_without_a_rig(folder):
    tell(folder / "9", scene=7)
    tell(folder / "11", scene="tuesday")
    found = given(folder, takes=3)
    assert isinstance(found["9"], RigError)
    assert '"scene" is 7, expected a name' in str(found["9"])
    assert (past(found["10"]), past(found["11"])) == (["8"], [])
    tell(folder / "8", time="noon")
    assert "\"time\" is 'noon', expected seconds" in str(given(folder)["8"])


def test_that_no_time_is_told_is_said_once(folder):
    for place in folder.iterdir():
        tell(place, time=None)
    with pytest.warns(UserWarning, match="missing frames go unnoticed") as said:
        assert len(given(folder, takes=3, remembers=True)) == 4
    assert len(said) == 1


@pytest.mark.slow
@pytest.mark.parametrize("temporal", ["batch", "exact"])
def test_labels_are_those_of_calls_that_are_given_the_past(folder, tmp_path, temporal):
    with known():
        artifact = converted("small-4d", None, tmp_path / "a", precision="fp32", cameras=2, temporal=temporal)
        pipeline = Pipeline(artifact, precision="f32")
        takes, remembers = artifact.variant.frames, pipeline.memory is not None
        names, frames = frames_of_folders(folder, takes=takes, remembers=remembers)
        stored = Stored(tmp_path / "o", {}, stamp="run.json", alone=False)
        assert not [done.error for done in label(pipeline, names, frames, stored) if done.error]
        for frame in given(folder, takes=takes).values():
            assert isinstance(frame, Frame)
            expected = Pipeline(artifact, precision="f32")(frame.images, frame.rig, frame.past).labels
            found = Occupancy.load(tmp_path / "o" / frame.images.name / "labels.npz").labels
            np.testing.assert_array_equal(found, expected)
