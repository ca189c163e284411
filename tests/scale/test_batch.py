"""`occvino batch` in one process: what is written, what a broken frame does, and how a stopped run goes on."""

import json
import shutil
import signal

import numpy as np
import pytest

from occvino.conversion import convert
from occvino.datasets.nuscenes import NuScenes
from occvino.runtime import Occupancy, Pipeline
from occvino.scale.batch import Batch
from occvino.scale.manifest import read_manifest
from occvino.scale.source import LocalSource
from occvino.scale.work import Setup
from occvino.scale.worker import Worker
from tests.scale.sets import batch, files, interrupted, names
from tests.small import WIDE, known

pytestmark = pytest.mark.slow

EXACT = ("--precision", "fp32")


@pytest.fixture
def own(four_scenes, tmp_path):
    """A copy of the set that a test may change."""
    return shutil.copytree(four_scenes, tmp_path / "own")


def test_every_frame_has_the_labels_that_a_call_gives(network, four_scenes, whole):
    manifest, pipeline = read_manifest(whole), Pipeline(network, precision="fp32")
    assert list(manifest) == names(four_scenes)
    for frame in NuScenes(four_scenes):
        entry = manifest[f"{frame.scene}/{frame.token}"]
        assert (entry.state, entry.time) == ("done", frame.timestamp / 1e6)
        assert entry.bytes == (whole / entry.file).stat().st_size
        found, expected = Occupancy.load(whole / entry.file), pipeline(frame.image_files(), frame.rig)
        np.testing.assert_array_equal(found.labels, expected.labels)
        assert found.class_names == expected.class_names
    assert len({entry.sha256 for entry in manifest.values()}) == 12


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_was_ended_goes_on_and_gives_the_same_files(network, four_scenes, whole, tmp_path, number):
    out = tmp_path / "out"
    code, done = interrupted(network, four_scenes, out, number, *EXACT, after=3)
    assert code == (-9 if number == signal.SIGKILL else 128 + number)
    assert 3 <= done < 12
    printed = batch(network, four_scenes, out, *EXACT)
    assert "12 of 12 frames labelled" in printed
    kept = int(printed.split("labelled in", 1)[1].split(", ")[1].split()[0])
    assert done <= kept <= done + 1
    assert files(out) == files(whole)
    assert "12 of them by an earlier run" in batch(network, four_scenes, out, *EXACT)


