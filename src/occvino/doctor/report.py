"""The report for a terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from occvino.doctor.findings import (
    PITFALLS,
    TOLERANCE,
    Finding,
    Findings,
    ModuleParity,
    ParityTable,
    Severity,
)
from occvino.doctor.places import Place

TITLES = {
    "signature": "Signature: what exporters cannot take as an argument",
    "leaving": "Leaving tensor land: numbers, arrays and branches made of tensors",
    "frozen": "Frozen values: what the exported graph ignores",
    "operators": "Operators: what no exporter, frontend or device knows",
    "solver": "Solver calls",
    "parity": "Parity: where the graph computes something else",
}
_ROWS = 20
"""Rows of the comparison in a terminal."""
STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.NOTE: "bold cyan"}


def renderable(findings: Findings) -> RenderableType:
    """Everything that the report says, pitfall by pitfall; rich prints it."""
    parts: list[RenderableType] = [Text.from_markup(f"[bold]occvino doctor[/] on [bold]{escape(findings.module)}[/]")]
    for pitfall in PITFALLS:
        of_it = [finding for finding in findings if finding.code.startswith(f"{pitfall}/")]
        if of_it:
            parts += [Text(f"\n{TITLES[pitfall]}", style="bold underline"), *map(_finding, of_it)]
    if findings.routes:
        parts += [Text(""), _routes(findings)]
    if findings.parity:
        parts += [Text(""), _parity(findings.parity)]
    return Group(*parts, Text(""), Text(headline(findings), style="bold green" if findings.clean else "bold red"))


def headline(findings: Findings) -> str:
    """How many of each severity, in one line."""
    counts = {severity: sum(f.severity is severity for f in findings) for severity in Severity}
    told = [f"{n} {severity.value}{'s' if n > 1 else ''}" for severity, n in counts.items() if n]
    return ", ".join(told) if told else "Nothing found."


def where(place: Place | None) -> str:
    """`file:line`, the file relative to the current folder where that is shorter."""
    if place is None:
        return "the call as a whole"
    file = Path(place.file)
    inside = file.is_relative_to(Path.cwd())
    return f"{file.relative_to(Path.cwd()) if inside else file}:{place.line}"


def verdict_of_fix(finding: Finding) -> str:
    """Whether the fix was tried, and what came of it."""
    if not finding.fix.tried:
        return "not tried"
    return f"tried, {'works' if finding.fix.worked else 'does not work'}: {finding.fix.proof}"


def _finding(finding: Finding) -> RenderableType:
    style = STYLES[finding.severity]
    head = Text.assemble(
        (finding.severity.value, style), "  ", (finding.code, "bold"), "  ", (where(finding.place), "blue")
    )
    lines: list[RenderableType] = [head]
    if finding.place is not None and finding.place.code:
        lines.append(
            Padding(Syntax(finding.place.code, "python", background_color="default", word_wrap=True), (0, 0, 0, 4))
        )
    lines.append(Padding(Text(f"{finding.subject}: {finding.message}"), (0, 0, 0, 2)))
    lines += [Padding(Text(f"- {line}", style="dim"), (0, 0, 0, 2)) for line in finding.evidence]
    if finding.fix.snippet:
        lines.append(Padding(Text(f"instead ({verdict_of_fix(finding)})"), (0, 0, 0, 2)))
        code = Syntax(finding.fix.snippet, "python", background_color="default", word_wrap=True)
        lines.append(Padding(code, (0, 0, 0, 4)))
    return Padding(Group(*lines), (1, 0, 0, 0))


def _routes(findings: Findings) -> RenderableType:
    table = Table()
    table.add_column("route", no_wrap=True)
    table.add_column("what became of it")
    for route, verdict in findings.routes.items():
        table.add_row(route, Text(verdict, style="green" if verdict.startswith("agrees") else "red"))
    return Group(Text("Ways out of PyTorch", style="bold"), table)


def error_text(row: ModuleParity, engine: str) -> str:
    """An error with two digits; empty where the engine could not be compared."""
    return f"{row.errors[engine]:.2g}" if engine in row.errors else ""


def parity_notes(parity: ParityTable) -> list[str]:
    """What belongs under the table."""
    return [parity.summary, *(f"{engine} is not compared: {why}" for engine, why in parity.refused.items())]


def _parity(parity: ParityTable) -> RenderableType:
    table = Table()
    table.add_column("module", overflow="fold")
    for engine, route in parity.routes.items():
        table.add_column(f"{engine} ({route})", justify="right")
    worst = sorted(parity.rows, key=lambda row: max(row.errors.values(), default=0.0), reverse=True)[:_ROWS]
    for row in (row for row in parity.rows if row in worst):
        cells = [
            Text(error_text(row, engine), style="red" if row.errors.get(engine, 0.0) > TOLERANCE else "")
            for engine in parity.routes
        ]
        table.add_row(Text(row.module), *cells)
    notes = parity_notes(parity)
    if len(parity.rows) > _ROWS:
        notes.insert(0, f"the {_ROWS} largest of {len(parity.rows)}; all of them with --json or --html")
    shown = [table] if parity.rows else []
    title = Text("Module by module: error against PyTorch", style="bold")
    return Group(title, *shown, *(Text(note, style="dim") for note in notes))
