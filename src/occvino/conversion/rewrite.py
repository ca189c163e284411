"""Change an IR in its file, and mark operators as ones whose precision is not to be lowered."""

import re
import tempfile
from collections.abc import Collection
from pathlib import Path

import openvino as ov

_MARK = '<attribute name="precise" version="0"/>'
"""As OpenVINO reads it. Python cannot set it; once read, it is kept whenever the model is saved."""
_LAYER = re.compile(r'(<layer [^>]*name="([^"]*)"[^>]*>(?:\s*<data [^>]*/>)?)(\s*<rt_info>)?')


def read_to_change(xml_path: Path) -> ov.Model:
    """The model in a file, which can be replaced while it is in use."""
    core = ov.Core()
    core.set_property({"ENABLE_MMAP": False})
    return core.read_model(xml_path)


def write_ir(model: ov.Model, xml_path: Path, precise: Collection[str] = ()) -> None:
    """Put a model in the place of the IR in a file, or write a new one; weights are stored as they are.

    Args:
        model: of `read_to_change`, if it is that of the file.
        xml_path: the file.
        precise: names of operators that are computed in fp32 where the rest is in bf16 or f16. The CPU and the GPU
            plugin honour that (tests/conversion/test_rewrite.py, tests/gpu/test_marks.py), but for products with
            constant weights under bf16 on CPUs with AMX; the NPU compiler does not.
    """
    with tempfile.TemporaryDirectory(dir=xml_path.parent) as folder:
        made = Path(folder) / xml_path.name
        ov.save_model(model, made, compress_to_fp16=False)
        if precise:
            made.write_text(_marked(made.read_text(encoding="utf-8"), precise), encoding="utf-8")
        for name in (xml_path.with_suffix(".bin").name, xml_path.name):
            (Path(folder) / name).replace(xml_path.parent / name)


def _marked(xml: str, names: Collection[str]) -> str:
    def mark(layer: re.Match[str]) -> str:
        head, name, info = layer.groups()
        if name not in names:
            return layer[0]
        return f"{head}{info}{_MARK}" if info else f"{head}<rt_info>{_MARK}</rt_info>"

    return _LAYER.sub(mark, xml)
