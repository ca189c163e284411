"""A bag in the viewers: as an artifact labels it, beside labels of an earlier run, and while a run goes on."""

from dataclasses import replace

import numpy as np
import pytest

from occvino.cli.run_bag import run_bag
from occvino.cli.view_source import Source
from occvino.cli.watch import watching
from occvino.datasets.bags.options import BagOptions
from occvino.errors import OccvinoError
from occvino.runtime import Pipeline
from tests.datasets.bags.writing import drive_events, shipped_drive, write_bag
from tests.small import SMALL, known

pytestmark = pytest.mark.slow

ONE = replace(SMALL[0], name=f"wide-{SMALL[0].name}", input_size=(64, 128))


@pytest.fixture(scope="module", autouse=True)
def _small_one_is_known():
    with known(ONE):
        yield


@pytest.fixture(scope="module")
def drive():
    return shipped_drive()


@pytest.fixture(scope="module")
def bag(drive, tmp_path_factory):
    return write_bag(tmp_path_factory.mktemp("bag") / "drive", drive_events(drive))


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    from occvino.conversion import convert

    folder = tmp_path_factory.mktemp("artifact") / "small"
    return convert(ONE.name, None, folder, precision="fp32", outputs=("depth", "bev"))


def test_a_bag_is_labelled_and_shown(drive, bag, artifact):
    frames = list(Source(artifact.path, bag=bag).frames())
    pipeline = Pipeline(artifact)
    assert len(frames) == len(drive.rigs) == 3
    for frame, pixels, rig in zip(frames, drive.pixels, drive.rigs, strict=True):
        np.testing.assert_array_equal(frame.labels, pipeline(pixels, rig).labels)
        assert set(frame.images) == set(rig.names)
        assert frame.scene == "scene-0001"
        assert frame.rig is not None
        assert set(frame.features) == {"bev", *(f"depth {name}" for name in rig.names)}
    assert frames[1].time - frames[0].time == pytest.approx(0.5, abs=0.1)


def test_saved_labels_are_shown_with_the_images_of_the_bag(drive, bag, artifact, tmp_path):
    values = {"out_bag": None, "limit": 2, "of_both": {"mapping": "official", "exif": "warn"}, "as_json": True}
    shown = []
    watch = lambda occupancy, frame: shown.append((occupancy, frame))  # noqa: E731
    assert run_bag(Pipeline(artifact), bag, tmp_path / "out", BagOptions(), watch=watch, **values)
    with pytest.warns(UserWarning, match=r"no labels\.npz"):
        frames = list(Source(tmp_path / "out", bag=bag).frames())
    assert len(frames) == len(shown) == 2
    for frame, (occupancy, given), rig in zip(frames, shown, drive.rigs, strict=False):
        np.testing.assert_array_equal(frame.labels, occupancy.labels)
        assert given.time == frame.time
        assert set(frame.images) == set(rig.names)
    (tmp_path / "empty").mkdir()
    with pytest.warns(UserWarning, match="scene-0001"), pytest.raises(OccvinoError, match="no labels of this bag"):
        list(Source(tmp_path / "empty", bag=bag).frames())


def test_a_bag_alone_has_nothing_to_show(bag):
    with pytest.raises(OccvinoError, match="occvino view ARTIFACT --bag"):
        Source(bag).frames()


def test_a_run_is_recorded_as_it_goes(bag, artifact, tmp_path):
    pytest.importorskip("rerun", reason="recordings are written by rerun-sdk (extra viz)")
    values = {"out_bag": None, "limit": None, "of_both": {"mapping": "official", "exif": "warn"}, "as_json": True}
    with watching(str(tmp_path / "run.rrd")) as watch:
        assert run_bag(Pipeline(artifact), bag, tmp_path / "out", BagOptions(), watch=watch, **values)
    assert (tmp_path / "run.rrd").stat().st_size > 10_000
    with watching(None) as watch:
        assert watch is None
    with pytest.raises(OccvinoError, match=r"expected window, FILE\.rrd"), watching("nowhere"):
        pass
