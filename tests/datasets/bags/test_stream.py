"""Bags in every form give the frames that were written, and say what is wrong with those that do not."""

import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from occvino.datasets.bags.describe import describe
from occvino.datasets.bags.messages import BagError
from occvino.datasets.bags.options import BagOptions
from occvino.datasets.bags.rig import rig_of_bag
from occvino.datasets.bags.source import open_bag
from occvino.datasets.bags.stream import BagStream
from occvino.geometry.transforms import rigid_inverse
from occvino.variant import NUSCENES_CAMERAS
from tests.datasets.bags.writing import Event, drive_events, shipped_drive, write_bag

SECOND = 10**9
FIRST = NUSCENES_CAMERAS[0]


@pytest.fixture(scope="module")
def drive():
    return shipped_drive()


@contextmanager
def stream_of(path, options=None, names=NUSCENES_CAMERAS):
    with open_bag(path) as bag:
        yield BagStream(bag, options, names)


def frames_of(path, options=None, names=NUSCENES_CAMERAS):
    with stream_of(path, options, names) as stream:
        return list(stream)


def rgb(image):
    import io

    return np.asarray(Image.open(io.BytesIO(image)).convert("RGB")) if isinstance(image, bytes) else image


def check_frames(found, drive, first=0):
    assert [each.error for each in found] == [None] * len(found)
    for index, each in enumerate(found, first):
        assert each.time == drive.stamps[index][FIRST]
        assert each.rig.names == NUSCENES_CAMERAS
        for camera in each.rig.cameras:
            expected = drive.rigs[index].select([camera.name]).cameras[0]
            np.testing.assert_allclose(camera.sensor2ego, expected.sensor2ego, atol=1e-9)
            np.testing.assert_allclose(camera.ego2global, expected.ego2global, atol=1e-9)
            np.testing.assert_allclose(camera.intrinsics, expected.intrinsics)
            assert np.array_equal(rgb(each.images[camera.name]), drive.pixels[index][camera.name])


@pytest.mark.parametrize(
    ("storage", "how"),
    [
        ("mcap", {"encoding": "bgr8", "padding": 6}),
        ("mcap", {"encoding": "png", "image_topic": "/{name}/image_raw/compressed"}),
        ("sqlite3", {"encoding": "rgba8", "image_topic": "/{name}/image_rect_color"}),
        ("sqlite3", {"encoding": "rgb8", "poses": "odometry", "fixed": "world"}),
        ("ros1", {"encoding": "bgra8", "padding": 2, "ros1": True, "fixed": "/map"}),
    ],
)
def test_every_form_gives_what_was_written(drive, tmp_path, storage, how):
    path = write_bag(tmp_path / ("drive.bag" if storage == "ros1" else "drive"), drive_events(drive, **how), storage)
    check_frames(frames_of(path), drive)


def test_a_lone_file_of_a_folder(drive, tmp_path):
    for storage, suffix in (("mcap", "*.mcap"), ("sqlite3", "*.db3")):
        folder = write_bag(tmp_path / storage, drive_events(drive), storage)
        check_frames(frames_of(next(folder.glob(suffix))), drive)


def test_names_are_matched_or_mapped(drive, tmp_path):
    topics = {
        name: f"/sensing/{name.removeprefix('CAM_').lower().replace('back', 'rear')}" for name in NUSCENES_CAMERAS
    }
    events = []
    for event in drive_events(drive):
        name, _, rest = event.topic[1:].partition("/")
        events.append(replace(event, topic=f"{topics[name]}/{rest}") if name in topics else event)
    path = write_bag(tmp_path / "drive", events)
    check_frames(frames_of(path), drive)
    events = [replace(e, topic=e.topic.replace("/front_left/", "/port/")) for e in events]
    path = write_bag(tmp_path / "odd", events)
    with pytest.raises(BagError, match=r"no topic fits CAM_FRONT_LEFT.*/sensing/port/image_raw \(port\).*--topic"):
        frames_of(path)
    check_frames(frames_of(path, BagOptions({"CAM_FRONT_LEFT": "/sensing/port/image_raw"})), drive)
    with pytest.raises(
        BagError, match=r"--topic CAM_FRONT=/nothing: the topic is not in the bag; topics of raw images"
    ):
        frames_of(path, BagOptions({"CAM_FRONT": "/nothing"}))


