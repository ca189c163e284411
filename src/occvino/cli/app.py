"""The command line put together. Exit codes: 0 fine, 1 a check failed, 2 wrong use, 128 and more a signal."""

import warnings
from typing import Annotated, Any, NoReturn

import typer
from rich.markup import escape

from occvino import __version__
from occvino.cli.batch import batch
from occvino.cli.bench import bench
from occvino.cli.bugreport import bugreport
from occvino.cli.compile import compile_
from occvino.cli.console import err, say
from occvino.cli.convert import convert
from occvino.cli.demo import demo
from occvino.cli.doctor import doctor
from occvino.cli.evaluate import evaluate
from occvino.cli.export_server import export_server
from occvino.cli.info import info
from occvino.cli.rig import rig
from occvino.cli.run import run
from occvino.cli.serve import serve
from occvino.cli.signals import guarded, wait_if_ending
from occvino.cli.synth import synth
from occvino.cli.train import train
from occvino.cli.verify import verify
from occvino.cli.view import view
from occvino.errors import OccvinoError
from occvino.files import cannot_write, of_the_disk
from occvino.images.decode import ImageDoubtWarning
from occvino.runtime.devices import devices_here, openvino_version

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_COMMANDS = (
    demo,
    convert,
    verify,
    run,
    batch,
    view,
    bench,
    info,
    compile_,
    synth,
    train,
    evaluate,
    doctor,
    serve,
    export_server,
    bugreport,
)
for command in _COMMANDS:
    app.command("eval" if command is evaluate else command.__name__.rstrip("_").replace("_", "-"))(command)
app.add_typer(rig, name="rig")

_EXTRA = ("torch", "onnx", "onnxscript", "onnxruntime", "nncf", "safetensors")
"""Modules of the `convert` extra, which commands other than `run` and `info` need."""


def _show_version(asked: bool) -> None:
    if asked:
        devices = ", ".join(devices_here())
        say(f"occvino {__version__}, OpenVINO {openvino_version()}; devices: {devices}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the versions and the devices, and exit."
        ),
    ] = False,
) -> None:
    """FlashOcc 3D occupancy on Intel CPUs, GPUs and NPUs: convert a checkpoint, prove it, run it."""


class _EachWarningOnce:
    """Prints a warning the first time: a drive would say the same for each of its frames."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def __call__(self, message: Warning | str, *_: Any, **__: Any) -> None:
        if str(message) not in self._told:
            self._told.add(str(message))
            _show_warning(message)


def _show_warning(message: Warning | str) -> None:
    err.print(f"[yellow]warning:[/] {escape(str(message))}", highlight=False, soft_wrap=True)


def main() -> None:
    """Entry point for those who have this module; `occvino.cli.main` looks after signals while it is imported, too."""
    guarded(commands)


def commands() -> None:
    """Run the command that was asked for: errors of ours end it with exit code 2 and one readable message."""
    warnings.showwarning = _EachWarningOnce()
    warnings.filterwarnings("once", category=ImageDoubtWarning, append=True)  # a stream warns in several threads
    try:
        app()
    except OccvinoError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        _fail(f'{error.name} is not installed, and this command needs it: pip install "occvino[convert]"')
    except OSError as error:  # of what libraries write by themselves, such as to the folder for temporary files
        if not of_the_disk(error):
            raise
        _fail(str(cannot_write(error.filename or "the output", error)))


def _fail(message: str) -> NoReturn:
    wait_if_ending()
    err.print(f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)
    raise SystemExit(2) from None
