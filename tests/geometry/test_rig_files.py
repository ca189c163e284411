"""Rig files as others write them: what is read, what is told, what is refused."""

import copy
import json
import re
import warnings

import numpy as np
import pytest

from occvino.errors import RigError
from occvino.geometry.camera import RoundedRotationWarning
from occvino.geometry.lens import Lens
from occvino.geometry.rig import Rig
from occvino.geometry.rig_json import UnknownKeyWarning
from occvino.geometry.transforms import rotation_from_quaternion

WXYZ = [0.5, -0.5, 0.5, -0.5]
"""Of a camera that looks ahead."""
AHEAD = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
PLACE = [1.5, 0.2, 1.6]
CAMERA = {
    "width": 352,
    "height": 198,
    "intrinsics": [[280.0, 0, 176], [0, 280.0, 99], [0, 0, 1]],
    "sensor2ego": {"rotation_wxyz": WXYZ, "translation_m": PLACE},
}
NAMED = dict(zip("wxyz", WXYZ, strict=True))
NAMED_PLACE = dict(zip("xyz", PLACE, strict=True))


def written(path, cameras, **top):
    path = path / "rig.json"
    path.write_text(json.dumps({"cameras": cameras, **top}))
    return path


def camera_with(**fields):
    return {**copy.deepcopy(CAMERA), **fields}


@pytest.fixture
def silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize(
    ("typed", "meant"), [("ego_to_global", "ego2global"), ("egoToGlobal", "ego2global"), ("Ego2Global", "ego2global")]
)
def test_a_misspelled_key_is_told_with_the_one_that_is_meant(tmp_path, typed, meant):
    cameras = {name: camera_with(**{typed: np.eye(4).tolist()}) for name in ("CAM_A", "CAM_B")}
    with pytest.warns(UnknownKeyWarning, match=rf"'{typed}' \(is {meant} meant\?\) in every camera"):
        Rig.load(written(tmp_path, cameras))


def test_unknown_keys_are_told_wherever_they_stand(tmp_path):
    posed = camera_with(sensor2ego={**CAMERA["sensor2ego"], "frame": "base_link"}, token="abc")
    with pytest.warns(UnknownKeyWarning) as told:
        Rig.load(written(tmp_path, {"CAM_A": posed, "CAM_B": CAMERA}, times=3))
    assert len(told) == 1
    message = str(told[0].message)
    for words in ("'times' (is time meant?) in the file", "'token' in CAM_A", "'frame' in sensor2ego of CAM_A"):
        assert words in message
    assert told[0].filename == __file__


@pytest.mark.usefixtures("silent")
def test_known_keys_and_comments_are_not_told(tmp_path):
    noted = camera_with(_serial="12", comment="left of the grille", comment_2="")
    Rig.load(written(tmp_path, {"CAM_A": noted}, scene="a", time=1.5, _made_by="me"))


