"""Which submodels a network runs as, and which device each stage runs on."""

from collections.abc import Iterable, Mapping

import openvino as ov

from occvino.errors import DeviceError
from occvino.runtime.calibration import CALIBRATION
from occvino.runtime.devices import has_matrix_engines
from occvino.runtime.npu_parts import JOIN, npu_parts
from occvino.runtime.split import split

CUTS: Mapping[str, tuple[str, ...]] = {"encoder": ("depth", "features"), "pool": ("bev",), "trunk": ()}
"""The stages in order, and the taps that each hands on to those after it."""
GPU_CUTS: Mapping[str, tuple[str, ...]] = {"front": ("bev",), "trunk": ()}
"""How a network is cut for a GPU without matrix engines: beside a batch of images and a pooling bag the plugin computes
all convolutions behind them in a plain layout, and in a model of their own in a blocked one (docs/gpu.md)."""


def check_stages(names: Iterable[str]) -> None:
    """Refuse other stages than `CUTS`.

    Raises:
        DeviceError: a stage has no device, or there is no such stage.
    """
    given, expected = list(names), ", ".join(CUTS)
    unknown = [name for name in given if name not in CUTS]
    missing = [name for name in CUTS if name not in given]
    if unknown:
        raise DeviceError(f"there is no stage {', '.join(unknown)}: give a device to each of {expected}")
    if missing:
        raise DeviceError(f"no device for {', '.join(missing)}: give one to each of {expected}")


def parts_on(device: str, model: ov.Model) -> dict[str, ov.Model]:
    """The models that one device runs a network as, by the names of their stages; often one, named "".

    For an NPU see `npu_parts.npu_parts`. For a GPU without matrix engines what is behind the pooling is a model of its
    own.
    """
    kind = device.split(".")[0]
    if kind == "GPU" and not has_matrix_engines(device):
        return split(model, GPU_CUTS)
    if kind != "NPU":
        return {"": model}
    return {name: part for name, (part, _) in npu_parts(model).items()}


def device_of(stage: str, device: str) -> str:
    """What a stage of `parts_on(device)` runs on: that device, but the CPU for what is there for NPUs alone."""
    return "CPU" if stage in (CALIBRATION, JOIN) else device
