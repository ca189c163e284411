import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occvino.errors import ArtifactError, OccvinoError
from occvino.runtime import panoptic, panoptic_reference
from occvino.runtime.panoptic import Centres, Mapping, assign_instances, find_centres
from occvino.variant import OCC3D_CLASSES, Axis, Grid
from occvino.variants import get_variant

SMALL = Grid(Axis(-3.2, 3.2, 0.4), Axis(-2.0, 2.0, 0.4), Axis(-1.0, 0.6, 0.4))
LABEL = {name: index for index, name in enumerate(OCC3D_CLASSES)}
TINY = "panoptic-flashocc-r50-depth-tiny-pano"


@st.composite
def scenes(draw):
    """Random labels, and centres of random classes, some of them outside of the grid and many on one voxel."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(0, 12))
    position = rng.uniform(-5, 5, (count, 3)).round(draw(st.integers(0, 2))).astype(np.float32)
    score = np.sort(rng.random(count).astype(np.float32))[::-1]
    labels = rng.integers(0, 18, SMALL.shape).astype(np.uint8)
    return labels, Centres(position, score, rng.integers(0, draw(st.integers(1, 10)), count))


@settings(max_examples=40, deadline=None)
@given(scenes(), st.sampled_from(Mapping))
def test_fast_ids_equal_the_reference(scene, mapping):
    labels, centres = scene
    fast = assign_instances(labels, centres, SMALL, mapping)
    assert fast.dtype == np.uint16
    np.testing.assert_array_equal(fast, panoptic_reference.assign_instances(labels, centres, SMALL, mapping))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_fast_peaks_equal_the_reference(seed, levels):
    score = np.random.default_rng(seed).integers(0, levels + 1, (2, 7, 9)).astype(np.float32) / levels  # many ties
    np.testing.assert_array_equal(panoptic.keep_peaks(score), panoptic_reference.keep_peaks(score))


def outputs_with(*peaks):
    """Head outputs with a peak of each (channel, row, column, logit)."""
    outputs = {"heatmap": np.full((1, 10, 200, 200), -9.0, np.float32), "reg": np.zeros((1, 2, 200, 200), np.float32)}
    for channel, row, column, logit in peaks:
        outputs["heatmap"][0, channel, row, column] = logit
    return outputs | {"height": np.full((1, 1, 200, 200), 0.5, np.float32)}


def test_a_peak_becomes_a_centre_in_metres():
    variant = get_variant(TINY)
    outputs = outputs_with((3, 10, 150, 2.0), (3, 10, 151, 1.0), (0, 40, 7, -0.9), (8, 5, 5, 4.0))
    outputs["reg"][0, :, 10, 150] = 0.25, 0.75
    centres = find_centres(outputs, variant)
    # the second is no peak, the third is below the threshold
    assert centres.channel.tolist() == [8, 3]
    np.testing.assert_allclose(centres.position[1], [150.25 * 0.4 - 40, 10.75 * 0.4 - 40, 0.5], rtol=1e-6)
    np.testing.assert_allclose(centres.score, 1 / (1 + np.exp([-4.0, -2.0])), rtol=1e-6)


def test_centres_beyond_the_range_are_dropped_and_those_at_the_threshold_too():
    variant = get_variant(TINY)
    outputs = outputs_with((0, 1, 1, 3.0), (0, 9, 9, float(np.log(0.3 / 0.7))))
    outputs["height"][0, 0, 1, 1] = 10.5
    assert len(find_centres(outputs, variant).score) == 0


def test_the_official_mapping_misreads_six_classes_and_the_corrected_one_none():
    official = [OCC3D_CLASSES[label] for label in Mapping.OFFICIAL.labels]
    corrected = [OCC3D_CLASSES[label] for label in Mapping.CORRECTED.labels]
    assert corrected == list(panoptic.HEAD_CLASSES)
    assert [a for a, b in zip(corrected, official, strict=True) if a != b] == [
        "construction_vehicle",
        "trailer",
        "barrier",
        "bicycle",
        "pedestrian",
        "traffic_cone",
    ]


def test_a_found_pedestrian_makes_the_official_cones_others():
    labels = np.full(SMALL.shape, LABEL["free"], np.uint8)
    labels[0, 0, 0], labels[1, 1, 1] = LABEL["traffic_cone"], LABEL["pedestrian"]
    pedestrian = np.array([panoptic.HEAD_CLASSES.index("pedestrian")])
    centres = Centres(np.zeros((1, 3), np.float32), np.ones(1, np.float32), pedestrian)
    official = assign_instances(labels, centres, SMALL)
    assert (official[0, 0, 0], official[1, 1, 1]) == (0, LABEL["pedestrian"])
    corrected = assign_instances(labels, centres, SMALL, Mapping.CORRECTED)
    assert (corrected[0, 0, 0], corrected[1, 1, 1]) == (LABEL["traffic_cone"], panoptic.FIRST_ID)


def test_models_without_instances_and_missing_outputs_are_refused():
    with pytest.raises(ArtifactError, match="flashocc-r50-M0 gives no instances"):
        find_centres(outputs_with(), get_variant("flashocc-r50-M0"))
    with pytest.raises(ArtifactError, match="gives no reg"):
        find_centres({"heatmap": np.zeros((1, 10, 200, 200)), "height": np.zeros(1)}, get_variant(TINY))


def test_a_mapping_is_one_of_two_and_of_a_panoptic_model():
    assert Mapping.named("corrected", get_variant(TINY)) is Mapping.CORRECTED
    assert Mapping.named("official", get_variant("flashocc-r50-M0")) is Mapping.OFFICIAL
    with pytest.raises(OccvinoError, match="no mapping 'right': choose one of official, corrected"):
        Mapping.named("right", get_variant(TINY))
    with pytest.raises(OccvinoError, match="flashocc-r50-M0 finds no instances, so mapping 'corrected' would"):
        Mapping.named("corrected", get_variant("flashocc-r50-M0"))


@pytest.mark.parametrize("name", ["pano-r50-depth-tiny-pano.B_noise", "pano-r50-depth4d-pano.B_noise"])
def test_ids_of_recorded_centres_are_the_official_ones_up_to_their_numbering(golden, name):
    """The official sort is not stable, so which id of a class an instance has is not determined; the partition is."""
    with np.load(golden / f"{name}.npz") as case:
        centres = Centres(case["centers_xyz"], case["centers_score"], case["centers_label"].astype(np.int64))
        ids = assign_instances(case["occ_argmax"], centres, get_variant(TINY).occupancy_grid)
        expected = case["pano_inst_u16"]
        order = case["inst_sort_indices"]
    assert (ids == expected)[expected < panoptic.FIRST_ID].all()
    # the official id of the k-th centre is its k-th sorted index; ours is the k-th index of a stable sort
    renumbered = np.arange(panoptic.FIRST_ID + len(order))
    renumbered[np.argsort(centres.channel, kind="stable") + panoptic.FIRST_ID] = order + panoptic.FIRST_ID
    np.testing.assert_array_equal(renumbered[ids], expected)