def test_poses_are_interpolated_at_each_exposure(drive, tmp_path):
    """Poses every 0.1 s of a vehicle that drives straight on at 10 m/s; those in the bag are at other times."""
    start = min(drive.stamps[0].values()) - SECOND // 20
    events = drive_events(drive, poses="none")
    for index in range(14):
        at = start + index * SECOND // 10
        pose = np.eye(4)
        pose[0, 3] = 10 * (at - start) / 1e9
        values = {"parent": "odom", "child": "base_link", "t": pose[:3, 3], "q": (1, 0, 0, 0)}
        events.append(Event("/tf", at + SECOND // 10, at, "tf", values))
    found = frames_of(write_bag(tmp_path / "drive", events))
    assert [each.error for each in found] == [None] * 3
    for each, stamps in zip(found, drive.stamps, strict=True):
        for camera in each.rig.cameras:
            assert camera.ego2global[0, 3] == pytest.approx(10 * (stamps[camera.name] - start) / 1e9, abs=1e-6)


def test_frames_without_a_pose_fail_and_the_others_do_not(drive, tmp_path):
    events = [e for e in drive_events(drive) if not (e.topic == "/tf" and e.stamp > max(drive.stamps[1].values()))]
    found = frames_of(write_bag(tmp_path / "drive", events))
    check_frames(found[:2], drive)
    assert "is after the last pose" in str(found[2].error)
    assert "poses are not extrapolated" in str(found[2].error)


def test_the_pose_of_the_vehicles_frame(drive, tmp_path):
    """`base_link` in the middle of the vehicle, 1.4 m ahead of the rear axle and 0.5 m up, turned by a half."""
    base2ego = np.diag([-1.0, -1.0, 1.0, 1.0])
    base2ego[:3, 3] = [1.4, 0.0, 0.5]
    ego2base = rigid_inverse(base2ego)
    rigs = [
        replace(rig, cameras=tuple(
            replace(camera, sensor2ego=ego2base @ camera.sensor2ego, ego2global=camera.ego2global @ base2ego)
            for camera in rig.cameras
        ))
        for rig in drive.rigs
    ]  # fmt: skip
    path = write_bag(tmp_path / "drive", drive_events(replace(drive, rigs=rigs)))
    check_frames(frames_of(path, BagOptions(base2ego=base2ego)), drive)


def test_a_clock_that_jumps_back_starts_a_scene(drive, tmp_path):
    later = 20 * SECOND
    once = drive_events(drive)
    again = [replace(event, log=event.log + 5 * SECOND) for event in once]
    far = [replace(event, log=event.log + later, stamp=event.stamp + later) for event in once]
    path = write_bag(tmp_path / "drive", [*once, *again, *far])
    with stream_of(path) as stream:
        found = list(stream)
        assert [each.scene for each in found] == ["scene-0001"] * 3 + ["scene-0002"] * 3 + ["scene-0003"] * 3
        assert len(stream.breaks) == 2
        assert "the clock went from 1700000000.956 s to 1699999999.956 s" in stream.breaks[0]
        assert "nothing for" in stream.breaks[1]
    check_frames(found[:3], drive)
    check_frames(found[3:6], drive)


def test_a_camera_that_drops_a_frame_is_a_failure_in_its_place(drive, tmp_path):
    for lost in ("CAM_BACK", FIRST):
        stamp = drive.stamps[1][lost]
        events = [e for e in drive_events(drive) if not (e.topic == f"/{lost}/image_raw" and e.stamp == stamp)]
        with stream_of(write_bag(tmp_path / lost, events)) as stream:
            found = list(stream)
            assert [bool(each.error) for each in found] == [False, True, False]
            assert f"no image of {lost} (/{lost}/image_raw) at 1700000000.456 s" in str(found[1].error)
            assert stream.moments.missing == {lost: 1}


def test_a_vehicle_with_fewer_cameras_is_told_how_to_convert(drive, tmp_path):
    events = [e for e in drive_events(drive) if not e.topic.startswith(("/CAM_BACK_LEFT/", "/CAM_BACK_RIGHT/"))]
    path = write_bag(tmp_path / "drive", events)
    with pytest.raises(BagError, match=r"CAM_BACK_LEFT.*4 and the network has 6 cameras.*rig from-bag .*convert MODEL"):
        frames_of(path)


def test_calibration_from_a_rig_file(drive, tmp_path):
    events = [e for e in drive_events(drive, static=False) if e.kind != "info"]
    path = write_bag(tmp_path / "drive", events)
    with pytest.raises(BagError, match="no topic fits CAM_FRONT_LEFT"):
        frames_of(path)
    check_frames(frames_of(path, BagOptions(rig=drive.rigs[0])), drive)


def test_the_rig_alone(drive, tmp_path):
    path = write_bag(tmp_path / "drive", drive_events(drive, poses="none"))
    found = rig_of_bag(path)
    assert sorted(found.names) == sorted(NUSCENES_CAMERAS)
    for camera in found.cameras:
        expected = drive.rigs[0].select([camera.name]).cameras[0]
        np.testing.assert_allclose(camera.sensor2ego, expected.sensor2ego, atol=1e-12)
        assert np.array_equal(camera.ego2global, np.eye(4))


def altered(events, kind, **values):
    return [replace(e, values={**e.values, **values}) if e.kind == kind else e for e in events]


def test_what_is_missing_or_wrong_is_named(drive, tmp_path):
    events = drive_events(drive)
    no_pose = drive_events(drive, poses="none")
    stray = [replace(e, values={**e.values, "parent": "mast"}) if e.topic == "/tf_static" else e for e in events]
    for name, given, message in (
        ("no-static", drive_events(drive, static=False), "no frame 'cam_front_left_optical'; it has base_link, odom"),
        ("stray", stray, r"does not connect cam_front_left_optical with base_link: .*mast.*base_link"),
        ("no-pose", no_pose, "does not say where the vehicle is.*--fixed-frame none"),
        ("no-info", [e for e in events if e.kind != "info"], "no topic fits CAM_FRONT_LEFT"),
        ("zero-quaternion", altered(events, "tf", q=(0, 0, 0, 0)), "/tf_static: the transform base_link -> .*unit"),
        ("omni", altered(events, "info", model="omni", d=[0.1]), "/CAM_FRONT_LEFT/camera_info: lens model 'omni'"),
    ):
        with pytest.raises(BagError, match=message):
            frames_of(write_bag(tmp_path / name, given))
    still = frames_of(tmp_path / "no-pose", BagOptions(fixed_frame="none"))
    assert all(np.array_equal(each.rig.cameras[2].ego2global, np.eye(4)) for each in still)


def test_images_without_time_stamps(drive, tmp_path):
    events = [replace(e, stamp=0) if e.kind == "image" else e for e in drive_events(drive)]
    with pytest.raises(BagError, match="/CAM_FRONT_LEFT/image_raw: the first 3 images all have the time stamp 0 s"):
        frames_of(write_bag(tmp_path / "drive", events))


def test_images_of_another_size_or_encoding_fail(drive, tmp_path):
    small = altered(drive_events(drive), "info", size=(88, 50))
    (first, *_) = frames_of(write_bag(tmp_path / "small", small))
    assert "/CAM_FRONT_LEFT/image_raw has images of 176x99, and /CAM_FRONT_LEFT/camera_info is of 88x50" in str(
        first.error
    )
    (first, *_) = frames_of(write_bag(tmp_path / "deep", altered(drive_events(drive), "image", encoding="mono16")))
    assert "the encoding is 'mono16'" in str(first.error)
    zero = altered(drive_events(drive), "info", k=np.zeros(9))
    (first, *_) = frames_of(write_bag(tmp_path / "zero", zero))
    assert "intrinsics are all zero" in str(first.error)


def test_a_file_that_is_cut_off(drive, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, drive.pixels[0][FIRST].shape, dtype=np.uint8)
    events = drive_events(replace(drive, pixels=[dict.fromkeys(NUSCENES_CAMERAS, noise)] * 3), encoding="rgba8")
    folder = write_bag(
        tmp_path / "drive", [*events, *(replace(e, log=e.log + 2 * SECOND, stamp=e.stamp + 2 * SECOND) for e in events)]
    )
    whole = next(folder.glob("*.mcap"))
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.7)])
    with open_bag(cut) as bag:
        assert "cut off after 17000000" in bag.damaged
        found = list(BagStream(bag, None, NUSCENES_CAMERAS))
        assert not describe(bag).ok
    assert 1 <= sum(not each.error for each in found) < 6
    cut.write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(BagError, match=r"cut.mcap cannot be read.*mcap recover|nothing whole comes before its end"):
        frames_of(cut)
    for storage, name in (("ros1", "b.bag"), ("sqlite3", "b")):
        path = write_bag(tmp_path / name, events, storage)
        file = path if path.is_file() else next(path.glob("*.db3"))
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        with pytest.raises(BagError, match=name):
            frames_of(path)


