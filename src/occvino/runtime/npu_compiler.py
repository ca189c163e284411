"""Intel's NPU compiler on a machine that has no NPU: does an IR compile, and what does its cost model expect?

OpenVINO's Linux wheel has no NPU plugin. The Windows wheel of the same release has it, and the compiler too, which
compiles offline for a named platform; Wine runs both. `tools/npu` of the repository sets that up and says how.

Nothing is run on an NPU: every figure is the compiler's own estimate. Kernels under `uncosted` are unknown to its cost
model and count nothing.
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import openvino as ov

from occvino.errors import DeviceError
from occvino.runtime.child import checked_ir, run_logged
from occvino.runtime.npu_parts import npu_parts
from occvino.runtime.stages import device_of

PLATFORMS = {"3720": "Meteor Lake, Arrow Lake", "4000": "Lunar Lake", "5010": "Panther Lake", "5020": "", "6010": ""}
"""What this compiler knows, and the processors that are known to have it."""
WORDS = "compiled by Intel's NPU compiler, never run; times are estimates of its cost model"
TOOLS = "OCCVINO_NPU_TOOLS"
_MODES = "NPU_COMPILATION_MODE_PARAMS"
_TRACE = "compileTimeScheduleTrace.json"
_NUMBERS = {
    "estimated_us": (r"Estimated inference latency: ([\d.]+) us", float),
    "mhz": (r"in dpu frequency ([\d.]+) MHz", float),
    "tiles": (r"DPU groups = (\d+)", int),
    "ops": (r"Total number of Ops: (\d+)", int),
    "compiler_peak_kb": (r"Compilation memory usage: Peak (\d+) KB", int),
}


@dataclass(frozen=True)
class NpuReport:
    """What the compiler made of one IR. None where it does not say.

    Attributes:
        ok: it compiles.
        message: the compiler's words if it does not; `errors` are the lines of its log.
        seconds: of compiling.
        blob_bytes: size of the compiled model.
        estimated_us: length of the schedule in the compiler's cost model, at `mhz` with `tiles` tiles.
        uncosted: kernels that the cost model does not know: they count nothing.
        ops: operations that the schedule counts.
        engines_us: with a trace: how long the DPUs, the SHAVE cores and the DMA engines work, and alone.
        layer_types_us: with a trace: spans by type of layer, which overlap; the longest first.
        compiler_peak_kb: memory that compiling took.
        runs: how often a frame takes it: once for each image or frame, or once.
    """

    platform: str
    ok: bool
    message: str = ""
    errors: tuple[str, ...] = ()
    seconds: float | None = None
    blob_bytes: int | None = None
    estimated_us: float | None = None
    mhz: float | None = None
    tiles: int | None = None
    uncosted: tuple[str, ...] = ()
    ops: int | None = None
    engines_us: Mapping[str, float] = field(default_factory=dict[str, float])
    layer_types_us: Mapping[str, float] = field(default_factory=dict[str, float])
    compiler_peak_kb: int | None = None
    runs: int = 1

    @property
    def kind(self) -> str:
        """What these figures are, in words."""
        return WORDS

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "kind": self.kind}


def tools_folder() -> Path | None:
    """Where `tools/npu/setup.sh` built what is needed: $OCCVINO_NPU_TOOLS, else that of a checkout; None if nowhere."""
    checkout = Path(__file__).parents[3] / "tools" / "npu" / ".built"
    asked = os.environ.get(TOOLS)
    folder = Path(asked) if asked else checkout
    return folder if (folder / "ready").is_file() else None


def compile_for_npu(
    xml: str | Path,
    platform: str,
    *,
    trace: str | Path | bool = False,
    blob: str | Path | None = None,
    properties: Mapping[str, str] | None = None,
    timeout: float = 3600.0,
) -> NpuReport:
    """Compile an IR for an NPU platform.

    Args:
        xml: of the IR; weights beside it.
        platform: one of `PLATFORMS`.
        trace: ask for the schedule, of which `engines_us` and `layer_types_us` are made; a file to keep it in as well.
        blob: where to keep the compiled model. It has not been run on an NPU.
        properties: of the NPU plugin, as NPU_TILES.
        timeout: seconds.

    Raises:
        DeviceError: the compiler is not set up here, or there is no such platform or file.
    """
    folder = tools_folder()
    if folder is None:
        raise DeviceError(
            f"Intel's NPU compiler is not set up here: run tools/npu/setup.sh of the repository, or set {TOOLS} "
            "to the folder it was built in"
        )
    if platform not in PLATFORMS:
        raise DeviceError(f"there is no NPU platform {platform!r}: the compiler knows {', '.join(PLATFORMS)}")
    xml = checked_ir(xml)
    with tempfile.TemporaryDirectory(prefix="occvino-npu-") as scratch:
        here = Path(scratch)
        out = here / "model.blob"
        asked = {"NPU_PLATFORM": platform, "NPU_COMPILER_TYPE": "PLUGIN", "LOG_LEVEL": "LOG_INFO", **(properties or {})}
        if trace:
            asked[_MODES] = f"{asked.get(_MODES, '')} enable-schedule-trace=true".strip()
        command = ["compile", "NPU", _windows(xml), _windows(out), *(f"{key}={value}" for key, value in asked.items())]
        code, log = _wine(folder, command, here, timeout)
        report = _report(platform, code, log, timeout, out, here / _TRACE)
        if blob is not None and report.ok:
            shutil.move(out, blob)
        if isinstance(trace, str | Path) and (here / _TRACE).exists():
            shutil.move(here / _TRACE, trace)
        return report


def compile_parts(xml: str | Path, platform: str, *, timeout: float = 3600.0) -> dict[str, NpuReport]:
    """Compile a network for an NPU platform in the parts that a `Pipeline` runs there, by their names.

    What a `Pipeline` runs on the CPU beside them is not among them (`runtime.calibration`). Arguments and errors are
    those of `compile_for_npu`; an IR that cannot be cut is a DeviceError too.
    """
    found: dict[str, NpuReport] = {}
    with tempfile.TemporaryDirectory(prefix="occvino-npu-") as folder:
        for name, (part, runs) in npu_parts(ov.Core().read_model(checked_ir(xml))).items():
            if device_of(name, "NPU") == "NPU":
                saved = Path(folder) / f"{name}.xml"
                ov.save_model(part, saved, compress_to_fp16=False)
                found[name] = replace(compile_for_npu(saved, platform, trace=True, timeout=timeout), runs=runs)
    return found


def _windows(path: Path) -> str:
    return "Z:" + str(path).replace("/", "\\")


def _wine(folder: Path, arguments: Sequence[str], where: Path, timeout: float) -> tuple[int | None, str]:
    wine = shutil.which("wine64") or "/usr/lib/wine/wine64"
    env = {
        "WINEPREFIX": str(folder / "prefix"),
        "WINEARCH": "win64",
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "winemenubuilder.exe,mscoree,mshtml=",
    }
    return run_logged([wine, str(folder / "bin" / "npuc.exe"), *arguments], where, env, timeout)


def _report(platform: str, code: int | None, log: str, timeout: float, blob: Path, trace: Path) -> NpuReport:
    said = _said(log)
    ok = said.get("ok") is True
    found: dict[str, Any] = {
        key: kind(hits[-1]) for key, (pattern, kind) in _NUMBERS.items() if (hits := re.findall(pattern, log))
    }
    schedule = json.loads(trace.read_text()) if trace.exists() else None
    return NpuReport(
        platform,
        ok,
        "" if ok else _message(said, code, timeout),
        () if ok else _errors(log),
        said.get("seconds"),
        blob.stat().st_size if ok and blob.exists() else None,
        uncosted=_uncosted(log),
        engines_us=schedule["taskStatistics"] if schedule else {},
        layer_types_us=_by_type(schedule["traceEvents"]) if schedule else {},
        **found,
    )


def _said(log: str) -> dict[str, Any]:
    """The lines that npuc.exe itself printed."""
    found: dict[str, Any] = {}
    for line in log.splitlines():
        if line.startswith("@@"):
            key, _, value = line[2:].partition(" ")
            found[key] = json.loads(value)
    return found


def _message(said: Mapping[str, Any], code: int | None, timeout: float) -> str:
    if code is None:
        return f"not compiled within {timeout:.0f} s"
    words = str(said.get("message", ""))
    return words.partition("Compiler returned msg:")[2].strip() or words or f"the compiler died with exit code {code}"


def _errors(log: str) -> tuple[str, ...]:
    lines = (re.sub(r"^\[ERROR\] [\d:.]+ ", "", line) for line in re.findall(r"\[ERROR\][^\n]*", log))
    return tuple(dict.fromkeys(lines))[:8]


def _uncosted(log: str) -> tuple[str, ...]:
    lists = re.findall(r"unsupported by VPUNN[^\n]*: \[([^\]]*)\]", log)
    return tuple(sorted({name.strip() for names in lists for name in names.split(",")}))


def _by_type(events: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Microseconds that are covered by spans of each type of layer."""
    spans: dict[str, list[tuple[float, float]]] = {}
    for event in events:
        kind = event.get("args", {}).get("Layer type")
        if event.get("cat") == "Layer" and kind and kind != "<Unknown>":
            spans.setdefault(kind, []).append((event["ts"], event["ts"] + event["dur"]))
    covered = {kind: _covered(sorted(pieces)) for kind, pieces in spans.items()}
    return dict(sorted(covered.items(), key=lambda item: -item[1]))


def _covered(pieces: Sequence[tuple[float, float]]) -> float:
    total, end = 0.0, float("-inf")
    for start, stop in pieces:
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return round(total, 1)
