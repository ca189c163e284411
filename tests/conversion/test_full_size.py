"""Models too big for CI, at full size through convert and verify: `pytest -m by_hand`, half an hour and 12 GB.

Where six cameras are too many for such a machine it is the front camera alone (benchmarks/parity.py).
"""

import json

import pytest

from benchmarks.parity import seen
from occvino.conversion import convert
from occvino.conversion.verify import verify
from occvino.variants import get_variant

pytestmark = pytest.mark.by_hand


@pytest.mark.parametrize(
    ("name", "temporal", "front_camera"),
    [
        ("flashocc-r50-4d-stereo", "exact", False),
        ("panoptic-flashocc-r50-depth4d-longterm8f", "exact", False),
        ("panoptic-flashocc-r50-depth4d-longterm16f", "exact", True),
        ("panoptic-flashocc-r50-depth4d-longterm16f", "batch", True),
        ("flashocc-stbase-4d-stereo-512x1408", "exact", True),
        ("flashocc-stbase-4d-stereo-512x1408", "batch", True),
    ],
)
def test_it_converts_and_verifies(tmp_path, name, temporal, front_camera):
    (frames, rig), *past = seen(get_variant(name).frames, front_camera)
    artifact = convert(name, None, tmp_path / "a", precision="fp32", rig=rig, temporal=temporal, outputs=("logits",))
    report = verify(artifact, frames, rig, past=past)
    print(json.dumps(report.to_dict()))
    assert report.ok, report.first_divergence
