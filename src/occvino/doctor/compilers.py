"""Devices that are not here, but whose compiler is: `NPU.4000` and `GPU.lunar-lake`, by `tools/npu` and `tools/gpu`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from occvino.doctor.case import Case
from occvino.doctor.findings import Finding, Fix, Severity
from occvino.doctor.places import Place
from occvino.files import scratch_folder
from occvino.runtime import gpu_compiler, npu_compiler

ELSEWHERE = "openvino.compile_model(model, 'HETERO:{device},CPU')   # or write the step with other operators"
_DEFAULT_GPU = "lunar-lake"
_TIMEOUT = 900.0
"""Seconds."""


def compiler_of(device: str) -> str:
    """The product whose compiler can be asked about `device` on this machine; empty for none."""
    kind, _, product = device.partition(".")
    if kind == "NPU" and product in npu_compiler.PLATFORMS and npu_compiler.tools_folder() is not None:
        return product
    product = product or _DEFAULT_GPU
    return product if kind == "GPU" and product in gpu_compiler.DEVICES and gpu_compiler.tools_folder() else ""


def how_to_ask(device: str) -> str:
    """What is missing to have a compiler asked; empty for other devices."""
    kind = device.partition(".")[0]
    if kind == "NPU":
        known = ", ".join(f"NPU.{platform}" for platform in npu_compiler.PLATFORMS)
        return f"--device {known} asks Intel's compiler where tools/npu is set up ({npu_compiler.TOOLS})"
    if kind == "GPU":
        known = ", ".join(f"GPU.{name}" for name in gpu_compiler.DEVICES)
        return f"--device {known} asks Intel's driver where tools/gpu is set up ({gpu_compiler.TOOLS})"
    return ""


def ask(case: Case, graph: Any, device: str, place_of: Callable[[Case, str], Place | None]) -> list[Finding]:
    """Compile the graph for a product; nothing is run on it."""
    import openvino as ov

    kind, product = device.partition(".")[0], compiler_of(device)
    with case.timed(f"compile {kind}.{product}"), scratch_folder() as folder:
        xml = folder / "model.xml"
        ov.save_model(graph, xml)
        if kind == "NPU":
            return _npu(case, npu_compiler.compile_for_npu(xml, product, timeout=_TIMEOUT), place_of)
        return _gpu(gpu_compiler.compile_for_gpu(xml, product, timeout=_TIMEOUT))


def _npu(case: Case, report: npu_compiler.NpuReport, place_of: Callable[[Case, str], Place | None]) -> list[Finding]:
    device = f"NPU.{report.platform}"
    if not report.ok:
        told = (report.message, *report.errors[:4])
        return [_refused(device, "Intel's NPU compiler does not take the graph", told, place_of(case, report.message))]
    costed = f"{report.estimated_us / 1000:.1f} ms by its cost model" if report.estimated_us else "no estimate"
    uncosted = f", which knows nothing of {', '.join(report.uncosted)}" if report.uncosted else ""
    return [_taken(device, f"it compiles, in {report.seconds or 0:.0f} s; {costed}{uncosted}", npu_compiler.WORDS)]


def _gpu(report: gpu_compiler.GpuReport) -> list[Finding]:
    device = f"GPU.{report.device}"
    if not report.ok:
        return [_refused(device, "the GPU plugin does not compile the graph", (report.message, *report.refused[:4]))]
    slow = sorted({layer.type for layer in report.layers if layer.reference and layer.launches})
    named = f"; reference kernels for {', '.join(slow)}" if slow else ""
    return [_taken(device, f"it compiles, in {report.seconds or 0:.0f} s{named}", gpu_compiler.WORDS)]


def _refused(device: str, said: str, told: tuple[str, ...], place: Place | None = None) -> Finding:
    evidence = tuple(line for line in told if line)
    fix = Fix(ELSEWHERE.format(device=device.partition(".")[0]))
    return Finding("operators/device", Severity.ERROR, place, device, said, evidence, fix)


def _taken(device: str, said: str, words: str) -> Finding:
    return Finding("operators/device", Severity.NOTE, None, device, said, (words,))
