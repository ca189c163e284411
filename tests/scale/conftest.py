"""A set of several scenes, the shipped model for it, and its labels by one run that nothing disturbed."""

import pytest

from occvino.networks.checkpoint import shipped_weights
from tests.converted import converted
from tests.scale.sets import batch, several


@pytest.fixture(scope="session")
def four_scenes(tmp_path_factory):
    """Twelve frames. Tests copy it before they change it."""
    return several(tmp_path_factory.mktemp("set") / "four", 4)


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    """The shipped model, which takes resized images."""
    folder = tmp_path_factory.mktemp("network") / "nano"
    weights = shipped_weights("occvino-nano")
    return converted("occvino-nano", weights, folder, precision="fp32").path


@pytest.fixture(scope="session")
def whole(four_scenes, network, tmp_path_factory):
    """Labels of one process without a break, a file a frame."""
    out = tmp_path_factory.mktemp("whole") / "npz"
    batch(network, four_scenes, out, "--precision", "fp32")
    return out
