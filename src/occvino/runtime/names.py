"""How devices and precisions are written: one spelling inside, other habits of the field read too."""

import re

from occvino.errors import DeviceError

STAND_BEFORE = ("AUTO", "HETERO", "MULTI", "BATCH")
"""Devices of OpenVINO that run a model on others."""
DEVICES = ("CPU", "GPU", "NPU", *STAND_BEFORE)
COMPUTED = {"fp32": "f32", "fp16": "f16", "bf16": "bf16"}
"""What a device can be asked to compute in, by our name, and OpenVINO's own name of it."""
_OLD = {theirs: ours for ours, theirs in COMPUTED.items()} | {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}


def device_name(device: str) -> str:
    """A device string with OpenVINO's capitals: "cpu" is "CPU", "hetero:gpu.0,cpu" is "HETERO:GPU.0,CPU".

    What is no name of `DEVICES`, such as a plugin of somebody's own, stays as it is.
    """
    known = "|".join(DEVICES)
    return re.sub(rf"(?i)(?<![\w.])({known})(?![a-z])", lambda found: found[1].upper(), re.sub(r"\s", "", device))


def precision_name(precision: str) -> str:
    """A precision as we write it: "f16", "FP16" and "float16" are "fp16"; what is none stays as it is."""
    return _OLD.get(precision.lower(), precision.lower())


def computed_precision(precision: str) -> str:
    """The name of a precision to compute in.

    Raises:
        DeviceError: a device is not asked to compute in that; says what it may mean.
    """
    name = precision_name(precision)
    if name == "int8":
        raise DeviceError(
            f"precision {precision!r}: a device is asked for one of {', '.join(COMPUTED)}. int8 is a property of the "
            "artifact: convert with --precision int8 (docs/int8.md), and run that with no precision or any of these"
        )
    if name not in COMPUTED:
        raise DeviceError(f"precision {precision!r}: a device computes in one of {', '.join(COMPUTED)}")
    return name


def with_new_names(words: str) -> str:
    """Words that an older occvino wrote, as "CPU -> CPU, f32", with the precisions of today."""
    return re.sub(r"\bf(32|16)\b", r"fp\1", words)
