"""Options of the commands that read bags, and how what they were given is read."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from occvino.datasets.bags.options import BagOptions
from occvino.errors import OccvinoError
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import Matrix

Topics = Annotated[
    list[str] | None,
    typer.Option(
        "--topic",
        metavar="NAME=TOPIC",
        help="Image topic of a camera, as CAM_FRONT=/front/image_raw. Repeatable; guessed when left out.",
    ),
]
InfoTopics = Annotated[
    list[str] | None,
    typer.Option(
        "--camera-info", metavar="NAME=TOPIC", help="Its camera_info, where that is not beside the images. Repeatable."
    ),
]
Window = Annotated[
    float | None,
    typer.Option(help="Seconds from the first camera's image to the others of a frame; half of its period by default."),
]
BaseLink = Annotated[str, typer.Option(help="The vehicle's frame in tf.")]
FixedFrame = Annotated[
    str | None,
    typer.Option(help="Frame of tf in which the vehicle moves: odom or map by default; none if it stands still."),
]
OdometryTopic = Annotated[
    str | None, typer.Option("--odometry", metavar="TOPIC", help="Take the vehicle's pose from here, not from tf.")
]
BasePose = Annotated[
    str | None,
    typer.Option(
        metavar="X,Y,Z[,ROLL,PITCH,YAW]",
        help="Where the vehicle's frame is, seen from the ground below the rear axle (x forward, y left, z up), in "
        "metres and degrees.",
    ),
]
PoseGap = Annotated[float, typer.Option(help="Seconds between two poses that are interpolated, at most.")]
SceneGap = Annotated[float, typer.Option(help="Seconds without a frame after which another scene begins.")]


def bag_options(
    topics: list[str] | None = None,
    infos: list[str] | None = None,
    *,
    window: float | None = None,
    base_link: str = "base_link",
    fixed_frame: str | None = None,
    odometry: str | None = None,
    base_pose: str | None = None,
    pose_gap: float = 1.0,
    scene_gap: float = 2.0,
    rig: Path | None = None,
) -> BagOptions:
    """What the options of a command say about a bag.

    Raises:
        OccvinoError: one cannot be read, or they contradict each other.
    """
    return BagOptions(
        topics=pairs("--topic", topics),
        infos=pairs("--camera-info", infos),
        window=window,
        base_link=base_link.strip("/"),
        fixed_frame=fixed_frame.strip("/") if fixed_frame else None,
        odometry=odometry,
        base2ego=pose_of(base_pose) if base_pose else np.eye(4),
        pose_gap=pose_gap,
        scene_gap=scene_gap,
        rig=Rig.load(rig) if rig else None,
    )


def pairs(option: str, given: list[str] | None) -> dict[str, str]:
    """What `NAME=VALUE` options say, by name; raises `OccvinoError` where one is none."""
    split = [pair.partition("=") for pair in given or ()]
    if any(not name or not topic for name, _, topic in split) or len({name for name, *_ in split}) < len(split):
        told = f" {option} ".join(given or ())
        raise OccvinoError(f"{option} {told}: expected NAME=TOPIC, as CAM_FRONT=/front/image_raw, each name once")
    return {name: topic for name, _, topic in split}


def pose_of(text: str, option: str = "--base-pose") -> Matrix:
    """X, Y, Z in metres, and roll, pitch, yaw in degrees (about x, then y, then z of the ego frame) [4, 4]."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (3, 6) or not np.isfinite(numbers).all():
        raise OccvinoError(f"{option} {text}: expected X,Y,Z or X,Y,Z,ROLL,PITCH,YAW in metres and degrees")
    roll, pitch, yaw = np.radians(numbers[3:] or [0.0, 0.0, 0.0])
    found = np.eye(4)
    found[:3, :3] = _about(2, yaw) @ _about(1, pitch) @ _about(0, roll)
    found[:3, 3] = numbers[:3]
    return found


def _about(axis: int, angle: float) -> Matrix:
    """Rotation [3, 3] about an axis, right-handed."""
    a, b = (axis + 1) % 3, (axis + 2) % 3
    found = np.eye(3)
    found[a, a] = found[b, b] = np.cos(angle)
    found[a, b], found[b, a] = -np.sin(angle), np.sin(angle)
    return found
