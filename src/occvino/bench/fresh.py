"""What only a new process can tell: the time to the first labels, and the peak of memory."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any

from occvino.bench.request import Request
from occvino.errors import OccvinoError
from occvino.files import scratch_folder, to_json
from occvino.machine import peak_memory_mib


@dataclass(frozen=True)
class Start:
    """One process: opening the artifact, and then two frames. Importing Python modules is not counted.

    Attributes:
        open_ms: `Pipeline(...)`: checking the files, compiling or reading from the cache, milliseconds.
        first_frame_ms: from before `Pipeline(...)` to the first labels, milliseconds.
        second_call_ms: the call after that, milliseconds.
        peak_memory_mib: most resident memory of the process; None where the system does not tell (it is Linux's).
        from_cache: the compiled model was read from the cache; None without one.
    """

    open_ms: float
    first_frame_ms: float
    second_call_ms: float
    peak_memory_mib: float | None
    from_cache: bool | None


@dataclass(frozen=True)
class Starts:
    """By what the cache held: "without_cache", "filling_cache" and "warm_cache"; `error` says why one is not there."""

    starts: dict[str, Start]
    error: str | None = None

    @property
    def peak_memory_mib(self) -> float | None:
        """Of the process without a cache."""
        return self.starts["without_cache"].peak_memory_mib

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**{name: asdict(start) for name, start in self.starts.items()}, "cache_error": self.error}


def time_starts(request: Request) -> Starts:
    """Start without a cache, and with a warm one: that of the request, or a temporary one that is filled first.

    Raises:
        OccvinoError: the first start fails. That a device keeps no compiled model is told in `Starts.error`.
    """
    starts = {"without_cache": start(request, None)}
    with scratch_folder() as scratch:
        given = request.options.get("cache")
        try:
            if given is None:
                starts["filling_cache"] = start(request, str(scratch))
            starts["warm_cache"] = start(request, given or str(scratch))
        except OccvinoError as error:
            return Starts(starts, str(error))
    return Starts(starts)


def start(request: Request, cache: str | None) -> Start:
    """One start in a process of its own.

    Raises:
        OccvinoError: what was raised there, or how that process ended.
    """
    # the path of this process, so that no folder that happens to be the current one is imported from
    code = f"import sys; sys.path[:] = {sys.path!r}; from occvino.bench.fresh import main; main()"
    given = to_json({"request": asdict(request), "cache": cache})
    done = subprocess.run([sys.executable, "-X", "faulthandler", "-c", code, given], capture_output=True, text=True)
    try:
        found = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        found = None
    if found is None or done.returncode:  # it may also crash when all is done
        told = done.stderr.strip() or "it said nothing"
        raise OccvinoError(
            f"a process that opens {request.artifact} and runs two frames ended with code {done.returncode}: {told}"
        )
    if "error" in found:
        raise OccvinoError(found["error"])
    return Start(**found)


def main() -> None:
    """Of the new process: prints a `Start` as JSON, or {"error": words}."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    given = json.loads(sys.argv[1])
    try:
        found = asdict(_start(Request(**given["request"]), given["cache"]))
    except OccvinoError as error:
        found = {"error": str(error)}
    print(to_json(found, indent=None))


def _end_with(parent: int) -> None:
    """End when the process that asked has ended, which a signal to it alone does not tell this one."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _start(request: Request, cache: str | None) -> Start:
    frame = next(request.workload().still())
    begin = time.perf_counter()
    pipeline = request.open(cache=cache)
    opened = time.perf_counter()
    pipeline(frame.images, frame.rig, frame.past)
    first = time.perf_counter()
    pipeline(frame.images, frame.rig, frame.past)
    second = time.perf_counter()
    took = (1e3 * (opened - begin), 1e3 * (first - begin), 1e3 * (second - first))
    return Start(*took, peak_memory_mib(), pipeline.running.from_cache)
