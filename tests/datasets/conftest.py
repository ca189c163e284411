from pathlib import Path

import pytest

from occvino.datasets.synth import SynthSettings, synthesize

SETTINGS = SynthSettings(seed=11, frames=2, width=96)


@pytest.fixture(scope="session")
def drives(tmp_path_factory) -> Path:
    """A set of one short drive with very small pictures. Tests copy it before they change it."""
    out = tmp_path_factory.mktemp("synth") / "drives"
    assert list(synthesize(out, 1, SETTINGS)) == ["scene-0001"]
    return out
