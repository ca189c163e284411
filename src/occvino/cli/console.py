"""The two ends of a terminal that commands write to, and plain words, JSON and progress on them."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from occvino.files import to_json

out = Console()
err = Console(stderr=True)


@contextmanager
def steps(*, quiet: bool = False) -> Generator[Callable[[str], Any]]:
    """Show the step that is under way; on a terminal as a spinner."""
    if quiet:
        yield lambda step: None
        return
    with err.status("starting") as status:
        yield lambda step: status.update(step) if err.is_terminal else err.print(f"... {step}")


def say(words: str) -> None:
    """Plain words: paths may hold what rich would take for markup."""
    out.print(words, markup=False, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """One JSON document; a number that is not finite is null."""
    sys.stdout.write(to_json(value) + "\n")
