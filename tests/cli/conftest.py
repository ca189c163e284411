"""What tests of the command line share."""

import pytest
from PIL import Image


@pytest.fixture(scope="module")
def frame(tmp_path_factory, rig, images):
    """A folder as a deployer has it: six images and a rig."""
    folder = tmp_path_factory.mktemp("frame")
    for name, array in images.items():
        Image.fromarray(array).save(folder / f"{name}.png")
    rig.save(folder / "rig.json")
    return folder
