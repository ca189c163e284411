"""The command `occvino train`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from occvino.cli.options import VariantName

if TYPE_CHECKING:
    from occvino.training.examples import Samples


def train(
    variant: VariantName,
    dataset: Annotated[
        list[Path], typer.Option(metavar="DIR", help="Folder in nuScenes format with Occ3D labels. Repeatable.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run; an interrupted run goes on from what is there.")],
    validation: Annotated[Path | None, typer.Option(help="Data set on which to measure mIoU every 500 steps.")] = None,
    validation_frames: Annotated[int, typer.Option(help="How many of its frames, spread evenly.")] = 20,
    steps: Annotated[int, typer.Option(help="Steps of the optimiser, in all.")] = 6000,
    batch: Annotated[int, typer.Option(help="Frames a step.")] = 2,
    learning_rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="Seed of the first weights, the order of frames and random changes.")] = 0,
    depth_weight: Annotated[float, typer.Option(help="Weight of the depth loss; 0 leaves it out.")] = 0.3,
    depth_from: Annotated[
        str, typer.Option(help="What tells depth: lidar (its returns) or labels (the first voxel on a pixel's ray).")
    ] = "lidar",
    first_weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Begin with these, such as those that a run wrote; random when left out."),
    ] = None,
    device: Annotated[str, typer.Option(help="What computes: cpu, or cuda with a CUDA build of PyTorch.")] = "cpu",
    threads: Annotated[int | None, typer.Option(help="CPU threads; all when left out.")] = None,
    at_once: Annotated[
        int, typer.Option(help="Frames of a step computed beside each other, on --threads threads each.")
    ] = 1,
    bf16: Annotated[
        bool, typer.Option("--bf16", help="Convolutions in bfloat16: faster where the CPU has it.")
    ] = False,
) -> None:
    """Train a model, on the CPU or a CUDA GPU.

    Writes OUT/VARIANT.safetensors in half precision, which `convert` takes.

    Example: occvino train occvino-nano --dataset scenes --validation held-out --out run
    """
    import torch
    from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

    from occvino.artifact import refuse_inside
    from occvino.datasets.nuscenes import NuScenes
    from occvino.datasets.sample import require_images, require_labels, require_sweeps
    from occvino.networks.checkpoint import build
    from occvino.training.examples import samples_of
    from occvino.training.loop import Training, TrainSettings
    from occvino.training.losses import LossSettings
    from occvino.variants import get_variant

    refuse_inside(out)
    if threads:
        torch.set_num_threads(threads)
    losses = LossSettings(depth=depth_weight, depth_from=depth_from)  # type: ignore[arg-type]  # checked there
    settings = TrainSettings(variant, steps, batch, learning_rate, seed=seed, bf16=bf16, losses=losses)
    model = get_variant(variant)
    frames: list[Samples] = []
    for folder in dataset:
        opened = NuScenes(folder)
        require_labels(opened, opened.root, masked=True)
        require_images(opened)
        if depth_weight > 0 and depth_from == "lidar":
            require_sweeps(opened)
        frames += samples_of(opened, model)
    held_out: list[Samples] = []
    if validation:
        opened = NuScenes(validation)
        held_out = _spread(samples_of(opened, model), validation_frames)
        require_labels([samples[0] for samples in held_out], opened.root, masked=True)
    readers = 1 if device == "cpu" else os.cpu_count() or 1
    training = Training(settings, frames, out, device=device, readers=readers, at_once=at_once)
    if first_weights and not training.step:
        training.begin_with(build(variant, first_weights).state_dict())
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("steps", total=steps, completed=training.step)
        for line in training.run(held_out):
            step = int(line["step"])
            terms = "  ".join(f"{name} {value:.3f}" for name, value in line.items() if name != "step")
            progress.console.print(f"step {step}  {terms}", highlight=False)
            progress.update(task, completed=step)
    training.export(out / f"{training.variant.name}.safetensors")
    typer.echo(f"wrote {out / f'{training.variant.name}.safetensors'}")


def _spread(frames: "list[Samples]", count: int) -> "list[Samples]":
    """At most `count` frames, spread evenly over a set."""
    return [frames[index * len(frames) // count] for index in range(min(count, len(frames)))]
