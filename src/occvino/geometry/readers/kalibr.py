"""Kalibr's camchain: `camchain-*.yaml` of `kalibr_calibrate_cameras` and `kalibr_calibrate_imu_camera`.

Source of the format: Kalibr's wiki, pages "Yaml formats" and "Supported models".
"""

import re
from pathlib import Path
from typing import Any, cast

import numpy as np

from occvino.errors import RigError, warn
from occvino.geometry.camera import Camera
from occvino.geometry.lens_json import make_lens
from occvino.geometry.readers.fields import Record, intrinsics_of, read_text, told_at
from occvino.geometry.readers.poses import SIX_NUMBERS, reference_pose
from occvino.geometry.readers.reading import Reading
from occvino.geometry.readers.yaml_text import load_yaml
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import Matrix, motion_between, rigid_inverse

_EXPECTED = "a camchain of Kalibr: YAML with cam0, cam1, ..."
_FIX = "take the camchain-*.yaml that Kalibr wrote"
_AGAIN = "calibrate again with --models pinhole-radtan or pinhole-equi"
_COEFFICIENTS = {"radtan": 4, "equidistant": 4, "none": 0}
_AGREE = 0.01, 0.2
"""Metres and degrees by which the chain and T_cam_imu may differ: two ways to tell one pose."""


def read_kalibr(path: str | Path, reference2ego: Matrix | None = None) -> Reading:
    """A rig from a camchain.

    Args:
        path: of the YAML file.
        reference2ego: pose in the ego frame [4, 4] of the IMU, where the file has `T_cam_imu`, else of cam0's optical
            frame. When left out, the IMU is taken for the ego frame, with a warning.

    Raises:
        RigError: the file cannot be read, lacks something or holds a value that cannot be right; a camera model other
            than pinhole; a camchain without an IMU and without `reference2ego`.
    """
    file = Path(path)
    cameras = _cameras(file)
    with_imu = "T_cam_imu" in cameras[0]
    if reference2ego is None and not with_imu:
        raise RigError(
            f"{file} has no T_cam_imu, so all poses are from cam0: say where cam0 is. Give reference2ego "
            f"(--reference-in-ego {SIX_NUMBERS}), the pose of its optical frame in the ego frame; "
            "looking ahead and level, its angles are -90 0 -90"
        )
    if reference2ego is None:
        warn(
            f"{file}: the IMU is taken for the ego origin, which is on the ground below the middle of the rear axle: "
            f"give reference2ego (--reference-in-ego {SIX_NUMBERS}), the pose of the IMU in the ego frame"
        )
    base = reference_pose(reference2ego, np.eye(4))
    poses = _poses(cameras)
    rig = Rig(tuple(_camera(record, base @ rigid_inverse(pose)) for record, pose in zip(cameras, poses, strict=True)))
    return Reading(rig, _notes(cameras, with_imu, reference2ego is not None))


def _notes(cameras: list[Record], with_imu: bool, placed: bool) -> tuple[str, ...]:
    chained = [_name(record) for record in cameras[1:] if "T_cam_imu" not in record]
    notes = ["intrinsics: Kalibr's [fu, fv, pu, pv]; lens: radtan is plumb_bob, equidistant is fisheye"]
    if with_imu:
        notes.append("extrinsics: Kalibr's T_cam_imu (IMU to camera), inverted")
    if chained:
        notes.append(f"extrinsics of {', '.join(chained)}: T_cn_cnm1 (camera n-1 to camera n), chained and inverted")
    reference = "the IMU" if with_imu else "cam0's optical frame"
    notes.append(f"reference: {reference}, {'placed as given' if placed else 'taken for the ego frame'}")
    return tuple(notes)


def _cameras(file: Path) -> list[Record]:
    document = load_yaml(file, read_text(file, _EXPECTED))
    entries = cast(dict[Any, Any], document) if isinstance(document, dict) else {}
    numbers = sorted(int(key[3:]) for key in entries if isinstance(key, str) and re.fullmatch(r"cam\d{1,3}", key))
    if not numbers:
        given = ", ".join(map(str, entries)) or type(document).__name__
        raise RigError(f"{file} has no cam0; it has {given[:200]}: expected {_EXPECTED}")
    if numbers != list(range(len(numbers))):
        raise RigError(f"{file} has cam{', cam'.join(map(str, numbers))}: expected cam0, cam1, ... without a gap")
    top = Record(str(file), entries, _FIX)
    return [top.record(f"cam{number}") for number in numbers]


def _name(record: Record) -> str:
    return record.where.rpartition(", ")[2]


def _poses(cameras: list[Record]) -> list[Matrix]:
    """From the reference (the IMU, or cam0) to each camera, [4, 4] each."""
    if "T_cam_imu" not in cameras[0]:
        late = [_name(record) for record in cameras if "T_cam_imu" in record]
        if late:
            raise RigError(f"{cameras[0].where} has no T_cam_imu, and {', '.join(late)} has: {_FIX}")
    found = [cameras[0].pose("T_cam_imu") if "T_cam_imu" in cameras[0] else np.eye(4)]
    for record in cameras[1:]:
        chained = record.pose("T_cn_cnm1") @ found[-1] if "T_cn_cnm1" in record or "T_cam_imu" not in record else None
        direct = record.pose("T_cam_imu") if "T_cam_imu" in record else None
        if chained is not None and direct is not None:
            _check_agreement(record, chained, direct)
        found.append(cast(Matrix, chained if direct is None else direct))
    return found


def _check_agreement(record: Record, chained: Matrix, direct: Matrix) -> None:
    metres, degrees = motion_between(chained, direct)
    if metres > _AGREE[0] or degrees > _AGREE[1]:
        warn(
            f"{record.where}: T_cam_imu and the chain of T_cn_cnm1 differ by {metres:.3g} m and {degrees:.3g} degrees: "
            "T_cam_imu is used. Was one of them edited?"
        )


def _camera(record: Record, sensor2ego: Matrix) -> Camera:
    model = record.text("camera_model")
    if model != "pinhole":
        raise RigError(f"{record.where}: camera_model is {model!r}, which is not supported, expected pinhole: {_AGAIN}")
    width, height = record.size("resolution")
    lens = record.text("distortion_model")
    coefficients = record.any_numbers("distortion_coeffs") if "distortion_coeffs" in record or lens != "none" else []
    if lens not in _COEFFICIENTS:
        raise RigError(
            f"{record.where}: distortion_model is {lens!r}, which is not supported, expected radtan, equidistant or "
            f"none: {_AGAIN}"
        )
    if len(coefficients) != _COEFFICIENTS[lens]:
        raise record.wrong("distortion_coeffs", f"{_COEFFICIENTS[lens]} numbers for {lens}")
    with told_at(record.where):
        return Camera(
            name=_name(record),
            width=width,
            height=height,
            intrinsics=intrinsics_of(*record.numbers("intrinsics", 4)),
            sensor2ego=sensor2ego,
            ego2global=np.eye(4),
            lens=make_lens(lens, coefficients),
        )
