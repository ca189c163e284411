"""The command `occvino rig from-ros`."""

from pathlib import Path
from typing import Annotated

import typer

from occvino.cli.bag_options import BaseLink, BasePose, pairs, pose_of
from occvino.cli.console import say
from occvino.datasets.ros_files import read_ros


def from_ros(
    cameras: Annotated[list[str], typer.Argument(metavar="NAME=FILE...", help="camera_info of each camera, as YAML.")],
    out: Annotated[Path, typer.Option(help="Rig file to write.")],
    tf: Annotated[list[Path], typer.Option(help="Static transforms: YAML of /tf_static, or a URDF. Repeatable.")],
    frame: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FRAME", help="Optical frame of a camera whose file names none. Repeatable."),
    ] = None,
    rectified: Annotated[bool, typer.Option("--rectified", help="For rectified images: P and R, no lens.")] = False,
    base_link: BaseLink = "base_link",
    base_pose: BasePose = None,
) -> None:
    """Write the rig of camera_info files and static transforms.

    Example: occvino rig from-ros CAM_FRONT=front.yaml CAM_BACK=back.yaml --tf tf_static.yaml --out rig.json
    """
    files = {name: Path(path) for name, path in pairs("NAME=FILE", cameras).items()}
    base2ego = pose_of(base_pose) if base_pose else None
    rig = read_ros(
        files, tf, frames=pairs("--frame", frame), base_link=base_link, base2ego=base2ego, rectified=rectified
    )
    rig.save(out)
    kind = "P and R of rectified images" if rectified else "K and D of raw images"
    say(
        f"read as: {kind}; transforms from the optical frame of each camera to {base_link}, "
        + ("which is the ego frame" if base_pose is None else f"which is at {base_pose} of the ego frame")
        + f"\nwrote {out}: {', '.join(rig.names)}\nlook at it: occvino rig check {out} --images DIR"
    )
