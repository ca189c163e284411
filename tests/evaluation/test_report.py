"""The breakdown of a run against counts by hand, and the report's page."""

import re
from itertools import pairwise

import numpy as np
import pytest

from occvino.datasets.shipped import shipped_scene
from occvino.evaluation.breakdown import BANDS, break_down
from occvino.evaluation.predictions import SavedLabels
from occvino.evaluation.report import write_report
from occvino.evaluation.score import score
from occvino.metrics import MIoU
from occvino.variants import get_variant

GRID = get_variant("flashocc-r50-M0").occupancy_grid
FREE = 17


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Labels of the shipped scene that are the truth, but for what lies ahead."""
    folder, scene = tmp_path_factory.mktemp("labels"), shipped_scene()
    for index, frame in enumerate(scene):
        labels = frame.load_labels().semantics.copy()
        labels[150 - 20 * index :] = FREE
        path = folder / frame.scene / frame.token / "labels.npz"
        path.parent.mkdir(parents=True)
        np.savez_compressed(path, semantics=labels)
    return SavedLabels(folder), scene


def test_parts_are_what_is_counted_by_hand(run):
    predictions, scene = run
    found = break_down(predictions, scene, range(3))
    x, y, _ = np.indices(GRID.shape) * 0.4 - 40 + 0.2
    distance = np.hypot(x, y)
    for number, (low, high) in enumerate(pairwise(BANDS)):
        metric, both, union = MIoU(None), 0, 0
        for frame in scene:
            truth, labels = frame.load_labels(), predictions.load(frame)
            part = truth.mask_camera & (distance >= low) & (distance < high)
            metric.update(labels[part], truth.semantics[part])
            occupied = labels[part] != FREE, truth.semantics[part] != FREE
            both, union = both + (occupied[0] & occupied[1]).sum(), union + (occupied[0] | occupied[1]).sum()
        name, miou, occupied_iou = found.bands[number]
        assert name == f"{low:g} to {high:g} m"
        assert (miou, occupied_iou) == pytest.approx((metric.compute(), both / union))
    # ahead of 20, 12 and 4 m all is missing
    assert found.bands[0][1] > found.bands[2][1]


def test_the_whole_is_that_of_the_score(run):
    predictions, scene = run
    for masked in (True, False):
        found, scored = (
            break_down(predictions, scene, range(3), masked=masked),
            score(predictions, scene, range(3), masked=masked),
        )
        metric = MIoU(None)
        metric.confusion = found.confusion
        assert metric.compute() == pytest.approx(scored.miou)
        assert found.confusion.sum(1).tolist() == list(scored.voxels.values())


def test_the_worst_frame_comes_first(run):
    predictions, scene = run
    worst = break_down(predictions, scene, range(3)).worst(2)
    assert [frame.token for frame in worst] == [scene[2].token, scene[1].token]
    assert worst[0].miou < worst[1].miou < 1


def test_the_page_holds_the_figures_and_its_pictures(run, tmp_path):
    predictions, scene = run
    scored, parts = score(predictions, scene, range(3)), break_down(predictions, scene, range(3))
    write_report(tmp_path, "<m0>", "CPU", scored, parts, predictions, scene, ("other & co", scored))
    page = (tmp_path / "index.html").read_text()
    assert f"<b>{100 * scored.miou:.2f}</b>" in page
    assert "<h1>&lt;m0&gt;</h1>" in page
    assert "other &amp; co" in page
    assert "http" not in page
    assert "<script" not in page
    pictures = re.findall(r"<img src='([^']+)'", page)
    assert pictures == ["frame-01.png", "frame-02.png", "frame-03.png"]
    assert all((tmp_path / name).stat().st_size > 10_000 for name in pictures)
    pages = re.findall(r"<a href='([^']+)'", page)
    assert pages == ["frame-01.html", "frame-02.html", "frame-03.html"]
    for name, frame in zip(pages, parts.worst(), strict=True):
        solid = (tmp_path / name).read_text(encoding="utf-8")
        assert frame.token in solid
        assert 'id="volume-0-truth"' in solid
