"""What Intel's GPU driver and OpenVINO's GPU plugin make of the models. `python -m benchmarks.gpu`.

`compile` converts with random weights, each model in its usual form, and compiles it for every device in the parts that
a `Pipeline` runs there. It adds a line of JSON a part and device to `benchmarks/results/gpu.jsonl` as they come, and
compiles nothing twice. `page` writes the tables of docs/gpu.md. The driver is set up by tools/gpu/setup.sh.

Nothing is run on a GPU. `perfect_ms` is arithmetic: for each layer the larger of operations / peak and bytes /
bandwidth by the public specifications, every input and the output moved once. No machine reaches it.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import openvino as ov

from benchmarks.compilers import by_model, compile_missing, put_between, stored
from benchmarks.harness import RESULTS
from benchmarks.markdown import table
from occvino.artifact import IR, Artifact
from occvino.conversion.macs import layers
from occvino.errors import OccvinoError
from occvino.runtime.gpu_compiler import DEVICES, GpuReport, compile_gpu_parts
from occvino.variants import variants

STORE = RESULTS / "gpu.jsonl"
PAGE = Path("docs/gpu.md")
BEGIN, END = "<!-- made by benchmarks/gpu.py -->", "<!-- end -->"
PEAKS = {
    "a770": (137.6, 560.0),
    "lunar-lake": (33.5, 136.5),
    "panther-lake": (61.0, 153.6),
    "arrow-lake": (38.5, 120.0),
    "meteor-lake": (9.2, 120.0),
    "iris-xe": (4.0, 68.0),
}
"""By the public specifications, at boost clocks: TFLOPS in f16, a multiplication and an addition as two; GB/s."""


def _compile(artifact: Artifact, devices: Iterable[str], asked: dict[str, Any], timeout: float) -> None:
    macs = {each.name: each.macs for each in layers(ov.Core().read_model(artifact.path / IR))}
    for device in devices:
        try:
            found = compile_gpu_parts(artifact.path / IR, device, timeout=timeout)
        except OccvinoError as error:
            print(asked["name"], device, error, flush=True)
            continue
        with STORE.open("a") as store:
            for part, report in found.items():
                store.write(json.dumps({**asked, "part": part, **row_of(report, macs)}) + "\n")
        said = {
            part: f"{each.seconds:.0f} s" if each.ok and each.seconds else each.message for part, each in found.items()
        }
        print(asked["name"], asked["precision"], device, said, flush=True)


def row_of(report: GpuReport, macs: dict[str, int]) -> dict[str, Any]:
    """What is kept of a report: counts by kind of layer and kernel, and sums."""
    working = [layer for layer in report.layers if layer.launches]
    products = [layer for layer in working if layer.type in ("Convolution", "Gemm", "FullyConnected")]
    kernels = Counter(f"{layer.type} {layer.kernel} {layer.precision}" for layer in working)
    return {
        "device": report.device,
        "ok": report.ok,
        "message": report.message[:400],
        "refused": list(report.refused)[:3],
        "seconds": report.seconds,
        "peak_mib": report.peak_mib,
        "device_mib": report.device_mib,
        "kernels": dict(sorted(kernels.items())),
        "products": len(products),
        "matrix": sum(layer.matrix for layer in products),
        "plain": sum(layer.type == "Convolution" and layer.layout in ("bfyx", "bfzyx") for layer in products),
        "half_sums": sum(layer.half_sums for layer in products),
        "spilt": sum(layer.spilt > 0 for layer in working),
        "items": report.items,
        "bytes": sum(layer.bytes for layer in working),
        "perfect_ms": perfect_ms(report, macs),
        "unassigned": report.unassigned,
    }


def perfect_ms(report: GpuReport, macs: dict[str, int]) -> float:
    """Arithmetic, not a measurement: see above. In 8 bits the peak is twice that of f16."""
    teraflops, bandwidth = PEAKS[report.device]
    total = 0.0
    for layer in report.layers:
        if layer.launches:
            names = {part.strip() for part in layer.of.split(",")}
            operations = 2 * sum(count for name, count in macs.items() if name in names)
            peak = teraflops * (2 if layer.precision in ("i8", "u8") else 1)
            total += max(operations / peak / 1e12, layer.bytes / bandwidth / 1e9)
    return total * 1e3


def rows(found: list[dict[str, Any]]) -> Iterator[list[str]]:
    for head, of_model in by_model(found):
        yield [*head, *(_cell(of_model, device) for device in DEVICES)]


def _cell(of_model: list[dict[str, Any]], device: str) -> str:
    parts = [row for row in of_model if row["device"] == device]
    if not parts:
        return "not tried"
    if not all(part["ok"] for part in parts):
        return "no: " + "; ".join(_reason(part["message"]) for part in parts if not part["ok"])
    seconds, memory = sum(part["seconds"] for part in parts), max(part["peak_mib"] for part in parts)
    spilt = sum(part["spilt"] for part in parts)
    known = all(part.get("device_mib") for part in parts)  # rows of before are without
    device = f"; {sum(part['device_mib'] for part in parts) / 1024:.1f} GiB" if known else ""
    return f"{sum(part['perfect_ms'] for part in parts):.1f}; {seconds:.0f} s, {memory:.0f} MiB{device}" + (
        f", {spilt} spill" if spilt else ""
    )


def _reason(message: str) -> str:
    """The last line of OpenVINO's words; those before it say where in its sources they come from."""
    return message.strip().splitlines()[-1].partition(":")[0].removeprefix("[GPU] ")


def kernel_rows(found: list[dict[str, Any]], name: str, devices: Iterable[str]) -> Iterator[list[str]]:
    """Kernels of one model in fp16, as counts by device."""
    counts: dict[str, Counter[str]] = {device: Counter() for device in devices}
    for row in found:
        if row["name"] == name and row["precision"] == "fp16" and row["device"] in counts:
            for key, count in row["kernels"].items():
                counts[row["device"]][key.rpartition(" ")[0]] += count  # whatever they compute in
    for key in sorted({key for count in counts.values() for key in count}):
        kind, _, kernel = key.partition(" ")
        yield [kind, f"`{kernel}`", *(str(count[key] or "") for count in counts.values())]


def page() -> None:
    found = stored(STORE)
    made = table(["model", "weights", *(DEVICES[device].name for device in DEVICES)], rows(found))
    shown = ("lunar-lake", "arrow-lake", "iris-xe")
    names = [DEVICES[device].name for device in shown]
    kernels = table(["layer", "kernel", *names], kernel_rows(found, "flashocc-r50-M0", shown))
    put_between(PAGE, BEGIN, END, [made, kernels])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    compiling = commands.add_parser("compile")
    compiling.add_argument("names", nargs="*", default=list(variants()))
    compiling.add_argument("--devices", default=",".join(DEVICES))
    compiling.add_argument("--precision", default="fp16", choices=("fp16", "int8"))
    compiling.add_argument("--timeout", type=float, default=1800.0)
    commands.add_parser("page")
    asked = parser.parse_args()
    if asked.command == "page":
        page()
    else:
        compile_for = partial(_compile, timeout=asked.timeout)
        compile_missing(STORE, "device", asked.names, asked.devices.split(","), asked.precision, None, compile_for)


if __name__ == "__main__":
    main()
