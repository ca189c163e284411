"""A benchmark on a terminal."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from occvino.bench.benchmark import Benchmark
from occvino.bench.fresh import Start, Starts
from occvino.bench.streams import Throughput
from occvino.bench.times import PERCENTS, Times, needed

STARTS = {
    "without_cache": "without a cache",
    "filling_cache": "filling a cache",
    "warm_cache": "from a cache",
}


def print_benchmark(console: Console, found: Benchmark) -> None:
    """Times by step, then one line for each of the rest, and what was not told and why."""
    table = Table(title="Milliseconds", title_justify="left")
    table.add_column("", no_wrap=True)
    for column in ("count", "best", "mean", *(f"p{percent}" for percent in PERCENTS)):
        table.add_column(column, justify="right")
    for name, times in _rows(found):
        given = (times.best, times.mean, *(times.percentile(percent) for percent in PERCENTS))
        table.add_row(name, f"{len(times)}", *("-" if value is None else f"{value:.2f}" for value in given))
    console.print(table)
    for line in (_streamed(found.throughput), *_started(found.starts), *_notes(found)):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _rows(found: Benchmark) -> Iterator[tuple[str, Times]]:
    plan_in = "infer" if found.remembers else "prepare"
    yield "call, rig as before", found.still.whole
    for step, times in found.still.steps.items():
        yield f"  {step}", times
        if step == "infer":
            yield from ((f"    {stage}", each) for stage, each in found.still.stages.items())
    if found.moving and found.plans:
        yield "call, another rig each", found.moving.whole
        yield f"  {plan_in} with new plan", found.moving.steps[plan_in]
        yield "new plan alone", found.plans


def _streamed(found: Throughput) -> str:
    values = found.to_dict()
    spread = f"{values['stream_over_loop_least']:.2f} to {values['stream_over_loop_most']:.2f}"
    return (
        f"stream {values['stream_frames_per_s']:.2f} frames/s, plain loop {values['loop_frames_per_s']:.2f}: "
        f"{values['stream_over_loop']:.2f} times ({spread} in {values['turns']} turns of {found.frames} frames each)"
    )


def _started(found: Starts) -> Iterator[str]:
    yield "first labels after " + ", ".join(
        f"{start.first_frame_ms:.0f} ms {_start_name(name, start)}" for name, start in found.starts.items()
    )
    peak = found.peak_memory_mib
    told = "not known: only Linux tells" if peak is None else f"{peak:.0f} MiB"
    yield f"peak memory of a process that opens it and runs two frames: {told}"


def _start_name(name: str, start: Start) -> str:
    read = "" if name != "warm_cache" or start.from_cache else ", which was not read"
    return f"{STARTS[name]}{read} (opening it {start.open_ms:.0f})"


def _notes(found: Benchmark) -> Iterator[str]:
    yield (
        f"Images: {found.images}. prepare reads them, resizes them unless the IR does, and makes the plan where "
        "the rig moved; infer is the device; finish makes the result."
    )
    if found.remembers:
        yield "The artifact is a stream: its plans depend on past frames, and are made in infer."
    if found.plans is None:
        yield "The calibration is baked in, so that the rig cannot move."
    missing = [percent for percent in PERCENTS if found.still.whole.percentile(percent) is None]
    if missing:
        wanted = ", ".join(f"p{percent} takes {needed(percent)}" for percent in missing)
        yield f"{len(found.still.whole)} calls were made; {wanted}: give more --seconds and --frames."
    if found.starts.error:
        yield f"With a cache: {found.starts.error}"
    yield f"First frames are one process each, without importing Python modules. {found.seconds:.0f} s in all."
