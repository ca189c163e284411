"""Two things that were seen once and never explained, hunted: `python -m benchmarks.hunt ARTIFACT --times 200`.

* exit: a process that ends while a stream is suspended in a global (once it hung);
* start: the short process in which `occvino bench` times a first frame (once it crashed natively).

Each repetition is a process of its own with faulthandler; `--load` more processes keep the processors busy meanwhile.
Prints counts of exit codes, what hung with all stacks, and what was written to stderr where the code is not the usual.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

SUSPENDED = """
import faulthandler, sys, itertools
faulthandler.dump_traceback_later({limit}, exit=True)
from occvino.datasets.shipped import frames_for
from occvino.runtime import Pipeline
pipeline = Pipeline({artifact!r})
((images, rig), *_) = frames_for({artifact!r})
results = pipeline.stream(itertools.repeat((images, rig)), window={window})
for _ in range({taken}):
    next(results)
raise SystemExit(7)
"""
USUAL = {"exit": 7, "start": 0}
LIMIT = 120


def commands(artifact: Path, kind: str) -> Iterator[list[str]]:
    """Endless, in a few forms."""
    number = 0
    while True:
        number += 1
        if kind == "exit":
            code = SUSPENDED.format(artifact=str(artifact), limit=LIMIT, window=1 + number % 6, taken=number % 3)
            yield [sys.executable, "-X", "faulthandler", "-c", code]
        else:
            given = json.dumps({"request": {"artifact": str(artifact)}, "cache": None})
            code = "from occvino.bench.fresh import main; main()"
            yield [sys.executable, "-X", "faulthandler", "-c", code, given]


@contextlib.contextmanager
def load(processes: int) -> Iterator[None]:
    """That many loops beside the work."""
    code = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: sum(range(100000))"
    burning = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in burning:
            process.kill()


def hunt(artifact: Path, kind: str, times: int) -> Counter[str]:
    """Run it so many times; counts by outcome."""
    found: Counter[str] = Counter()
    for _, command in zip(range(times), commands(artifact, kind), strict=False):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT + 30)
            outcome = "as usual" if done.returncode == USUAL[kind] else f"exit code {done.returncode}"
            if done.returncode != USUAL[kind]:
                print(f"--- {kind}: {outcome}\n{done.stderr[-4000:]}", flush=True)
        except subprocess.TimeoutExpired as error:
            outcome = "hung, and could not even dump its stacks"
            print(f"--- {kind}: {outcome}\n{error.stderr}", flush=True)
        found[outcome] += 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--load", type=int, default=3)
    options = parser.parse_args()
    with load(options.load):
        for kind in USUAL:
            start = time.perf_counter()
            found = hunt(options.artifact, kind, options.times)
            print(f"{kind}: {dict(found)} in {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
