"""What Intel's NPU compiler makes of the models, and what its cost model expects. `python -m benchmarks.npu`.

`compile` converts with random weights for NPUs, in each model's usual form, and compiles the parts that a `Pipeline`
runs there. It adds a line of JSON a part and platform to `benchmarks/results/npu.jsonl` as they come, and compiles
nothing twice: nor a part whose graph differs from that of another model in nothing but numbers, such as the encoders
of flashocc-r50-4d-stereo and bevdet-occ-r50-4d-stereo. `page` writes the tables of docs/npu.md. The compiler is set up
by tools/npu/setup.sh.

Nothing is run on an NPU. Estimates are those of the compiler's cost model, in which `uncosted` kernels count nothing.
"""

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import openvino as ov

from benchmarks.compilers import by_model, compile_missing, put_between, stored
from benchmarks.harness import RESULTS
from benchmarks.markdown import table
from occvino.artifact import IR, Artifact
from occvino.runtime.npu_compiler import PLATFORMS, NpuReport, compile_for_npu
from occvino.runtime.npu_parts import npu_parts
from occvino.runtime.stages import device_of
from occvino.variants import variants

STORE = RESULTS / "npu.jsonl"
PAGE = Path("docs/npu.md")
_OF_REPORT = {*(each.name for each in fields(NpuReport)), "kind", "graph"}
BEGIN, END = "<!-- made by benchmarks/npu.py -->", "<!-- end -->"


def _compile(artifact: Artifact, platforms: Iterable[str], asked: dict[str, Any], timeout: float) -> None:
    parts = {
        name: part
        for name, part in npu_parts(ov.Core().read_model(artifact.path / IR)).items()
        if device_of(name, "NPU") == "NPU"
    }
    for platform in platforms:
        found: dict[str, dict[str, Any]] = {}
        for name, (part, runs) in parts.items():
            start = time.time()
            found[name] = {**asked, "part": name, **_compiled(part, platform, timeout), "runs": runs}
            said = found[name]["estimated_us"] if found[name]["ok"] else found[name]["message"]
            print(asked["name"], asked["precision"], platform, name, said, f"{time.time() - start:.0f} s", flush=True)
        with STORE.open("a") as store:
            store.writelines(json.dumps(row) + "\n" for row in found.values())


def _compiled(part: ov.Model, platform: str, timeout: float) -> dict[str, Any]:
    """A report, as it is stored; that of the same graph with other weights, if there is one."""
    with tempfile.TemporaryDirectory(prefix="occvino-npu-") as folder:
        xml = Path(folder) / "part.xml"
        ov.save_model(part, xml, compress_to_fp16=False)
        graph = graph_of(xml)
        for row in stored(STORE):
            if row.get("graph") == graph and row["platform"] == platform and row["ok"]:
                return {key: value for key, value in row.items() if key in _OF_REPORT}
        report = compile_for_npu(xml, platform, trace=True, timeout=timeout)
    row = {**report.to_dict(), "graph": graph}
    row["layer_types_us"] = dict(list(report.layer_types_us.items())[:8])
    return row


def graph_of(xml: Path) -> str:
    """A hash of an IR's operators, their attributes, shapes and connections.

    Names and the numbers of constants are not in it, nor is the order in which operators are written, which differs
    from run to run for large models.
    """
    root = ElementTree.parse(xml).getroot()
    sources: dict[str, list[tuple[str, str, str]]] = {}
    for edge in root.iterfind("edges/edge"):
        source = (edge.attrib["to-port"], edge.attrib["from-layer"], edge.attrib["from-port"])
        sources.setdefault(edge.attrib["to-layer"], []).append(source)
    found: dict[str, str] = {}
    for layer in root.iterfind("layers/layer"):  # each one after those that it takes from
        number = layer.attrib.pop("id")
        inputs = sorted((port, found[source], of_source) for port, source, of_source in sources.get(number, []))
        found[number] = hashlib.sha256(_nameless(layer) + repr(inputs).encode()).hexdigest()
    return hashlib.sha256("".join(sorted(found.values())).encode()).hexdigest()


def _nameless(layer: ElementTree.Element) -> bytes:
    for element in layer.iter():
        for name in ("name", "names", "output_names", "offset"):
            element.attrib.pop(name, None)
        for child in [each for each in element if each.tag in ("rt_info", "meta_data")]:
            element.remove(child)
    return ElementTree.tostring(layer)


def rows(found: list[dict[str, Any]]) -> Iterator[list[str]]:
    for head, of_model in by_model(found):
        yield [*head, *_cells(of_model)]


def _cells(of_model: list[dict[str, Any]]) -> Iterator[str]:
    for platform in PLATFORMS:
        parts = [row for row in of_model if row["platform"] == platform]
        if not parts:
            yield "not tried"
        elif not all(part["ok"] for part in parts):
            yield "no: " + "; ".join(f"{part['part']}: {part['message']}" for part in parts if not part["ok"])
        else:
            total = sum(part["runs"] * part["estimated_us"] for part in parts) / 1e3
            size = sum(part["blob_bytes"] for part in parts) / 1e6
            yield f"{total:.1f} ({' + '.join(map(_times, parts))}), {size:.0f} MB"


def _times(part: dict[str, Any]) -> str:
    often = f"{part['runs']} x " if part["runs"] > 1 else ""
    return f"{often}{part['estimated_us'] / 1e3:.2f}"


def uncosted(found: list[dict[str, Any]]) -> Iterator[list[str]]:
    for name in variants():
        kernels = {
            kernel.removeprefix("builtin_").partition(".")[0]
            for row in found
            if row["name"] == name and row["platform"] in ("4000", "5010")
            for kernel in row["uncosted"]
        }
        if kernels:
            yield [name, ", ".join(sorted(kernels))]


def page() -> None:
    found = stored(STORE)
    made = table(["model", "weights", *(f"{p} {PLATFORMS[p]}".strip() for p in PLATFORMS)], rows(found))
    costs = table(["model", "kernels of unknown cost on 4000 and 5010"], uncosted(found))
    put_between(PAGE, BEGIN, END, [made, costs])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    compiling = commands.add_parser("compile")
    compiling.add_argument("names", nargs="*", default=list(variants()))
    compiling.add_argument("--platforms", default="4000,5010,3720")
    compiling.add_argument("--precision", default="fp16", choices=("fp16", "int8"))
    compiling.add_argument("--timeout", type=float, default=5400.0)
    commands.add_parser("page")
    asked = parser.parse_args()
    if asked.command == "page":
        page()
    else:
        compile_for = partial(_compile, timeout=asked.timeout)
        compile_missing(STORE, "platform", asked.names, asked.platforms.split(","), asked.precision, "NPU", compile_for)


if __name__ == "__main__":
    main()