def test_a_frame_with_a_broken_image_is_listed_and_the_run_goes_on(network, own, whole, tmp_path):
    broken = NuScenes(own)[4]
    image = broken.images[2]
    raw = image.read_bytes()
    image.write_bytes(raw[: len(raw) // 3])
    name = f"{broken.scene}/{broken.token}"
    printed = batch(network, own, tmp_path / "out", *EXACT, code=1)
    assert f"failed: {name}: {image.name} cannot be read as an image" in printed
    assert "11 of 12 frames labelled" in printed
    entry = read_manifest(tmp_path / "out")[name]
    assert entry.state == "failed"
    assert image.name in entry.error
    assert {key for key in files(whole) if key not in files(tmp_path / "out")} == {f"{name}/labels.npz"}
    image.write_bytes(raw)
    printed = batch(network, own, tmp_path / "out", *EXACT)
    assert "11 of them by an earlier run" in printed
    assert {entry.state for entry in read_manifest(tmp_path / "out").values()} == {"done"}


def test_too_many_failures_stop_the_run_and_what_was_done_stays(network, own, tmp_path):
    for frame in list(NuScenes(own))[3:]:
        frame.images[0].unlink()
    printed = batch(network, own, tmp_path / "out", *EXACT, "--max-failures", 2, "--json", code=1)
    told, _ = json.JSONDecoder().raw_decode(printed)
    assert (told["labelled"], len(told["failed"]), told["left"], told["stopped"]) == (3, 3, 6, True)
    states = [entry.state for entry in read_manifest(tmp_path / "out").values()]
    assert states == ["done"] * 3 + ["failed"] * 3 + ["pending"] * 6


def test_what_changed_or_was_damaged_is_labelled_anew(network, own, tmp_path):
    out = tmp_path / "out"
    batch(network, own, out, *EXACT)
    first, second, *_ = read_manifest(out).values()
    path = out / first.file
    path.write_bytes(path.read_bytes()[:-200])
    image = NuScenes(own)[1].images[0]
    image.write_bytes(NuScenes(own)[1].images[1].read_bytes())
    printed = batch(network, own, out, *EXACT)
    assert "1 frames are not what the labels" in printed
    assert "10 of them by an earlier run" in printed
    again = list(read_manifest(out).values())
    assert again[0].sha256 == first.sha256
    assert again[1].sha256 != second.sha256


def test_labels_of_others_are_refused(network, four_scenes, whole, tmp_path):
    assert "holds labels made otherwise" in batch(network, four_scenes, whole, *EXACT, "--exif", "apply", code=2)
    assert "holds labels made otherwise" in batch(network, four_scenes, whole, *EXACT, "--format", "occ3d", code=2)
    (tmp_path / "notes.txt").write_text("mine")
    assert "holds other things" in batch(network, four_scenes, tmp_path, *EXACT, code=2)
    assert "there is no format 'csv'" in batch(network, four_scenes, tmp_path / "o", "--format", "csv", code=2)


def test_two_runs_at_a_time_are_refused(network, four_scenes, tmp_path):
    worker = Worker(Setup(network, "npz", {"precision": "fp32"}))
    source = LocalSource(NuScenes(four_scenes))
    first = Batch(source, worker.pipeline.artifact, tmp_path / "o", {})
    with pytest.raises(Exception, match="another `occvino batch` writes to"):
        Batch(source, worker.pipeline.artifact, tmp_path / "o", {})
    first.close()
    Batch(source, worker.pipeline.artifact, tmp_path / "o", {}).close()


def label(artifact, dataset, out, chosen=None, size=None):
    """A run in this process; the frames that were run, labels wanted or not, and the labels by frame."""
    worker = Worker(Setup(artifact.path, "npz", {"precision": "fp32"}))
    run = Batch(LocalSource(dataset), artifact, out, {})
    run.begin(chosen)
    units = run.units(size)
    list(run.run(result for unit in units for result in worker.label(unit)))
    run.close()
    ran = [task.name for unit in units for row in unit.rows for task in row]
    return ran, {name: entry.sha256 for name, entry in read_manifest(out).items() if entry.state == "done"}


@pytest.mark.parametrize("form", ["wide-small-4d exact", "wide-small-4d batch", "wide-small-stereo exact"])
def test_temporal_models_go_by_scene_and_a_gap_is_filled_as_if_there_were_none(own, tmp_path, form):
    name, temporal = form.split()
    dataset = NuScenes(own)
    frames = names(own)
    with known(*WIDE):
        artifact = convert(name, None, tmp_path / "a", precision="fp32", temporal=temporal)
        ran, expected = label(artifact, dataset, tmp_path / "whole")
        assert ran == frames
        assert len(set(expected.values())) == 12
        for gone in ([2], [1, 5], [3], [0, 4, 11]):
            chosen = [frame for place, frame in enumerate(frames) if place not in gone]
            label(artifact, dataset, tmp_path / str(gone), chosen, size=2)
            ran, found = label(artifact, dataset, tmp_path / str(gone))
            assert found == expected
            if temporal == "batch":
                assert ran == [frames[place] for place in gone]


def test_a_broken_frame_of_a_stream_is_as_broken_for_a_run_that_goes_on(own, tmp_path):
    dataset, frames = NuScenes(own), names(own)
    dataset[1].images[0].write_bytes(b"no image")
    with known(*WIDE):
        artifact = convert("wide-small-4d", None, tmp_path / "a", precision="fp32", temporal="exact")
        _, expected = label(artifact, dataset, tmp_path / "whole")
        assert set(frames) - set(expected) == {frames[1]}
        label(artifact, dataset, tmp_path / "parts", frames[:2])
        assert label(artifact, dataset, tmp_path / "parts")[1] == expected
