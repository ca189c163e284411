"""A sample of several frames holds what the network is given of them when it runs."""

import numpy as np
import pytest

from occvino.datasets.shipped import shipped_drive
from occvino.geometry.inputs import input_names, joint_calibration, network_inputs
from occvino.images.inputs import images_of
from occvino.training.samples import load_sample, moments_of
from occvino.variants import get_variant
from tests.small import small_form

FORMS = [small_form(get_variant(name)) for name in ("panoptic-flashocc-r50-depth4d", "flashocc-r50-4d-stereo")]


@pytest.mark.parametrize("variant", FORMS, ids=lambda variant: variant.name)
def test_without_changes_it_is_what_a_pipeline_gives(variant):
    moments = moments_of(shipped_drive(), variant)[2]
    assert [frame.timestamp for frame in moments] == sorted((frame.timestamp for frame in moments), reverse=True)
    sample = load_sample(moments, variant, None, with_depth=False)
    rigs = [frame.rig for frame in moments]
    pictures = images_of([(frame.pictures(), frame.rig) for frame in moments], rigs, variant)
    np.testing.assert_array_equal(sample.images, pictures)
    expected = network_inputs(joint_calibration(rigs, variant), variant)
    assert ["images", *expected] == list(input_names(variant))
    for found, (name, array) in zip(sample.inputs, expected.items(), strict=True):
        np.testing.assert_array_equal(found, array, err_msg=name)


def test_a_cameras_picture_is_changed_alike_in_all_frames():
    variant = FORMS[0]
    moments = moments_of(shipped_drive(), variant)[2]
    sample = load_sample((moments[0], moments[0]), variant, np.random.default_rng(0), with_depth=False)
    now, before = sample.images.split(6)
    np.testing.assert_array_equal(now, before)
    changed = load_sample(moments, variant, np.random.default_rng(0), with_depth=False)
    transforms = changed.inputs[3][:, 4:10].reshape(2, 6, 6)  # [F, N, 6], of the camera vectors
    np.testing.assert_array_equal(transforms[0], transforms[1])
    assert len(np.unique(transforms[0], axis=0)) == 6
