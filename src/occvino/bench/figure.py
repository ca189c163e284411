"""A benchmark as a figure: how calls spread, where their time goes, throughput and first frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from PIL import Image, ImageDraw

from occvino.bench.benchmark import Benchmark, machine, versions
from occvino.bench.calls import Calls
from occvino.bench.fresh import Start
from occvino.bench.table import STARTS
from occvino.bench.times import PERCENTS, Times
from occvino.viz import drawing
from occvino.viz.palette import INK, MUTED, PAGE, PANEL, RULE, SOFT, Colour

BLUE, ORANGE, GREEN, VIOLET, GREY = (38, 145, 240), (252, 128, 62), (58, 176, 92), (158, 94, 232), (128, 136, 150)
_SIZE = (1240, 730)
_MARGIN, _HEAD, _LEFT = 36, 116, 600
_SUPER = 4
_STEPS: dict[str, Colour] = {
    "prepare": GREEN,
    "infer": BLUE,
    "encoder": BLUE,
    "pool": VIOLET,
    "trunk": ORANGE,
    "finish": GREY,
}


@dataclass(frozen=True)
class Bar:
    """One bar: its name, its parts with their colours, and the words at its end."""

    name: str
    parts: Sequence[tuple[Colour, float]]
    words: str


def draw(found: Benchmark) -> Image.Image:
    """One page, dark as all figures of occvino."""
    page = Image.new("RGB", _SIZE, PAGE)
    pen = ImageDraw.Draw(page)
    drawing.text(pen, (_MARGIN, _MARGIN + 18), f"{found.variant}, {found.stored} weights", drawing.TITLE, INK)
    drawing.text(pen, (_MARGIN, _MARGIN + 46), str(found.running), drawing.BODY, MUTED)
    kinds = {"rig as before": (BLUE, found.still.whole)}
    if found.moving:
        kinds["another rig each call"] = (ORANGE, found.moving.whole)
    _spread(page, (_MARGIN, _HEAD, _LEFT, 520), kinds)
    right = _LEFT + 56
    steps = {"rig as before": found.still} | ({"another rig each": found.moving} if found.moving else {})
    _bars(
        page, (right, _HEAD), "Where a call goes: mean, ms", [_call_bar(name, calls) for name, calls in steps.items()]
    )
    _key(page, (right, _HEAD + 44 + 40 * len(steps)), _used(found.still))
    rates = found.throughput
    speed = [("plain loop", GREY, median(rates.loop)), ("stream", BLUE, median(rates.stream))]
    _bars(
        page,
        (right, 320),
        f"Frames a second: median of {len(rates.loop)} turns of {rates.frames} frames",
        [Bar(name, [(colour, value)], f"{value:.2f}") for name, colour, value in speed],
    )
    starts = found.starts.starts
    _bars(
        page,
        (right, 490),
        "First labels: from opening on, ms",
        [_start_bar(STARTS[name], start) for name, start in starts.items()],
    )
    _key(page, (right, 534 + 40 * len(starts)), {"opening": VIOLET, "first call": BLUE})
    _figures(page, (_MARGIN, 580), found, kinds)
    return page


def _call_bar(name: str, calls: Calls) -> Bar:
    """Means of the steps add up to that of the call; a split network is shown by stage."""
    values = {step: times.mean for step, times in calls.steps.items()}
    if calls.stages:
        stages = {stage: times.mean for stage, times in calls.stages.items()}
        values = {"prepare": values["prepare"], **stages, "finish": values["finish"]}
    return Bar(name, [(_STEPS[step], value) for step, value in values.items()], f"{calls.whole.mean:.1f}")


def _start_bar(name: str, start: Start) -> Bar:
    parts = [(VIOLET, start.open_ms), (BLUE, start.first_frame_ms - start.open_ms)]
    return Bar(name, parts, f"{start.first_frame_ms:.0f}")


def _used(calls: Calls) -> dict[str, Colour]:
    names = ("prepare", *(calls.stages or ("infer",)), "finish")
    return {name: _STEPS[name] for name in names}


def _bars(page: Image.Image, at: tuple[int, int], title: str, bars: Sequence[Bar]) -> None:
    """Horizontal, on one scale from 0."""
    pen, (left, top) = ImageDraw.Draw(page), at
    drawing.text(pen, (left, top), title, drawing.HEADING, SOFT)
    room, start = _SIZE[0] - _MARGIN - left - 190, left + 126
    longest = max(sum(value for _, value in bar.parts) for bar in bars)
    for index, bar in enumerate(bars):
        y, x = top + 22 + 40 * index, float(start)
        drawing.text(pen, (left, y + 18), bar.name, drawing.BODY, SOFT)
        for colour, value in bar.parts:
            begin, x = round(x), x + room * value / longest
            if round(x) > begin:
                pen.rectangle((begin, y, round(x) - 1, y + 25), fill=colour)
        drawing.text(pen, (x + 10, y + 18), bar.words, drawing.BODY, INK)


def _key(page: Image.Image, at: tuple[int, int], names: dict[str, Colour]) -> None:
    pen, (x, y) = ImageDraw.Draw(page), at
    for name, colour in names.items():
        pen.rectangle((x, y - 10, x + 11, y + 1), fill=colour)
        drawing.text(pen, (x + 18, y), name, drawing.SMALL, MUTED)
        x += 40 + round(drawing.text_width(name, drawing.SMALL))


def _spread(page: Image.Image, box: tuple[int, int, int, int], kinds: dict[str, tuple[Colour, Times]]) -> None:
    """For each kind of calls the share of them that was done within a time."""
    pen, (left, top, right, bottom) = ImageDraw.Draw(page), box
    drawing.text(pen, (left, top), "Calls, images to labels: share done within a time", drawing.HEADING, SOFT)
    left, top, bottom = left + 44, top + 22, bottom - 28
    every = sorted(each for _, times in kinds.values() for each in times.each_ms)
    low, high = 0.95 * every[0], max(1.05 * every[0], min(every[-1], 3 * every[len(every) // 2]))
    pen.rectangle((left, top, right, bottom), fill=PANEL)
    for share in (0, 25, 50, 75, 90, 100):
        y = bottom - share * (bottom - top) / 100
        pen.line((left, y, right, y), fill=RULE)
        drawing.text(pen, (left - 8, y + 4), f"{share} %", drawing.SMALL, MUTED, "rs")
    scale = (right - left) / (high - low)
    for tick in _ticks(low, high):
        x = left + (tick - low) * scale
        pen.line((x, top, x, bottom), fill=RULE)
        drawing.text(pen, (x, bottom + 18), f"{tick:g}", drawing.SMALL, MUTED, "ms")
    drawing.text(pen, (left - 8, bottom + 18), "ms", drawing.SMALL, MUTED, "rs")
    layer = Image.new("RGBA", ((right - left) * _SUPER, (bottom - top) * _SUPER))
    for colour, times in kinds.values():
        line = _steps(times, (low, high), layer.size)
        ImageDraw.Draw(layer).line(line, fill=(*colour, 255), width=2 * _SUPER + 2, joint="curve")
    layer = layer.resize((right - left, bottom - top), Image.Resampling.BOX)
    page.paste(layer, (left, top), layer)
    beyond = sum(each > high for each in every)
    if beyond:
        drawing.tag(page, (right - 8, bottom - 8), f"{beyond} calls took longer, up to {every[-1]:.0f} ms", anchor="rb")


def _steps(times: Times, span: tuple[float, float], size: tuple[int, int]) -> list[tuple[float, float]]:
    """Corners of the curve that rises by one call's share at each call's time."""
    low, high = span
    points, share = [(0.0, float(size[1]))], 0.0
    for each in sorted(times.each_ms):
        x = (each - low) / (high - low) * size[0]
        points.append((x, size[1] * (1 - share)))
        share += 1 / len(times)
        points.append((x, size[1] * (1 - share)))
    return [*points, (max(float(size[0]), points[-1][0]), 0.0)]


def _ticks(low: float, high: float) -> list[float]:
    """Round values, at most eight."""
    step = next(
        scale * step for scale in _powers(high - low) for step in (1, 2, 5) if (high - low) / (scale * step) <= 7
    )
    first = int(low / step) + 1
    return [round(step * number, 9) for number in range(first, int(high / step) + 1)]


def _powers(span: float) -> list[float]:
    """Powers of ten from far below a span to above it."""
    found = [1e-3]
    while found[-1] < span:
        found.append(10 * found[-1])
    return found


def _figures(page: Image.Image, at: tuple[int, int], found: Benchmark, kinds: dict[str, tuple[Colour, Times]]) -> None:
    """The percentiles of each kind, and the memory."""
    pen, (left, top) = ImageDraw.Draw(page), at
    columns = [left + 264 + 75 * index for index in range(2 + len(PERCENTS))]
    drawing.text(pen, (left, top), "ms", drawing.SMALL, MUTED)
    for x, head in zip(columns, ("best", "mean", *(f"p{percent}" for percent in PERCENTS)), strict=True):
        drawing.text(pen, (x, top), head, drawing.SMALL, MUTED, "rs")
    for index, (name, (colour, times)) in enumerate(kinds.items()):
        y = top + 30 + 30 * index
        pen.rectangle((left, y - 11, left + 11, y), fill=colour)
        drawing.text(pen, (left + 20, y), f"{name}, {len(times)} calls", drawing.BODY, SOFT)
        values = (times.best, times.mean, *(times.percentile(percent) for percent in PERCENTS))
        for x, value in zip(columns, values, strict=True):
            drawing.text(pen, (x, y), "-" if value is None else f"{value:.1f}", drawing.BODY, INK, "rs")
    peak = found.starts.peak_memory_mib
    told = "not known here" if peak is None else f"{peak:.0f} MiB"
    y = top + 50 + 30 * len(kinds)
    drawing.text(pen, (left, y), f"Peak memory of a process that runs two frames: {told}", drawing.BODY, SOFT)
    ran = (
        f"{machine()['cpu']}, {machine()['logical_cpus']} logical CPUs; OpenVINO {versions()['openvino'].split('-')[0]}"
    )
    drawing.text(pen, (left, y + 24), ran, drawing.SMALL, MUTED)
