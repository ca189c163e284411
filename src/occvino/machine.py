"""What the system tells about where it runs, and about this process."""

import platform
from pathlib import Path

_STATUS, _CPUS, _MEMORY = (Path("/proc") / name for name in ("self/status", "cpuinfo", "meminfo"))


def cpu_name() -> str:
    """As Linux tells it, else as Python does."""
    lines = _CPUS.read_text().splitlines() if _CPUS.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def memory_mib() -> float | None:
    """Of the machine; None where the system does not tell (it is Linux's)."""
    lines = _MEMORY.read_text().splitlines() if _MEMORY.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("MemTotal")), None)


def peak_memory_mib() -> float | None:
    """High-water mark of this process's own memory; `ru_maxrss` would hold that of the process that started it.

    None where the system does not tell (it is Linux's).
    """
    if not _STATUS.exists():
        return None
    return next(int(line.split()[1]) / 1024 for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
