"""What is wrong in a calibration is told with its file, field and value; nothing is guessed."""

import json
import re
import sys
import warnings

import numpy as np
import pytest
import yaml

from occvino.errors import RigError
from occvino.geometry.camera import RoundedRotationWarning
from occvino.geometry.readers import read_argoverse2, read_carla, read_kalibr, read_kitti360, read_opencv
from tests.geometry.readers import formats
from tests.geometry.readers.formats import camchain, sensor2ego, written

SHEARED = [[1, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
MIRRORED = [[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
HERE = np.eye(4)


def refused(words, read, *arguments):
    """`words` in this order, with anything between."""
    with pytest.raises(RigError, match="(?s)" + ".*".join(map(re.escape, words))) as told:
        read(*arguments)
    return str(told.value)


# ---- Kalibr


@pytest.mark.parametrize(
    ("camera", "field", "value", "words"),
    [
        ("cam0", "camera_model", "omni", ["camera_model is 'omni'", "expected pinhole", "--models pinhole-radtan"]),
        ("cam1", "camera_model", "ds", ["cam1: camera_model is 'ds'"]),
        ("cam1", "camera_model", None, ["cam1 has no 'camera_model'"]),
        ("cam0", "distortion_model", "fov", ["distortion_model is 'fov'", "expected radtan, equidistant or none"]),
        ("cam0", "distortion_coeffs", [0.1] * 5, ["distortion_coeffs is [0.1, 0.1", "expected 4 numbers for radtan"]),
        ("cam1", "distortion_coeffs", [0.1] * 3, ["expected 4 numbers for equidistant"]),
        ("cam1", "distortion_coeffs", None, ["cam1 has no 'distortion_coeffs'"]),
        ("cam0", "distortion_coeffs", 0.1, ["distortion_coeffs is 0.1", "expected a list of finite numbers"]),
        ("cam0", "distortion_coeffs", "a", ["distortion_coeffs is 'a'", "expected a list of finite numbers"]),
        ("cam0", "intrinsics", [640, 640, 640], ["intrinsics is [640, 640, 640]", "expected 4 finite numbers"]),
        ("cam0", "intrinsics", [640, -640, 640, 360], ["focal lengths fx=640, fy=-640"]),
        ("cam0", "intrinsics", [640, float("nan"), 640, 360], ["intrinsics is", "4 finite numbers"]),
        ("cam0", "resolution", [1280], ["resolution is [1280]"]),
        ("cam0", "resolution", [1280.5, 720], ["resolution is [1280.5, 720]", "two whole numbers of pixels"]),
        ("cam0", "T_cam_imu", SHEARED, ["cam0: the 3x3 part of T_cam_imu is not a rotation"]),
        ("cam1", "T_cam_imu", MIRRORED, ["cam1: the 3x3 part of T_cam_imu mirrors"]),
        ("cam0", "T_cam_imu", np.eye(4)[:3].tolist(), ["T_cam_imu is", "expected 4 by 4 finite numbers"]),
        ("cam0", "T_cam_imu", None, ["cam0 has no T_cam_imu, and cam1 has"]),
        ("cam1", "T_cam_imu", None, ["cam1 has no 'T_cn_cnm1'"]),
    ],
)
def test_a_wrong_field_of_kalibr(tmp_path, camera, field, value, words):
    entries = camchain()
    entries[camera][field] = value
    path = written(tmp_path / "camchain.yaml", yaml.safe_dump(entries))
    refused([str(path), *words], read_kalibr, path, HERE)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["is empty, expected a camchain"]),
        ("cam0: [", ["is not YAML"]),
        ("- 1", ["has no cam0; it has list"]),
        ("imu0: {}", ["has no cam0; it has imu0"]),
        ("cam0: 3", ["cam0 is 3, expected named values"]),
        ("cam1: {}", ["has cam1: expected cam0, cam1"]),
        ("cam0: {}\ncam0: {}", ["is not YAML", "cam0 stands twice"]),
        ("cam0: !!python/object/apply:os.getcwd []", ["is not YAML", "could not determine a constructor"]),
        ("[" * 3000, ["is not YAML"]),
    ],
)
def test_a_file_that_is_no_camchain(tmp_path, text, words):
    refused(words, read_kalibr, written(tmp_path / "a.yaml", text), HERE)


def test_a_file_that_is_not_there_or_no_text(tmp_path):
    refused([str(tmp_path / "none.yaml"), "No such file"], read_kalibr, tmp_path / "none.yaml", HERE)
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    refused(["cannot read", "a.yaml", "expected a camchain of Kalibr"], read_kalibr, tmp_path / "a.yaml", HERE)


def test_a_camchain_without_an_imu_needs_a_place(tmp_path):
    path = written(tmp_path / "camchain.yaml", yaml.safe_dump(camchain(chained=True, imu=False)))
    refused(["has no T_cam_imu", "say where cam0 is", "--reference-in-ego"], read_kalibr, path)


def test_a_camchain_with_an_imu_and_no_place_is_told(tmp_path):
    path = written(tmp_path / "camchain.yaml", yaml.safe_dump(camchain()))
    with pytest.warns(UserWarning, match="the IMU is taken for the ego origin"):
        read_kalibr(path)


def test_a_chain_that_contradicts_the_imu_is_told(tmp_path):
    entries = camchain(chained=True)
    direct = np.linalg.inv(sensor2ego("cam1")) @ formats.IMU2EGO
    direct[0, 3] += 0.05
    entries["cam1"]["T_cam_imu"] = direct.tolist()
    path = written(tmp_path / "camchain.yaml", yaml.safe_dump(entries))
    with pytest.warns(UserWarning, match=r"differ by 0\.05 m and .*T_cam_imu is used"):
        read_kalibr(path, HERE)


def test_a_place_that_is_no_pose_is_refused(tmp_path):
    path = written(tmp_path / "camchain.yaml", yaml.safe_dump(camchain()))
    refused(["reference2ego: the pose has shape (3, 3)"], read_kalibr, path, np.eye(3))


def test_rounded_rotations_are_told(tmp_path):
    entries = camchain()
    entries["cam1"]["T_cam_imu"] = np.round(entries["cam1"]["T_cam_imu"], 3).tolist()
    path = written(tmp_path / "camchain.yaml", yaml.safe_dump(entries))
    with pytest.warns(RoundedRotationWarning, match="cam1: the 3x3 part of T_cam_imu is a rotation with few decimals"):
        read_kalibr(path, HERE)


# ---- OpenCV


@pytest.mark.parametrize("suffix", ["yml", "xml"])
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"camera_matrix": None}, ["has no camera matrix (camera_matrix, cameraMatrix"]),
        ({"camera_matrix": np.eye(2)}, ["camera_matrix is [[1.0, 0.0], [0.0, 1.0]]", "expected 3 by 3"]),
        ({"K": np.eye(3)}, ["gives the camera matrix as camera_matrix and K"]),
        ({"image_width": None}, ["has no 'image_width'"]),
        ({"image_width": None, "image_height": None}, ["has no image size", "add image_width and image_height"]),
        ({"image_width": 0}, ["image_width is", "whole number of pixels"]),
        ({"imageSize": np.array([1280, 720])}, ["gives the image size as imageSize, image_width and image_height"]),
        ({"distortion_coefficients": np.ones((6, 1))}, ["a plumb_bob lens has 4 or 5 coefficients, and 6 are given"]),
        ({"D": np.zeros((5, 1))}, ["distortion coefficients as distortion_coefficients and D"]),
        ({"fisheye_model": 1, "distortion_coefficients": None}, ["has no list of distortion coefficients"]),
        ({"fisheye_model": 3}, ["fisheye_model is", "expected 0 or 1"]),
        ({"xi": 1.2}, ["omnidirectional (Mei) model"]),
        ({"rvec": None}, ["has no rotation (rvec, R", "write rvec and tvec of solvePnP"]),
        ({"rvec": None, "extrinsic_parameters": np.zeros((3, 6))}, ["has no rotation", "each chessboard"]),
        ({"rvec": np.ones((4, 1))}, ["rvec is", "expected a rotation vector of three numbers"]),
        ({"tvec": np.ones((2, 1))}, ["tvec is", "expected three numbers, metres"]),
        ({"rvec": None, "R": np.array(SHEARED)[:3, :3]}, ["the 3x3 part of R is not a rotation"]),
        ({"rvec": None, "R": np.array(MIRRORED)[:3, :3] * 1.0}, ["the 3x3 part of R mirrors"]),
        (
            {"rvec": None, "tvec": None, "R": np.eye(3), "T": np.ones((3, 1)), "F": np.eye(3)},
            ["R and T beside F are those of stereoCalibrate"],
        ),
    ],
)
def test_a_wrong_field_of_opencv(tmp_path, suffix, changed, words):
    path = formats.write_opencv(tmp_path / f"front.{suffix}", "cam0", **changed)
    refused([str(path), *words], read_opencv, {"CAM_FRONT": path})


