"""Each loss against its definition, written out."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from occvino.training.depth import NO_DEPTH
from occvino.training.examples import Example
from occvino.training.losses import (
    LossSettings,
    TrainError,
    bin_weights,
    class_weights,
    cross_entropy,
    depth_loss,
    draw_voxels,
    lovasz_softmax,
    total_loss,
)


@given(seed=st.integers(0, 1000), voxels=st.integers(1, 60), classes=st.integers(2, 5))
@settings(max_examples=40, deadline=None)
def test_lovasz_of_certain_predictions_is_one_minus_iou(seed, voxels, classes):
    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(0, classes, voxels), rng.integers(0, classes, voxels)
    losses = []
    for label in np.unique(truth):
        hit = ((truth == label) & (predicted == label)).sum()
        losses.append(1 - hit / ((truth == label) | (predicted == label)).sum())
    certain = F.one_hot(torch.from_numpy(predicted), classes).float()
    assert float(lovasz_softmax(certain, torch.from_numpy(truth), torch.ones(voxels))) == pytest.approx(
        np.mean(losses), abs=1e-5
    )


@given(seed=st.integers(0, 1000), voxels=st.integers(1, 12))
@settings(max_examples=30, deadline=None)
def test_lovasz_equals_its_plain_twin(seed, voxels):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, voxels)
    probabilities = rng.dirichlet(np.ones(3), voxels)
    losses = []
    for label in np.unique(truth):
        inside = truth == label
        errors = np.abs(inside - probabilities[:, label])
        order = np.argsort(-errors, kind="stable")
        loss, before = 0.0, 0.0
        for count in range(1, voxels + 1):
            wrong = np.isin(np.arange(voxels), order[:count])
            jaccard = 1 - (inside & ~wrong).sum() / (inside | wrong).sum()
            loss += errors[order[count - 1]] * (jaccard - before)
            before = jaccard
        losses.append(loss)
    found = lovasz_softmax(torch.from_numpy(probabilities).float(), torch.from_numpy(truth), torch.ones(voxels))
    assert float(found) == pytest.approx(np.mean(losses), abs=1e-5)


@given(seed=st.integers(0, 1000), voxels=st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_a_voxel_that_stands_for_several_is_several_equal_voxels(seed, voxels):
    rng = np.random.default_rng(seed)
    truth, times = torch.from_numpy(rng.integers(0, 3, voxels)), torch.from_numpy(rng.integers(1, 5, voxels))
    logits, weights = torch.from_numpy(rng.normal(size=(voxels, 3))).float(), torch.from_numpy(rng.random(3)).float()
    probabilities = logits.softmax(1)
    each = torch.arange(voxels).repeat_interleave(times)
    ones = torch.ones(len(each))
    expected = lovasz_softmax(probabilities[each], truth[each], ones)
    torch.testing.assert_close(lovasz_softmax(probabilities, truth, times.float()), expected, rtol=1e-4, atol=1e-5)
    expected = cross_entropy(logits[each], truth[each], weights[truth[each]])
    torch.testing.assert_close(cross_entropy(logits, truth, weights[truth] * times), expected, rtol=1e-4, atol=1e-5)


def test_cross_entropy_is_a_weighted_mean():
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(size=(50, 4))).float()
    truth, weights = torch.from_numpy(rng.integers(0, 4, 50)), torch.from_numpy(rng.random(50)).float()
    total = norm = 0.0
    for row, label, weight in zip(logits.double(), truth, weights.double(), strict=True):
        total += float(weight) * float(torch.logsumexp(row, 0) - row[label])
        norm += float(weight)
    assert float(cross_entropy(logits, truth, weights)) == pytest.approx(total / norm, rel=1e-5)
    assert float(cross_entropy(logits, truth, torch.zeros(50))) == 0


def _volume(seed):
    """Logits, and a frame of 4 classes of which the last is free and most frequent."""
    rng = np.random.default_rng(seed)
    truth = torch.from_numpy(np.minimum(rng.integers(0, 12, (40, 30, 4)), 3))
    seen = torch.from_numpy(rng.random((40, 30, 4)) < 0.4)
    logits = torch.from_numpy(rng.normal(size=(40, 30, 4, 4))).float()
    depth = torch.full((1, 2, 1, 1), 0.5)
    return logits, depth, Example(torch.empty(0), (), truth, seen, torch.zeros(1, 1, 1, dtype=torch.int64))


def _whole(logits, example, weights, settings):
    """The twin of the voxels' terms: every voxel, none drawn."""
    flat, truth, seen = logits.flatten(0, 2), example.semantics.flatten(), example.seen.flatten()
    weight = weights[truth] * torch.where(seen, 1.0, settings.unseen)
    return {
        "cross_entropy": cross_entropy(flat, truth, weight),
        "lovasz": settings.lovasz * lovasz_softmax(flat[seen].softmax(1), truth[seen], torch.ones(int(seen.sum()))),
    }


