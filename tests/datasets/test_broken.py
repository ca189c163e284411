"""Data sets as people have them: each fault ends in a result or in words that name record, field and fix."""

import json
import shutil
import zipfile

import numpy as np
import pytest

from occvino.datasets.nuscenes import NuScenes
from occvino.datasets.occ3d import Occ3DLabels
from occvino.datasets.sample import require_images, require_labels, require_sweeps, warn_of_missing_images
from occvino.datasets.shipped import SCENE
from occvino.datasets.tables import DatasetError, Tables
from occvino.errors import FrameError

TABLES = "v1.0-synth"


@pytest.fixture
def own(tmp_path):
    """The scene that ships inside, without its images."""
    return shutil.copytree(SCENE, tmp_path / "own", ignore=shutil.ignore_patterns("samples", "maps"))


def change(root, table, edit):
    path = root / TABLES / f"{table}.json"
    records = json.loads(path.read_text())
    path.write_text(json.dumps([edit(index, record) for index, record in enumerate(records)]))


def without(field):
    return lambda index, record: {key: value for key, value in record.items() if key != field}


def given(**fields):
    return lambda index, record: record | fields


@pytest.mark.parametrize(
    ("table", "field"),
    [
        ("scene", "name"),
        ("scene", "first_sample_token"),
        ("sample", "next"),
        ("sample", "timestamp"),
        *(("sample_data", field) for field in ("width", "height", "is_key_frame", "ego_pose_token", "filename")),
        *(("sample_data", field) for field in ("sample_token", "calibrated_sensor_token")),
        *(("calibrated_sensor", field) for field in ("camera_intrinsic", "rotation", "translation", "sensor_token")),
        ("ego_pose", "rotation"),
        ("sensor", "channel"),
    ],
)
def test_a_missing_field_is_named_with_table_record_and_fix(own, table, field):
    change(own, table, without(field))
    with pytest.raises(DatasetError, match=rf"{table}\.json, record '\w+' has no '{field}': unpack"):
        NuScenes(own)


@pytest.mark.parametrize(
    ("table", "field", "value", "said"),
    [
        ("sample", "timestamp", "1700000000000000", r"expected a whole number of microseconds"),
        ("sample", "timestamp", 1700000000.5, r"expected a whole number of microseconds"),
        ("sample", "timestamp", True, r"expected a whole number of microseconds"),
        ("sample", "next", 7, "expected text"),
        ("sample_data", "width", None, "expected a whole number of pixels, 1 or more"),
        ("sample_data", "height", 0, "expected a whole number of pixels, 1 or more"),
        ("sample_data", "is_key_frame", "yes", "expected true or false"),
        ("sample_data", "filename", "/data/samples/1.jpg", "expected a name within the data set's folder"),
        ("sample_data", "filename", "samples\\CAM_FRONT\\1.jpg", "expected a name within the data set's folder"),
        ("sample_data", "filename", "C:samples/1.jpg", "expected a name within the data set's folder"),
        ("sample_data", "filename", "samples/../../../etc/passwd", "expected a name within the data set's folder"),
        ("calibrated_sensor", "camera_intrinsic", [], "expected 3 by 3 finite numbers"),
        ("calibrated_sensor", "camera_intrinsic", [[1, 0, 0], [0, 1, 0], [0, 0, float("nan")]], "3 by 3 finite"),
        ("calibrated_sensor", "rotation", [1, 0, 0], "expected 4 finite numbers"),
        ("ego_pose", "translation", [0, "1", 2], "expected 3 finite numbers"),
        ("ego_pose", "translation", [0, 10**400, 2], "expected 3 finite numbers"),
        ("scene", "name", "../../elsewhere", "expected a plain name"),
        ("scene", "name", "..", "expected a plain name"),
    ],
)
def test_a_wrong_value_is_shown_with_what_was_expected(own, table, field, value, said):
    change(own, table, given(**{field: value}))
    with pytest.raises(DatasetError, match=rf"{table}\.json, record '\w+': '{field}' is .*{said}.*: unpack"):
        NuScenes(own)


def test_a_quaternion_that_is_none_names_the_sample(own):
    change(own, "calibrated_sensor", given(rotation=[1, 1, 0, 0]))
    with pytest.raises(DatasetError, match=r"sample\.json, record '\w+': CAM_FRONT_LEFT: rotation"):
        NuScenes(own)


def test_a_cycle_of_next_ends(own):
    first = json.loads((own / TABLES / "sample.json").read_text())[0]["token"]
    change(own, "sample", lambda index, record: record | {"next": record["next"] or first})
    with pytest.raises(DatasetError, match=r"is met twice in scene-0001: `next` leads back to it"):
        NuScenes(own)


