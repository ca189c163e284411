import gzip
import json
from collections import Counter

import pytest
import torch

from benchmarks.sizes import measure
from occvino.cli.tables import FIGURES
from occvino.networks import FlashOcc
from occvino.variants import get_variant, variants

STEREO_SWIN = "flashocc/flashocc-stbase-4d-stereo-512x1408_4x4"
FOLDERS = {"flashocc": "flashocc", "bevdet": "bevdet_occ", "panoptic": "panoptic-flashocc"}


def config_of(name):
    """The official configuration of a variant."""
    name = {"flashocc-stbase-4d-stereo-512x1408": f"{STEREO_SWIN.split('/')[1]}_2e-4"}.get(name, name)
    return f"{FOLDERS[name.split('-')[0]]}/{name}.py"


@pytest.fixture(scope="module")
def official(golden):
    with gzip.open(golden / "all_configs_state_dict.json.gz") as stream:
        return {config: facts for config, facts in json.load(stream).items() if "state_dict" in facts}


PUBLISHED = [name for name in variants() if name != "occvino-nano"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_keys_shapes_and_frames_are_the_official_ones(official, name):
    facts = official[config_of(name)]
    variant = get_variant(name)
    with torch.device("meta"):
        model = FlashOcc(variant)
    assert {key: list(value.shape) for key, value in model.state_dict().items()} == facts["state_dict"]
    assert sum(parameter.numel() for parameter in model.parameters()) == facts["params"]
    assert variant.frames == facts["num_frames"]


@pytest.mark.slow
@pytest.mark.parametrize("name", variants())
def test_the_figures_that_info_shows_are_of_these_networks(name):
    figures = json.loads(FIGURES.read_text())[name]
    with torch.device("meta"):
        parameters = sum(parameter.numel() for parameter in FlashOcc(get_variant(name)).parameters())
    assert figures["parameters_millions"] == round(parameters / 1e6, 2)
    assert figures["gmacs"] == measure(get_variant(name))["gmacs"]


def test_every_configuration_that_builds_is_a_variant(official):
    told = {config_of(name) for name in PUBLISHED}
    assert told | {f"{STEREO_SWIN}_1e-2.py"} == set(official)  # the two differ in their training alone
    assert official[f"{STEREO_SWIN}_1e-2.py"]["state_dict"] == official[f"{STEREO_SWIN}_2e-4.py"]["state_dict"]
    assert len(PUBLISHED) == 17


def test_what_is_used_where():
    """Facts about the published family that the docs tell."""
    every = [get_variant(name) for name in PUBLISHED]
    assert Counter(variant.frames for variant in every) == {1: 7, 2: 2, 3: 4, 9: 2, 17: 2}
    assert [variant.name for variant in every if variant.growing_depth] == ["flashocc-r50-4d-stereo"]
    assert all(variant.depth_net for variant in every if variant.past_frames)
