"""FlashOcc camera-only 3D occupancy on Intel hardware: the public API, and nothing else.

Names are imported when first used, so that running an IR needs neither torch nor onnx.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from occvino.errors import warn
from occvino.telemetry import telemetry_off

# not lazily: importing the module of the same name later would put that module in the function's place
from occvino.variants import variants

__version__ = "0.2.0"

telemetry_off()

if TYPE_CHECKING:
    from occvino.conversion import convert
    from occvino.conversion.verify import verify
    from occvino.doctor import diagnose
    from occvino.geometry.camera import Camera
    from occvino.geometry.lift import PoolingPlan
    from occvino.geometry.rig import Rig
    from occvino.networks import build
    from occvino.runtime import Failure, Frame, Occupancy, Pipeline

_HOME = {
    "Camera": "occvino.geometry.camera",
    "Failure": "occvino.runtime",
    "Frame": "occvino.runtime",
    "Occupancy": "occvino.runtime",
    "Pipeline": "occvino.runtime",
    "PoolingPlan": "occvino.geometry.lift",
    "Rig": "occvino.geometry.rig",
    "build": "occvino.networks",
    "convert": "occvino.conversion",
    "diagnose": "occvino.doctor",
    "verify": "occvino.conversion.verify",
}

__all__ = [
    "Camera",
    "Failure",
    "Frame",
    "Occupancy",
    "Pipeline",
    "PoolingPlan",
    "Rig",
    "build",
    "convert",
    "diagnose",
    "variants",
    "verify",
]


_MODULES = (
    *(
        "artifact",
        "bench",
        "bev_pool",
        "conversion",
        "datasets",
        "doctor",
        "errors",
        "evaluation",
        "geometry",
        "images",
    ),
    *("metrics", "networks", "runtime", "synth", "training", "viz"),
)
"""Modules that `import occvino` alone makes reachable, as `occvino.doctor.patch`, which the doctor prints."""
_RENAMED = {"Shot": "Frame"}
"""Names of before, which still work for one release."""


def __getattr__(name: str) -> Any:
    if name in _RENAMED:
        warn(f"occvino.{name} is called occvino.{_RENAMED[name]} now", DeprecationWarning)
        name = _RENAMED[name]
    if name in _MODULES:
        return import_module(f"occvino.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'occvino' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
