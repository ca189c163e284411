"""The command `occvino bugreport`: what a person who is to help needs to know, and nothing about who asks."""

import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from occvino import __version__
from occvino.artifact import Artifact
from occvino.cli.console import print_json, say
from occvino.cli.options import Json
from occvino.machine import cpu_name, memory_mib
from occvino.runtime.devices import devices_here

_SWITCHES = re.compile(r"^(OCCVINO|OV|OPENVINO|OMP|KMP)_")
_RECORDED = ("precision", "temporal", "cameras", "outputs", "input_size", "baked_calibration", "crop", "versions")


def bugreport(
    artifact: Annotated[Path | None, typer.Argument(help="Artifact that it is about.")] = None,
    as_json: Json = False,
) -> None:
    """Print what an issue needs, to paste: versions and devices.

    No paths, no names of people or machines, no addresses, and nothing is sent anywhere.

    Example: occvino bugreport m0
    """
    found = collect(Artifact.open(artifact) if artifact else None)
    if as_json:
        print_json(found)
    else:
        say("\n".join(f"{name}: {_words(value)}" for name, value in found.items()))


def collect(artifact: Artifact | None = None) -> dict[str, Any]:
    """What is told, as plain values."""
    found: dict[str, Any] = {
        "occvino": __version__,
        "python": f"{platform.python_version()} ({sys.implementation.name})",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": f"{cpu_name()}, {os.cpu_count()} threads",
        "memory": f"{memory / 1024:.0f} GiB" if (memory := memory_mib()) else "not known",
        "devices": devices_here(),
        "packages": _packages(),
        "switches": sorted(name for name in os.environ if _SWITCHES.match(name)),
    }
    if artifact is not None:
        found["artifact"] = _artifact(artifact)
    return found


def _packages() -> dict[str, str]:
    """Installed versions of what this package works with, and which of it is not there."""
    lines = [line for line in metadata.requires("occvino") or () if "extra == 'dev'" not in line]
    names = {re.split(r"[^\w.-]", line)[0] for line in lines} - {"occvino"}
    found: dict[str, str] = {}
    for name in sorted(names):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _artifact(artifact: Artifact) -> dict[str, Any]:
    manifest = artifact.manifest
    found: dict[str, Any] = {"variant": manifest.variant}
    found |= {name: getattr(manifest, name) for name in _RECORDED}
    found["image_input"] = str(manifest.image_input) if manifest.image_input else None
    found["weights"] = "random" if "random_seed" in manifest.weights else "of a checkpoint"
    parity = manifest.parity
    kept = ("ok", "first_divergence", "proves_little", "onnx_labels", "ir_labels", "as_run")
    found["verified"] = {name: parity.get(name) for name in kept} if parity else "never"
    return found


def _words(value: Any, depth: int = 1) -> str:
    if isinstance(value, dict):
        lines = (f"{'  ' * depth}{name}: {_words(each, depth + 1)}" for name, each in value.items())
        return "\n" + "\n".join(lines)
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)
