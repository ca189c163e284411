"""The parts that a plugin may get wrong, each in a small variant, on OpenVINO's own GPU plugin with no GPU."""

import pytest

from benchmarks.parts import measure
from occvino.variants import get_variant
from tests.small import known, small_form

pytestmark = pytest.mark.gpu

PARTS = {
    "stereo": ("flashocc-r50-4d-stereo", "batch"),
    "Swin": ("flashocc-stbase-4d-stereo-512x1408", "batch"),
    "3D encoder and head": ("bevdet-occ-r50", "batch"),
    "camera-aware depth, instances": ("panoptic-flashocc-r50-depth-pano", "batch"),
    "a stream": ("panoptic-flashocc-r50-depth4d", "exact"),
}


@pytest.mark.parametrize(("name", "form"), PARTS.values(), ids=PARTS)
def test_it_agrees_with_the_cpu_plugin(tmp_path, name, form):
    variant = small_form(get_variant(name))
    with known(variant):
        row = measure(variant.name, form, tmp_path, ["fp32"])
    assert row["cpu"]["ok"], row["cpu"]
    found = row["gpu"]["fp32"]
    assert found["ok"], found
    assert found["ran_on"] == ("GPU.0",)