RATIONAL = (8.7, 3.2, 1e-4, -2e-4, 0.16, 9.1, 5.9, 0.9)
LENS = Lens("plumb_bob", (-0.3, 0.1, 0, 0, 0))


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize(
    ("fields", "lens"),
    [
        ({"distortion": {"model": "plumb_bob", "coefficients": [-0.3, 0.1, 0, 0, 0]}}, LENS),
        ({"distortion": [-0.3, 0.1, 0, 0, 0], "distortion_model": "plumb_bob"}, LENS),
        ({"D": [-0.3, 0.1, 0, 0, 0], "distortion_model": "radtan"}, LENS),
        ({"D": RATIONAL, "distortion_model": "plumb_bob"}, Lens("rational_polynomial", RATIONAL)),
        ({"D": [-0.02, 0.001, 0, 0], "distortion_model": "equidistant"}, Lens("fisheye", (-0.02, 0.001, 0, 0))),
        ({"D": [0, 0, 0, 0], "distortion_model": "equidistant"}, Lens("fisheye", (0, 0, 0, 0))),
    ],
)
def test_a_lens_is_read_and_written(tmp_path, fields, lens):
    rig = Rig.load(written(tmp_path, {"CAM_A": camera_with(**fields)}))
    assert rig.cameras[0].lens == lens
    rig.save(tmp_path / "again.json")
    assert Rig.load(tmp_path / "again.json").fingerprint() == rig.fingerprint()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"distortion": [-0.3, 0.1, 0, 0, 0]}, "without the name of its model"),
        ({"dist_coeffs": [[0.01]]}, "without the name of its model"),
        ({"distortionCoefficients": {"k1": 0.1, "k2": 0}}, "tells of a lens"),
        ({"distortion": {"k1": 0.1}}, "has the fields k1"),
        ({"k1": -0.3}, "tells of a lens"),
        ({"xi": 1.2}, "tells of a lens"),
        ({"fisheye": True}, "tells of a lens"),
        ({"distortion": "some.yaml"}, "some.yaml"),
        ({"camera_model": "KANNALA_BRANDT"}, "lens model 'KANNALA_BRANDT' is not supported"),
        ({"camera_model": "equidistant"}, "no coefficients are given"),
        ({"distortion": [0.1] * 5, "D": [0.1] * 5}, "told by distortion and D"),
        ({"distortion": [0.1] * 3, "distortion_model": "plumb_bob"}, "has 4 or 5 coefficients, and 3 are given"),
        ({"distortion": [0.1, 0.1, 0, float("nan")], "distortion_model": "plumb_bob"}, "not all finite"),
        ({"distortion": ["a"], "distortion_model": "plumb_bob"}, "expected a list of numbers"),
    ],
)
def test_a_lens_that_is_told_in_another_way_is_refused(tmp_path, fields, words):
    with pytest.raises(RigError, match="CAM_A: .*" + re.escape(words)):
        Rig.load(written(tmp_path, {"CAM_A": camera_with(**fields)}))


def test_a_lens_for_the_whole_file_is_refused(tmp_path):
    with pytest.raises(RigError, match="give the lens of each camera"):
        Rig.load(written(tmp_path, {"CAM_A": CAMERA}, k1=-0.3))


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize(
    "fields",
    [
        {"distortion": [0, 0, 0, 0, 0]},
        {"D": [], "distortion_model": "plumb_bob"},
        {"distortion": None, "fisheye": False, "xi": 0.0},
        {"distortion": {"model": "pinhole", "coefficients": [0.0, 0.0]}},
    ],
)
def test_coefficients_that_are_all_zero_may_stay(tmp_path, fields):
    assert Rig.load(written(tmp_path, {"CAM_A": camera_with(**fields)})).names == ("CAM_A",)


def test_ego2global_of_some_cameras_only_is_refused_with_both_groups(tmp_path):
    posed = camera_with(ego2global=np.eye(4).tolist())
    with pytest.raises(RigError, match="ego2global is given for CAM_B, CAM_C and not for CAM_A: give it for all"):
        Rig.load(written(tmp_path, {"CAM_A": CAMERA, "CAM_B": posed, "CAM_C": posed}))


@pytest.mark.usefixtures("silent")
def test_a_byte_order_mark_and_whole_floats_are_read(tmp_path):
    path = written(tmp_path, {"CAM_A": camera_with(width=352.0, height=198.0)})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    camera = Rig.load(path).cameras[0]
    assert (camera.width, camera.height) == (352, 198)
    assert type(camera.width) is int


def rotated(decimals, at_least=1e-4):
    """The first rotation of a seed that is no longer one, by so much, once it is rounded; and the exact one."""
    rng = np.random.default_rng(0)
    for _ in range(1000):
        quaternion = rng.normal(size=4)
        exact = np.eye(4)
        exact[:3, :3] = rotation_from_quaternion(quaternion / np.linalg.norm(quaternion))
        rounded = exact.round(decimals)
        if np.abs(rounded[:3, :3] @ rounded[:3, :3].T - np.eye(3)).max() > at_least:
            return rounded, exact
    raise AssertionError(f"no rotation is off by {at_least}")


