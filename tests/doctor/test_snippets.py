"""Every snippet that the doctor can print is Python, imports what it names, and names what there is."""

import ast
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import occvino.doctor
from occvino.doctor import Fix, leaving, operators, parity, recipe_calls, recipes

SOURCE = Path(occvino.doctor.__file__).parent
NAMES = (
    *("_SNIPPET", "_PATCH", "SNIPPET", "SUM", "ATTENTION", "_INLINE"),
    *("_CLOSED", "_HOST", "_UNKNOWN", "_MASK", "_FOLD", "ELSEWHERE"),
)
"""What modules call texts that they print."""
CHAIN = re.compile(r"(?<![\w.'])(?:occvino|openvino|torch|F)(?:\.[A-Za-z_]\w*)+")


def snippets() -> list[str]:
    """The texts of all tables of snippets, and all texts given to `Fix` where it is called."""
    found = {advice.snippet for advice in leaving.ADVICE.values()} | {recipe.snippet for recipe in recipes.RECIPES}
    found |= {recipe.snippet for recipe in recipe_calls.CALLS}
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
        for name in NAMES:
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
    assert len(SNIPPETS) > 45


@pytest.mark.parametrize("code", SNIPPETS)
def test_a_snippet_is_python_and_what_it_names_is_there(code):
    ast.parse("def wrapped():\n" + "\n".join(f"    {line}" for line in [*code.splitlines(), "pass"]))
    scope: dict = {}
    exec("\n".join(line for line in code.splitlines() if line.startswith("import ")), scope)
    for chain in chains(code):
        eval(chain, scope)


@pytest.mark.slow
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


MINE = """
import torch

class Inverting(torch.nn.Linear):
    def forward(self, x):  # has something for `patch` to cure, in a file, as users have it
        return super().forward(x) + torch.inverse(torch.eye(2) * (1 + x[0, 0] ** 2)).sum()
"""
PASTE = """
import contextlib, io, json, os, sys
import torch, numpy, openvino, warnings
from types import SimpleNamespace
import occvino

sys.path.insert(0, sys.argv[1])
from mine import Inverting

class Inverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return -x

def user():
    # What the names in the snippets are in the user's own code.
    x, ranks = torch.rand(4, 8), torch.tensor([0, 0, 1, 3])
    shapes, index = torch.tensor([[2, 2]]), torch.tensor([0, 2, 1, 1])
    return dict(
        module=Inverting(8, 8).eval(), args=(x,), kwargs={}, x=x, a=x, b=x, y=x,
        period=5, voxels=torch.ones(4, 3, dtype=torch.int64), model=None, input=x, table=x,
        values=torch.rand(4, 8), index=index, out=torch.zeros(4, 8), scores=torch.rand(4), labels=x,
        self=SimpleNamespace(),
        grid_size=torch.tensor([4, 4, 1]), condition=x > 0.5, kept=x > 0.5, weights=torch.rand(4, 8),
        mask=torch.arange(8) < 4, B=1, N=1,
        dense=x, matrix=torch.rand(2, 3, 3) + torch.eye(3) * 2, vectors=torch.rand(2, 3, 1), theta=torch.rand(1, 2, 3),
        size=(1, 2, 4, 4), boxes=torch.rand(4, 4), rois=torch.rand(2, 5), ranks=ranks, cells=4,
        grid=torch.rand(1, 2, 2, 2, 3), cell=index, dim_size=4, C=8, Function=Inverse, value=torch.rand(1, 4, 2, 3),
        shapes=shapes, starts=torch.tensor([0]), locations=torch.rand(1, 5, 2, 1, 3, 2),
        attention=torch.rand(1, 5, 2, 1, 3),
        depth=torch.rand(1, 3, 2, 2), feat=torch.rand(1, 2, 2, 8), ranks_depth=torch.tensor([0, 5, 7, 11]),
        ranks_feat=torch.tensor([0, 1, 2, 3]), interval_starts=torch.tensor([0, 2]),
    )

torch.set_num_threads(1)
for code, own in json.load(sys.stdin):
    child = os.fork()          # each in a process that has imported nothing of occvino's but its name
    if not child:
        scope = {"occvino": occvino, **user()}
        scope.update((name, eval(text)) for name, text in own.items())
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                exec(code, scope)
        except BaseException as failure:
            print(f"{code}\\n-> {type(failure).__name__}: {failure}\\n", flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""
"""A user's session: `import occvino`, the names of their own code, and then what the doctor printed."""


def pasted(code: str) -> tuple[str, dict]:
    """As it is pasted: what ends a function, into a function. With what its names are where that is another thing."""
    if re.search(r"^return ", code, re.MULTILINE):
        code = "def forward():\n" + "\n".join(f"    {line}" for line in code.splitlines())
    if "grid_sample_3d" in code:
        return code, {"x": "torch.rand(1, 2, 3, 4, 4)"}
    if "mask [points]" in code:  # a mask of rows, as its words say
        return code, {"mask": "torch.arange(4) < 2", "weights": "torch.rand(4)"}
    if "roi_align" in code or "interpolate" in code:
        return code, {"x": "torch.rand(1, 2, 8, 8)", "size": "(4, 4)"}
    return code, {}


@pytest.mark.slow
def test_every_snippet_runs_when_pasted(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    given = json.dumps([pasted(code) for code in SNIPPETS if "GPU" not in code])
    command = [sys.executable, "-c", PASTE, str(tmp_path)]  # some write files where they are
    run = subprocess.run(command, input=given, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert run.stdout == ""