def test_links_that_lead_nowhere_and_links_that_end(own):
    change(own, "sample", lambda index, record: record | {"next": record["next"] or None})
    assert len(NuScenes(own)) == 3
    change(own, "sample", lambda index, record: record | {"next": record["next"] or "deadbeef"})
    with pytest.raises(DatasetError, match=r"sample\.json has no record 'deadbeef', which .* names as 'next'"):
        NuScenes(own)


def test_frames_that_next_leaves_out_are_noticed(own):
    change(own, "sample", given(next=""))
    with pytest.warns(UserWarning, match=r"says that scene-0001 has 3 .* samples, and `next` leads through 1"):
        assert len(NuScenes(own)) == 1


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda time: time * 1000, "are these nanoseconds"),
        (lambda time: time // 1000, "are these seconds or milliseconds"),
        (lambda time: -time + 2 * 10**15, "do not rise"),
    ],
)
def test_times_in_another_unit_are_refused(own, edit, said):
    change(own, "sample", lambda index, record: record | {"timestamp": edit(record["timestamp"])})
    with pytest.raises(DatasetError, match=said):
        NuScenes(own)


def test_times_that_may_be_right_are_doubted(own):
    """Nanoseconds since a recorder was switched on."""
    change(own, "sample", lambda i, record: record | {"timestamp": (record["timestamp"] - 1699999999000000) * 1000})
    with pytest.warns(UserWarning, match=r"which is 500 s in microseconds: if they are nanoseconds"):
        NuScenes(own)


def test_two_records_of_one_camera_and_two_of_one_token(own):
    path = own / TABLES / "sample_data.json"
    records = json.loads(path.read_text())
    path.write_text(json.dumps([*records, records[0] | {"token": "again"}]))
    with pytest.raises(DatasetError, match="has another key frame of CAM_FRONT_LEFT"):
        NuScenes(own)
    path.write_text(json.dumps([*records, records[0]]))
    with pytest.raises(DatasetError, match="has two records"):
        NuScenes(own)


def test_labelling_needs_no_lidar_and_rays_say_so(own):
    path = own / TABLES / "sample_data.json"
    path.write_text(json.dumps([r for r in json.loads(path.read_text()) if "LIDAR" not in r["filename"]]))
    dataset = NuScenes(own)
    assert [frame.sweep for frame in dataset] == [None] * 3
    # networks label in the frame of the first camera's exposure
    np.testing.assert_array_equal(dataset[0].ego2global, dataset[0].rig.cameras[0].ego2global)
    for asks in (lambda: dataset.ray_origins(0), lambda: dataset.require_lidar([1]), lambda: require_sweeps(dataset)):
        with pytest.raises(DatasetError, match=r"has no LIDAR_TOP record, which rays \(--rays\)"):
            asks()


def test_nested_folders_and_several_versions_are_named(own, tmp_path):
    with pytest.raises(DatasetError, match=r"holds no folder v1\.0-\* of tables, .*own does: give that folder"):
        NuScenes(tmp_path)
    with pytest.raises(DatasetError, match="there is no folder"):
        NuScenes(tmp_path / "nothing")
    shutil.copytree(own / TABLES, own / "v1.0-mini")
    (own / "v1.0-trainval01_blobs").mkdir()  # where an archive of images was unpacked
    with pytest.raises(DatasetError, match=r"there is v1\.0-mini, v1\.0-synth; name one: --version v1\.0-mini"):
        NuScenes(own)
    assert len(NuScenes(own, "v1.0-mini")) == 3
    assert NuScenes(own / "v1.0-mini")[0].labels == NuScenes(own, TABLES)[0].labels
    with pytest.raises(DatasetError, match="is not the name of a folder"):
        NuScenes(own, "../own/v1.0-mini")


def test_sweeps_between_key_frames_are_not_kept(own):
    path = own / TABLES / "sample_data.json"
    records = json.loads(path.read_text())
    between = [record | {"token": f"{i}", "is_key_frame": False} for i, record in enumerate(records)]
    path.write_text(json.dumps([*between, *records]))
    poses = own / TABLES / "ego_pose.json"
    poses.write_text(json.dumps([*json.loads(poses.read_text()), {"token": "unused"}]))
    tables = Tables(own)
    assert len(list(tables.rows("sample_data"))) == len(records)
    assert "unused" not in {record["token"] for record in tables.rows("ego_pose")}