def test_with_every_voxel_drawn_the_loss_is_that_of_the_volume():
    logits, depth, example = _volume(0)
    asked = LossSettings(unseen=0.25, lovasz=0.5, depth=0, share_free=1.0, share_unseen=1.0)
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0])
    found, expected = (
        total_loss(logits, depth, example, weights, torch.ones(2), asked),
        _whole(logits, example, weights, asked),
    )
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6)


def test_with_a_share_drawn_the_loss_and_its_gradient_are_on_average_those_of_the_volume():
    logits, depth, example = _volume(1)
    logits.requires_grad_(True)
    asked = LossSettings(unseen=0.25, share_free=0.2, share_unseen=0.1)
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0])
    expected = _whole(logits, example, weights, asked)
    torch.manual_seed(0)
    drawn = [total_loss(logits, depth, example, weights, torch.ones(2), asked) for _ in range(400)]
    for name, value in expected.items():
        (wanted,) = torch.autograd.grad(value, logits, retain_graph=True)
        mean = torch.stack([terms[name] for terms in drawn]).mean()
        (found,) = torch.autograd.grad(mean, logits, retain_graph=True)
        # 400 draws of a few hundred voxels: a wrong weight, such as one without `times`, is off by tens of per cent
        assert float(mean.detach()) == pytest.approx(float(value.detach()), rel=0.01), name
        along = float((found * wanted).sum() / (wanted * wanted).sum())
        assert along == pytest.approx(1, rel=0.03), name


def test_all_seen_solids_are_drawn_and_a_share_of_the_others():
    truth, seen = torch.tensor([3, 3, 1, 1]).repeat(20_000), torch.tensor([True, False]).repeat(40_000)
    torch.manual_seed(0)
    voxels = draw_voxels(truth, seen, 3, LossSettings(share_free=0.1, share_unseen=0.02))
    assert (voxels.truth == truth[voxels.index]).all()
    assert (voxels.seen == seen[voxels.index]).all()
    solid = voxels.seen & (voxels.truth != 3)
    assert int(solid.sum()) == int((seen & (truth != 3)).sum())
    assert (voxels.times[solid] == 1).all()
    for kind, times in ((voxels.seen & (voxels.truth == 3), 10), (~voxels.seen, 50)):
        assert voxels.times[kind].unique().tolist() == pytest.approx([times])
        assert int(kind.sum()) * times == pytest.approx(20_000 * (1 if times == 10 else 2), rel=0.1)


def test_depth_counts_only_pixels_with_a_return():
    probabilities = torch.tensor([0.2, 0.5, 0.3]).reshape(1, 3, 1, 1).expand(1, 3, 2, 2)
    bins = torch.tensor([[[NO_DEPTH, 1], [2, NO_DEPTH]]])
    assert float(depth_loss(probabilities, bins, torch.ones(3))) == pytest.approx(
        -(np.log(0.5) + np.log(0.3)) / 2, rel=1e-5
    )
    assert float(depth_loss(probabilities, torch.full_like(bins, NO_DEPTH), torch.ones(3))) == 0


def test_far_pixels_count_more_where_labels_tell_depth():
    assert bin_weights((1.0, 10.0, 25.0, 44.0), "labels").tolist() == [0.5, 1.0, 2.5, 3.0]
    assert bin_weights((1.0, 44.0), "lidar").tolist() == [1.0, 1.0]
    probabilities = torch.tensor([0.5, 0.3, 0.2]).reshape(1, 3, 1, 1).expand(1, 3, 1, 2)
    found = depth_loss(probabilities, torch.tensor([[[0, 2]]]), torch.tensor([1.0, 1.0, 3.0]))
    assert float(found) == pytest.approx(-(np.log(0.5) + 3 * np.log(0.2)) / 4, rel=1e-5)


def test_rare_classes_weigh_more_and_absent_ones_stay_finite():
    weights = class_weights(torch.tensor([0, 10, 1_000_000]))
    assert weights[0] >= weights[1] > weights[2] > 0
    assert weights.isfinite().all()
    assert float(weights.mean()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "wrong",
    [{"depth": -0.3}, {"lovasz": float("nan")}, {"share_free": 0.0}, {"share_unseen": 1.5}, {"depth_from": "radar"}],
)
def test_settings_that_no_loss_can_have_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(TrainError, match=name):
        LossSettings(**wrong)
