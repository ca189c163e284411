"""What MkDocs does beyond its plugins: pages made of the code, and links that lead out of the documentation.

`reference/commands.md` is every command's own `--help`; `reference/errors.md` every message that the package raises.
"""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "occvino"
COPIED = {"reference/changes.md": "CHANGELOG.md", "reference/security.md": "SECURITY.md"}
_OUT = re.compile(r"\[([^\]]*)\]\(\.\./([^)#]+)(#[^)]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made."""
    pages = {"reference/commands.md": commands(), "reference/errors.md": errors()}
    pages |= {name: (ROOT / path).read_text(encoding="utf-8") for name, path in COPIED.items()}
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Files of the repository are not on the site: their links become their names."""
    homes = {path: name.removeprefix("reference/") for name, path in COPIED.items()}

    def named(link: re.Match[str]) -> str:
        words, path = link[1], link[2]
        if path in homes:
            return f"[{words}](reference/{homes[path]})"
        return f"{words} (`{path}`)" if words.strip("`") not in path else f"`{path}`"

    found = _OUT.sub(named, markdown)
    if page.file.src_uri in COPIED:  # written from the root of the repository
        found = re.sub(r"\]\(docs/", "](../", found)
    return found


def commands() -> str:
    """Every command's help, in the order of `occvino --help`."""
    parts = ["# Commands", "", "What `--help` prints.", ""]
    for words in ([], *_names()):
        title = " ".join(["occvino", *words])
        parts += [f"{'##' if len(words) < 2 else '###'} {title}", "", "```text", _help(words), "```", ""]
    return "\n".join(parts)


def _names() -> Iterator[list[str]]:
    sys.path.insert(0, str(ROOT / "src"))
    from typer.main import get_command

    from occvino.cli.app import app

    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        yield [name]
        for inner in getattr(command, "commands", {}):
            yield [name, inner]


def _help(words: list[str]) -> str:
    environment = {**os.environ, "COLUMNS": "88", "PYTHONPATH": str(ROOT / "src"), "TERM": "dumb", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "occvino", *words, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    shown = done.stdout.replace("python -m occvino", "occvino")
    return "\n".join(line.rstrip() for line in shown.strip("\n").splitlines())


def errors() -> str:
    """Messages by module; what stands in braces is filled in."""
    parts = [
        "# Error messages",
        "",
        "Every message that occvino raises, by the module that raises it, so that a search for a part of it leads "
        "here. Each says what was found, what was expected, and what to do; words in braces are filled in.",
        "",
    ]
    for path in sorted(SOURCE.rglob("*.py")):
        found = list(dict.fromkeys(_raised(ast.parse(path.read_text(encoding="utf-8")))))
        if found:
            module = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
            parts += [f"## {module}", ""]
            parts += [f"- **{kind}**: {message}" for kind, message in found]
            parts += [""]
    return "\n".join(parts)


def _raised(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            name, message = ast.unparse(node.exc.func), _words(node.exc.args[0])
            if name.endswith("Error") and len(message) > 12:
                yield name.rsplit(".", 1)[-1], message


def _words(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _plain(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(
            _plain(str(part.value)) if isinstance(part, ast.Constant) else f"`{{{_name(part)}}}`"
            for part in node.values
        ).replace("``", "` `")
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _words(node.left) + _words(node.right)
    return ""


def _name(part: ast.expr) -> str:
    words = ast.unparse(part.value) if isinstance(part, ast.FormattedValue) else "..."
    words = re.sub(r"^.*?([A-Za-z_][A-Za-z_0-9]*)\W*$", r"\1", words) if len(words) > 24 else words
    return words.replace("`", "'").replace("|", "/")


def _plain(words: str) -> str:
    return re.sub(r"([*_<>\[\]|`\\])", r"\\\1", words.replace("\n", " "))