@pytest.mark.parametrize("decimals", [3, 4])
def test_a_rounded_rotation_is_made_orthonormal_and_told(tmp_path, decimals):
    rounded, exact = rotated(decimals)
    path = written(tmp_path, {"CAM_A": camera_with(sensor2ego=rounded.tolist())})
    with pytest.warns(RoundedRotationWarning, match=r"CAM_A: .*sensor2ego is a rotation with few decimals: .* by 0\.0"):
        loaded = Rig.load(path)
    found = loaded.cameras[0].sensor2ego
    np.testing.assert_allclose(found[:3, :3] @ found[:3, :3].T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(found, exact, atol=10.0**-decimals)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded.scaled(0.5)  # a copy is not told again


def test_a_rotation_that_rounding_does_not_explain_is_refused(tmp_path):
    rounded, _ = rotated(2, at_least=3e-3)
    with pytest.raises(RigError, match=r"sensor2ego is not a rotation: .* by 0\.0\d+\. Give all decimals"):
        Rig.load(written(tmp_path, {"CAM_A": camera_with(sensor2ego=rounded.tolist())}))


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize(
    "pose",
    [
        {"orientation": NAMED, "position": NAMED_PLACE},
        {"rotation": NAMED, "translation": NAMED_PLACE},
        {"rotation": NAMED, "translation": PLACE},
        {"rotation_wxyz": WXYZ, "translation": PLACE},
    ],
)
def test_a_pose_with_named_fields_is_read(tmp_path, pose):
    found = Rig.load(written(tmp_path, {"CAM_A": camera_with(sensor2ego=pose)})).cameras[0].sensor2ego
    np.testing.assert_allclose(found[:3, :3], AHEAD, atol=1e-12)
    np.testing.assert_allclose(found[:3, 3], PLACE)


@pytest.mark.parametrize(
    ("pose", "message"),
    [
        ({"rotation": WXYZ, "translation": PLACE}, "rotation is .* may have w first or last: .*rotation_wxyz, w first"),
        ({"orientation": WXYZ, "position": PLACE}, "orientation is .* may have w first or last"),
        ({"rotation": {"x": 0, "y": 0, "z": 1}, "translation": PLACE}, "has the fields x, y, z; expected w, x, y, z"),
        ({"orientation": NAMED, "position": {"lat": 1}}, "position has the fields lat; expected x, y, z"),
        ({"roll": 0, "pitch": 0, "yaw": 0, "translation": PLACE}, "gives no 'rotation_wxyz' there, but roll, pitch"),
        ({"orientation": NAMED, "rotation_wxyz": WXYZ, "position": PLACE}, "rotation_wxyz and orientation: leave one"),
        ({"orientation": {**NAMED, "w": "a"}, "position": PLACE}, "a value in the rig file is not a number"),
    ],
)
def test_a_pose_that_may_be_read_in_two_ways_is_refused(tmp_path, pose, message):
    with pytest.raises(RigError, match=f"^CAM_A: .*{message}"):
        Rig.load(written(tmp_path, {"CAM_A": camera_with(sensor2ego=pose)}))


@pytest.mark.parametrize(
    ("intrinsics", "message"),
    [
        (np.zeros((3, 3)), "intrinsics are all zero, as in ROS's camera_info of an uncalibrated camera"),
        (np.diag([280.0, 280, 1]), "intrinsics have no principal point: cx = cy = 0"),
    ],
)
def test_intrinsics_without_what_matters_are_refused(tmp_path, intrinsics, message):
    with pytest.raises(RigError, match=f"CAM_A: {message}"):
        Rig.load(written(tmp_path, {"CAM_A": camera_with(intrinsics=intrinsics.tolist())}))


def test_a_camera_that_is_no_object_is_refused(tmp_path):
    with pytest.raises(RigError, match=r"CAM_A: the rig file holds \[1\], expected an object with width"):
        Rig.load(written(tmp_path, {"CAM_A": [1]}))
