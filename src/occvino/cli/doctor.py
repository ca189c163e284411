"""The command `occvino doctor`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from occvino.cli.complete import complete_device
from occvino.cli.console import out, steps
from occvino.cli.options import Json
from occvino.files import write_text


def doctor(
    target: Annotated[str, typer.Argument(help="package.module:factory; the factory returns (module, args, kwargs).")],
    as_json: Json = False,
    html: Annotated[Path | None, typer.Option(help="Also write the report as one HTML file.")] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(metavar="DEVICE", autocompletion=complete_device, help="OpenVINO device to ask. Repeatable."),
    ] = None,
) -> None:
    """Find what breaks in any module between PyTorch and OpenVINO.

    And where in its source, and what to write instead.

    The target is imported and its factory called: that is your own code, and it runs. Reports never execute anything.

    As a fourth value the factory may return other calls that the graph must take: [(args, kwargs), ...].

    Example: occvino doctor my_project.export:example --html report.html
    """
    from occvino.doctor import examine
    from occvino.doctor.target import load

    with steps(quiet=as_json) as progress:
        progress(f"importing {target}")
        module, args, kwargs, variations = load(target)
        progress(f"examining {type(module).__name__}: running, varying its inputs, exporting in four ways")
        findings = examine.diagnose(module, args, kwargs, devices=device or ["CPU"], variations=variations)
    if html is not None:
        write_text(html, findings.to_html())
    if as_json:
        sys.stdout.write(findings.to_json() + "\n")
    else:
        out.print(findings)
    raise typer.Exit(0 if findings.clean else 1)
