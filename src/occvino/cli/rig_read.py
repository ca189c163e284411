"""The commands `occvino rig from-...` for Kalibr, OpenCV, nuScenes, KITTI-360, Argoverse 2 and CARLA.

Each writes a rig file from another project's calibration, and says in which convention it was read.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from occvino.cli.bag_options import pose_of
from occvino.cli.console import say
from occvino.cli.options import Version
from occvino.datasets.nuscenes import NuScenes
from occvino.errors import OccvinoError
from occvino.geometry.camera import Camera
from occvino.geometry.readers import (
    Reading,
    read_argoverse2,
    read_carla,
    read_kalibr,
    read_kitti360,
    read_opencv,
)
from occvino.geometry.readers.poses import SIX_NUMBERS
from occvino.geometry.transforms import Matrix

Out = Annotated[Path, typer.Option(help="Rig file to write.")]
Reference = Annotated[
    str | None,
    typer.Option(
        "--reference-in-ego",
        metavar=SIX_NUMBERS,
        help="Where the calibration's own reference frame is, seen from the ground below the rear axle (x forward, y "
        "left, z up): metres, then degrees: roll to the right, pitch down, yaw to the left, turned in that order.",
    ),
]
Names = Annotated[
    list[str] | None, typer.Option("--camera", metavar="NAME", help="Only this camera. Repeatable, in this order.")
]


def from_kalibr(
    camchain: Annotated[Path, typer.Argument(help="camchain-*.yaml of Kalibr.")],
    out: Out,
    reference_in_ego: Reference = None,
) -> None:
    """Write the rig of a camchain of Kalibr.

    Its reference frame is the IMU, or cam0's optical frame (ahead: angles -90,0,-90) where there is no IMU.

    Example: occvino rig from-kalibr camchain.yaml --reference-in-ego 0.6,0,0.8 --out rig.json
    """
    _write(read_kalibr(camchain, reference_of(reference_in_ego)), out)


def from_opencv(
    files: Annotated[list[str], typer.Argument(metavar="NAME=FILE...", help="FileStorage of each camera: YAML, XML.")],
    out: Out,
    reference_in_ego: Reference = None,
) -> None:
    """Write the rig of OpenCV's FileStorage files, one a camera, with the pose that solvePnP gave.

    Its reference frame is the world of solvePnP; the ego frame when nothing else is said.

    Example: occvino rig from-opencv CAM_FRONT=front.yml CAM_BACK=back.yml --out rig.json
    """
    _write(read_opencv(_named(files), reference_of(reference_in_ego)), out)


def from_nuscenes(
    source: Annotated[Path, typer.Argument(help="nuScenes folder, or an info file (.pkl) of BEVDet or mmdet3d.")],
    out: Out,
    token: Annotated[str | None, typer.Option(help="Sample token; the first frame when left out.")] = None,
    version: Version = None,
    root: Annotated[Path | None, typer.Option(help="nuScenes folder, for an info file; its own by default.")] = None,
) -> None:
    """Write the rig of one key frame of nuScenes.

    Example: occvino rig from-nuscenes data/nuscenes --version v1.0-mini --out rig.json
    """
    if source.is_file() and version is not None:
        raise OccvinoError(f"--version {version} chooses tables, and {source} is an info file: leave --version out")
    if source.is_dir() and root is not None:
        raise OccvinoError(f"--root {root} is for info files, and {source} is a folder: leave --root out")
    frames = NuScenes.from_infos(source, root or source.parent) if source.is_file() else NuScenes(source, version)
    frame = frames[0 if token is None else frames.find(token)]
    notes = (
        f"frame: sample {frame.token} of {frame.scene}",
        "intrinsics, sensor2ego and ego2global (at each camera's exposure) as nuScenes has them",
        "reference: nuScenes' ego frame, which is the ego frame here",
    )
    _write(Reading(frame.rig, notes), out)


def from_kitti360(
    folder: Annotated[Path, typer.Argument(help="KITTI-360's folder `calibration`, or the one that it is in.")],
    out: Out,
    camera: Names = None,
    reference_in_ego: Reference = None,
) -> None:
    """Write the rig of KITTI-360's two perspective cameras, for the rectified images.

    Its reference frame is the GPS/IMU, whose z is down (level: ROLL is 180); it is known when nothing is said.

    Example: occvino rig from-kitti360 KITTI-360/calibration --out rig.json
    """
    given = reference_of(reference_in_ego)
    _write(read_kitti360(folder, given, camera) if camera else read_kitti360(folder, given), out)


def from_argoverse2(
    log: Annotated[Path, typer.Argument(help="Folder of a log of the Sensor Dataset.")],
    out: Out,
    camera: Names = None,
    reference_in_ego: Reference = None,
) -> None:
    """Write the rig of a log of Argoverse 2: its ring cameras.

    Its reference frame is at the middle of the rear axle; 0.32 m above the ground when nothing is said.

    Example: occvino rig from-argoverse2 sensor/val/7fab2350-7eaf-3b7e-a39d-6937a4c1bede --out rig.json
    """
    _write(read_argoverse2(log, reference_of(reference_in_ego), camera or None), out)


def from_carla(
    sensors: Annotated[Path, typer.Argument(help="JSON list of sensors, or objects.json of CARLA's ROS bridge.")],
    out: Out,
    reference_in_ego: Reference = None,
) -> None:
    """Write the rig of the RGB cameras of a CARLA vehicle.

    Its reference frame is the vehicle's origin, near its middle, with y turned to the left.

    Example: occvino rig from-carla sensors.json --reference-in-ego 1.4,0,0 --out rig.json
    """
    _write(read_carla(sensors, reference_of(reference_in_ego)), out)


def reference_of(text: str | None) -> Matrix | None:
    """The pose [4, 4] that `--reference-in-ego` says; None where it is left out.

    Raises:
        OccvinoError: it is not three or six numbers.
    """
    return None if text is None else pose_of(text, "--reference-in-ego")


def _named(pairs: Sequence[str]) -> dict[str, Path]:
    split = [pair.partition("=") for pair in pairs]
    if any(not name or not file for name, _, file in split) or len({name for name, _, _ in split}) < len(split):
        raise OccvinoError(f"{' '.join(pairs)}: expected NAME=FILE, as CAM_FRONT=front.yml, each name once")
    return {name: Path(file) for name, _, file in split}


def _write(reading: Reading, out: Path) -> None:
    reading.rig.save(out)
    say("\n".join([*reading.notes, "", *map(_line, reading.rig.cameras), "", f"wrote {out}"]))
    say(f"look whether it is right: occvino rig check {out} --images DIR")


def _line(camera: Camera) -> str:
    """What a person can compare with the vehicle: where the camera is and where it looks."""
    (x, y, z), (ahead, left, up) = camera.sensor2ego[:3, 3], camera.sensor2ego[:3, 2]
    yaw, pitch = math.degrees(math.atan2(left, ahead)), math.degrees(math.asin(max(-1.0, min(1.0, up))))
    side, height = "left" if yaw >= 0 else "right", "up" if pitch >= 0 else "down"
    lens = f"{camera.lens.model} lens" if camera.lens else "no lens"
    return (
        f"{camera.name}: {camera.width}x{camera.height}, {lens}; at x {x:.2f} y {y:.2f} z {z:.2f} m; looks "
        f"{abs(yaw):.0f} degrees to the {side}, {abs(pitch):.0f} {height}"
    )
