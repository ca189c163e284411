"""Whose line is it: the innermost frame that is the user's own and not PyTorch's, NumPy's or ours."""

from __future__ import annotations

import inspect
import linecache
import re
import sys
import sysconfig
import traceback
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

_NOT_THE_USERS = (
    *("torch", "numpy", "openvino", "onnx", "onnxruntime", "onnxscript", "onnx_ir", "nncf"),
    "torch_scatter",  # its calls are recognised: what counts is the line that calls it
)
_FILE_IN_TEXT = re.compile(r"""(?:File "|# )(?P<file>[^"\n]+?\.py)(?:", line |:|\()(?P<line>\d+)""")


@dataclass(frozen=True)
class Place:
    """A line of the user's source.

    Args:
        file: absolute path as Python knows it.
        line: from 1.
        function: qualified name of the function.
        code: the line's text, stripped; empty when the source is not readable.
    """

    file: str
    line: int
    function: str
    code: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    @classmethod
    def of(cls, file: str, line: int, function: str = "") -> Place:
        """A place whose text is read from the source."""
        return cls(file, line, function, linecache.getline(file, line).strip())


def user_place() -> Place | None:
    """The innermost user frame inside the observed module; None when only PyTorch's own code runs."""
    frame: FrameType | None = inspect.currentframe()
    while frame is not None and not _is_boundary(frame):
        if is_user_file(frame.f_code.co_filename):
            return Place.of(frame.f_code.co_filename, frame.f_lineno, _qualified(frame))
        frame = frame.f_back
    return None


def place_of_error(error: BaseException) -> Place | None:
    """The innermost user frame of an exception or of what caused it; else the last one that its text names."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    for one in reversed(chain):
        frames = [f for f in traceback.extract_tb(one.__traceback__) if is_user_file(f.filename) and f.lineno]
        inside = [f for f in frames if _runs_in_forward(frames, f)]
        if inside:
            return Place.of(inside[-1].filename, inside[-1].lineno or 0, inside[-1].name)
    for one in chain:
        place = place_in_text(str(one))
        if place is not None:
            return place
    return None


def place_in_text(text: str) -> Place | None:
    """The last user's `file:line` that a message names, in the ways of Python tracebacks and of TorchScript."""
    found = [m for m in _FILE_IN_TEXT.finditer(text) if is_user_file(m["file"]) and Path(m["file"]).is_file()]
    return Place.of(found[-1]["file"], int(found[-1]["line"])) if found else None


@cache
def is_user_file(file: str) -> bool:
    """Not PyTorch's, NumPy's or an exporter's, not Python's own, not the doctor's."""
    if file.startswith("<"):
        return False
    path = Path(file).resolve()
    if any(path.is_relative_to(root) for root in _foreign_roots()):
        return False
    stdlib = Path(sysconfig.get_paths()["stdlib"]).resolve()
    inside_site = any(part in ("site-packages", "dist-packages") for part in path.parts)
    return inside_site or not path.is_relative_to(stdlib)


@cache
def _foreign_roots() -> tuple[Path, ...]:
    roots = [Path(__file__).resolve().parent]
    for package in _NOT_THE_USERS:
        spec = find_spec(package)
        if spec is not None and spec.submodule_search_locations:
            roots.extend(Path(location).resolve() for location in spec.submodule_search_locations)
    return tuple(roots)


def _runs_in_forward(frames: list[traceback.FrameSummary], frame: traceback.FrameSummary) -> bool:
    """An error raised before the module ran has only the frames of whoever called the doctor."""
    return any(f.name == "forward" for f in frames[: frames.index(frame) + 1])


def _is_boundary(frame: FrameType) -> bool:
    """Whoever called the doctor is not the module."""
    ours = frame.f_code.co_filename.startswith(str(Path(__file__).parent))
    return ours and frame.f_code.co_name in ("observe", "attempt", "_divergence")


def _qualified(frame: FrameType) -> str:
    if sys.version_info >= (3, 11):
        return frame.f_code.co_qualname
    return frame.f_code.co_name
