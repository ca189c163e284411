"""Every snippet that the doctor can print is Python, imports what it names, and names what there is."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import occvino.doctor
from occvino.doctor import Fix, leaving, operators, parity, recipes

SOURCE = Path(occvino.doctor.__file__).parent
CHAIN = re.compile(r"(?<![\w.'])(?:occvino|openvino|torch|F)(?:\.[A-Za-z_]\w*)+")


def snippets() -> list[str]:
    """The texts of all tables of snippets, and all texts given to `Fix` where it is called."""
    found = {advice.snippet for advice in leaving.ADVICE.values()} | {recipe.snippet for recipe in recipes.RECIPES}
    found |= set(operators._SNIPPETS.values()) | {fix.snippet for fix in parity._FIXES.values()}
    for path in SOURCE.glob("*.py"):
        module = importlib.import_module(f"occvino.doctor.{path.stem}")
        for call in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "Fix" and call.args):
                continue
            given = call.args[0].func.value if isinstance(call.args[0], ast.Call) else call.args[0]  # X.format(...)
            for name in [node.id for node in ast.walk(given) if isinstance(node, ast.Name)]:
                if isinstance(getattr(module, name, None), str):
                    found.add(getattr(module, name))
            found |= {given.value} if isinstance(given, ast.Constant) else set()
        for name in ("_SNIPPET", "_PATCH", "SNIPPET"):
            found |= {getattr(module, name)} if isinstance(getattr(module, name, None), str) else set()
    return sorted(text.replace("{names}", "a, b").replace("{device}", "GPU") for text in found if text)


SNIPPETS = [Fix(text).snippet for text in snippets()]


def chains(code: str) -> list[str]:
    lines = [line.partition("#")[0] for line in code.splitlines() if not line.startswith("import ")]
    return CHAIN.findall("\n".join(lines))


def test_the_snippets_are_found():
    text = "\n".join(SNIPPETS)
    for words in ("doctor.patch(", "doctor.flatten(", "closed_form_inverse(", "bev_pool_torch(", "HETERO:"):
        assert words in text
    assert len(SNIPPETS) > 25


@pytest.mark.parametrize("code", SNIPPETS)
def test_a_snippet_is_python_and_what_it_names_is_there(code):
    ast.parse("def wrapped():\n" + "\n".join(f"    {line}" for line in [*code.splitlines(), "pass"]))
    scope: dict = {}
    exec("\n".join(line for line in code.splitlines() if line.startswith("import ")), scope)
    for chain in chains(code):
        eval(chain, scope)


@pytest.mark.parametrize("chain", sorted({c for code in SNIPPETS for c in chains(code) if c.startswith("occvino.")}))
def test_import_occvino_is_enough(chain):
    """In a process of its own: another import may have brought the module here."""
    subprocess.run([sys.executable, "-c", f"import occvino\nassert callable({chain})"], check=True)


def test_imports_come_once_and_first():
    fix = Fix("y = torch.sort(x)")
    again = Fix(f"module = occvino.doctor.patch(module)\n{fix.snippet}")
    assert again.snippet.splitlines() == [
        "import occvino",
        "import torch",
        "module = occvino.doctor.patch(module)",
        "y = torch.sort(x)",
    ]
    assert Fix("scale = x.max()   # not torch.max").snippet == "scale = x.max()   # not torch.max"
