"""Findings that can be shown: rich prints them, and they make a page."""

from __future__ import annotations

from rich.console import RenderableType

from occvino.doctor.findings import Findings
from occvino.doctor.html import page
from occvino.doctor.terminal import renderable


class Report(Findings):
    """What `diagnose` gives: a sequence of findings, which `rich.print` shows."""

    def to_html(self) -> str:
        """One self-contained HTML page; everything that came from the module is escaped."""
        return page(self)

    def __rich__(self) -> RenderableType:
        return renderable(self)
