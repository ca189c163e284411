"""Images of depth and BEV features."""

import numpy as np
import pytest

from occvino.variants import get_variant
from occvino.viz.features import feature_images

MODEL = get_variant("flashocc-r50-M0")


def depth_of(bins):
    """Probabilities [1, D, 1, len(bins)] that are certain of a bin."""
    found = np.zeros((1, MODEL.depth_bins, 1, len(bins)), np.float32)
    found[0, bins, 0, np.arange(len(bins))] = 1
    return found


def test_near_is_lighter_than_far():
    image = feature_images({"depth": depth_of([0, 5, 20, 43])}, MODEL, ["CAM_FRONT"])["depth CAM_FRONT"]
    assert image.shape == (1, 4, 3)
    light = image[0].astype(int).sum(axis=1)
    assert (np.diff(light) < 0).all()


def test_forward_is_up_and_left_is_left():
    bev = np.zeros((1, 2, 8, 6), np.float32)  # [1, C, Dy, Dx]
    bev[0, :, 7, 5] = 1  # far left, far ahead
    image = feature_images({"bev": bev}, MODEL, [])["bev"]
    assert image.shape == (6, 8, 3)
    light = image.astype(int).sum(axis=2)
    assert np.unravel_index(light.argmax(), light.shape) == (0, 0)


@pytest.mark.parametrize("extras", [{}, {"logits": np.zeros((2, 2, 2, 18))}])
def test_without_them_there_is_nothing(extras):
    assert feature_images(extras, MODEL, ["CAM_FRONT"]) == {}
