"""Calibrations that were stored with OpenCV's FileStorage, one file a camera.

OpenCV gives the storage and no names; these are the usual ones, of its own samples and of many projects.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from occvino.errors import RigError, warn
from occvino.geometry.camera import Camera, rigid
from occvino.geometry.lens import Lens
from occvino.geometry.lens_json import make_lens
from occvino.geometry.readers.fields import Record, told_at
from occvino.geometry.readers.poses import pose_of, reference_pose, rotation_from_vector
from occvino.geometry.readers.reading import Reading
from occvino.geometry.readers.storage import load_storage
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import Matrix, rigid_inverse

_MATRICES = ("camera_matrix", "cameraMatrix", "CameraMatrix", "camera_Matrix", "K", "M", "M1", "M2", "M3", "M4")
_LENSES = (
    *("distortion_coefficients", "Distortion_Coefficients", "distCoeffs", "dist_coeffs", "dist_coeff", "distortion"),
    *("D", "D1", "D2", "D3", "D4"),
)
_SIZES = ("imageSize", "image_size", "image_Size", "ImageSize", "size")
_PAIRS = (("image_width", "image_height"), ("image_Width", "image_Height"), ("width", "height"))
_ROTATIONS = ("rvec", "R", "rotation", "rotation_matrix")
_TRANSLATIONS = ("tvec", "T", "t", "translation", "translation_vector")
_STEREO = ("R1", "R2", "P1", "P2", "Q", "E", "F")
"""What OpenCV's sample for two cameras writes beside R and T, which are from one camera to the other there."""
_FIX = "give the matrices as OpenCV's calibration writes them"
_POSE_FIX = "write rvec and tvec of solvePnP: from a world frame laid out on the ground to the camera, metres"


def read_opencv(files: Mapping[str, str | Path], reference2ego: Matrix | None = None) -> Reading:
    """A rig from one FileStorage file a camera.

    Args:
        files: camera name -> YAML, XML or JSON file with the camera matrix, the image size, distortion coefficients
            (straight images when left out), and the pose of `solvePnP`: `rvec` (or `R`) and `tvec` (or `T`, `t`),
            metres, from the world to the camera.
        reference2ego: pose in the ego frame [4, 4] of that world; the identity when left out, for one whose points
            were laid out on the ground, measured from below the middle of the rear axle: x forward, y left, z up.

    Raises:
        RigError: a file cannot be read, lacks something, tells it twice, or holds a value that cannot be right; a
            lens of the omnidirectional model.
    """
    base = reference_pose(reference2ego, np.eye(4))
    cameras = tuple(_camera(name, Path(path), base) for name, path in files.items())
    world = "taken for the ego frame: x forward, y left, z up, from the ground below the rear axle"
    notes = (
        "intrinsics: OpenCV's camera matrix, pixels",
        "lens: OpenCV's distCoeffs, k1 k2 p1 p2 k3 ...; with fisheye_model: 1 those of cv::fisheye",
        "extrinsics: rotation and translation of solvePnP (world to camera, metres), inverted",
        f"reference: the world of solvePnP, {'placed as given' if reference2ego is not None else world}",
    )
    return Reading(Rig(cameras), notes)


def _camera(name: str, path: Path, base: Matrix) -> Camera:
    record = Record(str(path), load_storage(path), _FIX)
    width, height = _size(record)
    intrinsics = record.numbers(_one_of(record, _MATRICES, "camera matrix"), 3, 3)
    world2camera = _world2camera(record)
    with told_at(str(path)):
        lens = _lens(record)
        return Camera(name, width, height, intrinsics, base @ rigid_inverse(world2camera), np.eye(4), lens)


def _one_of(record: Record, names: Sequence[str], what: str, fix: str = _FIX) -> str:
    found = [name for name in names if name in record]
    if len(found) > 1:
        raise RigError(f"{record.where} gives the {what} as {' and '.join(found)}: leave one, and one camera a file")
    if not found:
        given = ", ".join(record.values)
        raise RigError(f"{record.where} has no {what} ({', '.join(names[:4])}); it has {given[:200]}: {fix}")
    return found[0]


def _size(record: Record) -> tuple[int, int]:
    sizes = [name for name in _SIZES if name in record]
    pairs = [pair for pair in _PAIRS if any(name in record for name in pair)]
    if len(sizes) + len(pairs) > 1:
        told = [*sizes, *(" and ".join(pair) for pair in pairs)]
        raise RigError(f"{record.where} gives the image size as {', '.join(told)}: leave one")
    if pairs:
        return record.whole(pairs[0][0]), record.whole(pairs[0][1])
    return record.size(_one_of(record, _SIZES, "image size", "add image_width and image_height, pixels"))


def _lens(record: Record) -> Lens | None:
    if "xi" in record:
        raise RigError(
            f"{record.where}: xi is of the omnidirectional (Mei) model, which is not supported: calibrate again with "
            "cv::fisheye::calibrate or cv::calibrateCamera"
        )
    told = [name for name in _LENSES if name in record]
    fisheye = _fisheye(record)
    if not told and not fisheye:
        return None
    name = _one_of(record, _LENSES, "list of distortion coefficients")
    coefficients = record.any_numbers(name)
    if fisheye is None and "distortion_model" in record:
        return make_lens(record.text("distortion_model"), coefficients)
    if fisheye is None and len(coefficients) == 4 and any(coefficients):
        warn(
            f"{record.where}: {name} has 4 numbers and nothing says of which model: read as k1 k2 p1 p2 of "
            "cv::calibrateCamera. Add fisheye_model: 0, or fisheye_model: 1 if they are of cv::fisheye"
        )
    return make_lens("fisheye" if fisheye else "plumb_bob", coefficients)


def _fisheye(record: Record) -> bool | None:
    """What `fisheye_model` says, as OpenCV's sample writes it; None where it is left out."""
    if "fisheye_model" not in record:
        return None
    value = record["fisheye_model"]
    told = str(value).strip().lower()
    if told not in ("0", "1", "true", "false"):
        raise record.wrong("fisheye_model", "0 or 1")
    return told in ("1", "true")


def _world2camera(record: Record) -> Matrix:
    stereo = [name for name in _STEREO if name in record]
    if stereo and "R" in record and "T" in record:
        raise RigError(
            f"{record.where}: R and T beside {', '.join(stereo)} are those of stereoCalibrate, from one camera to the "
            f"other, and say nothing of the vehicle: {_POSE_FIX}"
        )
    fix = _POSE_FIX
    if "extrinsic_parameters" in record or "extrinsicParameters" in record:
        fix = f"extrinsic parameters are those of each chessboard; {_POSE_FIX}"
    turn = _one_of(record, _ROTATIONS, "rotation", fix)
    shift = _one_of(record, _TRANSLATIONS, "translation", fix)
    place = record.any_numbers(shift)
    if len(place) != 3:
        raise record.wrong(shift, "three numbers, metres")
    return rigid(record.where, turn, pose_of(_rotation(record, turn), place))


def _rotation(record: Record, name: str) -> Matrix:
    value = record[name]
    if np.shape(value) == (3, 3):
        return record.numbers(name, 3, 3)
    vector = record.any_numbers(name)
    if len(vector) != 3:
        raise record.wrong(name, "a rotation vector of three numbers, radians, or a rotation matrix 3 by 3")
    return rotation_from_vector(np.array(vector))