@pytest.mark.parametrize("space", [" ", "\n", "  \r\n\t", " " * 200_000])
def test_tables_are_read_in_pieces_whatever_stands_between(own, monkeypatch, space):
    monkeypatch.setattr("occvino.datasets.tables._CHUNK", 64)
    path = own / TABLES / "ego_pose.json"
    records = json.loads(path.read_text())
    path.write_text("\ufeff" + f"[{space}" + f"{space},{space}".join(map(json.dumps, records)) + f"{space}]{space}")
    assert len(NuScenes(own)) == 3
    assert [r.values for r in Tables(own).rows("ego_pose")] == records


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text[:-500], r"record \d+ is cut off or no JSON"),
        (lambda text: text[:-2], "cut off"),
        (lambda text: text + "]", "more follows"),
        (lambda text: text.replace("},", "}", 1), "expected a comma"),
        (lambda text: "", "does not begin as a JSON list"),
        (lambda text: '{"a": 1}', "does not begin as a JSON list"),
        (lambda text: "[" * 100_000, "cannot read the table"),
        (lambda text: '[{"token": ["a"]}]', "not a list of records that each have a token"),
        (lambda text: '[{"token": "a", "x": ' + "1" * 5000 + "}]", "cannot read the table|has no record"),
    ],
)
def test_damaged_tables(own, spoil, said):
    path = own / TABLES / "ego_pose.json"
    path.write_text(spoil(path.read_text()))
    with pytest.raises(DatasetError, match=said):
        NuScenes(own)


def test_missing_labels_are_counted_before_anything_runs(own):
    dataset = NuScenes(own)
    require_labels(dataset, dataset.root, masked=True)
    shutil.rmtree(dataset[1].labels.parent)
    with pytest.raises(DatasetError, match=rf"of 1 of 3 frames is missing, first .*{dataset[1].token}.*unpack Occ3D"):
        require_labels(dataset, dataset.root, masked=True)
    (own / "Occ3D").mkdir()
    (own / "gts").rename(own / "Occ3D" / "gts")
    with pytest.raises(DatasetError, match=r"of 3 of 3 frames is missing.*there is .*Occ3D/gts: move it"):
        require_labels(dataset, dataset.root, masked=True)


def test_empty_masks_are_named(own):
    dataset = NuScenes(own)
    for frame in dataset:
        with np.load(frame.labels) as stored:
            np.savez_compressed(frame.labels, **{**stored, "mask_camera": np.zeros((200, 200, 16), bool)})
    with pytest.raises(DatasetError, match="'mask_camera' is empty, so nothing would be counted"):
        require_labels(dataset, dataset.root, masked=True)
    require_labels(dataset, dataset.root, masked=False)


def test_missing_images_are_counted(own):
    dataset = NuScenes(own)
    with pytest.raises(FrameError, match=r"18 of 18 images are missing, first .*CAM_FRONT_LEFT"):
        warn_of_missing_images(dataset)
    dataset[2].images[3].parent.mkdir(parents=True)
    dataset[2].images[3].touch()
    with pytest.warns(UserWarning, match="17 of 18 images are missing"):
        warn_of_missing_images(dataset)
    with pytest.raises(FrameError, match="17 of 18 images are missing"):
        require_images(dataset)


VOLUME = np.full((200, 200, 16), 17, np.uint8)
GOOD = {"semantics": VOLUME, "mask_camera": VOLUME == 17, "mask_lidar": VOLUME == 17}


def test_other_arrays_in_labels_are_ignored(tmp_path):
    extra = {"flow": np.zeros((200, 200, 16, 2), np.float16), "version": np.array("1.1"), "who": np.array([{}], object)}
    np.savez_compressed(tmp_path / "labels.npz", **GOOD, **extra)
    assert (Occ3DLabels.load(tmp_path / "labels.npz").semantics == 17).all()


@pytest.mark.parametrize("name", ["semantics", "flow"])
def test_a_header_that_claims_gigabytes_is_refused_or_ignored_unread(tmp_path, name):
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (100000, 100000, 1000), }"
    header += b" " * (117 - len(header)) + b"\n"
    path = tmp_path / "labels.npz"
    np.savez_compressed(path, **{key: value for key, value in GOOD.items() if key != name})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            f"{name}.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(10_000)
        )
    if name == "flow":
        Occ3DLabels.load(path)
        return
    with pytest.raises(DatasetError, match=r"semantics is uint8 \(100000, 100000, 1000\), expected"):
        Occ3DLabels.load(path)


def test_labels_that_are_shorter_than_they_say_or_damaged(tmp_path):
    path = tmp_path / "labels.npz"
    np.savez(path, **GOOD)
    whole = bytearray(path.read_bytes())
    whole[5000] ^= 1
    path.write_bytes(whole)
    with pytest.raises(DatasetError, match="cannot read the labels .*Bad CRC"):
        Occ3DLabels.load(path)
    with zipfile.ZipFile(tmp_path / "short.npz", "w") as archive, zipfile.ZipFile(path) as source:
        archive.writestr("semantics.npy", source.open("mask_lidar.npy").read()[:-7])
    with pytest.raises(DatasetError, match="is not as long as its header says"):
        Occ3DLabels.load(tmp_path / "short.npz")
