import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occvino.errors import OccvinoError, RigError
from occvino.geometry.camera import Camera
from occvino.geometry.image_transform import ImageTransform
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import inverse3x3, pose, rigid_inverse, rotation_from_quaternion
from occvino.variant import NUSCENES_CAMERAS
from occvino.variants import get_variant
from tests.conftest import make_camera

unit = st.floats(-1, 1, allow_nan=False)
quaternions = (
    st.tuples(unit, unit, unit, unit).filter(lambda q: np.linalg.norm(q) > 0.1).map(lambda q: q / np.linalg.norm(q))
)


@given(quaternions, st.tuples(unit, unit, unit))
def test_rigid_inverse_undoes_a_pose(q, t):
    matrix = pose(q, np.multiply(t, 100))
    np.testing.assert_allclose(rigid_inverse(matrix) @ matrix, np.eye(4), atol=1e-12)


@given(st.integers(0, 2**32 - 1))
def test_closed_form_inverse_equals_the_solver(seed):
    matrix = np.random.default_rng(seed).uniform(-1, 1, (5, 3, 3)) + 2 * np.eye(3)
    np.testing.assert_allclose(inverse3x3(matrix), np.linalg.inv(matrix), rtol=1e-9, atol=1e-9)


def test_quaternion_of_a_left_turn_maps_forward_to_left():
    half = np.radians(90) / 2
    np.testing.assert_allclose(
        rotation_from_quaternion([np.cos(half), 0, 0, np.sin(half)]) @ [1, 0, 0], [0, 1, 0], atol=1e-12
    )


def test_official_image_transform_of_a_nuscenes_image():
    transform = ImageTransform.for_test((900, 1600), (256, 704))
    assert (transform.scale, transform.resized, transform.crop) == (0.44, (704, 396), (0, 140, 704, 396))
    assert ImageTransform.for_test((900, 1600), (512, 1408)).crop == (0, 280, 1408, 792)


def test_an_image_too_flat_for_the_network_is_refused():
    with pytest.raises(RigError, match="1600x300 image .* at least 582 rows"):
        ImageTransform.for_test((300, 1600), (256, 704))


def test_rig_round_trips_through_its_file(rig, tmp_path):
    rig.save(tmp_path / "rig.json")
    loaded = Rig.load(tmp_path / "rig.json")
    assert loaded.names == rig.names
    variant = get_variant("flashocc-r50-M0")
    assert loaded.calibration(variant).fingerprint() == rig.calibration(variant).fingerprint()


def test_scaled_rig_projects_to_scaled_pixels(rig):
    point = np.array([1.0, 0.5, 10.0])
    camera, half = rig.cameras[0], rig.scaled(0.5).cameras[0]
    full = camera.intrinsics @ point
    small = half.intrinsics @ point
    assert (half.width, half.height) == (176, 99)
    np.testing.assert_allclose(small[:2] / small[2], full[:2] / full[2] / 2)


def test_the_rig_of_the_real_frame_is_what_the_official_loader_made(real_frame, golden):
    calibration = (
        Rig.load(real_frame / "calibration.json").select(NUSCENES_CAMERAS).calibration(get_variant("flashocc-r50-M0"))
    )
    with np.load(golden / "flashocc-r50-M0.B_real.npz") as recorded:
        np.testing.assert_array_equal(calibration.sensor2ego, recorded["in/sensor2egos"][0])
        np.testing.assert_array_equal(calibration.ego2global, recorded["in/ego2globals"][0])
        np.testing.assert_array_equal(calibration.intrinsics, recorded["in/intrins"][0])
        np.testing.assert_array_equal(calibration.post_rot, recorded["in/post_rots"][0])
        np.testing.assert_array_equal(calibration.post_trans, recorded["in/post_trans"][0])


