"""What OpenVINO is asked for, and what it says it does."""

import re
from dataclasses import dataclass
from typing import Any

import openvino as ov

from occvino.errors import DeviceError

OLDEST = (2026, 1)
"""The first OpenVINO release in which an artifact was seen to run; CI runs the one in constraints.txt."""


@dataclass(frozen=True)
class Running:
    """Read back from the compiled model: what really runs."""

    requested: str
    devices: tuple[str, ...]
    precision: str
    threads: int | None

    def __str__(self) -> str:
        threads = f", {self.threads} threads" if self.threads else ""
        return f"{self.requested} -> {' + '.join(self.devices)}, {self.precision}{threads}"


def check_release(version: str) -> None:
    """Refuse an OpenVINO that is too old.

    Raises:
        DeviceError: names both versions and the command that fixes it.
    """
    release = re.match(r"(\d+)\.(\d+)", version)
    if release and (int(release[1]), int(release[2])) < OLDEST:
        installed, oldest = version.split("-")[0], ".".join(map(str, OLDEST))
        fix = f'pip install -U "openvino>={oldest}"'
        raise DeviceError(f"OpenVINO {installed} is installed, {oldest} or newer is needed: {fix}")


def compile_model(
    model: ov.Model, device: str, *, precision: str | None = None, threads: int | None = None, cache: str | None = None
) -> ov.CompiledModel:
    """Compile for any OpenVINO device string.

    Args:
        model: an IR.
        device: "CPU", "GPU", "NPU", "AUTO", "HETERO:GPU,CPU"...
        precision: what to compute in, "f32" or "f16"; the device's own choice when left out.
        threads: of the CPU plugin.
        cache: folder for compiled models.

    Raises:
        DeviceError: there is no such device, it cannot run the model, or it does not compute in what was asked for.
    """
    core = ov.Core()
    properties: dict[str, Any] = {}
    if precision:
        properties["INFERENCE_PRECISION_HINT"] = precision
    if threads:
        properties["INFERENCE_NUM_THREADS"] = threads
    if cache:
        properties["CACHE_DIR"] = cache
    try:
        compiled = core.compile_model(model, device, properties)
    except RuntimeError as error:
        available = ", ".join(core.available_devices) or "none"
        raise DeviceError(f"{device} cannot run this model (devices here: {available}): {error}") from error
    given = running(compiled, device).precision
    if precision and given == "unknown":
        raise DeviceError(
            f"{device} does not tell what it computes in, {precision} was asked for: name the device that is to run it "
            "(CPU, GPU, NPU), or leave precision out"
        )
    if precision and given != precision:
        raise DeviceError(
            f"{device} computes in {given}, {precision} was asked for: leave precision out to accept that"
        )
    return compiled


def running(compiled: ov.CompiledModel, requested: str) -> Running:
    """What a compiled model says of itself."""
    devices = _property(compiled, "EXECUTION_DEVICES")
    devices = (
        tuple(str(name) for name in devices) if isinstance(devices, list | tuple) else (str(devices or requested),)
    )
    precision = _property(compiled, "INFERENCE_PRECISION_HINT")
    threads = _property(compiled, "INFERENCE_NUM_THREADS")
    return Running(requested, devices, _type_name(precision), int(threads) if threads else None)


def _property(compiled: ov.CompiledModel, name: str) -> Any:
    try:
        return compiled.get_property(name)
    except RuntimeError:  # not every plugin has every property
        return None


def _type_name(value: Any) -> str:
    return value.get_type_name() if isinstance(value, ov.Type) else "unknown"
