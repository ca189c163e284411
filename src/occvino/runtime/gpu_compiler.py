"""Intel's GPU compiler on a machine that has no GPU: does an IR compile, and which kernel does every layer get?

OpenVINO's own GPU plugin compiles with Intel's own driver, which is told of a GPU and of an empty machine behind it
(`tools/gpu` of the repository sets that up and says how). Nothing is computed: there are no times, every number that
such a run gives is garbage, and so are the weights in what it compiles, which the plugin reorders by running kernels.
So nothing of it is kept.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import openvino as ov

from occvino.errors import DeviceError
from occvino.runtime.child import checked_ir, run_logged
from occvino.runtime.sampling_order import in_turn
from occvino.runtime.stages import GPU_CUTS, split

WORDS = "compiled by Intel's GPU driver, nothing run: kernels and launches, no times"
TOOLS = "OCCVINO_GPU_TOOLS"


@dataclass(frozen=True)
class GpuDevice:
    """What the driver is told.

    Attributes:
        name: as products call it.
        family: name of the product family in the driver.
        units: slices x sub-slices x execution units.
        identity: of the device on the bus.
        matrix: whether it has matrix engines (XMX).
    """

    name: str
    family: str
    units: str
    identity: str
    matrix: bool


DEVICES: Mapping[str, GpuDevice] = {
    "a770": GpuDevice("Arc A770", "acm-g10", "8x4x16", "0x56a0", matrix=True),
    "lunar-lake": GpuDevice("Lunar Lake, Arc 140V", "lnl-m", "2x4x8", "0x64a0", matrix=True),
    "panther-lake": GpuDevice("Panther Lake-H, 12 cores", "ptl-h", "2x6x8", "0xb080", matrix=True),
    "arrow-lake": GpuDevice("Arrow Lake-H, Arc 140T", "arl-h", "2x4x16", "0x7d51", matrix=True),
    "meteor-lake": GpuDevice("Meteor Lake-H, Arc", "mtl-h", "2x4x16", "0x7d55", matrix=False),
    "iris-xe": GpuDevice("Iris Xe, 96 units", "adl-p", "1x6x16", "0x46a6", matrix=False),
}
"""Devices that compile here. Discrete Battlemage does not: its driver waits for what is never computed."""


@dataclass(frozen=True)
class GpuLayer:
    """One layer of the compiled network.

    Attributes:
        name: in the compiled network.
        type: kind of layer, in the plugin's words.
        kernel: what computes it, as "jit:ir" for oneDNN's generator or "permute_ref"; "undef" if nothing is launched.
        precision: that the kernel computes in.
        layout: of its output in memory.
        of: layers of the IR that it stands for, with commas.
        inputs, outputs: type and shape of each.
        launches: how often kernels are started for it.
        items: work items in all.
        groups: work groups in all.
        spilt: bytes of registers that do not fit, a thread; of the worst kernel.
        matrix: whether its machine code holds matrix instructions (dpas).
        half_sums: whether its machine code multiplies and adds in half precision, and nowhere in single.
    """

    name: str
    type: str
    kernel: str
    precision: str
    layout: str
    of: str
    inputs: tuple[tuple[str, tuple[int, ...]], ...]
    outputs: tuple[tuple[str, tuple[int, ...]], ...]
    launches: int = 0
    items: int = 0
    groups: int = 0
    spilt: int = 0
    matrix: bool = False
    half_sums: bool = False

    @property
    def reference(self) -> bool:
        """Whether the kernel is one that is only meant to be right."""
        return re.search(r"_ref\b|_ref$|:ref\b", self.kernel) is not None

    @property
    def bytes(self) -> int:
        """Of its inputs and its first output, each once: what it has to move at least."""
        return sum(_size(*each) for each in (*self.inputs, *self.outputs[:1]))


@dataclass(frozen=True)
class GpuReport:
    """What the plugin and the driver made of one IR.

    Attributes:
        device: one of `DEVICES`.
        hint: precision that was asked for.
        ok: it compiles, and all its kernels could be launched.
        message: the plugin's words if not; `refused` are those of the kernel compiler.
        seconds: of compiling.
        peak_mib: memory of the process, at most.
        device_mib: memory that the plugin takes for the device: weights and what is between the layers.
        layers: in the order in which they run; those that launch nothing too.
        unassigned: launches that belong to no layer as far as could be seen.
    """

    device: str
    hint: str
    ok: bool
    message: str = ""
    refused: tuple[str, ...] = ()
    seconds: float | None = None
    peak_mib: float | None = None
    device_mib: float | None = None
    layers: tuple[GpuLayer, ...] = ()
    unassigned: int = 0

    @property
    def kind(self) -> str:
        """What this is, in words."""
        return WORDS

    @property
    def items(self) -> int:
        """Work items of a frame."""
        return sum(layer.items for layer in self.layers)

    def kernels(self) -> dict[tuple[str, str], int]:
        """How many layers of each type have each kernel, of those that launch one."""
        found: dict[tuple[str, str], int] = {}
        for layer in self.layers:
            if layer.launches:
                found[layer.type, layer.kernel] = found.get((layer.type, layer.kernel), 0) + 1
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "kind": self.kind}


def tools_folder() -> Path | None:
    """Where `tools/gpu/setup.sh` put the driver: $OCCVINO_GPU_TOOLS, else that of a checkout; None if nowhere."""
    asked = os.environ.get(TOOLS)
    folder = Path(asked) if asked else Path(__file__).parents[3] / "tools" / "gpu" / ".built"
    return folder if (folder / "ready").is_file() else None


def compile_for_gpu(
    xml: str | Path,
    device: str,
    precision: str = "f16",
    *,
    properties: Mapping[str, str] | None = None,
    timeout: float = 1800.0,
) -> GpuReport:
    """Compile an IR for a GPU.

    Args:
        xml: of the IR, of static shapes; weights beside it.
        device: one of `DEVICES`.
        precision: hint for what to compute in, "f16" or "f32". Of a quantised IR the int8 layers stay int8.
        properties: of the GPU plugin.
        timeout: seconds.

    Raises:
        DeviceError: the driver is not set up here, or there is no such device or file.
    """
    folder = tools_folder()
    if folder is None:
        raise DeviceError(
            f"Intel's GPU driver is not set up here: run tools/gpu/setup.sh of the repository, or set {TOOLS} "
            "to the folder it was built in"
        )
    if device not in DEVICES:
        raise DeviceError(f"there is no GPU {device!r} to compile for: take one of {', '.join(DEVICES)}")
    xml = checked_ir(xml)
    with tempfile.TemporaryDirectory(prefix="occvino-gpu-") as scratch:
        here = Path(scratch)
        (here / "code").mkdir()
        options = [f"{key}={value}" for key, value in (properties or {}).items()]
        script = [sys.executable, folder / "gpuc.py", xml, precision, here / "out.json", here / "log.jsonl", *options]
        code, said = _run(folder, device, script, here, timeout)
        if not (here / "out.json").is_file():
            why = (
                f"not compiled within {timeout:.0f} s" if code is None else f"died with exit code {code}: {said[-800:]}"
            )
            return GpuReport(device, precision, ok=False, message=why)
        return _report(folder, device, precision, json.loads((here / "out.json").read_text()), here)


def compile_gpu_parts(
    xml: str | Path, device: str, precision: str = "f16", *, timeout: float = 1800.0
) -> dict[str, GpuReport]:
    """Compile a network for a GPU in the parts that a `Pipeline` runs there, by their names; "" if it is in one piece.

    Arguments and errors are those of `compile_for_gpu`.
    """
    model = in_turn(ov.Core().read_model(checked_ir(xml)))
    whole = device not in DEVICES or DEVICES[device].matrix
    found: dict[str, GpuReport] = {}
    with tempfile.TemporaryDirectory(prefix="occvino-gpu-") as folder:
        for name, part in ({"": model} if whole else split(model, GPU_CUTS)).items():
            saved = Path(folder) / f"part-{name}.xml"
            ov.save_model(part, saved, compress_to_fp16=False)
            found[name] = compile_for_gpu(saved, device, precision, timeout=timeout)
    return found


def _run(
    folder: Path, device: str, command: Sequence[str | Path], here: Path, timeout: float
) -> tuple[int | None, str]:
    """A program behind the loader and C library that the driver needs; its exit code, None if it took too long."""
    found = DEVICES[device]
    env = {
        "OCL_ICD_VENDORS": f"{folder / 'icd'}/",
        "OPENCL_LAYERS": str(folder / "layer.so"),
        "OCCVINO_GPU_LOG": str(here / "log.jsonl"),
        "OCCVINO_GPU_CODE": str(here / "code"),
        "NEOReadDebugKeys": "1",
        "SetCommandStreamReceiver": "5",  # submissions go nowhere, and count as done
        "UseAubStream": "0",  # Debian builds the driver without that library
        "ProductFamilyOverride": found.family,
        "HardwareInfoOverride": found.units,
        "ForceDeviceId": found.identity,
        "CI": "true",  # OpenVINO does not report that it is imported
        "NEO_CACHE_PERSISTENT": "0",  # nothing that is made here may be found by another run
    }
    return run_logged([*_loader(folder), *command], here, env, timeout)


def _loader(folder: Path) -> list[str | Path]:
    """What starts a program with the libraries that the driver needs."""
    libraries = folder / "root" / "usr" / "lib" / "x86_64-linux-gnu"
    paths = f"{libraries}:{libraries / 'intel-opencl'}:/usr/lib/x86_64-linux-gnu"
    return [libraries / "ld-linux-x86-64.so.2", "--library-path", paths]


def _report(folder: Path, device: str, hint: str, told: Mapping[str, Any], here: Path) -> GpuReport:
    events = [json.loads(line) for line in (here / "log.jsonl").read_text().splitlines()]
    launches = [each for each in events[told.get("first_launch", 0) :] if each["event"] == "launch"]
    code = _machine_code(folder, device, {each["program"] for each in launches}, here)
    layers = [_layer(each) for each in told.get("layers", [])]
    shares, unassigned = _assigned(layers, launches) if told["ok"] else ([[] for _ in layers], 0)
    return GpuReport(
        device,
        hint,
        told["ok"],
        told.get("message", ""),
        tuple(dict.fromkeys(each["log"] for each in events if each["event"] == "refused")),
        told.get("seconds"),
        told["peak_mib"],
        told.get("device_mib"),
        tuple(_launched(layer, share, code) for layer, share in zip(layers, shares, strict=True)),
        unassigned,
    )


def _layer(told: Mapping[str, Any]) -> GpuLayer:
    kernel, _, precision = told["kernel"].partition("__")
    inputs, outputs = (tuple((str(kind), tuple(shape)) for kind, shape in told[side]) for side in ("inputs", "outputs"))
    return GpuLayer(told["name"], told["type"], kernel, precision, told["layout"], told["of"], inputs, outputs)


def _launched(layer: GpuLayer, launches: Sequence[Mapping[str, Any]], code: Mapping[int, str]) -> GpuLayer:
    machine = "".join(code.get(each["program"], "") for each in launches)
    sums = set(re.findall(r"^\s*(?:\([^)]*\)\s*)?ma[dc]\b[^:]*:(hf|f)\b", machine, re.MULTILINE))
    return replace(
        layer,
        launches=len(launches),
        items=sum(each["items"] for each in launches),
        groups=sum(each["groups"] for each in launches),
        spilt=max((each["spill"] for each in launches), default=0),
        matrix="dpas" in machine,
        half_sums=sums == {"hf"},
    )


def _assigned(
    layers: Sequence[GpuLayer], launches: Sequence[Mapping[str, Any]]
) -> tuple[list[list[Mapping[str, Any]]], int]:
    """The launches of each layer, which come in the layers' order; and how many belong to none.

    As many as can be are paired. One that is left is one more of the layer before if it fits that, else the next
    layer's: oneDNN brings inputs into another layout by itself.
    """
    shares: list[list[Mapping[str, Any]]] = [[] for _ in layers]
    working = [index for index, layer in enumerate(layers) if _works(layer)]
    pairs = _paired(launches, [layers[index] for index in working])
    before: int | None = None
    waiting: list[Mapping[str, Any]] = []
    for launch, place in zip(launches, pairs, strict=True):
        if place is not None:
            before = working[place]
            shares[before] += [*waiting, launch]
            waiting = []
        elif before is not None and _is_of(launch, layers[before]):
            shares[before].append(launch)
        else:
            waiting.append(launch)
    return shares, len(waiting)


def _paired(launches: Sequence[Mapping[str, Any]], layers: Sequence[GpuLayer]) -> list[int | None]:
    """For each launch the place of its layer, as in the longest common subsequence of the two."""
    best = [[0] * (len(layers) + 1) for _ in range(len(launches) + 1)]
    fits = [[_is_of(launch, layer) for layer in layers] for launch in launches]
    for i in reversed(range(len(launches))):
        for j in reversed(range(len(layers))):
            best[i][j] = best[i + 1][j + 1] + 1 if fits[i][j] else max(best[i + 1][j], best[i][j + 1])
    found: list[int | None] = []
    j = 0
    for i in range(len(launches)):
        while j < len(layers) and not fits[i][j] and best[i][j + 1] == best[i][j] and best[i + 1][j] < best[i][j]:
            j += 1
        found.append(j if j < len(layers) and fits[i][j] else None)
        j += found[-1] is not None
    return found


def _works(layer: GpuLayer) -> bool:
    return layer.kernel not in ("undef", "wait_for_events") and layer.type not in ("Result", "Constant", "mutable_data")


_GENERATED = {
    "Convolution": "gen_conv",
    "Pooling": "gen_pool",
    "Reorder": "gen_reorder",
    "Gemm": "gemm_",
    "FullyConnected": "gemm_",
}
"""What oneDNN calls the kernels of a type of layer."""


def _is_of(launch: Mapping[str, Any], layer: GpuLayer) -> bool:
    name = launch["kernel"]
    if layer.kernel.startswith("jit:"):
        return name.startswith(_GENERATED.get(layer.type, "gen_"))
    if layer.kernel.startswith("ocl:"):
        return not name.startswith(("gen_", "gemm_", "xe_")) and not re.search(r"_\d{6,}", name)
    return name.startswith(layer.kernel)


def _machine_code(folder: Path, device: str, programs: Iterable[int], here: Path) -> dict[int, str]:
    """What Intel's disassembler makes of the programs, by their numbers; the same code once."""
    found: dict[int, str] = {}
    texts: dict[bytes, str] = {}
    tool = next((folder / "root" / "usr" / "bin").glob("ocloc-*"))
    for number in programs:
        file = here / "code" / f"{number}.bin"
        if file.is_file():
            binary = file.read_bytes()
            if binary not in texts:
                with tempfile.TemporaryDirectory(dir=here) as dump:
                    asked = [tool, "disasm", "-file", file, "-dump", dump, "-device", DEVICES[device].family]
                    subprocess.run([*_loader(folder), *asked], check=True, capture_output=True)
                    texts[binary] = "\n".join(each.read_text() for each in sorted(Path(dump).glob(".text.*.asm")))
            found[number] = texts[binary]
    return found


_BYTES = {"boolean": 1, "u8": 1, "i8": 1, "f16": 2, "bf16": 2, "f32": 4, "i32": 4, "i64": 8, "u64": 8}


def _size(kind: str, shape: Iterable[int]) -> int:
    total = _BYTES.get(kind, 4)
    for size in shape:
        total *= size
    return total
