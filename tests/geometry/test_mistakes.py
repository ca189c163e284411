"""Each mistake that people make, in ten different plausible rigs: it is named, and nothing is said of right rigs.

The mistakes are made here with SciPy's rotations, so that they are not the inverse of what recognises them.
"""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from occvino.errors import RigError
from occvino.geometry.doubts import DoubtfulRigWarning, doubts, doubts_of_rig
from occvino.geometry.inputs import Geometry
from occvino.geometry.mistakes import mistakes
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import motion_between
from occvino.variants import get_variant
from tests.geometry.rigs import OPTICAL, each, real_rig, right_rigs

NANO = get_variant("occvino-nano")
PITCHED = ("truck", "parking", "numbers", "shuttle")
NAMES = ("real", "synthetic", "truck", "robot", "single", "parking", "stereo", "ring", "numbers", "shuttle")


RIGHT = dict(right_rigs())


@pytest.fixture
def rig(request, name):
    return real_rig(request.getfixturevalue("real_frame")) if name == "real" else RIGHT[name]


def named(rig):
    """The kinds of mistakes that are named, with a model and without."""
    plan = Geometry.of(rig.calibration(NANO), NANO).plan
    found = doubts(rig, NANO, plan)
    kinds = {mistake.kind for mistake in mistakes(rig, found)}
    assert kinds >= {mistake.kind for mistake in mistakes(rig, doubts_of_rig(rig))}
    return kinds


def put(rotation, matrix):
    turned = matrix.copy()
    turned[:3, :3] = rotation.as_matrix()
    return turned


def turned_by(a, b):
    """Degrees between the rotations of the cameras of two rigs, the largest."""
    pairs = zip(a.cameras, b.cameras, strict=True)
    return max(motion_between(x.sensor2ego, y.sensor2ego)[1] for x, y in pairs)


def body_axes(matrix):
    """The pose of a frame that looks along x, as URDF has it for a camera's body."""
    wrong = matrix.copy()
    wrong[:3, :3] = matrix[:3, :3] @ OPTICAL.T
    return wrong


def quaternion_order(matrix):
    xyzw = Rotation.from_matrix(matrix[:3, :3]).as_quat()
    return put(Rotation.from_quat(xyzw[[1, 2, 3, 0]]), matrix)  # x taken for w


def left_handed(matrix):
    """CARLA's numbers: x forward, y to the right, and its axes for the camera too."""
    wrong = body_axes(matrix)
    yaw, pitch, roll = Rotation.from_matrix(wrong[:3, :3]).as_euler("ZYX")
    wrong[:3, :3] = Rotation.from_euler("ZYX", [-yaw, pitch, -roll]).as_matrix()
    wrong[1, 3] *= -1
    return wrong


def degrees(matrix):
    angles = np.round(Rotation.from_matrix(matrix[:3, :3]).as_euler("ZYX", degrees=True))
    return put(Rotation.from_euler("ZYX", angles), matrix)


def millimetres(matrix):
    wrong = matrix.copy()
    wrong[:3, 3] *= 1000
    return wrong


MISTAKES = {
    "body axes": body_axes,
    "inverse": np.linalg.inv,
    "quaternion order": quaternion_order,
    "left-handed": left_handed,
    "degrees": degrees,
    "millimetres": millimetres,
}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_said_about_a_right_rig(rig, name):
    for variant in (NANO, get_variant("flashocc-r50-M0")):
        plan = Geometry.of(rig.calibration(variant), variant).plan
        found = doubts(rig, variant, plan)
        # cameras that look down a little have the horizon above what the crop of the published models keeps
        assert {doubt.kind for doubt in found} <= ({"horizon"} if name in PITCHED else set())
        assert mistakes(rig, found) == []
    assert doubts_of_rig(rig) == []


@pytest.mark.filterwarnings("ignore:none of the")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", MISTAKES)
def test_each_mistake_is_named(rig, name, kind):
    wrong = each(rig, MISTAKES[kind])
    if kind == "quaternion order" and name in ("single", "stereo"):
        assert turned_by(wrong, rig) < 10  # of a camera that looks about ahead, both orders are about the same
        return
    assert turned_by(wrong, rig) > 30 or kind == "millimetres"
    assert kind in named(wrong)


@pytest.mark.parametrize("name", NAMES)
def test_a_mistake_in_one_camera_of_several_is_named(rig, name):
    if len(rig) == 1:
        return
    first, *others = rig.cameras
    for kind in ("body axes", "millimetres"):
        wrong = Rig((replace(first, sensor2ego=MISTAKES[kind](first.sensor2ego)), *others))
        plan = Geometry.of(wrong.calibration(NANO), NANO).plan
        found = doubts(wrong, NANO, plan)
        assert {doubt.camera for doubt in found if doubt.kind != "horizon"} == {first.name}
        assert kind in {mistake.kind for mistake in mistakes(wrong, found)}


@pytest.mark.parametrize("name", ["real", "synthetic", "truck", "parking", "stereo", "ring", "shuttle"])
def test_left_and_right_exchanged_are_named(rig, name):
    def other(word):
        return word.translate(str.maketrans({})).replace("left", "\0").replace("right", "left").replace("\0", "right")

    def swap(text):
        return (
            text.replace("LEFT", "\0").replace("RIGHT", "LEFT").replace("\0", "RIGHT")
            if text.isupper()
            else other(text)
        )

    wrong = Rig(tuple(replace(camera, name=swap(camera.name)) for camera in rig.cameras))
    assert "swapped" in named(wrong)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("factor", [0.5, 1.5, 2.0])
def test_intrinsics_of_another_resolution_are_told(rig, name, factor):
    scaled = np.array([[factor], [factor], [1.0]])
    for camera in rig.cameras:
        try:
            wrong = Rig((replace(camera, intrinsics=camera.intrinsics * scaled),))
            found = doubts(wrong, NANO)
        except RigError as error:
            assert "of another size" in str(error)  # noqa: PT017
            continue
        words = next(doubt.words for doubt in found if doubt.kind == "centre")
        told = int(re.search(r"images of about (\d+)x", words)[1])
        assert told == pytest.approx(camera.width * factor, rel=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_cameras_under_ground_or_at_the_sky_are_told(rig, name):
    lowered = each(rig, lambda matrix: matrix - np.array([[0] * 4, [0] * 4, [0, 0, 0, 4.0], [0] * 4]))
    assert {doubt.camera for doubt in doubts_of_rig(lowered) if doubt.kind == "height"} == set(lowered.names)
    up = np.eye(4)
    up[:3, :3] = Rotation.from_euler("x", 75, degrees=True).as_matrix()
    upwards = each(rig, lambda matrix: matrix @ up @ up)
    assert all(doubt.kind in ("elevation", "roll", "name") for doubt in doubts_of_rig(upwards))
    assert {doubt.camera for doubt in doubts_of_rig(upwards)} == set(upwards.names)


def test_the_warning_names_the_mistake_and_the_fix():
    with pytest.warns(
        DoubtfulRigWarning, match=r"likely: .*quaternion .* x, y, z, w .*: read so, all cameras are level"
    ):
        Geometry.of_rigs([each(RIGHT["synthetic"], quaternion_order)], NANO)


@pytest.mark.filterwarnings("ignore:none of the")
def test_a_rig_that_sees_nothing_of_the_grid_is_an_error_that_names_the_mistake():
    with pytest.raises(
        RigError, match="no point that the cameras see is in the grid of occvino-nano: likely: .*millim"
    ):
        Geometry.of_rigs([each(RIGHT["truck"], millimetres)], NANO)
