"""Every reader gives the one rig that the files of all formats describe."""

import warnings

import numpy as np
import pytest
import yaml

from occvino.geometry.camera import Camera
from occvino.geometry.readers import read_argoverse2, read_carla, read_kalibr, read_kitti360, read_opencv
from occvino.geometry.readers.argoverse2 import AXLE2EGO
from occvino.geometry.readers.kitti360 import IMU2EGO as KITTI_IMU2EGO
from occvino.geometry.readers.poses import pose_from_angles
from occvino.geometry.rig import Rig
from tests.geometry.readers import formats
from tests.geometry.readers.formats import IMU2EGO, assert_same, camchain, renamed, sensor2ego, the_rig, written

ORIGIN = np.array([1.43, 0.0, 0.0])
"""Of a CARLA vehicle, ahead of its rear axle."""


@pytest.fixture(autouse=True)
def _silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def text_of(reading):
    return "\n".join(reading.notes)


@pytest.mark.parametrize("chained", [False, True])
def test_kalibr_by_the_imu(tmp_path, chained):
    path = tmp_path / "camchain.yaml"
    path.write_text(yaml.safe_dump(camchain(chained)))
    reading = read_kalibr(path, IMU2EGO)
    assert_same(reading.rig, the_rig())
    assert "T_cam_imu (IMU to camera), inverted" in text_of(reading)
    assert ("T_cn_cnm1" in text_of(reading)) == chained
    assert_same(Rig.from_kalibr(path, IMU2EGO), the_rig())


def test_kalibr_by_cam0(tmp_path):
    path = written(tmp_path / "camchain.yaml", yaml.safe_dump(camchain(chained=True, imu=False)))
    assert_same(read_kalibr(path, sensor2ego("cam0")).rig, the_rig())


def test_kalibr_without_a_lens(tmp_path):
    entries = camchain()
    for entry in entries.values():
        entry.update(distortion_model="none", distortion_coeffs=[])
    path = written(tmp_path / "camchain.yaml", yaml.safe_dump(entries))
    assert_same(read_kalibr(path, IMU2EGO).rig, the_rig().straight())


@pytest.mark.parametrize("suffix", ["yml", "yaml", "xml", "json"])
def test_opencv_as_opencv_writes_it(tmp_path, suffix):
    files = {name: formats.write_opencv(tmp_path / f"{name}.{suffix}", name) for name in ("cam0", "cam1")}
    reading = read_opencv(files)
    assert_same(reading.rig, the_rig())
    assert "world to camera" in text_of(reading)
    assert_same(Rig.from_opencv(files), the_rig())


@pytest.mark.parametrize("suffix", ["yml", "xml", "json"])
def test_opencv_with_other_names(tmp_path, suffix):
    world2camera = np.linalg.inv(sensor2ego("cam0"))
    path = formats.write_opencv(
        tmp_path / f"left.{suffix}",
        "cam0",
        **dict.fromkeys(("image_width", "image_height", "camera_matrix", "distortion_coefficients", "rvec", "tvec")),
        M1=np.array([[640.0, 0, 640], [0, 640, 360], [0, 0, 1]]),
        D1=np.array([*formats.PLUMB_BOB]).reshape(1, -1),
        imageSize=np.array([[1280, 720]], np.int32),
        R=world2camera[:3, :3],
        T=world2camera[:3, 3:],
    )
    assert_same(read_opencv({"cam0": path}).rig, the_rig().select(["cam0"]))


def test_opencv_as_cpp_writes_a_size_and_with_a_world_elsewhere(tmp_path):
    """C++ writes cv::Size as a sequence, which Python's binding cannot."""
    path = formats.write_opencv(tmp_path / "a.yml", "cam1", image_width=None, image_height=None)
    path.write_text(path.read_text() + "image_size: [ 1280, 720 ]\n")
    world2ego = pose_from_angles((2.0, -1.0, 0.0), yaw=90.0, pitch=0.0, roll=0.0)
    found = read_opencv({"cam1": path}, world2ego).rig.cameras[0].sensor2ego
    x, y, z = formats.MOUNTS["cam1"][1]
    np.testing.assert_allclose(found[:3, 3], [2.0 - y, -1.0 + x, z], atol=1e-9)


def test_opencv_without_a_lens_is_of_straight_images(tmp_path):
    path = formats.write_opencv(tmp_path / "a.yml", "cam0", distortion_coefficients=None)
    assert_same(read_opencv({"cam0": path}).rig, the_rig().straight().select(["cam0"]))


