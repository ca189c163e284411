"""The forms of labels on disk, what `occvino eval --predictions` makes of them, and a disk that is full."""

import json
import os
import shutil
import signal
import subprocess

import numpy as np
import pytest

from occvino.datasets.nuscenes import NuScenes
from occvino.datasets.occ3d import SHAPE
from occvino.files import OutputError
from occvino.runtime import Occupancy
from occvino.scale.manifest import MANIFEST, Entry, Manifest, read_manifest
from occvino.scale.saved import SavedBatch
from tests.cli.command import occvino
from tests.scale.sets import batch, files, interrupted, labelled

pytestmark = pytest.mark.slow

pq = pytest.importorskip("pyarrow.parquet")
EXACT = ("--precision", "fp32")


@pytest.fixture(scope="module")
def shards(network, four_scenes, tmp_path_factory):
    out = tmp_path_factory.mktemp("parquet") / "out"
    batch(network, four_scenes, out, *EXACT, "--format", "parquet", "--shard", 5)
    return out


def test_shards_hold_every_frame_once_with_what_any_reader_needs(shards, four_scenes, whole):
    assert sorted(files(shards)) == [f"shards/part-0000{number}.parquet" for number in range(3)]
    table = pq.read_table(shards / "shards")
    told = json.loads(table.schema.metadata[b"occvino"])
    assert (tuple(told["shape"]), told["class_names"][-1]) == (SHAPE, "free")
    frames = {frame.token: frame for frame in NuScenes(four_scenes)}
    assert table.column("token").to_pylist() == list(frames)
    file = pq.ParquetFile(shards / "shards" / "part-00000.parquet")
    column = next(c for c in range(9) if file.metadata.row_group(0).column(c).path_in_schema == "labels")
    assert file.metadata.row_group(0).column(column).compression == "ZSTD"
    for row in table.to_pylist():
        frame = frames[row["token"]]
        labels = np.frombuffer(row["labels"], np.uint8).reshape(told["shape"])
        expected = Occupancy.load(whole / frame.scene / frame.token / "labels.npz").labels
        np.testing.assert_array_equal(labels, expected)
        assert row["scene"] == frame.scene
        assert round(row["time"].timestamp() * 1e6) == frame.timestamp
        assert len(row["model"]) == 64


def test_a_run_that_was_killed_leaves_no_frame_out_of_its_shards(network, four_scenes, shards, tmp_path):
    out, options = tmp_path / "out", (*EXACT, "--format", "parquet", "--shard", 5)
    _, done = interrupted(network, four_scenes, out, signal.SIGKILL, *options, after=7)
    told = json.loads(batch(network, four_scenes, out, *options, "--json").partition("warning")[0])
    assert done <= told["kept"] <= done + 1
    assert sorted(pq.read_table(out / "shards").column("token").to_pylist()) == sorted(
        pq.read_table(shards / "shards").column("token").to_pylist()
    )
    hashes = [{entry.frame: entry.sha256 for entry in read_manifest(folder).values()} for folder in (out, shards)]
    assert hashes[0] == hashes[1]
    assert not (out / "open").exists()


