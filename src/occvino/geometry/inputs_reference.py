"""The slow readable twin of `inputs`: one camera, one pixel and one depth at a time, as the official code goes."""

import numpy as np
from numpy.typing import NDArray

from occvino.geometry.calibration import Calibration


def camera_vector(calibration: Calibration, camera: int, key_camera: int) -> list[float]:
    """The 27 numbers of one camera of any frame; `key_camera` is the same camera in the key frame."""
    k, rotation, shift = (
        calibration.intrinsics[camera],
        calibration.post_rot[camera],
        calibration.post_trans[camera],
    )
    bda, pose = calibration.bda, calibration.sensor2keyego()[key_camera]
    numbers = [k[0, 0], k[1, 1], k[0, 2], k[1, 2]]
    numbers += [rotation[0, 0], rotation[0, 1], shift[0], rotation[1, 0], rotation[1, 1], shift[1]]
    numbers += [bda[0, 0], bda[0, 1], bda[1, 0], bda[1, 1], bda[2, 2]]
    numbers += [pose[row, column] for row in range(3) for column in range(4)]
    return [float(number) for number in numbers]


def warped_pixel(
    calibration: Calibration, camera: int, earlier: int, u: float, v: float, depth: float
) -> tuple[NDArray[np.float64], float]:
    """Network pixel [2] in the camera `earlier` of the network pixel (u, v) at a depth, and the depth there, metres."""
    k = calibration.intrinsics[camera].astype(np.float64)
    rotation = calibration.post_rot[camera].astype(np.float64)
    shift = calibration.post_trans[camera].astype(np.float64)
    raw_u, raw_v, d = np.linalg.inv(rotation) @ (np.array([u, v, depth]) - shift)
    in_sensor = np.linalg.inv(k) @ [raw_u * d, raw_v * d, d]
    now, then = (
        calibration.ego2global[index].astype(np.float64) @ calibration.sensor2ego[index].astype(np.float64)
        for index in (camera, earlier)
    )
    in_earlier = (np.linalg.inv(then) @ now @ [*in_sensor, 1.0])[:3]
    x, y, z = k @ in_earlier
    return rotation[:2, :2] @ [x / z, y / z] + shift[:2], float(z)
