"""camera_info of raw, rectified, cut and binned images."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from occvino.datasets.bags.calibration import calibration_of
from occvino.datasets.bags.messages import BagError, CameraInfo
from occvino.errors import RigError

K = (500.0, 0.0, 320.0, 0.0, 510.0, 240.0, 0.0, 0.0, 1.0)
P = (480.0, 0.0, 310.0, 0.0, 0.0, 480.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0)
EYE = tuple(np.eye(3).reshape(-1))
D = (-0.1, 0.01, 0.001, 0.002, 0.0)


def made(rectified=False, **fields):
    values = {"model": "plumb_bob", "d": D, "k": K, "r": EYE, "p": P, **fields}
    return calibration_of(CameraInfo("camera", 640, 480, **values), "/front/camera_info", rectified=rectified)


def test_raw_images_have_k_and_a_lens_and_rectified_ones_p_and_none():
    raw, rectified = made(), made(rectified=True)
    assert np.array_equal(raw.intrinsics, np.reshape(K, (3, 3)))
    assert raw.lens is not None
    assert raw.lens.coefficients == D
    assert np.array_equal(rectified.intrinsics, np.reshape(P, (3, 4))[:, :3])
    assert rectified.lens is None


def test_models_of_ros():
    assert made(model="rational_polynomial", d=(0.1,) * 8).lens.model == "rational_polynomial"
    assert made(model="equidistant", d=(0.01, 0.0, 0.0, 0.0)).lens.model == "fisheye"
    assert made(model="", d=()).lens is None
    assert made(model="plumb_bob", d=(0.0,) * 5).lens is None
    with pytest.raises(BagError, match="/front/camera_info: lens model 'omni'"):
        made(model="omni")


def test_rectified_images_are_turned_by_r():
    """A point of the optical frame is seen where R and P say: x = P R X."""
    turn = Rotation.from_rotvec([0.02, -0.05, 0.01]).as_matrix()
    found = made(rectified=True, r=tuple(turn.reshape(-1)))
    camera = found.camera("front", np.eye(4), np.eye(4))
    point = np.array([0.4, -0.2, 5.0])
    expected = np.reshape(P, (3, 4))[:, :3] @ turn @ point
    np.testing.assert_allclose(camera.project(point[None])[0, :2], expected[:2] / expected[2], atol=1e-9)


def test_region_of_interest_first_and_binning_second():
    found = made(roi=(100, 60, 400, 300), binning=(2, 2))
    assert (found.width, found.height) == (200, 150)
    np.testing.assert_allclose(found.intrinsics, [[250, 0, 110], [0, 255, 90], [0, 0, 1]])
    with pytest.raises(BagError, match=r"roi is 600x300 at \(100, 60\), which is not inside of the 640x480"):
        made(roi=(100, 60, 600, 300))


def test_what_cannot_be_right_is_named():
    with pytest.raises(RigError, match="all zero, as in ROS's camera_info of an uncalibrated camera"):
        made(k=(0.0,) * 9).camera("front", np.eye(4), np.eye(4))
    with pytest.raises(BagError, match="P is all zero, and rectified images need it"):
        made(rectified=True, p=(0.0,) * 12)
    bad = (1.0, 0.0, 0.0) * 3
    with pytest.raises(BagError, match="expected a rotation"):
        made(rectified=True, r=bad)
    with pytest.warns(UserWarning, match="no rotation; P equals K and D is zero"):
        made(rectified=True, r=bad, d=(), p=(*K[:3], 0.0, *K[3:6], 0.0, *K[6:], 0.0))
    with pytest.warns(UserWarning, match="Tx=-48"):
        made(rectified=True, p=(*P[:3], -48.0, *P[4:]))
