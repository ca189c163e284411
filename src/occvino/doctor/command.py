"""`occvino doctor`: the command around `diagnose`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from occvino.errors import OccvinoError
from occvino.files import write_text

if TYPE_CHECKING:
    from torch import nn


def doctor(
    target: Annotated[str, typer.Argument(help="package.module:factory; the factory returns (module, args, kwargs)")],
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON")] = False,
    html: Annotated[Path | None, typer.Option("--html", help="Also write the report as one HTML file")] = None,
    device: Annotated[
        list[str] | None, typer.Option("--device", help="OpenVINO device to ask; may be repeated")
    ] = None,
) -> None:
    """Find what breaks between PyTorch, ONNX and OpenVINO in any torch.nn.Module, and where in its source.

    The target is imported and its factory called: that is your own code, and it runs. Reports never execute anything.

    Example: occvino doctor my_project.export:example --html report.html

    Exit code 0: clean. 1: errors or warnings were found. 2: could not run.
    """
    from rich.console import Console

    console = Console(stderr=True)
    try:
        module, args, kwargs = load(target)
        with console.status(f"Examining {type(module).__name__}: running, varying its inputs, exporting in four ways"):
            from occvino.doctor.examine import diagnose

            findings = diagnose(module, args, kwargs, devices=device or ("CPU",))
        if html is not None:
            write_text(html, findings.to_html())
    except OccvinoError as failure:
        console.print(f"[bold red]could not run:[/] {failure}", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from failure
    if json:
        sys.stdout.write(findings.to_json() + "\n")
    else:
        Console().print(findings)
    raise typer.Exit(0 if findings.clean else 1)


def load(target: str) -> tuple[nn.Module, tuple[Any, ...], dict[str, Any]]:
    """Import `package.module:factory`, also from the current folder, and call the factory.

    Raises:
        DoctorError: the target is misspelt, does not import, or does not return (module, args, kwargs).
    """
    from occvino.doctor.findings import DoctorError

    name, separator, attribute = target.partition(":")
    if not separator or not name or not attribute:
        raise DoctorError(f"'{target}' is not package.module:factory, such as my_project.export:example")
    sys.path.insert(0, str(Path.cwd()))
    try:
        home = importlib.import_module(name)
        made: Any = getattr(home, attribute)()
    except Exception as failure:  # the user's code may raise anything
        raise DoctorError(f"'{target}' could not be called: {type(failure).__name__}: {failure}") from failure
    finally:
        sys.path.remove(str(Path.cwd()))
    if not (isinstance(made, Sequence) and len(made) == 3 and isinstance(made[2], dict)):
        raise DoctorError(f"'{target}' returned {type(made).__name__}; it must return (module, args, kwargs)")
    return made[0], tuple(made[1]), made[2]
