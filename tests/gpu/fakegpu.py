"""Make OpenVINO's real GPU plugin run on a machine that has no GPU. See README.md in this folder.

Import this in a process of its own, call `activate` before `import openvino`, and the device list holds "GPU".
"""

import ctypes
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("fakegpu.c")
RUNTIME = Path(sys.prefix) / "lib"
"""Where pip puts the libraries of intel-opencl-rt and intel-cmplr-lib-rt."""

_FIRST = ("libtbb.so.12", "libintlc.so.5", "libirng.so", "libimf.so", "libsvml.so", "libOpenCL.so.1")
"""In this order: the TBB that OpenVINO bundles lacks a symbol of the OpenCL runtime, and the loader cannot find the
others by itself. With the wrong TBB the plugin reports no GPU and no error."""


def missing() -> str | None:
    """What stands in the way, in words with the fix; None if nothing does."""
    absent = [name for name in ("libintelocl.so", *_FIRST) if not (RUNTIME / name).exists()]
    if absent:
        return f'{absent[0]} is not in {RUNTIME}: pip install "occvino[gpu-test]"'
    return None


def build_layer(folder: Path) -> Path:
    """Compile the OpenCL layer; half a second, no headers needed."""
    layer = folder / "libfakegpu.so"
    subprocess.run(["cc", "-O2", "-fPIC", "-shared", "-o", layer, SOURCE], check=True)
    return layer


def activate(layer: Path) -> None:
    """Point this process at the CPU's OpenCL runtime behind the layer."""
    vendors = Path(tempfile.mkdtemp(prefix="icd"))
    (vendors / "intel-cpu.icd").write_text(f"{RUNTIME / 'libintelocl.so'}\n")
    os.environ["OCL_ICD_VENDORS"] = f"{vendors}/"
    os.environ["OPENCL_LAYERS"] = str(layer.resolve())
    for name in _FIRST:
        ctypes.CDLL(str(RUNTIME / name), ctypes.RTLD_GLOBAL)
