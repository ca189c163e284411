"""The directions of the design: imports point down, and running an IR needs neither torch nor onnx."""

import ast
import subprocess
import sys
from pathlib import Path

import occvino

SOURCE = Path(occvino.__file__).parent
TIERS = (
    ("cli",),
    ("evaluation", "bench"),
    ("demo", "report"),
    ("options", "console"),
    ("conversion", "doctor", "scale", "training"),
    ("runtime",),
    ("viz",),
    ("networks", "datasets"),
    ("metrics",),
    (
        "preprocess",
        "bev_pool",
        "artifact",
        "resample",
        "resample_reference",
        "lift_reference",
        "geometry",
        "geometry_reference",
    ),
    ("lift", "decoding"),
    ("cameras", "temporal"),
    ("files", "variants", "image_input"),
    ("errors", "machine"),
)
TIER_OF = {name: level for level, names in enumerate(TIERS) for name in names}
HEAVY = ("torch", "onnx", "onnxruntime", "onnxscript", "nncf", "safetensors")


def imports_of(path: Path) -> set[str]:
    """Modules of ours that a file imports, at top level or inside functions, but not for type checking only."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module == "occvino":
                found |= {f"occvino.{alias.name}" for alias in node.names if alias.name in TIER_OF}
    return {name for name in found if name.startswith("occvino.")}


def test_imports_point_down():
    wrong = []
    for path in sorted(SOURCE.rglob("*.py")):
        unit = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        if unit == "__init__":
            continue
        assert unit in TIER_OF, f"{unit} has no place in the design: give it a tier here"
        for name in imports_of(path):
            other = name.split(".")[1]
            if other != unit and TIER_OF[other] <= TIER_OF[unit]:
                wrong.append(f"{path.relative_to(SOURCE)} imports {name}")
    assert not wrong, wrong


def test_the_runtime_imports_neither_torch_nor_onnx():
    """In a process of its own, with those modules made impossible to import."""
    blocked = "".join(f"sys.modules[{name!r}] = None\n" for name in HEAVY)
    code = (
        f"import sys\n{blocked}import occvino\noccvino.Pipeline, occvino.Rig, occvino.PoolingPlan, occvino.Occupancy\n"
    )
    code += "import occvino.cli, occvino.bench, occvino.viz, occvino.runtime.npu_rules\n"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_public_names_are_those_of_the_design():
    assert set(occvino.__all__) >= {"variants", "build", "Rig", "convert", "verify", "Pipeline"}
    # a submodule of the same name must not take a function's place, whatever is imported and in whichever order
    code = "import occvino, occvino.cli, occvino.variants, occvino.conversion.verify, occvino.networks\n"
    code += f"for name in {occvino.__all__} * 2: assert callable(getattr(occvino, name)), name"
    subprocess.run([sys.executable, "-c", code], check=True)
