"""The renderer's rays go through the camera's lens."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from occvino.geometry.lens import Lens
from occvino.synth.render import Solids, render
from occvino.synth.voxels import camera_mask
from occvino.synth.world import SyntheticScene
from occvino.variants import get_variant
from tests.conftest import make_camera


@pytest.fixture(scope="module")
def world():
    scene = SyntheticScene.make(3, 0, 1.0)
    camera = replace(make_camera("CAM_FRONT"), ego2global=scene.ego2global(0.0))
    return Solids.of(scene.shapes_at(0.0), scene.ground), scene, camera


def distances(world, lens):
    solids, scene, camera = world
    return render(solids, scene.light, replace(camera, lens=lens), 0)


def test_a_lens_shows_the_same_things_elsewhere(world):
    lens = Lens("plumb_bob", (-0.3, 0.1, 1e-3, -2e-3, 0))
    _, straight = distances(world, None)
    _, bent = distances(world, lens)
    k = world[2].intrinsics
    u, v = cv2.initUndistortRectifyMap(k, np.array(lens.coefficients), None, k, straight.shape[::-1], cv2.CV_32FC1)
    again = cv2.remap(bent, u, v, cv2.INTER_NEAREST)
    near = np.isfinite(straight) & (straight < 60)
    assert near.mean() > 0.4
    off = np.abs(again - straight)[near] / straight[near]
    assert np.mean(off < 0.05) > 0.95  # the rest are edges of things
    assert np.mean(np.abs(bent - straight)[near] / straight[near] < 0.05) < 0.9


def test_where_a_lens_shows_nothing_it_is_black(world):
    solids, scene, camera = world
    wide = replace(camera, intrinsics=np.array([[40.0, 0, 176], [0, 40.0, 99], [0, 0, 1]]))
    image, distance = render(solids, scene.light, replace(wide, lens=Lens("fisheye", (0, 0, 0, 0))), 0)
    v, u = np.mgrid[:198, :352]
    angle = np.hypot(u - 176, v - 99) / 40.0
    assert image[angle > 3.25].mean() < 5  # the sensor's noise
    assert image[angle < 3.05].mean() > 30
    assert np.isinf(distance[angle > 3.2]).all()


def test_the_mask_refuses_a_lens(world):
    _, _, camera = world
    grid = get_variant("flashocc-r50-M0").occupancy_grid
    bent = replace(camera, lens=Lens("fisheye", (0, 0, 0, 0)))
    with pytest.raises(ValueError, match="CAM_FRONT: the mask of a camera with a lens"):
        camera_mask(np.zeros(grid.shape, np.uint8), [bent], np.eye(4), grid)
