"""The report as one HTML file: no script, no font, no image from elsewhere; all that the module said is escaped."""

from __future__ import annotations

from html import escape

from occvino.doctor.findings import PITFALLS, TOLERANCE, Answer, Finding, Findings, ModuleParity, ParityTable
from occvino.doctor.words import TITLES, headline, took, verdict_of_fix, where

_STYLE = """
:root { color-scheme: light dark; --line: #8883; --dim: #667; --code: #8881; --error: #c62828; --warning: #b26a00;
  --note: #00708f; --good: #2e7d32; }
@media (prefers-color-scheme: dark) { :root { --dim: #99a; --error: #ff6b6b; --warning: #ffb74d; --note: #4dd0e1;
  --good: #81c784; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
.sum { color: var(--dim); margin-top: .2rem; }
article { border: 1px solid var(--line); border-left-width: 5px; border-radius: 6px; padding: .7rem 1rem;
  margin: .8rem 0; }
article.error { border-left-color: var(--error); } article.warning { border-left-color: var(--warning); }
article.note { border-left-color: var(--note); }
header { display: flex; flex-wrap: wrap; gap: .8rem; align-items: baseline; }
.error b { color: var(--error); } .warning b { color: var(--warning); } .note b { color: var(--note); }
header span { font: 13px ui-monospace, monospace; } header .where { color: var(--dim); margin-left: auto; }
pre { background: var(--code); border-radius: 4px; padding: .5rem .7rem; overflow-x: auto; font: 13px/1.45 ui-monospace,
  monospace; margin: .5rem 0; }
ul { color: var(--dim); margin: .3rem 0 .6rem; padding-left: 1.2rem; font-size: 14px; }
.fix { font-size: 14px; } .works { color: var(--good); } .fails { color: var(--error); }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .35rem .6rem; vertical-align: top;
  border-bottom: 1px solid var(--line); font-size: 14px; overflow-wrap: anywhere; }
td:first-child { white-space: nowrap; }
.numbers td + td, .numbers th + th { text-align: right; font-variant-numeric: tabular-nums; }
.numbers td:first-child { white-space: normal; font-family: ui-monospace, monospace; font-size: 13px; }
"""


def page(findings: Findings) -> str:
    """The whole page."""
    sections = "".join(_section(findings, pitfall) for pitfall in PITFALLS)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>occvino doctor: {escape(findings.module)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>occvino doctor: {escape(findings.module)}</h1>"
        f'<p class="sum">{escape(headline(findings))}; {escape(took(findings))}</p>'
        f"{_answer(findings.answer)}{_routes(findings)}{sections}"
        f"{_parity(findings.parity)}</body></html>\n"
    )


def _answer(answer: Answer | None) -> str:
    if answer is None:
        return ""
    lines = f"<pre>{escape(answer.snippet)}</pre>" if answer.snippet else ""
    lines += "".join(f"<li>{escape(line)}</li>" for line in answer.evidence)
    return f'<p class="{"works" if answer.route else "fails"}"><strong>{escape(answer.said)}</strong></p>{lines}'


def _section(findings: Findings, pitfall: str) -> str:
    of_it = [finding for finding in findings if finding.code.startswith(f"{pitfall}/")]
    return f"<h2>{escape(TITLES[pitfall])}</h2>{''.join(map(_article, of_it))}" if of_it else ""


def _article(finding: Finding) -> str:
    severity = finding.severity.value
    code = f"<pre>{escape(finding.place.code)}</pre>" if finding.place and finding.place.code else ""
    evidence = "".join(f"<li>{escape(line)}</li>" for line in finding.evidence)
    listed = f"<ul>{evidence}</ul>" if evidence else ""
    return (
        f'<article class="{severity}"><header><b>{severity}</b><span>{escape(finding.code)}</span>'
        f'<span class="where">{escape(where(finding.place))}</span></header>{code}'
        f"<div><strong>{escape(finding.subject)}</strong>: {escape(finding.message)}</div>"
        f"{listed}{_fix(finding)}</article>"
    )


def _fix(finding: Finding) -> str:
    if not finding.fix.snippet:
        return ""
    mark = "" if not finding.fix.tried else "works" if finding.fix.worked else "fails"
    return (
        f'<div class="fix">Instead <span class="{mark}">({escape(verdict_of_fix(finding))})</span></div>'
        f"<pre>{escape(finding.fix.snippet)}</pre>"
    )


def _routes(findings: Findings) -> str:
    if not findings.routes:
        return ""
    rows = "".join(
        f'<tr><td>{escape(route)}</td><td class="{"works" if verdict.startswith("agrees") else "fails"}">'
        f"{escape(verdict)}</td></tr>"
        for route, verdict in findings.routes.items()
    )
    return f"<h2>Ways out of PyTorch</h2><table><tr><th>route</th><th>what became of it</th></tr>{rows}</table>"


def _parity(parity: ParityTable | None) -> str:
    if parity is None:
        return ""
    head = "".join(f"<th>{escape(engine)} ({escape(route)})</th>" for engine, route in parity.routes.items())
    rows = "".join(f"<tr><td>{escape(row.module)}</td>{_errors(parity, row)}</tr>" for row in parity.rows)
    table = f'<table class="numbers"><tr><th>module</th>{head}</tr>{rows}</table>' if rows else ""
    notes = "".join(f"<li>{escape(note)}</li>" for note in parity.notes)
    return f"<h2>Module by module: error against PyTorch</h2><ul>{notes}</ul>{table}"


def _errors(parity: ParityTable, row: ModuleParity) -> str:
    marks = ["fails" if row.errors.get(engine, 0.0) > TOLERANCE else "" for engine in parity.routes]
    texts = [escape(row.error_text(engine)) for engine in parity.routes]
    return "".join(f'<td class="{mark}">{text}</td>' for mark, text in zip(marks, texts, strict=True))
