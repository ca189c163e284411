"""Custom functions are known by what they do: poolers and attention of any name, and functions of several values."""

import numpy as np
import openvino as ov
import pytest
import torch
from torch import nn

from occvino.doctor import patch
from occvino.doctor.patch import patches_of
from occvino.doctor.recipe_functions import function_recipe
from occvino.doctor.watch import observe
from tests.doctor.zoo import pooling
from tests.doctor.zoo.pair import image

RANDOM = torch.Generator().manual_seed(3)
VOXELS = torch.randint(-1, 5, (2, 3, 2, 4, 2, 3), generator=RANDOM)  # [B, N, D, H, W, 3], some outside
SIZES = torch.tensor([4, 3, 2])
PLACES = torch.stack([torch.randint(0, n, (9,), generator=RANDOM) for n in (3, 4)], -1)
RANKS = torch.tensor([0, 0, 1, 3, 3, 3, 5, 5, 8])
SHAPES, STARTS = torch.tensor([[3, 4], [2, 2]]), torch.tensor([0, 12])


class Apply(nn.Module):
    def __init__(self, function, *fixed):
        super().__init__()
        self.function, self.fixed = function, fixed

    def forward(self, *args):
        given = self.function.apply(*args, *self.fixed)
        return tuple(part * 2 for part in given) if isinstance(given, tuple) else given * 2


class Attention(nn.Module):
    """The levels are the module's own: their sizes are numbers in a graph."""

    def forward(self, value, locations, weights):
        return pooling.DeformableCore.apply(value, SHAPES, STARTS, locations, weights, 64) * 2


CASES = {
    "VoxelPoolingTrain": (Apply(pooling.VoxelPoolingTrain, SIZES), VOXELS, image(2, 3, 2, 4, 2, 5)),
    "VoxelPoolingInference": (
        Apply(pooling.VoxelPoolingInference, SIZES), VOXELS, image(6, 2, 4, 2), image(6, 5, 4, 2)
    ),
    "Pillarise": (Apply(pooling.Pillarise), image(9, 5), PLACES),
    "VoxelsSumming": (
        Apply(pooling.VoxelsSumming), image(9, 5), torch.stack([RANKS % 3, RANKS // 3, RANKS], -1), RANKS
    ),
    "DeformableCore": (
        Attention(), image(2, 16, 2, 5), image(2, 3, 2, 2, 4, 2) * 1.4 - 0.2, image(2, 3, 2, 2, 4)
    ),
    "Pair": (Apply(pooling.Pair), image(9, 5), RANKS),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_patch_puts_stock_operators_there_and_openvino_agrees_on_other_inputs(name):
    module, *args = CASES[name]
    seen = observe(module, tuple(args), {})
    (event,) = seen.of("function")
    recipe = function_recipe(event, seen)
    assert recipe is not None
    assert recipe.kind == ("function" if name == "Pair" else "pooler")
    patched = patch(module, tuple(args))
    assert patches_of(patched).error < 1e-4
    with torch.no_grad():
        model = ov.convert_model(patched, example_input=tuple(args))
    model.reshape({port: list(t.shape) for port, t in zip(model.inputs, args, strict=True)})
    compiled = ov.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    others = [x if name in ("VoxelsSumming", "Pair") and not x.is_floating_point() else x.flip(0) for x in args]
    for given in (args, others):
        expected = module(*given)
        expected = expected if isinstance(expected, tuple) else (expected,)
        got = compiled([x.numpy() for x in given])
        for index, value in enumerate(expected):
            np.testing.assert_allclose(got[index], value.numpy(), rtol=1e-3, atol=1e-4)


def test_what_is_no_sum_is_not_taken_for_one():
    module, args = Apply(pooling.Largest), (image(9, 5), PLACES)
    seen = observe(module, args, {})
    assert function_recipe(seen.of("function")[0], seen) is None