def test_what_is_no_bag(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.mcap").touch()
    (tmp_path / "text.mcap").write_text("this is no bag at all, but it is long enough to be read as one" * 3)
    (tmp_path / "text.bag").write_text("no bag")
    for name, message in (
        ("nothing.mcap", "there is no such bag"),
        ("folder", "a folder without metadata.yaml"),
        ("empty.mcap", "is empty"),
        ("text.mcap", "cannot be read"),
        ("text.bag", "cannot be read"),
    ):
        with pytest.raises(BagError, match=message), open_bag(tmp_path / name):
            pass
    with pytest.raises(BagError, match="holds no messages"), open_bag(write_bag(tmp_path / "none", [])):
        pass


def test_info_says_what_is_there_and_what_cures_it(drive, tmp_path):
    good = write_bag(tmp_path / "good", drive_events(drive))
    with open_bag(good) as bag:
        found = describe(bag)
    assert found.ok
    assert "    cam_back_optical" in found.tree
    assert "  base_link (moves)" in found.tree
    assert found.rates["/CAM_BACK/image_raw"] == pytest.approx(3 / found.seconds, abs=0.01)
    with open_bag(write_bag(tmp_path / "bad", drive_events(drive, static=False))) as bag:
        found = describe(bag)
    assert not found.ok
    assert "Record /tf_static" in found.problems[0]
    assert found.tree == ["odom", "  base_link (moves)"]


def test_topics_of_other_types_do_not_matter(drive, tmp_path):
    extra = [Event("/chatter", event.log, event.stamp, "text", {"data": "hello"}) for event in drive_events(drive)[:9]]
    check_frames(frames_of(write_bag(tmp_path / "drive", [*drive_events(drive), *extra])), drive)


def test_memory_does_not_grow_with_the_bag(drive, tmp_path):
    """The scene again and again, 60 times: what is held at any time is a few frames."""
    events = drive_events(drive, encoding="mono8", poses="tf")
    many = [
        replace(event, log=event.log + n * 3 * SECOND // 2, stamp=event.stamp + n * 3 * SECOND // 2)
        for n in range(20)
        for event in events
        if n == 0 or event.topic != "/tf_static"
    ]
    with stream_of(write_bag(tmp_path / "long", many)) as stream:
        most = count = 0
        for each in stream:
            count += 1
            assert each.error is None
            most = max(most, sum(map(len, stream.moments._queues.values())))
        assert count == 60
        assert most <= 24


def test_a_folder_with_its_database_gone(drive, tmp_path):
    folder = write_bag(tmp_path / "drive", drive_events(drive))
    next(folder.glob("*.mcap")).unlink()
    with pytest.raises(BagError, match="files are missing"):
        frames_of(folder)
    shutil.rmtree(folder)
    assert not Path(folder).exists()
