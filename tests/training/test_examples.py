"""An example of several frames holds what the network is given when it runs."""

import numpy as np
import pytest

from occvino.datasets.shipped import shipped_scene
from occvino.geometry.inputs import Geometry, input_names
from occvino.images.inputs import resized_images
from occvino.training.examples import load_example, samples_of
from occvino.variants import get_variant
from tests.small import small_form

FORMS = [small_form(get_variant(name)) for name in ("panoptic-flashocc-r50-depth4d", "flashocc-r50-4d-stereo")]


@pytest.mark.parametrize("variant", FORMS, ids=lambda variant: variant.name)
def test_without_changes_it_is_what_a_pipeline_gives(variant):
    samples = samples_of(shipped_scene(), variant)[2]
    assert [frame.timestamp for frame in samples] == sorted((frame.timestamp for frame in samples), reverse=True)
    example = load_example(samples, variant, None, depth_from=None)
    rigs = [frame.rig for frame in samples]
    images = resized_images([(frame.image_files(), frame.rig) for frame in samples], rigs, variant)
    np.testing.assert_array_equal(example.images, images)
    expected = Geometry.of_rigs(rigs, variant).inputs
    assert ["images", *expected] == list(input_names(variant))
    for found, (name, array) in zip(example.inputs, expected.items(), strict=True):
        np.testing.assert_array_equal(found, array, err_msg=name)


def test_a_cameras_images_are_changed_alike_in_all_frames():
    variant = FORMS[0]
    samples = samples_of(shipped_scene(), variant)[2]
    example = load_example((samples[0], samples[0]), variant, np.random.default_rng(0), depth_from=None)
    now, before = example.images.split(6)
    np.testing.assert_array_equal(now, before)
    changed = load_example(samples, variant, np.random.default_rng(0), depth_from=None)
    transforms = changed.inputs[3][:, 4:10].reshape(2, 6, 6)  # [F, N, 6], of the camera vectors
    np.testing.assert_array_equal(transforms[0], transforms[1])
    assert len(np.unique(transforms[0], axis=0)) == 6
