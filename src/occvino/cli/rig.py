"""The commands `occvino rig ...`, one file each."""

import typer

from occvino.cli.rig_check import check
from occvino.cli.rig_show import show

rig = typer.Typer(no_args_is_help=True, help="Show a rig, or check it: where its cameras sit and what they see.")
rig.command("check")(check)
rig.command("show")(show)
