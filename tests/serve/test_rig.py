import numpy as np
import pytest

from occvino.errors import RigError
from occvino.serve.rig import rig_of_matrices
from tests.serve.conftest import matrices


def sizes(rig):
    return [(camera.width, camera.height) for camera in rig.cameras]


def test_a_rig_is_told_by_its_matrices_alone(rig):
    intrinsics, camera2ego = matrices(rig)
    made = rig_of_matrices(rig.names, sizes(rig), intrinsics, camera2ego)
    assert made.names == rig.names
    for camera, was in zip(made.cameras, rig.cameras, strict=True):
        assert (camera.width, camera.height) == (was.width, was.height)
        np.testing.assert_allclose(camera.intrinsics, was.intrinsics, rtol=1e-6)
        np.testing.assert_allclose(camera.ego2global @ camera.sensor2ego, was.ego2global @ was.sensor2ego, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("which", [0, 1])
def test_a_value_that_is_not_finite_names_its_camera(rig, which, value):
    given = matrices(rig)
    given[which][3, 1, 1] = value
    with pytest.raises(RigError, match=f"{rig.names[3]}.*not finite"):
        rig_of_matrices(rig.names, sizes(rig), *given)


def test_one_matrix_for_each_camera(rig):
    intrinsics, camera2ego = matrices(rig)
    with pytest.raises(RigError, match=r"\[5, 3, 3\], expected \[6, 3, 3\]"):
        rig_of_matrices(rig.names, sizes(rig), intrinsics[:5], camera2ego)
    with pytest.raises(RigError, match=r"camera2ego have shape \[6, 3, 4\], expected \[6, 4, 4\]"):
        rig_of_matrices(rig.names, sizes(rig), intrinsics, camera2ego[:, :3])
    with pytest.raises(RigError, match="5 image sizes for 6"):
        rig_of_matrices(rig.names, sizes(rig)[:5], intrinsics, camera2ego)
