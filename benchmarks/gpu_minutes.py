"""Some minutes of a GPU, used well: render synthetic scenes on all cores, then train on the GPU, and keep the result.

    python -m benchmarks.gpu_minutes --out run --render-minutes 4 --train-minutes 9

Writes a set for each core to OUT/sets/seed-0001 and so on, the run to OUT, and OUT/occvino-nano.safetensors. Without a
GPU it trains on the CPU. Called again with `--render-minutes 0` it goes on with the run for that many minutes more.
The learning rate falls to zero as the time ends: the first steps are timed, and as many are planned as will fit.
"""

import argparse
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from occvino.datasets.nuscenes import NuScenes
from occvino.networks.checkpoint import build, shipped_weights
from occvino.synth.write import SynthSettings, synthesize
from occvino.training.examples import Samples, samples_of
from occvino.training.loop import Training, TrainSettings
from occvino.variants import get_variant

VARIANT = "occvino-nano"
HELD_OUT_SEED = 1001
FRAMES, WIDTH = 6, 352
SAVES = 5
"""How often a run is saved and measured, spread over its time."""
_SPARE = 0.95
"""Share of the time that steps are planned for; the rest is for measuring and saving."""
_NO_END = 10**7


def render_set(folder: Path, seed: int, deadline: float, frames: int = FRAMES) -> int:
    """Write scenes until the time `deadline` (`time.time`), at least one; gives how many the set has then."""
    scenes = len(list((folder / ".scenes").glob("*.json")))
    while scenes == 0 or time.time() < deadline:
        scenes += 1
        for _ in synthesize(folder, scenes, SynthSettings(seed, frames, WIDTH)):
            pass
    return scenes


def render(sets: Path, minutes: float, processes: int, frames: int = FRAMES) -> None:
    """A set for each process, of seeds 1, 2, ... What is there already is kept and extended."""
    if not 1 <= processes < HELD_OUT_SEED:
        raise SystemExit(f"--processes is {processes}: from 1 to {HELD_OUT_SEED - 1}, seed {HELD_OUT_SEED} is held out")
    deadline = time.time() + 60 * minutes
    # a fresh interpreter for each: a fork of one that has threads may hang
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        begun = [
            pool.submit(render_set, sets / f"seed-{seed:04}", seed, deadline, frames)
            for seed in range(1, processes + 1)
        ]
        print(f"rendered {sum(each.result() for each in begun)} scenes of {frames} frames", flush=True)


def train(
    settings: TrainSettings,
    frames: Sequence[Samples],
    out: Path,
    minutes: float,
    *,
    first_weights: Path | None = None,
    validation: Sequence[Samples] = (),
    probe: int = 20,
) -> Training:
    """Train for so many minutes, or go on with the run in `out`; the weights are written at the end.

    Args:
        settings: their `steps` are not used.
        frames: to learn from.
        out: folder of the run.
        minutes: from now on.
        first_weights: of a run that has not begun; random ones when left out.
        validation: measured `SAVES` times.
        probe: steps that are timed, at least one.
    """
    deadline = time.monotonic() + 60 * minutes
    device = "cuda" if torch.cuda.is_available() else "cpu"
    where: dict[str, Any] = {"device": device, "readers": os.cpu_count() if device == "cuda" else 1}
    training = Training(replace(settings, steps=_NO_END), frames, out, **where)
    if first_weights and not training.step:
        training.begin_with(build(settings.variant, first_weights).state_dict())
    seconds = _seconds_a_step(training, probe)
    planned = training.step + max(1, int(_SPARE * (deadline - time.monotonic()) / seconds))
    print(f"{seconds:.3f} s a step on {device}: {planned} steps", flush=True)
    training = Training(replace(settings, steps=planned), frames, out, **where)
    pause = max(1, (planned - training.step) // SAVES)
    for line in training.run(validation, report_every=min(50, pause), save_every=pause):
        print("  ".join(f"{name} {value:.4g}" for name, value in line.items()), flush=True)
        if time.monotonic() > deadline:
            training.save()
            break
    training.export(out / f"{settings.variant}.safetensors")
    return training


def _seconds_a_step(training: Training, probe: int) -> float:
    """Mean time of `probe` steps after the first one, which is slow; the run is saved after them."""
    times: list[float] = []
    for _ in training.run(report_every=1, save_every=_NO_END):
        times.append(time.monotonic())
        if len(times) > probe:
            break
    training.save()
    return (times[-1] - times[0]) / probe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--render-minutes", type=float, default=4)
    parser.add_argument("--train-minutes", type=float, default=9)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--frames", type=int, default=FRAMES, help="a scene")
    parser.add_argument("--probe", type=int, default=20, help="steps that are timed")
    parser.add_argument("--validation", type=Path, help="held-out set; 20 of its frames are measured")
    parser.add_argument("--first-weights", type=Path, default=shipped_weights(VARIANT), help="the shipped ones")
    options = parser.parse_args()
    sets, variant = options.out / "sets", get_variant(VARIANT)
    if options.render_minutes:
        render(sets, options.render_minutes, options.processes, options.frames)
    frames = [samples for folder in sorted(sets.iterdir()) for samples in samples_of(NuScenes(folder), variant)]
    held_out = samples_of(NuScenes(options.validation), variant) if options.validation else []
    train(
        TrainSettings(VARIANT, learning_rate=1e-3, bf16=True),
        frames,
        options.out,
        options.train_minutes,
        first_weights=options.first_weights,
        validation=held_out[:: max(1, len(held_out) // 20)],
        probe=options.probe,
    )


if __name__ == "__main__":
    main()
