"""What `verify` says of the precision that `run` computes in."""

import numpy as np
import openvino as ov
import pytest

from occvino.artifact import Artifact
from occvino.conversion.as_run import NEAR_TIE, AsRun, as_run
from occvino.conversion.verify import expect, verify
from occvino.evaluation.as_run import miou_as_run
from occvino.runtime import Pipeline

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def expected(nano, rig, images):
    """What the IR is given, and what PyTorch makes of it."""
    return expect(nano, images, rig)


def test_labels_that_differ_are_counted_and_near_ties_apart(nano, expected):
    """PyTorch's labels are altered where its logits are known to be a near tie, and where they are not."""
    compiled = ov.Core().compile_model(nano.path / "model.xml", "CPU")
    labels = np.array(compiled(dict(expected.inputs))["labels"])
    given = {"labels": labels.copy(), "logits": expected.torch["logits"].copy()}
    deviation = float(given["logits"].std())
    for count, (cell, margin) in enumerate([((3, 4, 5), 0.5), ((7, 8, 9), 0.5), ((10, 11, 12), 0.1 * NEAR_TIE)], 1):
        other = (labels[cell] + 1) % 18
        given["labels"][cell] = other
        given["logits"][(*cell, other)] = given["logits"][(*cell, labels[cell])] + margin * deviation
        found = as_run(nano, expected.inputs, given, "CPU")
        assert found.labels == pytest.approx(1 - count / labels.size)
        assert found.clear == pytest.approx(min(count, 2) / labels.size)


def test_verify_in_fp32_tells_it_and_in_another_precision_does_not(nano, rig, images):
    report = verify(nano, images, rig)
    assert report.as_run is not None
    assert report.as_run.precision == Pipeline(nano).running.precision
    assert report.as_run.labels > 0.99
    assert report.to_dict()["as_run"]["precision"] == report.as_run.precision
    assert verify(nano, images, rig, precision=None).as_run is None


def test_the_words_name_the_precision_and_what_it_costs():
    assert "in fp32 here as well" in str(AsRun("fp32", 1.0, 0.0))
    words = str(AsRun("bf16", 0.995, 0.004))
    assert "bf16" in words
    assert "99.5000%" in words
    assert "occvino eval" in words
    assert "16.91% in fp32, 16.80% so" in str(AsRun("bf16", 0.995, 0.004, (0.1691, 0.168)))


def test_what_it_costs_on_the_shipped_scene(nano):
    exact, found = miou_as_run(Artifact.open(nano.path), "CPU")
    assert 0 <= exact < 0.2  # random weights
    assert abs(exact - found) < 0.01
