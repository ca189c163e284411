"""What the terminal and the page both say of findings."""

from __future__ import annotations

from pathlib import Path

from occvino.doctor.findings import Finding, Findings, Severity
from occvino.doctor.places import Place

TITLES = {
    "signature": "Signature: what exporters cannot take as an argument",
    "leaving": "Leaving tensor land: numbers, arrays and branches made of tensors",
    "frozen": "Frozen values: what the exported graph ignores",
    "operators": "Operators: what no exporter, frontend or device knows",
    "solver": "Solver calls",
    "parity": "Parity: where the graph computes something else",
}


def headline(findings: Findings) -> str:
    """How many of each severity, in one line."""
    counts = {severity: sum(f.severity is severity for f in findings) for severity in Severity}
    told = [f"{n} {severity.value}{'s' if n > 1 else ''}" for severity, n in counts.items() if n]
    return ", ".join(told) if told else "Nothing found."


def took(findings: Findings) -> str:
    """How long the steps took, the longest first; those under a second together."""
    steps = sorted(findings.seconds.items(), key=lambda item: -item[1])
    told = [f"{step} {seconds:.0f} s" for step, seconds in steps if seconds >= 1]
    rest = sum(seconds for _, seconds in steps if seconds < 1)
    parts = [*told, *([f"the rest {rest:.1f} s"] if rest else [])]
    return f"took {sum(findings.seconds.values()):.0f} s: {', '.join(parts)}" if parts else ""


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
