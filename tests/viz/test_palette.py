"""Colours that can be told apart, also by people who see fewer of them."""

import numpy as np
import pytest

from occvino.viz.palette import COLOURS, DIFFERENCE_COLOURS, SAFE_COLOURS, SAFE_DIFFERENCES

# What people without one kind of cone see, on linear RGB. Source: Machado, Oliveira and Fernandes, "A Physiologically-
# based Model for Simulation of Color Vision Deficiency" (2009), severity 1.
SEEN = {
    "all three": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
# Linear RGB to OKLab. Source: Ottosson, "A perceptual color space for image processing" (2020).
CONES = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
]
LAB = [
    [0.2104542553, 0.793617785, -0.0040720468],
    [1.9779984951, -2.428592205, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.808675766],
]


def smallest_distance(colours, seen):
    """Between any two colours, in OKLab, as they are seen."""
    c = np.array(list(colours), np.float64) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    lab = np.cbrt(np.clip(linear @ np.array(seen).T, 0, 1) @ np.array(CONES).T) @ np.array(LAB).T
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    return apart[np.triu_indices(len(lab), 1)].min()


@pytest.mark.parametrize("kind", SEEN)
def test_safe_colours_are_far_apart_for_everyone(kind):
    assert SAFE_COLOURS.keys() == COLOURS.keys()
    assert smallest_distance(SAFE_COLOURS.values(), SEEN[kind]) > 0.08
    assert smallest_distance(SAFE_DIFFERENCES, SEEN[kind]) > 0.15


def test_the_fields_colours_are_not_which_is_why_there_are_others():
    assert min(smallest_distance(COLOURS.values(), seen) for seen in SEEN.values()) < 0.03
    assert smallest_distance(COLOURS.values(), SEEN["all three"]) > 0.04
    assert smallest_distance(DIFFERENCE_COLOURS, SEEN["all three"]) > 0.15
