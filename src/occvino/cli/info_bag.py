"""The part of `occvino info` that describes a bag."""

from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape

from occvino.cli.console import out, print_json, steps
from occvino.datasets.bags.describe import Description, describe
from occvino.datasets.bags.source import open_bag
from occvino.errors import OccvinoError


def info_bag(path: Path, device: str | None, *, as_json: bool) -> None:
    """Say what is in a bag and whether it will do; exit code 1 if not.

    Raises:
        OccvinoError: it cannot be read.
    """
    if device is not None:
        raise OccvinoError(f"--device is for an artifact, and {path} is a bag")
    with steps(quiet=as_json) as progress:
        progress("reading")
        with open_bag(path) as bag:
            found = describe(bag)
    if as_json:
        print_json(found.to_dict())
    else:
        print_bag(out, found)
    raise typer.Exit(0 if found.ok else 1)


def print_bag(console: Console, found: Description) -> None:
    """Topics, frames, what would be read, and what stands in the way."""
    console.print(f"[bold]{escape(found.path)}[/]: {found.format}, {found.seconds:g} s", highlight=False)
    _print_lines(console, "topics: messages, a second", _topic_lines(found))
    _print_lines(console, "frames of tf", found.tree or ["none"])
    _print_lines(console, "would be read", found.cameras or ["nothing"])
    if found.ok:
        console.print("[green]It will do:[/] occvino run ARTIFACT --bag BAG --out DIR", highlight=False)
    for problem in found.problems:
        console.print(f"[red]It will not do:[/] {escape(problem)}", highlight=False, soft_wrap=True)


def _topic_lines(found: Description) -> list[str]:
    widest = max(len(topic.name) for topic in found.topics)
    return [
        f"{topic.name:<{widest}} {topic.count:>8} {found.rates[topic.name]:>8.2f}  {topic.type}"
        for topic in found.topics
    ]


def _print_lines(console: Console, title: str, lines: list[str]) -> None:
    console.print(f"[bold]{title}[/]")
    for line in lines:
        console.print(f"  {escape(line)}", highlight=False, soft_wrap=True)
