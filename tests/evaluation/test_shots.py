"""A folder of moments as shots: their order, what each knows of the past, scenes and times."""

import json

import numpy as np
import pytest
from PIL import Image

from occvino.cli.run import label
from occvino.conversion import convert
from occvino.errors import RigError
from occvino.evaluation.shots import in_order, shots_of_folders
from occvino.runtime import Occupancy, Pipeline, Shot
from tests.drives import drive
from tests.small import known


@pytest.fixture
def folder(tmp_path):
    """Moments "8" to "11" of a small drive, half a second apart."""
    moments = drive(4)
    for index, (frames, rig) in enumerate(moments):
        place = tmp_path / "drive" / str(8 + index)
        rig.save(place / "rig.json")
        tell(place, time=0.5 * index, scene="monday")
        for name, picture in frames.items():
            Image.fromarray(picture).save(place / f"{name}.png")
    return tmp_path / "drive"


def tell(place, **words):
    path = place / "rig.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **words}))


def given(folder, **options):
    names, shots = shots_of_folders(folder, **options)
    return dict(zip(names, shots, strict=True))


def past(shot):
    return [frames.name for frames, _ in shot.past]


def test_numbers_in_names_count_as_numbers():
    assert sorted(["10", "9", "a10b", "a9c", "a", ""], key=in_order) == ["", "9", "10", "a", "a9c", "a10b"]


def test_a_network_of_several_frames_is_given_those_before_newest_first(folder):
    found = given(folder, frames=3)
    assert list(found) == ["8", "9", "10", "11"]
    assert list(map(past, found.values())) == [[], ["8"], ["9", "8"], ["10", "9"]]
    assert [past(shot) for shot in given(folder).values()] == [[], [], [], []]


def test_what_remembers_is_told_scene_and_time_instead(folder):
    found = given(folder, frames=3, remembers=True)
    assert [(past(shot), shot.scene, shot.time) for shot in found.values()] == [
        ([], "monday", 0.5 * index) for index in range(4)
    ]


def test_the_past_ends_with_its_scene_and_has_no_moment_without_a_rig(folder):
    tell(folder / "9", scene=7)
    tell(folder / "11", scene="tuesday")
    found = given(folder, frames=3)
    assert isinstance(found["9"], RigError)
    assert '"scene" is 7, a name is expected' in str(found["9"])
    assert (past(found["10"]), past(found["11"])) == (["8"], [])
    tell(folder / "8", time="noon")
    assert "\"time\" is 'noon', seconds are expected" in str(given(folder)["8"])


def test_that_no_time_is_told_is_said_once(folder):
    for place in folder.iterdir():
        tell(place, time=None)
    with pytest.warns(UserWarning, match="moments that are missing go unnoticed") as said:
        assert len(given(folder, frames=3, remembers=True)) == 4
    assert len(said) == 1


@pytest.mark.parametrize("temporal", ["batch", "exact"])
def test_labels_are_those_of_calls_that_are_given_the_past(folder, tmp_path, temporal):
    with known():
        artifact = convert("small-4d", None, tmp_path / "a", precision="fp32", cameras=2, temporal=temporal)
        pipeline = Pipeline(artifact, precision="f32")
        frames, remembers = artifact.variant.frames, pipeline.memory is not None
        names, shots = shots_of_folders(folder, frames=frames, remembers=remembers)
        assert not [done.error for done in label(pipeline, names, shots, tmp_path / "o") if done.error]
        for shot in given(folder, frames=frames).values():
            assert isinstance(shot, Shot)
            expected = Pipeline(artifact, precision="f32")(shot.frames, shot.rig, shot.past).labels
            found = Occupancy.load(tmp_path / "o" / shot.frames.name / "labels.npz").labels
            np.testing.assert_array_equal(found, expected)
