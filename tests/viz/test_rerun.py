"""Recordings, read back with Rerun's own reader."""

import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from occvino.datasets.shipped import shipped_scene
from occvino.files import OutputError
from occvino.geometry.camera import Camera
from occvino.geometry.rig import Rig
from occvino.variant import NUSCENES_CAMERAS, OCC3D_CLASSES
from occvino.viz.palette import COLOURS, PictureError
from occvino.viz.surface import DIFFERENCES, differences, surface

pytest.importorskip("rerun", reason='rerun-sdk is not installed: pip install "occvino[viz]"')
chunk = pytest.importorskip("rerun.chunk", reason="this rerun-sdk has no rerun.chunk to read recordings with")

from occvino.viz import rerun as viz  # noqa: E402
from occvino.viz.rerun.layout import Layout, arranged  # noqa: E402
from tests.viz.rerun_frames import FREE, GRID, Rows, frame_of, tiny  # noqa: E402


@pytest.fixture(scope="module")
def frames():
    return [frame_of(sample, miou=0.25 * i) for i, sample in enumerate(shipped_scene())][:3]


@pytest.fixture(scope="module")
def recording(frames, tmp_path_factory):
    path = tmp_path_factory.mktemp("rerun") / "drive.rrd"
    assert viz.record(frames, viz.ToFile(path)) == 3
    return path


@pytest.fixture(scope="module")
def rows(recording):
    return Rows(recording)


def expected_voxels(frame, layer):
    """Voxels [K, 3] by the last part of the entity."""
    if layer == "differences":
        kinds, names = differences(frame.labels, frame.truth, FREE, frame.mask), DIFFERENCES
        seen = surface(kinds >= 0)
    else:
        kinds, names = (frame.labels if layer == "predicted" else frame.truth), OCC3D_CLASSES[:-1]
        seen = surface(kinds != FREE)
    return {name: np.argwhere(seen & (kinds == i)) for i, name in enumerate(names) if (seen & (kinds == i)).any()}


@pytest.mark.parametrize("layer", ["predicted", "truth", "differences"])
def test_each_layer_holds_the_voxels_that_can_be_seen_by_class(rows, frames, layer):
    for index, frame in enumerate(frames):
        expected = expected_voxels(frame, layer)
        found = {}
        for entity in rows.entities:
            if entity.startswith(f"/map/ego/{layer}/"):
                voxels = rows[entity, "VoxelGridMap:voxel_indices"].get(index)
                if voxels:
                    found[entity.rpartition("/")[2].replace("\\", "")] = np.array(voxels)
        assert found.keys() == expected.keys()
        for name, voxels in expected.items():
            np.testing.assert_array_equal(np.sort(found[name], axis=0), np.sort(voxels, axis=0))


def test_voxels_are_where_the_grid_says(rows):
    (size,) = rows["/map/ego/predicted/car", "VoxelGridMap:voxel_size"][0]
    (lower,) = rows["/map/ego/predicted/car", "VoxelGridMap:translation"][0]
    np.testing.assert_allclose(size, GRID.step, rtol=1e-6)
    np.testing.assert_allclose(lower, GRID.lower, rtol=1e-6)


def rgb(packed):
    return packed >> 24 & 255, packed >> 16 & 255, packed >> 8 & 255


def test_colours_and_the_legend_are_those_of_the_pictures(rows):
    for name in ("car", "driveable_surface", "vegetation"):
        (colour,) = rows[f"/map/ego/predicted/{name}", "VoxelGridMap:colors"][0]
        assert rgb(colour) == COLOURS[name]
    told = rows["/map", "AnnotationContext:context"][None][0]
    infos = [entry["class_description"]["info"] for entry in told]
    assert {info["label"]: rgb(info["color"]) for info in infos} == {n: COLOURS[n] for n in OCC3D_CLASSES[:-1]}
    assert [info["id"] for info in infos] == list(range(FREE))


def test_each_instance_has_one_colour_of_its_own(rows, frames):
    ids = frames[0].instances
    voxels = np.array(rows["/map/ego/instances", "VoxelGridMap:voxel_indices"][0])
    colours = rows["/map/ego/instances", "VoxelGridMap:colors"][0]
    assert len(voxels) == len(colours) == surface(ids > 0).sum()
    by_id = {}
    for voxel, colour in zip(voxels, colours, strict=True):
        by_id.setdefault(int(ids[tuple(voxel)]), set()).add(colour)
    assert all(len(found) == 1 for found in by_id.values())
    assert len(set.union(*by_id.values())) == len(by_id)


def test_timelines(rows, recording, frames):
    assert rows.timelines == {"frame", "time"}
    seconds = {}
    for each in chunk.RrdReader(str(recording)).stream().to_chunks():
        if each.entity_path == "/log":
            batch = each.to_record_batch()
            nanoseconds = batch["time"].cast("int64").to_pylist()
            seconds.update(zip(batch["frame"].to_pylist(), nanoseconds, strict=True))
    assert {index: value / 1e9 for index, value in seconds.items()} == pytest.approx(
        {index: frame.time for index, frame in enumerate(frames)}
    )


