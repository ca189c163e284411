"""Loss curve of the shipped model, from the log of its training: `python -m benchmarks.curve`."""

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.card import training_log
from benchmarks.harness import RESULTS

mpl.use("Agg")
import matplotlib.pyplot as plt

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "occvino-nano-training.png"


DEPTH_WEIGHTS = 0.3, 1.0
"""Of the two runs; the log has the weighted term."""


def whole_log() -> list[dict[str, Any]]:
    """Both runs, steps counted on, depth without its weight."""
    first, second = training_log()
    last = max(line["step"] for line in first)
    return [
        {**line, "step": line["step"] + before, "depth": line["depth"] / weight}
        for run, weight, before in zip((first, second), DEPTH_WEIGHTS, (0, last), strict=True)
        for line in run
    ]


def main() -> None:
    lines = whole_log()
    figure, (losses, scores) = plt.subplots(1, 2, figsize=(10, 3.6), dpi=130)
    for name, label in (("cross_entropy", "cross entropy"), ("lovasz", "Lovász-softmax"), ("depth", "depth")):
        losses.plot([line["step"] for line in lines], [line[name] for line in lines], label=label, linewidth=1.4)
    losses.set(xlabel="step", ylabel="loss, mean of 50 steps", yscale="log", title="What is minimised")
    losses.minorticks_off()
    losses.set_yticks([0.25, 0.5, 1, 2], ["0.25", "0.5", "1", "2"])
    losses.legend(frameon=False)
    measured = [(line["step"], 100 * line["miou"]) for line in lines if "miou" in line]
    scores.plot(*zip(*measured, strict=True), marker="o", markersize=4, linewidth=1.4, color="tab:green")
    baseline = json.loads((RESULTS / "accuracy.json").read_text())["baseline"]["masked"]["miou"]
    scores.axhline(100 * baseline, color="grey", linestyle="--", linewidth=1)
    scores.annotate(
        "best constant volume", (measured[-1][0], 100 * baseline), (0, 4), textcoords="offset points", ha="right"
    )
    scores.set(xlabel="step", ylabel="mIoU, %", ylim=(0, None), title="20 held-out frames, averaged weights")
    for axes in (losses, scores):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    figure.tight_layout()
    figure.savefig(PICTURE)
    print(f"wrote {PICTURE}")


if __name__ == "__main__":
    main()
