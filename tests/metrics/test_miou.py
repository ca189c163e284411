import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from occvino.metrics import MIoU, reference
from occvino.metrics.miou import MetricError
from occvino.variant import OCC3D_CLASSES

relaxed = settings(deadline=None, max_examples=60)  # the machine may be busy
SHAPE = (4, 3, 5)
CLASSES = st.integers(0, 17)
LABELS = hnp.arrays(np.uint8, SHAPE, elements=CLASSES)
TRUTH = hnp.arrays(np.uint8, SHAPE, elements=CLASSES | st.just(255))
MASK = hnp.arrays(bool, SHAPE)
FRAMES = st.lists(st.tuples(LABELS, TRUTH, MASK), min_size=1, max_size=4)


def same(a: float, b: float) -> bool:
    return (math.isnan(a) and math.isnan(b)) or a == pytest.approx(b, abs=1e-12)


@relaxed
@given(FRAMES, st.sampled_from(["camera", "lidar", None]))
def test_agrees_with_the_reference(images, mask):
    fast, slow = MIoU(mask), reference.MIoU(mask)
    for prediction, truth, seen in images:
        fast.update(prediction, truth, seen)
        slow.update(prediction, truth, seen)
    assert same(fast.compute(), slow.compute())
    ours, theirs = fast.per_class(), slow.per_class()
    assert list(ours) == list(OCC3D_CLASSES)
    assert all(same(ours[name], theirs[name]) for name in theirs)


@relaxed
@given(LABELS)
def test_the_truth_itself_scores_one_and_absent_classes_do_not_count(labels):
    metric = MIoU(None)
    metric.update(labels, labels)
    present = {OCC3D_CLASSES[i] for i in np.unique(labels)}
    assert {name for name, iou in metric.per_class().items() if iou == 1.0} == present
    assert same(metric.compute(), 1.0 if present - {"free"} else math.nan)


@relaxed
@given(FRAMES)
def test_one_large_frame_equals_many_small_ones(images):
    one, many = MIoU("camera"), MIoU("camera")
    for frame in images:
        many.update(*frame)
    one.update(*(np.concatenate(parts) for parts in zip(*images, strict=True)))
    assert np.array_equal(one.confusion, many.confusion)
    many.reset()
    assert many.frames == 0
    assert math.isnan(many.compute())


@relaxed
@given(LABELS, TRUTH, MASK, LABELS)
def test_what_the_mask_hides_changes_nothing(prediction, truth, mask, other):
    first, second = MIoU("camera"), MIoU("camera")
    first.update(prediction, truth, mask)
    second.update(np.where(mask, prediction, other), truth, mask)
    assert np.array_equal(first.confusion, second.confusion)


def test_free_counts_against_other_classes_but_is_no_class_of_its_own():
    truth = np.array([4, 4, 17, 17], np.uint8)
    metric = MIoU(None)
    metric.update(np.array([4, 17, 4, 17], np.uint8), truth)
    assert metric.compute() == pytest.approx(1 / 3)  # car: one hit, one missed, one invented; nothing else occurs


@pytest.mark.parametrize(
    ("prediction", "truth", "mask", "said"),
    [
        (np.zeros((2, 2), np.uint8), np.zeros(4, np.uint8), None, r"prediction is uint8 \(2, 2\)"),
        (np.zeros(4), np.zeros(4, np.uint8), None, "prediction is float64"),
        (np.full(4, 18, np.uint8), np.zeros(4, np.uint8), None, "prediction holds class 18"),
        (np.full(4, 255, np.uint8), np.zeros(4, np.uint8), None, "prediction holds class 255"),
        (np.zeros(4, np.uint8), np.full(4, -1), None, "truth holds class -1"),
        (np.zeros(4, np.uint8), np.zeros(4, np.uint8), None, "camera mask is missing"),
        (np.zeros(4, np.uint8), np.zeros(4, np.uint8), np.ones(3, bool), r"camera mask is of shape \(3,\)"),
    ],
)
def test_refuses_what_it_cannot_count(prediction, truth, mask, said):
    metric = MIoU("camera")
    with pytest.raises(MetricError, match=said):
        metric.update(prediction, truth, mask)
    assert metric.frames == 0
    assert not metric.confusion.any()