def test_kitti360(tmp_path):
    folder = formats.write_kitti360(tmp_path / "calibration", IMU2EGO)
    reading = read_kitti360(folder, IMU2EGO)
    expected = renamed(the_rig().straight(), ["image_00", "image_01"])
    assert_same(reading.rig, expected)
    assert "MEI" in text_of(reading)
    assert_same(read_kitti360(tmp_path, IMU2EGO).rig, expected)
    assert_same(read_kitti360(folder, IMU2EGO, ["image_01"]).rig, expected.select(["image_01"]))


def test_kitti360_by_default(tmp_path):
    folder = formats.write_kitti360(tmp_path, KITTI_IMU2EGO)
    reading = read_kitti360(folder)
    assert_same(reading.rig, renamed(the_rig().straight(), ["image_00", "image_01"]))
    assert "0.90 m above the ground" in text_of(reading)
    assert_same(Rig.from_kitti360(folder), reading.rig)


def test_kitti360_puts_its_camera_where_the_documentation_does():
    """The published pose of image_00: 1.55 m above the ground, on the left, looking ahead and a little down."""
    published = np.array(
        [
            [0.0371783278, -0.0986182135, 0.9944306009, 1.5752681039],
            [0.9992675562, -0.0053553387, -0.0378902567, 0.0043914093],
            [0.0090621821, 0.9951109327, 0.0983468786, -0.6500000000],
            [0, 0, 0, 1],
        ]
    )
    camera = Camera("image_00", 1408, 376, np.array([[552.0, 0, 682], [0, 552, 238], [0, 0, 1]]),
                    KITTI_IMU2EGO @ published, np.eye(4))  # fmt: skip
    assert camera.sensor2ego[:3, 3] == pytest.approx([1.525, 0.316, 1.55], abs=1e-3)
    ahead = camera.sensor2ego[:3, 2]
    assert ahead[0] > 0.99
    assert -0.15 < ahead[2] < 0


def test_argoverse2(tmp_path):
    axle2ego = pose_from_angles((0.1, 0.0, 0.4), yaw=2.0, pitch=1.0, roll=0.0)
    log = formats.write_argoverse2(tmp_path, *formats.argoverse2_rows(axle2ego))
    reading = read_argoverse2(log, axle2ego)
    expected = renamed(the_rig().straight(), ["ring_front_center", "ring_front_right"])
    assert_same(reading.rig, expected)
    assert "left out: stereo_front_left" in text_of(reading)
    assert_same(read_argoverse2(log / "calibration", axle2ego).rig, expected)
    assert read_argoverse2(log, axle2ego, ["stereo_front_left"]).rig.names == ("stereo_front_left",)


def test_argoverse2_by_default(tmp_path):
    reading = read_argoverse2(formats.write_argoverse2(tmp_path, *formats.argoverse2_rows(AXLE2EGO)))
    assert_same(reading.rig, renamed(the_rig().straight(), ["ring_front_center", "ring_front_right"]))
    assert "0.32 m above the ground" in text_of(reading)
    assert_same(Rig.from_argoverse2(tmp_path), reading.rig)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("top", [False, True])
def test_carla(tmp_path, nested, top):
    sensors = formats.carla_sensors(ORIGIN, nested)
    path = written(tmp_path / "sensors.json", {"sensors": sensors} if top else sensors)
    origin2ego = pose_from_angles(ORIGIN, 0, 0, 0)
    reading = read_carla(path, origin2ego)
    assert_same(reading.rig, the_rig().straight(), 1e-15)
    assert "left-handed x forward, y right, z up" in text_of(reading)
    assert_same(Rig.from_carla(path, origin2ego), the_rig().straight(), 1e-15)


def test_carlas_ros_bridge(tmp_path):
    path = written(tmp_path / "objects.json", formats.bridge_objects(ORIGIN))
    reading = read_carla(path, pose_from_angles(ORIGIN, 0, 0, 0))
    assert_same(reading.rig, the_rig().straight(), 1e-15)
    assert "ROS bridge's x forward, y left, z up" in text_of(reading)
    assert "left out, not sensor.camera.rgb: lidar" in text_of(reading)


@pytest.mark.parametrize(
    ("angle", "ahead"),
    [("yaw", [0, -1, 0]), ("pitch", [0, 0, 1]), ("roll", [1, 0, 0])],
)
def test_each_of_carlas_angles_turns_as_its_documentation_says(tmp_path, angle, ahead):
    """Yaw of 90 degrees looks to the right, pitch of 90 up; roll to the right leaves where it looks."""
    sensor = formats.carla_sensors(ORIGIN)[0]
    sensor["transform"]["rotation"] = {angle: 90.0}
    found = read_carla(written(tmp_path / "a.json", [sensor]), np.eye(4)).rig.cameras[0].sensor2ego[:3, :3]
    np.testing.assert_allclose(found[:, 2], ahead, atol=1e-12)
    if angle == "roll":  # its right side is down then
        np.testing.assert_allclose(found[:, 0], [0, 0, -1], atol=1e-12)
