"""Compile a graph in another process first: a plugin that dies of it must not take the report with it.

OpenVINO 2026.4 ends the process with a segmentation fault while it compiles the Pyramid Occupancy Network for the CPU.
"""

from __future__ import annotations

import atexit
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_WORKER = """
import sys
import occvino  # first: OpenVINO reports its import
import openvino
core = openvino.Core()
for line in sys.stdin:
    try:
        core.compile_model(line.strip(), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    except Exception:
        pass  # an error is for the process that asked: it meets the same and tells of it
    print("done", flush=True)
"""


class Trial:
    """One process that compiles graph after graph; begun when first asked, and anew when it has died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def compiles(self, model: Any) -> None:
        """Compile this `openvino.Model` for the CPU elsewhere.

        Raises:
            RuntimeError: the process died of it.
        """
        import openvino as ov

        with tempfile.TemporaryDirectory(prefix="occvino-doctor-") as folder:
            path = Path(folder) / "model.xml"
            ov.save_model(model, path, compress_to_fp16=False)
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(f"{path}\n")
                process.stdin.flush()
                answered = bool(process.stdout.readline())
            except OSError:  # it went before it read this
                answered = False
        if not answered:
            self._process = None
            raise RuntimeError(
                f"OpenVINO's CPU plugin ends the process while it compiles this graph ({_how(process.wait())})"
            )

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            atexit.register(self._process.kill)
        return self._process


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


TRIAL = Trial()
