"""The commands `occvino rig ...`, one file each."""

import typer

from occvino.cli.rig_check import check
from occvino.cli.rig_from_bag import from_bag
from occvino.cli.rig_from_ros import from_ros
from occvino.cli.rig_read import (
    from_argoverse2,
    from_carla,
    from_kalibr,
    from_kitti360,
    from_nuscenes,
    from_opencv,
)
from occvino.cli.rig_show import show

rig = typer.Typer(no_args_is_help=True, help="Read a rig from other calibrations, show and check it.")
rig.command("show")(show)
rig.command("check")(check)
rig.command("from-bag")(from_bag)
rig.command("from-ros")(from_ros)
for command in (from_kalibr, from_opencv, from_nuscenes, from_kitti360, from_argoverse2, from_carla):
    rig.command(command.__name__.replace("_", "-"))(command)
