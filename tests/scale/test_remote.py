"""A data set that is read where it is, by fsspec."""

import fsspec
import pytest

from occvino.datasets.fields import DatasetError
from occvino.datasets.nuscenes import NuScenes
from occvino.errors import FrameError, OccvinoError
from occvino.runtime import Frame
from occvino.scale.batch import Batch
from occvino.scale.manifest import read_manifest
from occvino.scale.remote import Remote, fetched, opened_at
from occvino.scale.work import Setup
from occvino.scale.worker import Worker, run_here
from tests.scale.sets import batch, files, names

pytestmark = pytest.mark.slow


@pytest.fixture
def in_memory(four_scenes):
    """The set in fsspec's own memory, and what is left of it at the end is gone."""
    system = fsspec.filesystem("memory")
    system.put(str(four_scenes), "/archive/nuscenes", recursive=True)
    yield system
    system.rm("/archive", recursive=True)


def label(network, url, out):
    worker = Worker(Setup(network, "npz", {"precision": "fp32"}))
    with opened_at(url, None, None) as source:
        run = Batch(source, worker.pipeline.artifact, out, {})
        tally = run.begin()
        list(run.run(run_here(worker, run.units())))
        run.close()
    return tally, read_manifest(out)


def test_a_set_in_memory_has_the_labels_of_the_same_on_disk(network, in_memory, whole, tmp_path):
    tally, found = label(network, "memory://archive/nuscenes", tmp_path / "o")
    assert (tally.kept, tally.done) == (0, 12)
    assert {name: entry.sha256 for name, entry in found.items()} == {
        name: entry.sha256 for name, entry in read_manifest(whole).items()
    }
    assert label(network, "memory://archive/nuscenes/", tmp_path / "o")[0].kept == 12
    image = next(name for name in in_memory.find("/archive/nuscenes/samples/CAM_BACK") if "/2-" in name)
    in_memory.pipe_file(image, b"no image")
    with pytest.warns(UserWarning, match="1 frames are not what the labels"):
        tally, found = label(network, "memory://archive/nuscenes", tmp_path / "o")
    assert (tally.kept, tally.done, tally.failed) == (11, 0, 1)
    in_memory.rm(image)
    tally, found = label(network, "memory://archive/nuscenes", tmp_path / "o")
    ((_, error),) = tally.failures
    assert error.startswith("file not found: memory://archive/nuscenes/samples/CAM_BACK/2-")


def test_a_file_url_on_the_command_line(network, four_scenes, whole, tmp_path):
    printed = batch(network, f"file://{four_scenes}", tmp_path / "o", "--precision", "fp32")
    assert "12 of 12 frames labelled" in printed
    assert {name: entry.sha256 for name, entry in read_manifest(tmp_path / "o").items()} == {
        name: entry.sha256 for name, entry in read_manifest(whole).items()
    }
    assert files(tmp_path / "o").keys() == files(whole).keys()


def test_what_cannot_be_read_is_told(in_memory):
    with pytest.raises(DatasetError, match="cannot list memory://nowhere"), opened_at("memory://nowhere", None, None):
        pass
    with (
        pytest.raises(DatasetError, match=r"the table memory://archive/nuscenes/v1\.0-mini/scene\.json is missing"),
        opened_at("memory://archive/nuscenes", "v1.0-mini", None),
    ):
        pass
    in_memory.rm("/archive/nuscenes/v1.0-synth/sample.json")
    with (
        pytest.raises(DatasetError, match=r"sample\.json is missing"),
        opened_at("memory://archive/nuscenes", None, None),
    ):
        pass
    with pytest.raises(OccvinoError, match="cannot open abc://x"), opened_at("abc://x", None, None):
        pass


def test_frames_are_fetched_in_order_and_one_that_is_missing_is_its_error():
    system = fsspec.filesystem("memory")
    for number in range(20):
        system.pipe_file(f"/fetched/{number}", bytes([number]))
    past = [({"a": Remote("memory://fetched/0")}, None)]
    frames = [Frame({"a": Remote(f"memory://fetched/{number}")}, None, past) for number in range(21)]
    frames[5] = FrameError("as it was")
    frames[7] = Frame({"a": b"here"})
    found = list(fetched(frames))
    assert found[5] is frames[5]
    assert found[7] is frames[7]
    assert str(found[20]) == "file not found: memory://fetched/20"
    assert [found[number].images["a"] for number in range(20) if number not in (5, 7)] == [
        bytes([number]) for number in range(20) if number not in (5, 7)
    ]
    assert found[3].past[0][0] == {"a": b"\0"}
    system.rm("/fetched", recursive=True)


def test_names_of_both_are_alike(in_memory, four_scenes):
    with opened_at("memory://archive/nuscenes", None, None) as source:
        assert [f"{frame.scene}/{frame.token}" for frame in source.dataset] == names(four_scenes)
        assert len(source.dataset) == len(NuScenes(four_scenes))
