"""The folder `calibration` of KITTI-360: its two perspective cameras.

Source of the format: the data set's documentation and kitti360Scripts (`helpers/project.py`): published images
`data_rect` are rectified, `P_rect` are their intrinsics, and `calib_cam_to_pose.txt` is of the cameras before they were
rectified, so that a pose is `cam_to_pose @ inv(R_rect)`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from occvino.errors import RigError
from occvino.geometry.camera import Camera, rigid
from occvino.geometry.readers.fields import Record, read_text, told_at
from occvino.geometry.readers.poses import pose_of, reference_pose
from occvino.geometry.readers.reading import Reading
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import Matrix, frozen, rigid_inverse

PERSPECTIVE = ("image_00", "image_01")
FISHEYE = ("image_02", "image_03")
IMU2EGO: Matrix = frozen([[1, 0, 0, -0.05], [0, -1, 0, 0.32], [0, 0, -1, 0.90], [0, 0, 0, 1]], np.float64)
"""The GPS/IMU (x forward, y right, z down) in the ego frame. It is 0.05 m behind the rear axle and 0.32 m left of the
middle: KITTI's drawing of the same car, which py123d follows too. Its height is that of the lidar there, 1.73 m, less
the 0.83 m by which KITTI-360's calibration has the lidar above it; the cameras are 1.55 m high then."""
_INTRINSICS, _POSES = "perspective.txt", "calib_cam_to_pose.txt"
_FIX = "download KITTI-360's calibrations again"


def read_kitti360(
    folder: str | Path, reference2ego: Matrix | None = None, cameras: Sequence[str] = PERSPECTIVE
) -> Reading:
    """A rig from KITTI-360's calibration, for its rectified images.

    Args:
        folder: `calibration`, or the data set's folder with it.
        reference2ego: pose in the ego frame [4, 4] of the GPS/IMU, whose axes are x forward, y right, z down;
            `IMU2EGO` when left out.
        cameras: which, in which order.

    Raises:
        RigError: a file or field is missing, or a value cannot be right; a camera is one of the two with a fisheye
            lens of the MEI model, or unknown.
    """
    _check_names(cameras)
    place = Path(folder)
    place = place / "calibration" if (place / "calibration").is_dir() else place
    perspective, poses = _load(place / _INTRINSICS), _load(place / _POSES)
    base = reference_pose(reference2ego, IMU2EGO)
    rig = Rig(tuple(_camera(name, perspective, poses, base) for name in cameras))
    default = "taken to be 0.90 m above the ground, 0.05 m behind the rear axle, 0.32 m left of the middle"
    notes = (
        "intrinsics: P_rect and S_rect, of the rectified images (data_rect): no lens",
        "extrinsics: calib_cam_to_pose (camera to GPS/IMU) with R_rect inverted behind it, as in kitti360Scripts",
        f"left out: {' and '.join(FISHEYE)}, whose fisheye lens is of the MEI model (xi), which is not supported",
        "axes: the GPS/IMU's x forward, y right, z down, turned into x forward, y left, z up",
        f"reference: the GPS/IMU, {'placed as given' if reference2ego is not None else default}",
    )
    return Reading(rig, notes)


def _check_names(cameras: Sequence[str]) -> None:
    for name in cameras:
        if name in FISHEYE:
            raise RigError(
                f"{name} of KITTI-360 has a fisheye lens of the MEI model (xi, mirror parameters), which is not "
                f"supported: take {' and '.join(PERSPECTIVE)}, or undistort its images and write the rig by hand"
            )
        if name not in PERSPECTIVE:
            raise RigError(f"KITTI-360 has no camera {name!r}: expected {' and '.join(PERSPECTIVE)}")


def _load(path: Path) -> Record:
    """Lines `NAME: NUMBER NUMBER ...`."""
    lines = read_text(path, f"{path.name} of KITTI-360's calibration").splitlines()
    pairs = [line.partition(":") for line in lines if line.strip()]
    if not all(colon for _, colon, _ in pairs):
        wrong = next(name for name, colon, _ in pairs if not colon)
        raise RigError(f"{path}: {wrong[:60]!r} is no line NAME: NUMBERS: {_FIX}")
    names = [name.strip() for name, _, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RigError(f"{path}: {', '.join(twice)} stands twice: {_FIX}")
    return Record(str(path), {name: rest.split() for name, (_, _, rest) in zip(names, pairs, strict=True)}, _FIX)


def _camera(name: str, perspective: Record, poses: Record, base: Matrix) -> Camera:
    number = name[-2:]
    size, projection, turn = f"S_rect_{number}", f"P_rect_{number}", f"R_rect_{number}"
    width, height = perspective.size(size)
    camera2imu = rigid(poses.where, name, pose_of(*_split(poses.numbers(name, 12).reshape(3, 4))))
    rectified = perspective.numbers(turn, 9).reshape(3, 3)
    raw2rectified = rigid(perspective.where, turn, pose_of(rectified, np.zeros(3)))
    # the fourth column of P_rect is of the other camera's frame: each has its own pose here
    intrinsics = perspective.numbers(projection, 12).reshape(3, 4)[:, :3]
    with told_at(f"{perspective.where}, {projection}"):
        return Camera(name, width, height, intrinsics, base @ camera2imu @ rigid_inverse(raw2rectified), np.eye(4))


def _split(matrix: Matrix) -> tuple[Matrix, Matrix]:
    return matrix[:, :3], matrix[:, 3]
