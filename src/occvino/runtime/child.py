"""A compiler as a process of its own: its exit code and what it said, and nothing of it left when time is up."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from occvino.errors import DeviceError


def checked_ir(xml: str | Path) -> Path:
    """The whole path of an IR.

    Raises:
        DeviceError: there is no such file.
    """
    path = Path(xml).resolve()
    if not path.is_file():
        raise DeviceError(f"there is no IR {path}")
    return path


def run_logged(
    command: Sequence[str | Path], where: Path, env: Mapping[str, str], timeout: float
) -> tuple[int | None, str]:
    """Run a program in a folder, with more environment; None for its exit code if it took longer than `timeout` s."""
    log = where / "log.txt"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=where, env=os.environ | dict(env), stdout=out, stderr=out, start_new_session=True
        )
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return code, log.read_text(errors="replace")