MATRIX = "K: !!opencv-matrix\n   rows: 3\n   cols: 3\n   dt: d\n   data: [ 1., 2. ]\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["is empty"]),
        ("%YAML:1.0\n---\n", ["holds no named values"]),
        ("<a", ["is not XML"]),
        ("<a/>", ["the outermost element is <a>"]),
        ("<opencv_storage/>", ["holds no named values"]),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><opencv_storage/>", ["declares a document type"]),
        ("<opencv_storage><K>1</K><K>2</K></opencv_storage>", ["K stands twice"]),
        ('{"K": ', ["is not JSON"]),
        ("%YAML:1.0\n---\n" + MATRIX, ["a matrix of size [3, 3] has 2 numbers"]),
        ("%YAML:1.0\n---\nK: !!opencv-matrix\n   rows: 3\n", ["a matrix cannot be read"]),
        ('{"K": {"type_id": "opencv-matrix", "rows": 2, "cols": 1, "dt": "d", "data": [1, "a"]}}', ["cannot be read"]),
    ],
)
def test_a_file_that_is_no_storage(tmp_path, text, words):
    path = written(tmp_path / "a.yml", text)
    refused([str(path), *words], read_opencv, {"a": path})


def test_four_coefficients_of_no_model_are_told(tmp_path):
    path = formats.write_opencv(tmp_path / "a.yml", "cam0", fisheye_model=None)
    with pytest.warns(UserWarning, match="has 4 numbers and nothing says of which model: read as k1 k2 p1 p2"):
        assert read_opencv({"a": path}).rig.cameras[0].lens.model == "plumb_bob"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path.write_text(path.read_text() + "distortion_model: equidistant\n")
        assert read_opencv({"a": path}).rig.cameras[0].lens.model == "fisheye"