def test_jpeg_files_are_passed_on_as_they_are(rows, frames):
    for name, path in frames[1].images.items():
        ((contents,), (kind,)) = (
            rows[f"/map/ego/cameras/{name}/image", f"EncodedImage:{what}"][1] for what in ("blob", "media_type")
        )
        assert bytes(contents) == path.read_bytes()
        assert kind == "image/jpeg"


def test_cameras_have_the_poses_of_their_rig(rows, frames):
    """A point on the optical axis of a camera, and the corner of its image, are where the rig says."""
    for camera in frames[0].rig.cameras:
        path = f"/map/ego/cameras/{camera.name}"
        rotation = np.array(rows[path, "Transform3D:mat3x3"][0][0]).reshape(3, 3).T  # columns first
        translation = np.array(rows[path, "Transform3D:translation"][0][0])
        intrinsics = np.array(rows[f"{path}/image", "Pinhole:image_from_camera"][0][0]).reshape(3, 3).T
        np.testing.assert_allclose(rotation, camera.sensor2ego[:3, :3], atol=1e-6)
        np.testing.assert_allclose(translation, camera.sensor2ego[:3, 3], atol=1e-6)
        np.testing.assert_allclose(intrinsics, camera.intrinsics, rtol=1e-6)
        assert rows[f"{path}/image", "Pinhole:resolution"][0][0] == [camera.width, camera.height]


def test_the_way_is_that_of_the_first_camera_from_the_first_frame_on(rows, frames):
    first = frames[0].rig.cameras[0].ego2global
    expected = [(np.linalg.inv(first) @ frame.rig.cameras[0].ego2global)[:3, 3] for frame in frames]
    np.testing.assert_allclose(rows["/map/way", "LineStrips3D:strips"][2][0], expected, atol=1e-3)
    np.testing.assert_allclose(rows["/map/ego", "Transform3D:translation"][2][0], expected[2], atol=1e-3)
    assert np.linalg.norm(expected[2]) > 1, "the scene stands still, and nothing is tested"


def test_a_new_scene_begins_a_new_way(frames, tmp_path):
    other = [replace(frame, scene="another", images={}) for frame in frames[1:]]
    viz.record([replace(frames[0], images={}), *other], viz.ToFile(tmp_path / "a.rrd"))
    rows = Rows(tmp_path / "a.rrd")
    assert rows["/map/way", "LineStrips3D:strips"][1] == []
    assert len(rows["/map/way", "LineStrips3D:strips"][2][0]) == 2
    np.testing.assert_allclose(rows["/map/ego", "Transform3D:translation"][1], [[0, 0, 0]], atol=1e-6)


def test_plots_and_log(rows, frames):
    assert [rows["/plots/miou", "Scalars:scalars"][i] for i in range(3)] == [[0.0], [0.25], [0.5]]
    assert rows["/plots/seconds/inference", "Scalars:scalars"][2] == [0.1]
    assert {"/plots/seconds/images", "/plots/seconds/inference"} <= rows.entities
    lines = [
        line
        for each in rows.reader.stream().to_chunks()
        if each.entity_path == "/log"
        for (line,) in each.to_record_batch()["TextLog:text"].to_pylist()
    ]
    assert lines.count("a frame is missing") == 3
    assert all(any(frame.name in line for line in lines) for frame in frames)


def test_a_frame_stays_under_2_megabytes(recording):
    assert recording.stat().st_size / 3 < 2e6


def test_the_layout_is_in_the_recording(recording):
    assert [entry.kind for entry in chunk.RrdReader(str(recording)).blueprints()] == ["blueprint"]


def test_what_a_frame_lacks_is_not_shown_from_the_one_before(tmp_path):
    image = np.zeros((4, 6, 3), np.uint8)
    frames = [tiny(label=4, images={"A": image, "B": image}, time=1.0), tiny(label=10, images={"B": image})]
    viz.record(frames, viz.ToFile(tmp_path / "a.rrd"))
    rows = Rows(tmp_path / "a.rrd")
    assert rows["/map/ego/predicted/car", "VoxelGridMap:voxel_indices"] == {0: [[3, 4, 1]], 1: []}
    assert rows["/map/ego/predicted/truck", "VoxelGridMap:voxel_indices"] == {1: [[3, 4, 1]]}
    assert rows["/map/ego/cameras/A", "Clear:is_recursive"] == {1: [True]}
    assert set(rows["/map/ego/cameras/B/image", "EncodedImage:blob"]) == {0, 1}


def camera(name, degrees, width=64, height=36):
    a = math.radians(degrees)
    pose = np.eye(4)
    pose[:3, :3] = np.array([[math.sin(a), 0, math.cos(a)], [-math.cos(a), 0, math.sin(a)], [0, -1, 0]])
    return Camera(
        name, width, height, np.array([[50.0, 0, width / 2], [0, 50.0, height / 2], [0, 0, 1]]), pose, np.eye(4)
    )


