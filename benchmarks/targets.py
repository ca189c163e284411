"""What was aimed at, as ratios within one run, and what came out: the first table of docs/benchmarks.md."""

from collections.abc import Iterator
from typing import Any

from benchmarks import competitor
from benchmarks.frame import OURS, TORCH
from benchmarks.preprocess import GRAPH, PILLOW

NANO, M0, M1 = "occvino-nano", "flashocc-r50-M0", "flashocc-r50"
OCCVINO = "occvino IR,"
Documents = dict[str, dict[str, Any]]


def median(document: dict[str, Any], group: str, name: str) -> float:
    """Milliseconds of a contestant."""
    label = next(label for label in document["results"] if label == group or label.startswith(f"{group}:"))
    return next(row["median"] for row in document["results"][label] if row["name"] == name)


def rows(found: Documents) -> Iterator[tuple[str, str, str, bool]]:
    """What, how much was aimed at, what was measured, and whether that is met."""
    pool, frame, plan = found["pool"], found["frame"], found["plan"]
    bag = median(pool, "M0", "OpenVINO EmbeddingBagOffsetsSum")
    for against, name, least in (
        ("openvino_flashocc's operators", competitor.NAME, 12.0),
        ("gather and ScatterElementsUpdate", "OpenVINO ScatterElementsUpdate sum", 5.0),
    ):
        yield faster(f"pooling, M0, against {against}", median(pool, "M0", name) / bag, least)
    neither = found["profile"]["profile"]["M0"]["neither"]
    yield (
        "what is neither convolution nor matrix product, M0",
        "3 % of a frame or less",
        f"{neither:.1%}",
        neither <= 0.03,
    )
    for variant, name in ((M0, competitor.NAME), (M1, competitor.NETWORKS_ALONE)):
        ratio = median(frame, variant, name) / median(frame, variant, OURS)
        yield faster(f"tensor to labels, {variant}, against {name}", ratio, 1.06)
    ratio = median(found["preprocess"], "M0", PILLOW) / median(found["preprocess"], "M0", GRAPH)
    yield faster("six raw images to the network's tensor, against Pillow on one thread", ratio, 4.0)
    moved = median(plan, "M0", "PoolingPlan.from_calibration")
    yield "plan for a moved rig, 186k points", "10 ms or less", f"{moved:.1f} ms", moved <= 10
    yield from int8(found["int8"])
    yield from against_peers(found["peers"])
    for stored in (f"{M0}, fp16 weights", M0):
        memory = frame["peak_memory_mib"][stored]
        ratio = memory[OURS] / memory[TORCH]
        yield f"peak memory of {stored}, of torch's", "0.6x or less", f"{ratio:.2f}x", ratio <= 0.6


def faster(what: str, ratio: float, least: float) -> tuple[str, str, str, bool]:
    return what, f"{least:g}x or more", f"{ratio:.4g}x", ratio >= least


def int8(found: dict[str, Any]) -> Iterator[tuple[str, str, str, bool]]:
    miou = found["accuracy"]
    loss = 100 * (miou["fp32 IR"]["miou"] - miou["int8 IR"]["miou"])
    yield "INT8: mIoU lost, occvino-nano", "0.3 points or less", f"{loss:+.2f}", loss <= 0.3
    for label, timings in found["results"].items():
        by_name = {row["name"]: row["median"] for row in timings}
        ratio = by_name["fp32 IR"] / by_name["int8 IR"]
        yield faster(f"INT8 against fp32, {label}", ratio, 1.0)


def against_peers(found: dict[str, Any]) -> Iterator[tuple[str, str, str, bool]]:
    """Against the fastest peer of each kind. Which of them lose much of the mIoU is known of occvino-nano alone."""
    miou = {name: each["miou"] for name, each in found["found"][NANO]["miou"].items()}
    peers = [name for name in miou if not name.startswith(OCCVINO)]
    exact = [name for name in peers if miou["torch.compile, f32"] - miou[name] <= 0.003]
    for ours, names, what, least in (
        ("int8", exact, "the fastest peer that loses 0.3 points or less", 1.5),
        ("bf16", [name for name in peers if "bf16" in name], "the fastest peer in 16 bits", 1.3),
    ):
        for model in (NANO, M0):
            rival = min(names, key=lambda name: median(found, model, name))
            ratio = median(found, model, rival) / median(found, model, f"{OCCVINO} {ours}")
            yield faster(f"{ours} against {what}, {model}: {rival}", ratio, least)
    memory = found["found"][M0]["peak_memory_mib"]
    ratio = memory[f"{OCCVINO} int8"] / memory[f"{OCCVINO} fp32"]
    yield f"peak memory of {M0} in int8, of fp32's", "0.5x or less", f"{ratio:.2f}x", ratio <= 0.5