def test_the_first_line_of_older_opencv(tmp_path):
    """OpenCV 2 to 4 wrote `%YAML:1.0`, and OpenCV 5 writes `%YAML 1.2`."""
    path = formats.write_opencv(tmp_path / "a.yml", "cam1")
    _, _, rest = path.read_text().partition("\n")
    path.write_text("%YAML:1.0\n" + rest)
    assert read_opencv({"cam1": path}).rig.cameras[0].lens.coefficients == formats.FISHEYE


# ---- KITTI-360


@pytest.mark.parametrize(
    ("field", "line", "words"),
    [
        ("P_rect_00", None, ["perspective.txt has no 'P_rect_00'"]),
        ("P_rect_01", "P_rect_01: 1 2 3", ["P_rect_01 is ['1', '2', '3']", "expected 12 finite numbers"]),
        ("R_rect_00", "R_rect_00: 2 0 0 0 1 0 0 0 1", ["the 3x3 part of R_rect_00 is not a rotation"]),
        ("S_rect_00", "S_rect_00: 1280.5 720", ["S_rect_00 is", "whole numbers of pixels"]),
        ("S_rect_00", "S_rect_00: a 720", ["S_rect_00 is", "a list of finite numbers"]),
        ("P_rect_00", "P_rect_00: 0 0 640 0 0 640 360 0 0 0 1 0", ["perspective.txt, P_rect_00"]),
        ("K_00", "K_00", ["'K_00' is no line NAME: NUMBERS"]),
        ("K_00", "P_rect_00: 1", ["P_rect_00 stands twice"]),
        ("image_00", None, ["calib_cam_to_pose.txt has no 'image_00'"]),
        ("image_01", "image_01: " + "1 " * 12, ["the 3x3 part of image_01 is not a rotation"]),
    ],
)
def test_a_wrong_line_of_kitti360(tmp_path, field, line, words):
    formats.write_kitti360(tmp_path, formats.IMU2EGO)
    for file in tmp_path.iterdir():
        lines = file.read_text().splitlines()
        kept = [line if each.startswith(f"{field}:") else each for each in lines]
        file.write_text("\n".join(each for each in kept if each is not None))
    refused([str(tmp_path), *words], read_kitti360, tmp_path)


