"""`occvino run --bag`: the labels are those of the nuScenes form, and the MCAP of results holds them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from typer.testing import CliRunner

from occvino.cli.app import app
from occvino.cli.bag_options import bag_options
from occvino.cli.run_bag import run_bag
from occvino.datasets.bags.messages import BagError
from occvino.datasets.bags.options import BagOptions
from occvino.errors import OccvinoError
from occvino.runtime import Frame, Occupancy, Pipeline
from tests.datasets.bags.writing import drive_events, shipped_drive, write_bag
from tests.small import SMALL, known

pytestmark = pytest.mark.slow

SECOND = 10**9


ONE, SEVERAL = (replace(SMALL[index], name=f"wide-{SMALL[index].name}", input_size=(64, 128)) for index in (0, 3))
"""One frame, and three; for images as wide as nuScenes'."""


@pytest.fixture(scope="module", autouse=True)
def _small_ones_are_known():
    with known(ONE, SEVERAL):
        yield


@pytest.fixture(scope="module")
def drive():
    return shipped_drive()


def converted(folder, name, **options):
    from occvino.conversion import convert

    return convert(name, None, folder / name, precision="fp32", **options)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    return converted(tmp_path_factory.mktemp("artifacts"), ONE.name)


@pytest.fixture(scope="module")
def pipeline(artifact):
    return Pipeline(artifact)


@pytest.fixture(scope="module")
def expected(drive, pipeline):
    """Labels of the frames as they are in nuScenes' tables."""
    return [pipeline(pixels, rig).labels for pixels, rig in zip(drive.pixels, drive.rigs, strict=True)]


def run(pipeline, bag, out, options=None, **others):
    values = {"out_bag": None, "limit": None, "of_both": {"mapping": "official", "exif": "warn"}, "as_json": True}
    return run_bag(pipeline, bag, out, options or BagOptions(), **{**values, **others})


def labels_in(out):
    return {path.parent.name: Occupancy.load(path).labels for path in sorted(out.glob("scene-*/*/labels.npz"))}


def messages_of(path):
    with path.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        return [
            (channel.topic, record.log_time, message) for _, channel, record, message in reader.iter_decoded_messages()
        ]


@pytest.mark.parametrize(("storage", "encoding"), [("mcap", "png"), ("sqlite3", "bgr8"), ("ros1", "rgba8")])
def test_labels_are_those_of_the_nuscenes_form(drive, pipeline, expected, tmp_path, storage, encoding):
    topic = "/{name}/image_raw/compressed" if encoding == "png" else "/{name}/image_raw"
    events = drive_events(drive, encoding=encoding, image_topic=topic)
    bag = write_bag(tmp_path / ("drive.bag" if storage == "ros1" else "drive"), events, storage)
    assert run(pipeline, bag, tmp_path / "out")
    found = labels_in(tmp_path / "out")
    assert sorted(map(int, found)) == [stamps["CAM_FRONT_LEFT"] for stamps in drive.stamps]
    for labels, wanted in zip(found.values(), expected, strict=True):
        assert np.array_equal(labels, wanted)