def test_from_nuscenes_reads_the_records_of_an_info_file():
    record = {
        "cam_intrinsic": [[1266, 0, 816], [0, 1266, 491], [0, 0, 1]],
        "sensor2ego_rotation": [0.5, -0.5, 0.5, -0.5],
        "sensor2ego_translation": [1.7, 0.0, 1.5],
        "ego2global_rotation": [1, 0, 0, 0],
        "ego2global_translation": [600.0, 1600.0, 0.0],
    }
    rig = Rig.from_nuscenes({"CAM_BACK": record, "CAM_FRONT": record}, ["CAM_FRONT"])
    camera = rig.cameras[0]
    assert (camera.name, camera.width, camera.height) == ("CAM_FRONT", 1600, 900)
    np.testing.assert_allclose(camera.sensor2ego @ [0, 0, 10, 1], [11.7, 0, 1.5, 1])  # 10 m along the optical axis
    with pytest.raises(RigError, match="CAM_BACK: the nuScenes sample has no 'ego2global_rotation'"):
        Rig.from_nuscenes({"CAM_BACK": {k: v for k, v in record.items() if k != "ego2global_rotation"}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"intrinsics": np.full((3, 3), np.nan)}, "CAM_X: intrinsics hold a value that is not finite"),
        ({"intrinsics": np.diag([0.0, 0.0, 1.0])}, "CAM_X: intrinsics are singular or mirrored: focal lengths fx=0"),
        ({"intrinsics": np.array([[5.0, 5, 1], [5, 5, 1], [0, 0, 1]])}, "CAM_X: intrinsics are singular"),
        ({"intrinsics": np.eye(4)}, r"CAM_X: intrinsics have shape \(4, 4\), expected \(3, 3\)"),
        ({"sensor2ego": np.diag([2.0, 2, 2, 1])}, "CAM_X: the 3x3 part of sensor2ego is not a rotation"),
        ({"sensor2ego": np.diag([-1.0, 1, 1, 1])}, "CAM_X: the 3x3 part of sensor2ego mirrors"),
        ({"ego2global": np.full((4, 4), np.inf)}, "CAM_X: ego2global holds a value that is not finite"),
        ({"ego2global": np.ones((4, 4))}, "CAM_X: the 3x3 part of ego2global is not a rotation"),
        ({"width": 0}, "CAM_X: the image is 0x198"),
    ],
)
def test_a_camera_that_cannot_be_is_refused_by_name(change, message):
    good = make_camera("CAM_X")
    fields = {
        name: getattr(good, name) for name in ("name", "width", "height", "intrinsics", "sensor2ego", "ego2global")
    }
    with pytest.raises(RigError, match=message):
        Camera(**{**fields, **change})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot read the rig"),
        ("[]", 'holds no "cameras" object'),
        ('{"cameras": {"CAM_A": {"width": 10}}}', "CAM_A: the rig file gives no 'height'"),
        ('{"cameras": {"CAM_A": {"width": "ten"}}}', "CAM_A: a value in the rig file is not a number"),
        ('{"cameras": {}}', "the rig has 0 cameras, expected 1 to 12"),
        ('{"cameras": {"CAM_A": {}, "CAM_A": {}}}', "the rig file gives CAM_A twice"),
        ('{"cameras": {"CAM_A": {"width": 1600.9}}}', "CAM_A: .*1600.9 is not a whole number of pixels"),
        ('{"cameras": {"CAM_A": {"width": true}}}', "CAM_A: .*True is not a whole number of pixels"),
    ],
)
def test_a_bad_rig_file_says_what_is_wrong(tmp_path, content, message):
    (tmp_path / "rig.json").write_text(content)
    with pytest.raises(RigError, match=message):
        Rig.load(tmp_path / "rig.json")


def test_a_bad_quaternion_in_a_rig_file_names_its_camera(rig, tmp_path):
    rig.save(tmp_path / "rig.json")
    document = json.loads((tmp_path / "rig.json").read_text())
    document["cameras"]["CAM_BACK"]["sensor2ego"] = {"rotation_wxyz": [0, 0, 0, 0], "translation_m": [0, 0, 0]}
    (tmp_path / "rig.json").write_text(json.dumps(document))
    with pytest.raises(RigError, match="CAM_BACK: rotation .* is not a unit quaternion"):
        Rig.load(tmp_path / "rig.json")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rotation_wxyz": [3, 0, 0, 0], "translation_m": [0, 0, 0]}, "is not a unit quaternion"),
        ({"rotation_wxyz": [1, 0, 0, 0], "translation_m": 1.5}, "translation 1.5 is not three finite numbers"),
        ({"rotation_wxyz": [1, 0, 0, 0], "translation_m": [1.5]}, r"translation \[1.5\] is not three finite numbers"),
        ({"rotation_wxyz": [1, 0, 0, 0]}, "the rig file gives no 'translation_m'"),
    ],
)
def test_a_bad_pose_in_a_rig_file_names_its_camera(rig, tmp_path, wrong, message):
    rig.save(tmp_path / "rig.json")
    document = json.loads((tmp_path / "rig.json").read_text())
    document["cameras"]["CAM_BACK"]["sensor2ego"] = wrong
    (tmp_path / "rig.json").write_text(json.dumps(document))
    with pytest.raises(RigError, match=f"CAM_BACK: .*{message}"):
        Rig.load(tmp_path / "rig.json")


def test_a_checked_camera_cannot_be_changed_afterwards():
    values = np.array([[100.0, 0, 50], [0, 100, 50], [0, 0, 1]])
    camera = Camera("CAM", 100, 100, values, np.eye(4), np.eye(4))
    values[0, 0] = np.nan
    assert camera.intrinsics[0, 0] == 100
    with pytest.raises(ValueError, match="read-only"):
        camera.intrinsics[0, 0] = np.nan


def test_the_example_of_the_documentation_loads(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "rig.md").read_text()
    (tmp_path / "rig.json").write_text(text.split("```json")[1].split("```")[0])
    assert Rig.load(tmp_path / "rig.json").names == ("CAM_FRONT_LEFT",)


def test_from_nuscenes_puts_the_six_cameras_in_the_models_order():
    record = {
        "cam_intrinsic": [[1266, 0, 816], [0, 1266, 491], [0, 0, 1]],
        "sensor2ego_rotation": [1, 0, 0, 0],
        "sensor2ego_translation": [0, 0, 0],
        "ego2global_rotation": [1, 0, 0, 0],
        "ego2global_translation": [0, 0, 0],
    }
    assert Rig.from_nuscenes(dict.fromkeys(sorted(NUSCENES_CAMERAS), record)).names == NUSCENES_CAMERAS
    with pytest.raises(RigError, match="CAM_A: a value in the nuScenes sample has the wrong shape"):
        Rig.from_nuscenes({"CAM_A": {**record, "cam_intrinsic": "none"}})


def test_rigs_of_no_too_many_or_equal_cameras_are_refused(rig):
    with pytest.raises(RigError, match="13 cameras, expected 1 to 12"):
        Rig(tuple(make_camera(f"CAM_{i}") for i in range(13)))
    with pytest.raises(RigError, match="more than one camera called CAM_A"):
        Rig((make_camera("CAM_A"), make_camera("CAM_A")))
    with pytest.raises(OccvinoError, match="the rig has no camera CAM_TOP; it has CAM_FRONT_LEFT"):
        rig.select(["CAM_TOP"])
