"""A log of Argoverse 2 (Sensor Dataset): `calibration/intrinsics.feather` and `egovehicle_SE3_sensor.feather`.

Source of the format: av2-api (`geometry/camera/pinhole_camera.py`, `utils/io.py`) and the user guide: poses are
camera to vehicle, cameras are x right, y down, z forward, and images are published undistorted.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from occvino.errors import RigError
from occvino.geometry.camera import Camera
from occvino.geometry.readers.fields import Record, intrinsics_of, told_at
from occvino.geometry.readers.poses import pose_of, reference_pose
from occvino.geometry.readers.reading import Reading
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import Matrix, frozen, pose

AXLE2EGO: Matrix = frozen(pose_of(np.eye(3), [0.0, 0.0, 0.32]), np.float64)
"""The vehicle's frame is at the middle of the rear axle: 0.32 m above the ground, the median of ego poses over the
ground height map in two logs that come with av2-api (0.323 and 0.324 m, 5,343 poses)."""
_INTRINSICS, _POSES = "intrinsics.feather", "egovehicle_SE3_sensor.feather"
_QUATERNION, _PLACE = ("qw", "qx", "qy", "qz"), ("tx_m", "ty_m", "tz_m")
_FIX = "download the log again"


def read_argoverse2(
    log: str | Path, reference2ego: Matrix | None = None, cameras: Sequence[str] | None = None
) -> Reading:
    """A rig from a log of Argoverse 2, for its images, which are undistorted.

    Args:
        log: its folder, or the folder `calibration` in it.
        reference2ego: pose of the vehicle's frame (x forward, y left, z up, at the rear axle) in the ego frame [4, 4];
            `AXLE2EGO` when left out.
        cameras: which, in which order; the ring cameras when left out.

    Raises:
        RigError: pyarrow is not installed, a file, camera or field is missing, or a value cannot be right.
    """
    place = Path(log)
    place = place / "calibration" if (place / "calibration").is_dir() else place
    intrinsics, poses = _rows(place / _INTRINSICS), _rows(place / _POSES)
    names = [name for name in intrinsics if name.startswith("ring_")] if cameras is None else list(cameras)
    missing = [name for name in names if name not in intrinsics]
    if missing or not names:
        told = f"no camera {', '.join(missing)}" if missing else "no ring camera"
        raise RigError(f"{place / _INTRINSICS} has {told}; it has {', '.join(intrinsics)}: name some of these")
    base = reference_pose(reference2ego, AXLE2EGO)
    rig = Rig(tuple(_camera(name, intrinsics[name], poses, place / _POSES, base) for name in names))
    return Reading(rig, _notes([name for name in intrinsics if name not in names], reference2ego is not None))


def _notes(left_out: list[str], placed: bool) -> tuple[str, ...]:
    default = "taken to be 0.32 m above the ground"
    return (
        "intrinsics: fx, fy, cx, cy; k1, k2, k3 are not read: the published images are undistorted",
        "extrinsics: egovehicle_SE3_sensor (camera to vehicle), as it is",
        *([f"left out: {', '.join(left_out)}; name cameras to have them"] if left_out else []),
        f"reference: the middle of the rear axle, {'placed as given' if placed else default}",
    )


def _camera(name: str, row: Record, poses: dict[str, Record], file: Path, base: Matrix) -> Camera:
    if name not in poses:
        raise RigError(f"{file} has no row {name}; it has {', '.join(poses)}: {_FIX}")
    turn = [poses[name].number(field) for field in _QUATERNION]
    shift = [poses[name].number(field) for field in _PLACE]
    with told_at(poses[name].where):
        sensor2ego = base @ pose(turn, shift)
    focal = [row.number(field) for field in ("fx_px", "fy_px", "cx_px", "cy_px")]
    width, height = row.whole("width_px"), row.whole("height_px")
    with told_at(row.where):
        return Camera(name, width, height, intrinsics_of(*focal), sensor2ego, np.eye(4))


def _rows(path: Path) -> dict[str, Record]:
    """The rows of a table by the name of the sensor."""
    found: dict[str, Record] = {}
    for number, row in enumerate(_table(path)):
        name = Record(f"{path}, row {number}", row, _FIX).text("sensor_name")
        if name in found:
            raise RigError(f"{path} has two rows {name}: {_FIX}")
        found[name] = Record(f"{path}, {name}", row, _FIX)
    if not found:
        raise RigError(f"{path} has no rows: {_FIX}")
    return found


def _table(path: Path) -> list[dict[str, Any]]:
    try:
        import pyarrow as arrow
        import pyarrow.feather as feather
    except ModuleNotFoundError as error:
        raise RigError(f'{path}: Feather is read by pyarrow: pip install "occvino[rig]"') from error
    try:
        table = feather.read_table(path, memory_map=False)
        table.validate(full=True)  # a damaged file may point outside of itself
        return table.to_pylist()
    except (OSError, ValueError, OverflowError, arrow.ArrowException) as error:
        told = str(error).partition("\n")[0]
        raise RigError(f"cannot read {path}: {told}; expected {path.name} of a log of Argoverse 2") from error
