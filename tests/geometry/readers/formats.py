"""One rig, written in each format from the format's own definition, by other means than the readers use.

Angles and places are literal numbers; rotations are scipy's, OpenCV's files are OpenCV's, Feather is pyarrow's.
"""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
from scipy.spatial.transform import Rotation

from occvino.geometry.camera import Camera
from occvino.geometry.lens import Lens
from occvino.geometry.rig import Rig

PLUMB_BOB = (-0.21, 0.043, 0.0004, -0.0003)
FISHEYE = (-0.013, 0.021, -0.009, 0.0015)
WIDTH, HEIGHT, FOCAL = 1280, 720, 640.0
"""The field of view is 90 degrees across the width, as CARLA's default is."""
# name: yaw to the left, pitch down, roll to the right (degrees); x, y, z (metres)
MOUNTS = {"cam0": ((3.0, 6.0, 1.5), (1.70, 0.32, 1.55)), "cam1": ((-58.0, 9.0, -2.0), (1.52, -0.49, 1.50))}
IMU2EGO = np.eye(4)
IMU2EGO[:3, :3] = Rotation.from_euler("ZYX", [1.0, -0.7, 0.4], degrees=True).as_matrix()
IMU2EGO[:3, 3] = [0.6, -0.1, 0.8]


def sensor2ego(name):
    """The columns of an optical frame are where its x (right), y (down) and z (ahead) point."""
    (yaw, pitch, roll), place = MOUNTS[name]
    turned = Rotation.from_euler("ZYX", [yaw, pitch, roll], degrees=True)
    matrix = np.eye(4)
    matrix[:3, :3] = turned.apply([[0, -1, 0], [0, 0, -1], [1, 0, 0]]).T
    matrix[:3, 3] = place
    return matrix


def the_rig():
    """cam0 has a plumb_bob lens, cam1 a fisheye."""
    intrinsics = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    lenses = {"cam0": Lens("plumb_bob", PLUMB_BOB), "cam1": Lens("fisheye", FISHEYE)}
    return Rig(
        tuple(Camera(name, WIDTH, HEIGHT, intrinsics, sensor2ego(name), np.eye(4), lenses[name]) for name in MOUNTS)
    )


def renamed(rig, names):
    return Rig(tuple(replace(camera, name=name) for camera, name in zip(rig.cameras, names, strict=True)))


def camchain(chained=False, imu=True):
    """Kalibr's camchain as plain values. `chained`: cam1 by T_cn_cnm1; `imu`: with T_cam_imu."""
    entries = {}
    for name, model, coefficients in (("cam0", "radtan", PLUMB_BOB), ("cam1", "equidistant", FISHEYE)):
        entries[name] = {
            "camera_model": "pinhole",
            "intrinsics": [FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2],
            "distortion_model": model,
            "distortion_coeffs": list(coefficients),
            "resolution": [WIDTH, HEIGHT],
            "rostopic": f"/{name}/image_raw",
            "timeshift_cam_imu": -8.1e-05,
            "cam_overlaps": [],
        }
        if imu and not (chained and name == "cam1"):
            entries[name]["T_cam_imu"] = (np.linalg.inv(sensor2ego(name)) @ IMU2EGO).tolist()
    if chained:
        entries["cam1"]["T_cn_cnm1"] = (np.linalg.inv(sensor2ego("cam1")) @ sensor2ego("cam0")).tolist()
    return entries


def write_opencv(path: Path, name, **changed):
    """As OpenCV's calibration sample names things; `changed`: other values, None leaves one out."""
    world2camera = np.linalg.inv(sensor2ego(name))
    values = {
        "image_width": WIDTH,
        "image_height": HEIGHT,
        "fisheye_model": int(name == "cam1"),
        "camera_matrix": np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]]),
        "distortion_coefficients": np.array(FISHEYE if name == "cam1" else PLUMB_BOB).reshape(-1, 1),
        "rvec": cv2.Rodrigues(world2camera[:3, :3])[0],
        "tvec": world2camera[:3, 3:],
        **changed,
    }
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for key, value in values.items():
        if value is not None:
            storage.write(key, value)
    storage.release()
    return path


