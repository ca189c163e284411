"""The directions of the design: imports point down, and running an IR needs neither torch nor onnx."""

import ast
import subprocess
import sys
from pathlib import Path

import occvino

SOURCE = Path(occvino.__file__).parent
TIERS = (
    ("__main__",),
    ("cli",),
    ("evaluation", "bench", "serve", "scale"),
    ("labelling",),
    ("conversion", "doctor", "training"),
    ("runtime",),
    ("viz",),
    ("networks", "datasets", "synth"),
    ("metrics", "artifact"),
    ("bev_pool", "bev_pool_columns", "bev_pool_scatter", "images"),
    ("geometry",),
    ("files", "variants", "renamed", "npz"),
    ("variant", "voxel_walk", "voxel_walk_reference"),
    ("errors", "machine", "telemetry"),
)
TIER_OF = {name: level for level, names in enumerate(TIERS) for name in names}
HEAVY = ("torch", "onnx", "onnxruntime", "onnxscript", "nncf", "safetensors", "ray", "fsspec")


def is_module(name: str) -> bool:
    place = SOURCE.parent.joinpath(*name.split("."))
    return place.is_dir() or place.with_suffix(".py").is_file()


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
            found |= {f"{node.module}.{alias.name}" for alias in node.names if is_module(f"{node.module}.{alias.name}")}
    return {name for name in found if name.startswith("occvino.")}


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


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


def test_no_ring_of_files():
    """A file that imports another one is imported by it neither straight nor by way of others."""
    files = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}
    arrows = {name: {other for other in imports_of(path) if other in files} for name, path in files.items()}
    faces = {name for name, path in files.items() if path.name == "__init__.py"}
    while True:  # a file that imports nothing that is left is in no ring
        free = {name for name, others in arrows.items() if name in faces or not others - faces}
        if not free:
            break
        arrows = {name: others - free for name, others in arrows.items() if name not in free}
    assert not arrows, f"these files import each other in a ring: {arrows}"


def test_no_file_is_too_long():
    lengths = {path: len(path.read_text().splitlines()) for path in SOURCE.rglob("*.py")}
    assert not {str(path): lines for path, lines in lengths.items() if lines > 400}


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
    assert all(is_module(f"occvino.{name}") for name in occvino._MODULES)
    assert not set(occvino._MODULES) & set(occvino.__all__)
    # a submodule of the same name must not take a function's place, whatever is imported and in whichever order
    code = "import occvino, occvino.cli, occvino.variants, occvino.conversion.verify, occvino.networks\n"
    code += f"for name in {occvino.__all__} * 2: assert callable(getattr(occvino, name)), name"
    subprocess.run([sys.executable, "-c", code], check=True)
