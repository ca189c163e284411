"""Parameters and multiply-accumulates of every variant, counted without running it: `python -m benchmarks.sizes`.

Networks are built on PyTorch's meta device, which has shapes and no values. Written into the package, for
`occvino info`.
"""

import json

import torch
from torch.utils.flop_counter import FlopCounterMode

from occvino.cli.tables import FIGURES
from occvino.geometry.inputs import input_names
from occvino.networks import FlashOcc
from occvino.variant import Variant
from occvino.variants import get_variant, variants


def inputs_of(variant: Variant, cameras: int = 6) -> dict[str, torch.Tensor]:
    """Empty inputs of the right shapes."""
    height, width = variant.input_size
    lifted, entries = cameras * variant.lifted_frames, variant.plan_entries(cameras)
    index = torch.int32
    shapes = {
        "images": ((cameras * variant.frames, 3, height, width), torch.float32),
        "ranks_depth": ((entries,), index),
        "ranks_feat": ((entries,), index),
        "interval_starts": ((variant.lifted_frames * variant.lift_grid.cells,), index),
        "cameras": ((lifted, 27), torch.float32),
        "warps": ((lifted, 3, 4), torch.float32),
    }
    return {name: torch.empty(shapes[name][0], dtype=shapes[name][1]) for name in input_names(variant)}


def measure(variant: Variant) -> dict[str, float]:
    with torch.device("meta"):
        network = FlashOcc(variant).eval()
        inputs = inputs_of(variant)
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            network.taps(*inputs.values())
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return {"parameters_millions": round(parameters / 1e6, 2), "gmacs": round(counter.get_total_flops() / 2e9, 1)}


def main() -> None:
    found = {name: measure(get_variant(name)) for name in variants()}
    known = json.loads(FIGURES.read_text()) if FIGURES.is_file() else {}
    merged = {name: {**known.get(name, {}), **figures} for name, figures in found.items()}
    FIGURES.write_text(json.dumps(merged, indent=1) + "\n")
    for name, figures in found.items():
        print(f"{name:50} {figures}")


if __name__ == "__main__":
    main()