def test_results_are_read_back(drive, pipeline, expected, tmp_path):
    bag = write_bag(tmp_path / "drive", drive_events(drive))
    out = tmp_path / "results.mcap"
    assert run(pipeline, bag, tmp_path / "out", out_bag=out)
    found = messages_of(out)
    grid = pipeline.artifact.variant.occupancy_grid
    clouds = [(log, message) for topic, log, message in found if topic == "/occvino/points"]
    cells = [message for topic, _, message in found if topic == "/occvino/grid"]
    moved = [message.transforms[0] for topic, _, message in found if topic == "/tf"]
    assert len(clouds) == len(cells) == len(moved) == 3
    for (log, cloud), cell, pose, labels, rig in zip(clouds, cells, moved, expected, drive.rigs, strict=True):
        stamp = cloud.header.stamp.sec * SECOND + cloud.header.stamp.nanosec
        assert stamp == log
        assert cloud.header.frame_id == cell.header.frame_id == pose.child_frame_id == "base_link"
        assert pose.header.frame_id == "odom"
        shift = pose.transform.translation
        np.testing.assert_allclose([shift.x, shift.y, shift.z], rig.cameras[0].ego2global[:3, 3])
        points = np.frombuffer(cloud.data, np.dtype([(f.name, {7: "<f4", 6: "<u4"}[f.datatype]) for f in cloud.fields]))
        assert cloud.point_step * cloud.width == len(cloud.data)
        again = np.full(labels.shape, len(pipeline.artifact.variant.class_names) - 1, np.uint8)
        places = [
            np.floor((points[name].astype(float) - lower) / step).astype(int)
            for name, lower, step in zip("xyz", grid.lower, grid.step, strict=True)
        ]
        again[tuple(places)] = points["label"]
        assert np.array_equal(again, labels)
        assert (cell.info.width, cell.info.height) == labels.shape[:2]
        assert cell.info.resolution == pytest.approx(grid.x.step)
        assert set(cell.data) <= {-1, 0, 100}


def test_the_frame_of_the_results_where_base_link_is_elsewhere(drive, pipeline, tmp_path):
    bag = write_bag(tmp_path / "drive", drive_events(drive))
    base2ego = np.eye(4)
    base2ego[:3, 3] = [0.1, 0.0, 0.05]
    run(pipeline, bag, tmp_path / "out", BagOptions(base2ego=base2ego), out_bag=tmp_path / "r.mcap")
    found = messages_of(tmp_path / "r.mcap")
    (fixed,) = [message.transforms[0] for topic, _, message in found if topic == "/tf_static"]
    assert (fixed.header.frame_id, fixed.child_frame_id) == ("base_link", "occvino_ego")
    assert fixed.transform.translation.x == pytest.approx(-0.1)
    assert {message.header.frame_id for topic, _, message in found if topic == "/occvino/points"} == {"occvino_ego"}
    shift = next(message.transforms[0] for topic, _, message in found if topic == "/tf").transform.translation
    assert shift.x == pytest.approx(drive.rigs[0].cameras[0].ego2global[0, 3])


def test_a_frame_that_fails_is_told_and_the_others_are_there(drive, pipeline, expected, tmp_path, capsys):
    stamp = drive.stamps[1]["CAM_BACK"]
    events = [e for e in drive_events(drive) if not (e.topic == "/CAM_BACK/image_raw" and e.stamp == stamp)]
    bag, out = write_bag(tmp_path / "drive", events), tmp_path / "results.mcap"
    assert not run(pipeline, bag, tmp_path / "out", out_bag=out, as_json=False)
    told = capsys.readouterr().out
    assert "failed: scene-0001/1700000000456573000: no image of CAM_BACK (/CAM_BACK/image_raw)" in told
    assert "frames without an image of: CAM_BACK 1" in told
    assert "2 of 3 frames labelled" in told
    found = list(labels_in(tmp_path / "out").values())
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(found[1], expected[2])
    assert sum(topic == "/occvino/grid" for topic, _, _ in messages_of(out)) == 2


def test_a_bad_end_leaves_the_older_results(drive, pipeline, tmp_path):
    bag, out = write_bag(tmp_path / "drive", drive_events(drive, static=False)), tmp_path / "results.mcap"
    out.write_text("older")
    with pytest.raises(BagError, match="no frame"):
        run(pipeline, bag, tmp_path / "out", out_bag=out)
    assert out.read_text() == "older"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
    with pytest.raises(OccvinoError, match="is in the bag"):
        run(pipeline, bag, tmp_path / "out", out_bag=bag / "drive.mcap")
    with pytest.raises(BagError, match=r"ends in \.mcap"):
        run(pipeline, write_bag(tmp_path / "good", drive_events(drive)), tmp_path / "out", out_bag=tmp_path / "r.bag")


