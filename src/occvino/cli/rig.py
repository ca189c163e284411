"""The command group `occvino rig`: rigs read from other files, looked at and checked."""

import typer

from occvino.cli.rig_check import check
from occvino.cli.rig_from_bag import from_bag
from occvino.cli.rig_from_ros import from_ros
from occvino.cli.rig_show import show

rig = typer.Typer(no_args_is_help=True, help="Read a rig from other calibrations, show it, and look for mistakes.")
for command in (show, check, from_bag, from_ros):
    rig.command(command.__name__.replace("_", "-"))(command)