def test_cameras_are_arranged_as_on_the_vehicle():
    rig = shipped_scene()[0].rig
    shuffled = sorted(NUSCENES_CAMERAS)
    expected = (NUSCENES_CAMERAS[:3], NUSCENES_CAMERAS[3:])
    assert arranged(shuffled, None) == expected
    renamed = Rig(tuple(replace(each, name=each.name.lower()) for each in rig.cameras))
    by_yaw = arranged([name.lower() for name in shuffled], renamed)
    assert by_yaw == tuple(tuple(name.lower() for name in row) for row in expected)


def test_other_rigs_are_sorted_by_yaw():
    turned = {"a": -45, "b": 0, "c": 45, "d": 180, "e": 150, "f": -135, "g": 70, "h": -70}
    rig = Rig(tuple(camera(name, degrees) for name, degrees in turned.items()))
    rows = arranged([*turned, "unknown"], rig)
    assert [name for row in rows for name in row] == ["g", "c", "b", "a", "h", "e", "d", "f", "unknown"]
    assert max(len(row) for row in rows) <= 3


def test_the_layout_grows_with_what_frames_have():
    layout = Layout().with_frame(tiny())
    assert layout == Layout()
    truth = tiny(truth=tiny().labels, miou=1.0, images={"A": np.zeros((4, 6, 3), np.uint8)})
    grown = layout.with_frame(truth)
    assert grown == Layout((("A",),), truth=True, plots=True)
    assert grown.with_frame(tiny()) == grown


def test_images_of_every_kind(tmp_path):
    colour = np.zeros((36, 64, 3), np.uint8)
    colour[..., 0] = 200
    Image.fromarray(colour).save(tmp_path / "a.png")
    images = {
        "array": colour,
        "pillow": Image.fromarray(colour),
        "png": tmp_path / "a.png",
        "bytes": (tmp_path / "a.png").read_bytes(),
    }
    viz.record([tiny(images=images)], viz.ToFile(tmp_path / "a.rrd"))
    rows = Rows(tmp_path / "a.rrd")
    for name in images:
        (contents,) = rows[f"/map/ego/cameras/{name}/image", "EncodedImage:blob"][0]
        (tmp_path / "b.jpg").write_bytes(bytes(contents))
        with Image.open(tmp_path / "b.jpg") as read:
            assert read.size == (64, 36)
            np.testing.assert_allclose(np.asarray(read), colour, atol=4)


def test_an_image_of_half_the_size_keeps_its_frustum(tmp_path):
    frame = tiny(rig=Rig((camera("A", 0),)), images={"A": np.zeros((18, 32, 3), np.uint8)})
    viz.record([frame], viz.ToFile(tmp_path / "a.rrd"))
    rows = Rows(tmp_path / "a.rrd")
    assert rows["/map/ego/cameras/A/image", "Pinhole:resolution"][0] == [[32, 18]]
    (k,) = rows["/map/ego/cameras/A/image", "Pinhole:image_from_camera"][0]
    np.testing.assert_allclose(np.reshape(k, (3, 3)).T, [[25, 0, 16], [0, 25, 9], [0, 0, 1]])


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (tiny(images={"A": b"no image"}), "A: the image cannot be read"),
        (tiny(rig=Rig((camera("A", 0),)), images={"A": np.zeros((36, 36, 3), np.uint8)}), "36x36.*64x36"),
        (tiny(label=99), "label 99 has no name"),
        (tiny(truth=np.zeros((1, 1, 1), np.uint8)), "shape"),
    ],
)
def test_what_cannot_be_shown_is_refused_and_leaves_no_file(frame, words, tmp_path):
    with pytest.raises(PictureError, match=words):
        viz.record([tiny(), frame], viz.ToFile(tmp_path / "a.rrd"))
    assert not list(tmp_path.iterdir())


def test_an_empty_recording_and_another_suffix_are_refused(tmp_path):
    with pytest.raises(viz.ViewerError, match="no frame"):
        viz.record([], viz.ToFile(tmp_path / "a.rrd"))
    with pytest.raises(viz.ViewerError, match=r"'.bin', expected '.rrd'"):
        viz.ToFile(tmp_path / "a.bin")
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_an_error_of_ours(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        viz.record([tiny()], viz.ToFile(tmp_path / "file" / "a.rrd"))


def test_dates_and_seconds_from_the_start(tmp_path):
    for name, seconds, kind in (("a", 12.5, "duration"), ("b", 1.7e9, "timestamp")):
        viz.record([tiny(time=seconds)], viz.ToFile(tmp_path / f"{name}.rrd"))
        columns = [
            each.to_record_batch().schema.field("time").type
            for each in chunk.RrdReader(str(tmp_path / f"{name}.rrd")).stream().to_chunks()
            if "time" in each.timeline_names
        ]
        assert columns
        assert all(str(column).startswith(kind) for column in columns)
