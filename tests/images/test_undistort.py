"""Undistorted images: what a lens bent is straight again, at the pixels where a pinhole would have it."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from occvino.errors import RigError
from occvino.geometry.lens import Lens
from occvino.geometry.rig import Rig
from occvino.images.undistort import source_pixels, undistorted
from tests.conftest import make_camera

BENT = Lens("plumb_bob", (-0.3, 0.1, 1e-3, -2e-3, 0))
WIDE = Lens("fisheye", (0.05, -0.01, 0, 0))


def chequered(camera):
    """Squares on a plane across the view, as the camera's lens shows them."""
    v, u = np.mgrid[: camera.height, : camera.width].astype(np.float64)
    ray = camera.rays(np.stack([u, v], axis=-1))
    across = ray[..., :2] / ray[..., 2:]
    tone = 128 + 100 * np.sin(20 * across[..., 0]) * np.sin(20 * across[..., 1])
    return np.repeat(tone[..., None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize("lens", [BENT, WIDE], ids=lambda lens: lens.model)
def test_the_image_is_that_of_the_pinhole(lens):
    camera = replace(make_camera("CAM_FRONT"), lens=lens)
    images, rig = undistorted({"CAM_FRONT": chequered(camera)}, Rig((camera,)))
    assert rig.cameras[0].lens is None
    found, expected = np.asarray(images["CAM_FRONT"], int), chequered(rig.cameras[0]).astype(int)
    shown = found.any(axis=2)  # a barrel shows all of the pinhole's image, a pincushion loses the edges
    assert shown.mean() > 0.9
    inner = np.zeros_like(shown)
    inner[4:-4, 4:-4] = shown[4:-4, 4:-4]
    assert np.abs(found - expected)[inner].max() <= 4
    assert np.abs(chequered(camera).astype(int) - expected)[inner].max() > 100


def test_the_map_is_opencvs():
    k = make_camera("CAM_FRONT").intrinsics
    mine = source_pixels(BENT, tuple(k.reshape(-1)), (198, 352))
    u, v = cv2.initUndistortRectifyMap(k, np.array(BENT.coefficients), None, k, (352, 198), cv2.CV_32FC1)
    np.testing.assert_allclose(mine, np.stack([u, v], axis=-1), atol=1e-3)


def test_a_rig_without_lenses_is_refused_and_a_straight_camera_is_left_alone():
    straight, bent = make_camera("CAM_FRONT"), replace(make_camera("CAM_BACK"), lens=BENT)
    with pytest.raises(RigError, match="no camera of the rig has a lens"):
        undistorted({"CAM_FRONT": "nowhere.jpg"}, Rig((straight,)))
    images, rig = undistorted({"CAM_FRONT": "nowhere.jpg", "CAM_BACK": chequered(bent)}, Rig((straight, bent)))
    assert images["CAM_FRONT"] == "nowhere.jpg"
    assert rig.cameras[0] is not None
    assert [camera.lens for camera in rig.cameras] == [None, None]
