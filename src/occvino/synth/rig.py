"""Six cameras and a lidar, placed as on the vehicles of nuScenes, a little different in every scene."""

from dataclasses import dataclass

import numpy as np

from occvino.geometry.camera import Camera
from occvino.geometry.transforms import Matrix
from occvino.variant import NUSCENES_CAMERAS

SOURCE_SIZE = (1600, 900)
"""(width, height) for which the focal lengths below hold."""

# Rounded from the nuScenes sensor setup: yaw in degrees, place in metres (x, y, z), focal length in pixels, and
# milliseconds between the exposure and the lidar sweep's end.
_MOUNTS = {
    "CAM_FRONT_LEFT": (55.0, (1.52, 0.49, 1.51), 1270.0, -43.0),
    "CAM_FRONT": (0.0, (1.70, 0.02, 1.51), 1265.0, -36.0),
    "CAM_FRONT_RIGHT": (-55.0, (1.55, -0.49, 1.50), 1260.0, -28.0),
    "CAM_BACK_LEFT": (110.0, (1.04, 0.48, 1.59), 1257.0, -1.0),
    "CAM_BACK": (180.0, (0.03, 0.00, 1.58), 810.0, -11.0),
    "CAM_BACK_RIGHT": (-110.0, (1.01, -0.48, 1.56), 1259.0, -20.0),
}
_LIDAR = (0.94, 0.0, 1.84)


@dataclass(frozen=True, eq=False)
class Mount:
    """One camera on the vehicle. `delay` is its exposure's time relative to the lidar's, seconds."""

    name: str
    width: int
    height: int
    intrinsics: Matrix
    sensor2ego: Matrix
    delay: float

    def camera(self, ego2global: Matrix) -> Camera:
        """The camera at an ego pose."""
        return Camera(self.name, self.width, self.height, self.intrinsics, self.sensor2ego, ego2global)


@dataclass(frozen=True, eq=False)
class SensorSet:
    """The cameras in the order of `NUSCENES_CAMERAS`, and the lidar's pose [4, 4]."""

    mounts: tuple[Mount, ...]
    lidar2ego: Matrix


def make_rig(rng: np.random.Generator, width: int) -> SensorSet:
    """Cameras whose images are `width` pixels wide, 16:9, with the small differences between real vehicles.

    Focal lengths vary by 0.6 %, principal points by 1 % of the width, places by 1.5 cm, angles by 0.6 degrees and
    delays by 1.5 ms (one standard deviation each).
    """
    height = round(width * SOURCE_SIZE[1] / SOURCE_SIZE[0])
    mounts = tuple(_mount(rng, name, width, height) for name in NUSCENES_CAMERAS)
    lidar = np.eye(4)
    lidar[:3, :3] = rotation_zyx(-np.pi / 2 + rng.normal(0, 0.01), *rng.normal(0, 0.006, 2))
    lidar[:3, 3] = np.array(_LIDAR) + rng.normal(0, 0.01, 3)
    return SensorSet(mounts, lidar)


def _mount(rng: np.random.Generator, name: str, width: int, height: int) -> Mount:
    yaw, place, focal, delay = _MOUNTS[name]
    focal *= 1 + rng.normal(0, 0.006)
    cx, cy = 800 + rng.normal(0, 16), 487 + rng.normal(0, 8)
    intrinsics = np.array([[focal, 0, cx], [0, focal, cy], [0, 0, 1]])
    sensor2ego = np.eye(4)
    angles = np.deg2rad(rng.normal(0, 0.6, 3))
    # Columns: where the sensor's x (right), y (down) and z (forward) axes point in a frame that looks along x.
    looking_ahead = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]], np.float64)
    sensor2ego[:3, :3] = rotation_zyx(np.deg2rad(yaw) + angles[0], angles[1], angles[2]) @ looking_ahead
    sensor2ego[:3, 3] = np.array(place) + rng.normal(0, 0.015, 3)
    camera = Camera(name, *SOURCE_SIZE, intrinsics, sensor2ego, np.eye(4)).scaled(width / SOURCE_SIZE[0])
    return Mount(name, width, height, camera.intrinsics, sensor2ego, (delay + rng.normal(0, 1.5)) / 1000)


def rotation_zyx(yaw: float, pitch: float, roll: float) -> Matrix:
    """Rotation [3, 3]: roll about x first, then pitch about y, then yaw about z; radians."""
    c, s = np.cos([yaw, pitch, roll]), np.sin([yaw, pitch, roll])
    about_z = np.array([[c[0], -s[0], 0], [s[0], c[0], 0], [0, 0, 1]])
    about_y = np.array([[c[1], 0, s[1]], [0, 1, 0], [-s[1], 0, c[1]]])
    about_x = np.array([[1, 0, 0], [0, c[2], -s[2]], [0, s[2], c[2]]])
    return about_z @ about_y @ about_x
