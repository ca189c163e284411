"""Compile one IR with OpenVINO's GPU plugin and tell what every layer became.

    gpuc.py MODEL.xml HINT OUT.json LOG.jsonl [KEY=VALUE ...]

Started by `occvino.runtime.gpu_compiler` in an environment where Intel's driver computes nothing. One inference is
asked for, whose numbers mean nothing, so that the layer in between (layer.c) sees the launches; they begin at line
`first_launch` of the log.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov


def main() -> None:
    """See above."""
    xml, hint, out, log, *more = sys.argv[1:]
    options = {"INFERENCE_PRECISION_HINT": hint, "PERF_COUNT": True, **dict(each.split("=", 1) for each in more)}
    found: dict[str, Any] = {"openvino": ov.__version__}
    core = ov.Core()
    try:
        for key in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES"):
            found[key.lower()] = str(core.get_property("GPU", key))
        start = time.perf_counter()
        compiled = core.compile_model(xml, "GPU", options)
        found |= {"seconds": time.perf_counter() - start, "layers": layers(compiled), "first_launch": lines(log)}
        compiled.create_infer_request().infer(zeros(compiled))
        found["device_mib"] = device_mib(core)
        found["ok"] = True
    except RuntimeError as error:
        found |= {"ok": False, "message": str(error)}
    found["peak_mib"] = peak_mib()
    Path(out).write_text(json.dumps(found))
    os._exit(0)  # this driver has nothing to take down


def layers(compiled: ov.CompiledModel) -> list[dict[str, Any]]:
    """In the order in which they are launched."""
    made: list[dict[str, Any]] = []
    for op in compiled.get_runtime_model().get_ordered_ops():
        info = op.get_rt_info()
        told = {key: str(info[key].astype(str)) for key in ("layerType", "primitiveType", "outputLayouts", "execOrder")}
        made.append(
            {
                "name": op.get_friendly_name(),
                "type": told["layerType"],
                "kernel": told["primitiveType"],
                "layout": told["outputLayouts"],
                "order": int(told["execOrder"]) if told["execOrder"].isdigit() else -1,
                "of": str(info["originalLayersNames"].astype(str)) if "originalLayersNames" in info else "",
                "inputs": [described(each) for each in op.inputs()],
                "outputs": [described(each) for each in op.outputs()],
            }
        )
    return sorted(made, key=lambda layer: layer["order"])


def described(port: Any) -> tuple[str, list[int]]:
    """Type and shape."""
    return port.get_element_type().get_type_name(), [int(size) for size in port.get_shape()]


def zeros(compiled: ov.CompiledModel) -> dict[str, Any]:
    """Something for every input."""
    return {value.get_any_name(): np.zeros(value.shape, value.element_type.to_dtype()) for value in compiled.inputs}


def device_mib(core: ov.Core) -> float:
    """Memory for the device: weights, and what is between the layers, places used again as far as order lets."""
    return sum(dict(core.get_property("GPU", "GPU_MEMORY_STATISTICS")).values()) / 2**20


def peak_mib() -> float:
    """Memory of this process, at most; `getrusage` counts what was the parent's when it was started."""
    line = next(each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def lines(log: str) -> int:
    """How many there are."""
    with Path(log).open() as file:
        return sum(1 for _ in file)


if __name__ == "__main__":
    main()