def test_a_bag_that_is_damaged_in_the_middle_keeps_what_was_labelled(drive, pipeline, tmp_path, capsys):
    later = [replace(e, log=e.log + 9 * SECOND, stamp=e.stamp + 9 * SECOND) for e in drive_events(drive)]
    broken = next(e for e in later if e.kind == "image" and e.stamp > later[0].stamp + SECOND // 2)
    later[later.index(broken)] = replace(broken, values={**broken.values, "cut": 40})
    bag = write_bag(tmp_path / "drive", [*drive_events(drive), *later])
    assert not run(pipeline, bag, tmp_path / "out", out_bag=tmp_path / "r.mcap", as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert "is damaged after 1700000009.4" in told["broken"]
    assert told["frames"] == len(labels_in(tmp_path / "out")) >= 3
    assert messages_of(tmp_path / "r.mcap")


def test_other_labels_are_not_mixed_in(drive, pipeline, tmp_path):
    run(pipeline, write_bag(tmp_path / "one", drive_events(drive)), tmp_path / "out", limit=1)
    assert len(labels_in(tmp_path / "out")) == 1
    with pytest.raises(OccvinoError, match=r"bag: one there, two now"):
        run(pipeline, write_bag(tmp_path / "two", drive_events(drive)), tmp_path / "out")


def test_temporal_models_take_a_bag_as_a_stream(drive, tmp_path):
    """The past is forgotten where the clock jumps, as where a scene of a data set ends."""
    pipeline = Pipeline(converted(tmp_path, SEVERAL.name, temporal="exact"))
    times = [stamps["CAM_FRONT_LEFT"] / 1e9 for stamps in drive.stamps]
    frames = [
        Frame(pixels, rig, scene="one", time=time)
        for pixels, rig, time in zip(drive.pixels, drive.rigs, times, strict=True)
    ]
    expected = [each.labels for each in pipeline.stream(frames)]
    pipeline.reset()
    again = [replace(event, log=event.log + 9 * SECOND) for event in drive_events(drive)]
    bag = write_bag(tmp_path / "drive", [*drive_events(drive), *again])
    assert run(pipeline, bag, tmp_path / "out")
    for scene in ("scene-0001", "scene-0002"):
        found = [Occupancy.load(path).labels for path in sorted((tmp_path / "out" / scene).glob("*/labels.npz"))]
        assert len(found) == 3
        assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))


def test_the_command_line(drive, artifact, tmp_path):
    """From the options to the exit code."""
    bag = write_bag(tmp_path / "drive", drive_events(drive))

    def occvino(*given):
        return CliRunner().invoke(app, [*map(str, given)])

    one = ("run", artifact.path, "--bag", bag, "--out", tmp_path / "out")
    done = occvino(*one, "--limit", 1, "--base-pose", "0,0,0,0,0,0", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["frames"] == 1
    with pytest.raises(OccvinoError, match="--base-pose 1,2: expected X,Y,Z"):
        raise occvino(*one, "--base-pose", "1,2").exception
    with pytest.raises(OccvinoError, match="go with --bag"):
        raise occvino("run", artifact.path, "--images", tmp_path, "--out", tmp_path, "--window", "1").exception
    with pytest.raises(OccvinoError, match="no topic fits CAM_FRONT_LEFT|the topic is not in the bag"):
        raise occvino(*one, "--topic", "CAM_FRONT_LEFT=/nothing").exception
    about = occvino("info", bag, "--json")
    assert about.exit_code == 0, about.output
    assert json.loads(about.stdout)["ok"]
    told = occvino("info", write_bag(tmp_path / "bad", drive_events(drive, static=False)))
    assert told.exit_code == 1
    assert "It will not do: tf has no frame" in told.stdout


def test_base_pose_in_degrees():
    """Turned by 90 degrees to the left, the x axis of base_link looks along y."""
    made = bag_options(base_pose="1,2,3,0,0,90").base2ego
    np.testing.assert_allclose(made @ [1, 0, 0, 1], [1, 3, 3, 1], atol=1e-12)
    made = bag_options(base_pose="0,0,0,0,90,0").base2ego
    np.testing.assert_allclose(made @ [1, 0, 0, 1], [0, 0, -1, 1], atol=1e-12)  # nose down
