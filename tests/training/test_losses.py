"""Each loss against its definition, written out."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from occvino.training.examples import NO_DEPTH
from occvino.training.losses import class_weights, cross_entropy, depth_loss, lovasz_softmax


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
    assert float(lovasz_softmax(certain, torch.from_numpy(truth))) == pytest.approx(np.mean(losses), abs=1e-5)


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
    found = lovasz_softmax(torch.from_numpy(probabilities).float(), torch.from_numpy(truth))
    assert float(found) == pytest.approx(np.mean(losses), abs=1e-5)


def test_cross_entropy_weighs_classes_and_unseen_voxels():
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(size=(50, 4))).float()
    truth, seen = torch.from_numpy(rng.integers(0, 4, 50)), torch.from_numpy(rng.random(50) < 0.5)
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0])
    total = norm = 0.0
    for row, label, visible in zip(logits.double(), truth, seen, strict=True):
        weight = float(weights[label]) * (1.0 if visible else 0.25)
        total += weight * float(torch.logsumexp(row, 0) - row[label])
        norm += weight
    assert float(cross_entropy(logits, truth, seen, weights, 0.25)) == pytest.approx(total / norm, rel=1e-5)


def test_depth_counts_only_pixels_with_a_return():
    probabilities = torch.tensor([0.2, 0.5, 0.3]).reshape(1, 3, 1, 1).expand(1, 3, 2, 2)
    bins = torch.tensor([[[NO_DEPTH, 1], [2, NO_DEPTH]]])
    assert float(depth_loss(probabilities, bins)) == pytest.approx(-(np.log(0.5) + np.log(0.3)) / 2, rel=1e-5)
    assert float(depth_loss(probabilities, torch.full_like(bins, NO_DEPTH))) == 0


def test_rare_classes_weigh_more_and_absent_ones_stay_finite():
    weights = class_weights(torch.tensor([0, 10, 1_000_000]))
    assert weights[0] >= weights[1] > weights[2] > 0
    assert weights.isfinite().all()
    assert float(weights.mean()) == pytest.approx(1.0)
