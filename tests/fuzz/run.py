"""Fuzz every reader: `python -m tests.fuzz.run --minutes 60 --seed 1`; what was found, by kind, as JSON with --json.

Each reader runs in a process of its own, under a limit of memory; a file that takes over ten seconds, or kills the
process, is a fault as well. Files that show a fault are kept in --keep.
"""

import argparse
import faulthandler
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

SECONDS = 10
EXTRA_MIB = 2048
"""What a reader may take on top of what is loaded when it starts."""


class TooSlow(BaseException):
    """A file that took over `SECONDS`."""


def _alarm(*_: object) -> None:
    raise TooSlow


def limit_memory() -> None:
    """Let the process have no more than `EXTRA_MIB` of address space over what it has."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + EXTRA_MIB * 2**20, hard))


def fuzz(name: str, *, seed: int, count: int | None, seconds: float | None, keep: Path | None) -> Counter[str]:
    """So many files, or so many seconds, in this process."""
    from tests.fuzz.readers import outcome, readers

    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        reader = readers(Path(folder))[name]
        path = Path(folder) / f"changed{reader.suffix}"
        limit_memory()
        signal.signal(signal.SIGALRM, _alarm)
        start, number = time.monotonic(), 0
        while number < (count or sys.maxsize) and time.monotonic() - start < (seconds or 1e9):
            data = reader.make(np.random.default_rng((seed, number)))
            (Path(folder) / "last").write_bytes(data)
            signal.alarm(SECONDS)
            try:
                what = outcome(reader, data, path)
            except TooSlow:
                what = f"took over {SECONDS} s"
            finally:
                signal.alarm(0)
            found[what] += 1
            if what not in ("read", "refused") and keep is not None and found[what] == 1:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{name}-{seed}-{number}{reader.suffix}").write_bytes(data)
            number += 1
    return found


def names() -> list[str]:
    """Of all readers."""
    from tests.fuzz.readers import readers

    with tempfile.TemporaryDirectory() as folder:
        return list(readers(Path(folder)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="readers whose name contains this")
    parser.add_argument("--one", help="one reader, in this process")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.one:
        faulthandler.enable()
        seconds = 60 * options.minutes
        print(json.dumps(fuzz(options.one, seed=options.seed, count=None, seconds=seconds, keep=options.keep)))
        return
    chosen = [name for name in names() if options.only in name]
    results: dict[str, dict[str, int]] = {}
    for name in chosen:
        command = [sys.executable, "-m", "tests.fuzz.run", "--one", name, "--seed", str(options.seed)]
        command += ["--minutes", str(options.minutes / len(chosen))]
        command += ["--keep", str(options.keep)] if options.keep else []
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        lines = done.stdout.splitlines()
        results[name] = json.loads(lines[-1]) if lines and not done.returncode else {f"died: {done.returncode}": 1}
        print(name, results[name], done.stderr[-1500:] if done.returncode else "", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
