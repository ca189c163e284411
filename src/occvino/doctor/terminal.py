"""The report for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from occvino.doctor.findings import (
    PITFALLS,
    TOLERANCE,
    Answer,
    Finding,
    Findings,
    ParityTable,
    Severity,
)
from occvino.doctor.words import TITLES, headline, took, verdict_of_fix, where

_ROWS = 20
"""Rows of the comparison in a terminal."""
STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.NOTE: "bold cyan"}


def renderable(findings: Findings) -> RenderableType:
    """Everything that the report says, pitfall by pitfall; rich prints it."""
    parts: list[RenderableType] = [Text.from_markup(f"[bold]occvino doctor[/] on [bold]{escape(findings.module)}[/]")]
    if findings.answer:
        parts.append(_answer(findings.answer))
    for pitfall in PITFALLS:
        of_it = [finding for finding in findings if finding.code.startswith(f"{pitfall}/")]
        if of_it:
            parts += [Text(f"\n{TITLES[pitfall]}", style="bold underline"), *map(_finding, of_it)]
    if findings.routes:
        parts += [Text(""), _routes(findings)]
    if findings.parity:
        parts += [Text(""), _parity(findings.parity)]
    time = Text(took(findings), style="dim")
    return Group(*parts, Text(""), time, Text(headline(findings), style="bold green" if findings.clean else "bold red"))


def _answer(answer: Answer) -> RenderableType:
    said = Text(answer.said, style="bold green" if answer.route else "bold red")
    code = Syntax(answer.snippet, "python", background_color="default", word_wrap=True)
    tried = [Text(f"- {line}", style="dim") for line in answer.evidence]
    return Group(said, *tried, *([Padding(code, (0, 0, 0, 4))] if answer.snippet else []))


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


def _parity(parity: ParityTable) -> RenderableType:
    table = Table()
    table.add_column("module", overflow="fold")
    for engine, route in parity.routes.items():
        table.add_column(f"{engine} ({route})", justify="right")
    worst = sorted(parity.rows, key=lambda row: max(row.errors.values(), default=0.0), reverse=True)[:_ROWS]
    for row in (row for row in parity.rows if row in worst):
        cells = [
            Text(row.error_text(engine), style="red" if row.errors.get(engine, 0.0) > TOLERANCE else "")
            for engine in parity.routes
        ]
        table.add_row(Text(row.module), *cells)
    notes = parity.notes
    if len(parity.rows) > _ROWS:
        notes.insert(0, f"the {_ROWS} largest of {len(parity.rows)}; all of them with --json or --html")
    shown = [table] if parity.rows else []
    title = Text("Module by module: error against PyTorch", style="bold")
    return Group(title, *shown, *(Text(note, style="dim") for note in notes))
