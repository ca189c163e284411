"""What the documentation says: the site builds, commands have the options that are named, and Python code compiles."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from occvino.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("tools/*/README.md")])
BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(kind):
    for page in PAGES:
        for found in BLOCK.finditer(page.read_text(encoding="utf-8")):
            if found[1] in kind:
                yield page, found[2]


def commands():
    """Each `occvino ...` of the shell blocks, as words."""
    for page, block in blocks(("bash", "", "sh", "console")):
        for line in re.sub(r"\\\n", " ", block).splitlines():
            if line.startswith("occvino "):
                yield page, shlex.split(line, comments=True)


FOUND = list(commands())


def test_there_are_commands_to_check():
    assert len(FOUND) > 60


@pytest.mark.parametrize(
    ("page", "words"), FOUND, ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else value.name
)
def test_commands_have_the_options_that_are_named(page, words):
    command, rest = get_command(app), words[1:]
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        assert rest[0] in command.commands, f"{page}: {' '.join(words)}"
        command, rest = command.commands[rest[0]], rest[1:]
    known = {option for each in command.params for option in [*each.opts, *each.secondary_opts]}
    known |= {"--help", "--install-completion", "--show-completion"}
    unknown = [word for word in rest if re.match(r"--[a-z]", word) and word.partition("=")[0] not in known]
    assert not unknown, f"{page}: {' '.join(words)}"


def test_python_code_compiles():
    count = 0
    for page, block in blocks(("python",)):
        try:
            ast.parse(block)
        except SyntaxError as error:
            raise AssertionError(f"{page}: {error}\n{block}") from error
        count += 1
    assert count > 10


def test_names_that_are_imported_exist():
    """`import occvino` and `from occvino...` of all Python blocks, and each `occvino.name` that they use."""
    wanted = set()
    for _, block in blocks(("python",)):
        wanted |= {line.strip() for line in block.splitlines() if re.match(r"(from occvino|import occvino)", line)}
        wanted |= {
            f"import occvino; {name}"
            for name in re.findall(r"\boccvino\.[A-Za-z_.]+[A-Za-z_]", block)
            if "import" not in name
        }
    assert len(wanted) > 10
    script = "\n".join(
        f"try:\n    exec({line!r})\nexcept Exception as error:\n    print({line!r}, type(error).__name__, error)"
        for line in sorted(wanted)
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not done.stdout


def test_readme_links_lead_somewhere():
    readme = ROOT / "README.md"
    for path in re.findall(r"\]\((?!https?://|#)([^)#]+)", readme.read_text(encoding="utf-8")):
        assert (ROOT / path).exists(), path


@pytest.mark.slow
def test_the_site_builds_and_asks_for_nothing_from_elsewhere(tmp_path):
    pytest.importorskip("mkdocs", reason='the site is built by mkdocs: pip install "occvino[docs]"')
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", tmp_path / "site"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r'<(?:script|img|link rel="stylesheet")[^>]+(?:src|href)="https?://', text), page
        assert 'class="admonition error"' not in text