def test_files_and_cameras_of_kitti360_that_are_not_there(tmp_path):
    refused([str(tmp_path / "perspective.txt"), "No such file"], read_kitti360, tmp_path)
    formats.write_kitti360(tmp_path, formats.IMU2EGO)
    refused(["image_02", "MEI model (xi"], read_kitti360, tmp_path, None, ["image_00", "image_02"])
    refused(["no camera 'image_04'"], read_kitti360, tmp_path, None, ["image_04"])
    refused(["0 cameras"], read_kitti360, tmp_path, None, [])
    (tmp_path / "calib_cam_to_pose.txt").write_text("")
    refused(["calib_cam_to_pose.txt is empty"], read_kitti360, tmp_path)


# ---- Argoverse 2


@pytest.mark.parametrize(
    ("table", "field", "value", "words"),
    [
        (0, "fx_px", None, ["intrinsics.feather, ring_front_center has no 'fx_px'"]),
        (0, "fx_px", -3.0, ["intrinsics.feather, ring_front_center", "fx=-3"]),
        (0, "cx_px", float("inf"), ["cx_px is inf", "a finite number"]),
        (0, "width_px", 0, ["width_px is 0", "whole number of pixels"]),
        (0, "sensor_name", "ring_front_right", ["intrinsics.feather has two rows ring_front_right"]),
        (0, "sensor_name", "ring_other", ["egovehicle_SE3_sensor.feather has no row ring_other"]),
        (1, "qw", 3.0, ["egovehicle_SE3_sensor.feather, ring_front_center", "is not a unit quaternion"]),
        (1, "qw", "w", ["ring_front_center: qw is 'w'", "a finite number"]),
        (1, "tx_m", float("nan"), ["tx_m is nan", "a finite number"]),
    ],
)
def test_a_wrong_field_of_argoverse2(tmp_path, table, field, value, words):
    tables = formats.argoverse2_rows(np.eye(4))
    if isinstance(value, str) and field != "sensor_name":
        for row in tables[table]:
            row[field] = value
    tables[table][0][field] = value
    refused([str(tmp_path), *words], read_argoverse2, formats.write_argoverse2(tmp_path, *tables))


def test_files_and_cameras_of_argoverse2_that_are_not_there(tmp_path):
    refused(["cannot read", "intrinsics.feather"], read_argoverse2, tmp_path)
    formats.write_argoverse2(tmp_path, *formats.argoverse2_rows(np.eye(4)))
    refused(["has no camera up_lidar; it has ring_front_center"], read_argoverse2, tmp_path, None, ["up_lidar"])
    for content in (b"", b"ARROW1 no more"):
        (tmp_path / "calibration" / "egovehicle_SE3_sensor.feather").write_bytes(content)
        refused(["cannot read", "egovehicle_SE3_sensor.feather"], read_argoverse2, tmp_path)