R_RECT = {"00": [0.4, -0.3, 0.2], "01": [-0.5, 0.1, 0.6]}
"""Degrees about x, y, z: how rectifying turned each camera."""


def kitti360_lines(imu2ego):
    """perspective.txt and calib_cam_to_pose.txt, whose poses are of the cameras before they were rectified."""
    perspective, poses = ["calib_time: 09-Jan-2012 14:00:15", "corner_dist: 9.950000e-02"], []
    for number, name in (("00", "cam0"), ("01", "cam1")):
        turn = np.eye(4)
        turn[:3, :3] = Rotation.from_euler("xyz", R_RECT[number], degrees=True).as_matrix()
        pose = np.linalg.inv(imu2ego) @ sensor2ego(name) @ turn  # rectified = R_rect @ unrectified
        baseline = -328.3 if number == "01" else 0.0
        projection = [FOCAL, 0, WIDTH / 2, baseline, 0, FOCAL, HEIGHT / 2, 0, 0, 0, 1, 0]
        for key, numbers in {
            "S": [1392.0, 512.0],
            "K": [788.6, 0, 687.2, 0, 786.4, 317.8, 0, 0, 1],
            "D": [-0.34, 0.16, 0.0, 0.0, -0.04],
            "R_rect": turn[:3, :3].ravel(),
            "S_rect": [WIDTH, HEIGHT],
            "P_rect": projection,
        }.items():
            perspective.append(f"{key}_{number}: " + " ".join(f"{value:.17g}" for value in numbers))
        poses.append(f"image_{number}: " + " ".join(f"{value:.17g}" for value in pose[:3].ravel()))
    identity = " ".join(map(str, np.eye(4)[:3].ravel()))
    return perspective, [*poses, f"image_02: {identity}", f"image_03: {identity}"]


def write_kitti360(folder: Path, imu2ego):
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in zip(("perspective.txt", "calib_cam_to_pose.txt"), kitti360_lines(imu2ego), strict=True):
        (folder / name).write_text("\n".join(lines) + "\n")
    return folder


def argoverse2_rows(axle2ego):
    """The rows of both tables; a lidar has a pose and no intrinsics."""
    names = {"cam0": "ring_front_center", "cam1": "ring_front_right"}
    intrinsics, poses = [], []
    for name, sensor in names.items():
        values = {"fx_px": FOCAL, "fy_px": FOCAL, "cx_px": WIDTH / 2, "cy_px": HEIGHT / 2}
        bent = {"k1": -0.24, "k2": -0.18, "k3": 0.28}
        intrinsics.append({"sensor_name": sensor, **values, **bent, "height_px": HEIGHT, "width_px": WIDTH})
        pose = np.linalg.inv(axle2ego) @ sensor2ego(name)
        x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat()
        tx, ty, tz = pose[:3, 3]
        turn = {"qw": w, "qx": x, "qy": y, "qz": z}
        poses.append({"sensor_name": sensor, **turn, "tx_m": tx, "ty_m": ty, "tz_m": tz})
    intrinsics.append({**intrinsics[0], "sensor_name": "stereo_front_left"})
    poses.append({**poses[0], "sensor_name": "stereo_front_left"})
    poses.append({**poses[0], "sensor_name": "up_lidar"})
    return intrinsics, poses


def write_argoverse2(log: Path, intrinsics, poses):
    (log / "calibration").mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(intrinsics)
    for name in ("width_px", "height_px"):
        if name in table.column_names and pa.types.is_integer(table.schema.field(name).type):
            narrow = table.column(name).cast(pa.uint16())
            table = table.set_column(table.column_names.index(name), name, narrow)
    feather.write_feather(table, log / "calibration" / "intrinsics.feather")
    feather.write_feather(pa.Table.from_pylist(poses), log / "calibration" / "egovehicle_SE3_sensor.feather")
    return log