def test_a_shard_with_a_frame_that_changed_or_with_damage_is_made_anew(network, four_scenes, shards, tmp_path):
    own, out = shutil.copytree(four_scenes, tmp_path / "own"), shutil.copytree(shards, tmp_path / "out")
    options = (*EXACT, "--format", "parquet", "--shard", 5)
    image = NuScenes(own)[1].images[0]
    image.write_bytes(image.read_bytes() + b"\0")
    damaged = out / "shards" / "part-00001.parquet"
    raw = bytearray(damaged.read_bytes())
    raw[len(raw) // 2] ^= 255
    damaged.write_bytes(raw)
    printed = batch(network, own, out, *options)
    assert "1 frames are not what the labels" in printed
    assert "is moved to part-00001.parquet.damaged" in printed
    assert "6 of them by an earlier run" in printed
    found = sorted(token for path in (out / "shards").glob("*.parquet") for token in index(path))
    assert found == sorted(frame.token for frame in NuScenes(own))
    before, after = read_manifest(shards), read_manifest(out)
    assert {name: entry.sha256 for name, entry in before.items()} == {
        name: entry.sha256 for name, entry in after.items()
    }


def index(path):
    return pq.read_table(path, columns=["token"]).column("token").to_pylist()


def test_a_submission_is_one_array_a_frame(network, four_scenes, whole, tmp_path):
    batch(network, four_scenes, tmp_path / "o", *EXACT, "--format", "occ3d")
    for frame in NuScenes(four_scenes):
        with np.load(tmp_path / "o" / "occ3d" / f"{frame.token}.npz") as archive:
            assert archive.files == ["arr_0"]
            expected = Occupancy.load(whole / frame.scene / frame.token / "labels.npz").labels
            np.testing.assert_array_equal(archive["arr_0"], expected)
    kept = batch(network, four_scenes, tmp_path / "o", *EXACT, "--format", "occ3d")
    assert "12 of them by an earlier run" in kept
    assert len(files(tmp_path / "o")) == 12


def evaluated(folder, dataset):
    done = occvino("eval", "--predictions", folder, "--dataset", dataset, "--json", check=0)
    return json.loads(done.stdout), done.stderr


def test_eval_scores_every_form_as_it_scores_labels_of_its_own(network, four_scenes, whole, shards, tmp_path):
    arguments = ("--dataset", four_scenes, "--out", tmp_path / "o", "--precision", "fp32", "--json")
    expected = json.loads(occvino("eval", network, *arguments, check=0).stdout)
    for folder in (whole, shards):
        found, _ = evaluated(folder, four_scenes)
        assert {name: found[name] for name in ("miou", "per_class", "frames")} == {
            name: expected[name] for name in ("miou", "per_class", "frames")
        }


def test_a_manifest_with_holes_is_told(network, four_scenes, whole, tmp_path):
    own = shutil.copytree(four_scenes, tmp_path / "own")
    frames = list(NuScenes(own))
    frames[1].images[0].write_bytes(b"")
    batch(network, own, tmp_path / "o", *EXACT, "--limit", 8, code=1)
    found, err = evaluated(tmp_path / "o", own)
    assert found["without_labels"] == {"failed": 1, "pending": 4, "unknown": 0}
    assert found["frames"] == 7
    assert "5 of 12 frames have no labels" in err.replace("\n", " ")
    none = occvino("eval", "--predictions", tmp_path, "--dataset", own, check=2)
    assert "holds no manifest.jsonl" in none.stderr
    both = occvino("eval", "--predictions", whole, "--dataset", own, "--device", "GPU", check=2)
    assert "leave --device out" in both.stderr
    occvino("eval", "--dataset", own, check=2)


def test_labels_that_are_not_those_of_the_manifest_are_refused(whole, four_scenes, tmp_path):
    out = shutil.copytree(whole, tmp_path / "o")
    first, second, *_ = NuScenes(four_scenes)
    files = [out / frame.scene / frame.token / "labels.npz" for frame in (first, second)]
    shutil.copy(files[0], files[1])
    with pytest.raises(OutputError, match="are not those that the manifest tells of"):
        SavedBatch(out).load(second)
    entry = read_manifest(out)[f"{first.scene}/{first.token}"]
    text = (out / MANIFEST).read_text().replace(entry.file, "../../x.npz")
    (out / MANIFEST).write_text(text)
    with pytest.raises(OutputError, match="has a file elsewhere"):
        SavedBatch(out).load(first)


def test_half_a_line_at_the_end_counts_for_nothing_and_one_in_the_middle_is_an_error(tmp_path):
    manifest = Manifest(tmp_path)
    manifest.begin([Entry("s/a", "a", "s", 1.0), Entry("s/b", "b", "s", 2.0)])
    manifest.add(Entry("s/a", "a", "s", 1.0, "failed", error="it broke"))
    whole = (tmp_path / MANIFEST).read_bytes()
    for length in range(len(whole) - 1, len(whole) - 20, -1):
        (tmp_path / MANIFEST).write_bytes(whole[:length])
        states = {name: entry.state for name, entry in read_manifest(tmp_path).items()}
        assert states in ({"s/a": "pending", "s/b": "pending"}, {"s/a": "failed", "s/b": "pending"})
    (tmp_path / MANIFEST).write_bytes(whole[:40] + whole[50:])
    with pytest.raises(OutputError, match="line 1 is damaged"):
        read_manifest(tmp_path)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 500 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = os.geteuid() == 0 and shutil.which("mount")
    done = mounted and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=500k", "tmpfs", folder], capture_output=True)
    if not done or done.returncode:
        pytest.skip("a small tmpfs can be mounted by root alone, and not in every container")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("form", ["npz", "parquet"])
def test_a_full_disk_is_told_and_the_run_goes_on_once_there_is_room(network, four_scenes, whole, small_disk, form):
    ballast, out = small_disk / "ballast", small_disk / "out"
    ballast.write_bytes(bytes(420_000))
    options = (*EXACT, "--format", form, "--shard", 4)
    printed = batch(network, four_scenes, out, *options, code=2)
    assert "the disk is full: free some space" in printed
    assert "Traceback" not in printed
    manifest = read_manifest(out)
    done = {name: entry for name, entry in manifest.items() if entry.state == "done"}
    assert 0 < len(done) < 12
    assert len(manifest) == 12
    saved = SavedBatch(out)
    for frame in NuScenes(four_scenes):
        if f"{frame.scene}/{frame.token}" in done:
            saved.load(frame)  # checks the hash
    assert not [path for path in out.rglob("*") if ".occvino-" in path.name]
    ballast.unlink()
    before = labelled(out)
    printed = batch(network, four_scenes, out, *options)
    assert "12 of 12 frames labelled" in printed
    assert int(printed.split("labelled in", 1)[1].split(", ")[1].split()[0]) >= before
    hashes = [{name: entry.sha256 for name, entry in read_manifest(folder).items()} for folder in (out, whole)]
    assert hashes[0] == hashes[1]