@pytest.mark.parametrize("module", ["yaml", "pyarrow"])
def test_a_missing_package_is_told_with_the_way_to_it(tmp_path, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, f"{module}.feather", None)
    camchain_file = written(tmp_path / "a.yaml", "cam0: 1")
    read, path = (read_kalibr, camchain_file) if module == "yaml" else (read_argoverse2, tmp_path)
    refused(['pip install "occvino[rig]"'], read, path)


# ---- CARLA


def carla_with(**fields):
    """The first sensor with other values; None leaves one out."""
    first, second = formats.carla_sensors([1.4, 0, 0])
    changed = {key: value for key, value in {**first, **fields}.items() if value is not None}
    return [changed, second]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"id": None}, ["sensor 0 has no 'id'"]),
        ({"id": 3}, ["sensor 3: id is 3, expected text"]),
        ({"id": "cam1"}, ["more than one camera called cam1"]),
        ({"fov": None}, ["sensor cam0 has no 'fov'"]),
        ({"fov": 180}, ["fov is 180", "between 0 and 180"]),
        ({"image_size_x": "wide"}, ["image_size_x is 'wide'", "whole number"]),
        ({"attributes": {"fov": "90"}}, ["sensor cam0, attributes has no 'image_size_x'"]),
        ({"transform": None}, ["sensor cam0 has no 'transform'"]),
        ({"transform": [1, 2, 3]}, ["transform is [1, 2, 3], expected named values"]),
        ({"transform": {"rotation": {}}}, ["transform has no 'location'"]),
        ({"transform": {"location": {"X": 1}}}, ["location has X, expected x, y, z"]),
        ({"transform": {"location": {"x": "a"}}}, ["location: x is 'a', expected a finite number"]),
        ({"transform": {"location": {}, "rotation": {"yaw_deg": 3}}}, ["has yaw_deg, expected pitch, yaw, roll"]),
        ({"spawn_point": {"x": 1}}, ["has a transform and a spawn_point"]),
    ],
)
def test_a_wrong_field_of_carla(tmp_path, fields, words):
    path = written(tmp_path / "sensors.json", carla_with(**fields))
    refused(words, read_carla, path, HERE)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["is empty"]),
        ("[", ["is not JSON"]),
        ("3", ["is no list of sensors"]),
        ("{}", ["is no list of sensors"]),
        ("[]", ["has no sensor.camera.rgb; it has no sensor"]),
        ("[3]", ["sensor 0: 3 is no sensor"]),
        ('[{"type": "sensor.other.imu"}]', ["has no sensor.camera.rgb; it has sensor.other.imu"]),
        ('{"objects": [{"type": "sensor.camera.rgb", "id": "a"}]}', ["has no sensor.camera.rgb"]),
        ("[" * 100000, ["is not JSON"]),
    ],
)
def test_a_file_that_is_none_of_carla(tmp_path, text, words):
    path = written(tmp_path / "a.json", text)
    refused([str(path), *words], read_carla, path, HERE)


def test_cameras_on_two_vehicles_are_refused(tmp_path):
    document = formats.bridge_objects([1.4, 0, 0])
    document["objects"].append({**document["objects"][1], "id": "other"})
    path = written(tmp_path / "objects.json", document)
    refused(["cameras on several vehicles, ego_vehicle, other"], read_carla, path, HERE)


def test_a_vehicle_of_carla_without_a_place_is_told(tmp_path):
    path = written(tmp_path / "a.json", formats.carla_sensors([1.4, 0, 0]))
    with pytest.warns(UserWarning, match="half of a wheelbase ahead"):
        read_carla(path)


def test_a_bent_image_of_carla_is_told(tmp_path):
    path = written(tmp_path / "a.json", carla_with(lens_circle_multiplier="3.0", lens_k=-1.0))
    with pytest.warns(UserWarning, match="cam0: lens_circle_multiplier is '3.0': CARLA bends these images") as told:
        read_carla(path, HERE)
    assert "lens_k" not in str(told[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_carla(written(path, json.dumps(carla_with(lens_k=-1.0, lens_circle_falloff="5.0"))), HERE)