def unreal_matrix(pitch, yaw, roll):
    """What CARLA's `Transform.get_matrix` gives for degrees: columns are forward, right and up, in left-handed axes."""
    (cp, cy, cr), (sp, sy, sr) = np.cos(np.radians([pitch, yaw, roll])), np.sin(np.radians([pitch, yaw, roll]))
    return np.array(
        [
            [cp * cy, cy * sp * sr - sy * cr, -cy * sp * cr - sy * sr],
            [cp * sy, sy * sp * sr + cy * cr, -sy * sp * cr + cy * sr],
            [sp, -cp * sr, cp * cr],
        ]
    )


def unreal_angles(name):
    """Pitch, yaw and roll whose matrix has the camera's forward, right and up, with y of each to the right."""
    right, down, ahead = sensor2ego(name)[:3, :3].T
    forward, right, up = (vector * [1, -1, 1] for vector in (ahead, right, -down))
    pitch, yaw = np.degrees(np.arcsin(forward[2])), np.degrees(np.arctan2(forward[1], forward[0]))
    roll = np.degrees(np.arctan2(-right[2], up[2]))
    np.testing.assert_allclose(unreal_matrix(pitch, yaw, roll).T, [forward, right, up], atol=1e-12)
    return pitch, yaw, roll


def carla_sensors(origin, nested=False):
    """A list of sensors on a vehicle whose origin is `origin` (x, y, z) in the ego frame."""
    found = []
    for name in MOUNTS:
        pitch, yaw, roll = unreal_angles(name)
        x, y, z = np.array(MOUNTS[name][1]) - origin
        image = {"image_size_x": WIDTH, "image_size_y": HEIGHT, "fov": 90.0}
        if nested:
            image = {"attributes": {key: str(value) for key, value in image.items()}}
        location, rotation = {"x": x, "y": -y, "z": z}, {"pitch": pitch, "yaw": yaw, "roll": roll}
        found.append({"id": name, **image, "transform": {"location": location, "rotation": rotation}})
    return found


def bridge_objects(origin):
    """objects.json of the ROS bridge: right-handed axes, so angles are those of the mounts."""
    sensors = []
    for name, ((yaw, pitch, roll), place) in MOUNTS.items():
        x, y, z = np.array(place) - origin
        point = {"x": x, "y": y, "z": z, "roll": roll, "pitch": pitch, "yaw": yaw}
        image = {"image_size_x": WIDTH, "image_size_y": HEIGHT, "fov": 90.0}
        sensors.append({"type": "sensor.camera.rgb", "id": name, "spawn_point": point, **image})
    lidar = {"type": "sensor.lidar.ray_cast", "id": "lidar", "spawn_point": {"x": 0.0, "y": 0.0, "z": 2.4}}
    return {
        "objects": [
            {"type": "sensor.pseudo.objects", "id": "objects"},
            {"type": "vehicle.tesla.model3", "id": "ego_vehicle", "sensors": [*sensors, lidar]},
        ]
    }


def written(path: Path, value):
    """A file of plain values as JSON, which YAML is a superset of, or of text as it is."""
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def assert_same(found, expected, rounding=0.0):
    """Poses to a millionth, all else as it is; `rounding`: of intrinsics that a format tells by an angle."""
    assert found.names == expected.names
    for one, other in zip(found.cameras, expected.cameras, strict=True):
        assert (one.width, one.height, one.lens) == (other.width, other.height, other.lens)
        np.testing.assert_allclose(one.intrinsics, other.intrinsics, rtol=rounding)
        np.testing.assert_allclose(one.sensor2ego, other.sensor2ego, atol=1e-6)
        np.testing.assert_array_equal(one.ego2global, np.eye(4))
