"""Each recipe of the table against PyTorch itself, by `patch`, and then in OpenVINO on inputs that it has not seen."""

import itertools

import numpy as np
import openvino as ov
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from occvino.doctor import patch
from occvino.doctor.patch import patches_of
from occvino.doctor.recipe_calls import CALLS
from occvino.doctor.watch import observe
from tests.doctor.standins import torchvision_ops
from tests.doctor.zoo.pair import image

M3 = image(2, 3, 3) + 2 * torch.eye(3)
INDEX, MASK = torch.tensor([3, 0, 5, 6, 1, 2, 4]), torch.tensor([True, False, True, True, False, False, True])
BOXES = torch.tensor([[0, 0, 4, 4], [1, 1, 5, 5], [0, 0, 4, 3.9], [6, 6, 9, 9], [6.2, 6, 9, 9.0]])
ROIS = torch.tensor([[0, 0, 0, 8, 6], [0, 3, 2, 40, 9], [0, -9, -9, 1, 1.0]])


def written(fill):
    def call(x, *given):
        out = x * 0
        fill(out, *given)
        return out

    return call


def rows(out, mask):
    out[mask] = 1.5


def row_values(out, mask, values):
    out[mask] = values[mask] * 2


def beside(out, mask, values):
    out[:, mask] = values[mask].t()


def scattered(out, index, values):
    out[index * 0, :, index % 2, index % 7] = values


def front_slice(out, index, values):
    out[:, index % 2, index - 7] = values.t()


def number_between(out, index, values):
    out[0, 1:3, index] = values[:, 1:3].t()


CASES = {
    "F.grid_sample of a volume": (
        lambda x, g: F.grid_sample(x, g, align_corners=False), image(2, 3, 2, 4, 5), image(2, 2, 3, 4, 3) * 2.4 - 1.2,
    ),
    "torch.grid_sampler of a volume": (
        lambda x, g: torch.grid_sampler(x, g, 0, 1, True), image(2, 3, 2, 4, 5), image(2, 2, 3, 4, 3) * 3 - 1.5,
    ),
    "F.affine_grid": (lambda t: F.affine_grid(t, [2, 3, 4, 5], align_corners=False), image(2, 2, 3)),
    "F.affine_grid, volume": (lambda t: F.affine_grid(t, [2, 3, 2, 4, 5], align_corners=True), image(2, 3, 4)),
    "torch.nan_to_num": (lambda x: torch.nan_to_num(x / (x > 0.5), posinf=9.0), image(3, 4)),
    "Tensor.nan_to_num_": (lambda x: (x / (x > 0.5)).nan_to_num_(0.0, 7.0), image(3, 4)),
    "an assignment by index": (written(rows), image(7, 4), MASK),
    "an assignment by index, rows": (written(row_values), image(7, 4), MASK, image(7, 4)),
    "an assignment by index, mask beside a slice": (written(beside), image(4, 7), MASK, image(7, 4)),
    "an assignment by index, tensors apart": (written(scattered), image(1, 4, 2, 7), INDEX, image(7, 4)),
    "an assignment by index, behind a slice": (written(front_slice), image(4, 2, 7), INDEX, image(7, 4)),
    "an assignment by index, beside a number": (written(number_between), image(2, 4, 7), INDEX, image(7, 4)),
    "index_put(accumulate=True)": (
        lambda x, i, v: x.index_put((i % 3, i % 2), v, accumulate=True), image(3, 2, 4), INDEX, image(7, 4),
    ),
    "index_put_(accumulate=True)": (
        lambda x, i, v: (x * 1).index_put_((i % 3,), v, accumulate=True), image(3, 4), INDEX, image(7, 4),
    ),
    "index_add": (lambda x, i, v: x.index_add(1, i % 3, v, alpha=2), image(4, 3), INDEX, image(4, 7)),
    "index_add_": (lambda x, i, v: (x * 1).index_add_(0, i % 3, v), image(3, 4), INDEX, image(7, 4)),
    "torch.range": (lambda x: x + torch.range(0, x.shape[-1] - 1, dtype=torch.float32), image(2, 5)),
    "torch.range, by step": (lambda x: x + torch.range(1, 2.2, 0.3), image(2, 5)),
    "torch.trunc": (lambda x: torch.trunc(x * 9 - 4), image(3, 4)),
    "torch.median along an axis": (
        lambda x: torch.median(x, 1)[0] + x.median(dim=1, keepdim=True).values.sum(), image(3, 4),
    ),
    "torch.linalg.inv_ex": (lambda k: torch.linalg.inv_ex(k)[0] + torch.linalg.inv_ex(k).inverse, M3),
    "torch.linalg.solve": (lambda k, v: torch.linalg.solve(k, v), M3, image(2, 3, 2)),
    "torch.linalg.solve, of the identity": (lambda k: torch.linalg.solve(k, torch.eye(3).expand_as(k)), M3),
    "torch.unique_consecutive": (lambda x: torch.unique_consecutive((x * 3).long(), True, True), image(12).sort()[0]),
    "torch.unique(dim=0)": (
        lambda x: torch.unique((x * 3).long(), dim=0, return_inverse=True, return_counts=True), image(12, 3),
    ),
    "torchvision.ops.nms": (
        lambda b, s: torch.ops.torchvision.nms(b, s, 0.5), BOXES, torch.tensor([0.3, 0.9, 0.2, 0.5, 0.6]),
    ),
    "torchvision.ops.roi_align": (
        lambda x, r: torch.ops.torchvision.roi_align(x, r, 0.5, 2, 3, 2, True), image(1, 3, 6, 7), ROIS,
    ),
    **{
        f"torch.{name}": (lambda x, y, f=getattr(torch, name): f(x, y), image(3, 4), image(3, 4) + 0.5)
        for name in (
            *("subtract", "divide", "true_divide", "greater_equal", "less_equal"),
            *("arctan2", "hypot", "float_power"),
        )
    },
    **{
        f"torch.{name}": (lambda x, f=getattr(torch, name): f(x), image(3, 4) * 0.9)
        for name in (
            *("negative", "arccos", "arcsin", "arctan", "arcsinh", "arctanh"),
            *("deg2rad", "exp2", "flipud", "fliplr", "positive", "trace", "diff"),
        )
    },
    "torch.arccosh": (lambda x: torch.arccosh(x + 1.1), image(3, 4)),
    "torch.swapdims": (lambda x: torch.swapdims(x, 0, 1), image(3, 4)),
    "torch.moveaxis": (lambda x: torch.moveaxis(x, 0, 2), image(3, 4, 2)),
    "torch.ger": (lambda x: torch.ger(x[0], x[1]), image(3, 4)),
    "torch.row_stack": (lambda x, y: torch.row_stack([x, y]), image(3, 4), image(2, 4)),
    "torch.diff, twice": (lambda x: torch.diff(x, 2, 0), image(4, 3)),
    "torch.addcdiv": (lambda x, y: torch.addcdiv(x, y, x + 1, value=2), image(3, 4), image(3, 4)),
    "torch.subtract, with alpha": (lambda x, y: torch.subtract(x, y, alpha=3), image(3, 4), image(3, 4)),
    "torch.divide, rounded": (lambda x, y: torch.divide(x, y, rounding_mode="floor"), image(3, 4), image(3, 4) + 0.1),
}  # fmt: skip


class Called(nn.Module):
    def __init__(self, call):
        super().__init__()
        self.call = call

    def forward(self, a, b=None, c=None):
        return self.call(*[x for x in (a, b, c) if x is not None])


def as_list(given):
    return list(given) if isinstance(given, tuple | list) else [given]


def test_every_recipe_has_a_case_and_the_standins_are_used():
    assert {recipe.name for recipe in CALLS} == {name.split(",")[0] for name in CASES}
    assert torchvision_ops.LIBRARY is None or torch.ops.torchvision.nms(BOXES, BOXES[:, 0], 0.5).dtype is torch.int64


@pytest.mark.filterwarnings("ignore:torch.range is deprecated")
@pytest.mark.parametrize("name", CASES)
def test_patch_replaces_it_and_openvino_agrees_on_other_inputs(name):
    call, *args = CASES[name]
    module = Called(call).eval()
    assert name.split(",")[0] in {event.name for event in observe(module, tuple(args), {}).of("call")}
    patched = patch(module, tuple(args))
    assert patches_of(patched).error < 1e-6
    with torch.no_grad():
        model = ov.convert_model(patched, example_input=tuple(args))
    compiled = ov.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    others = [x.flip(0) if x.dtype is not torch.float32 or "roi" in name else x.roll(1, 0) for x in args]
    for given in (args, others):
        expected = [e.numpy() for e in as_list(module(*[x.clone() for x in given]))]
        got = compiled([x.numpy() for x in given])
        for index, value in enumerate(expected):
            np.testing.assert_allclose(got[index], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("mode", "padding", "align"),
    list(itertools.product(["bilinear", "nearest"], ["zeros", "border", "reflection"], [True, False])),
)
def test_volumes_are_sampled_as_pytorch_does(mode, padding, align):
    from occvino.doctor.recipe_sampling import grid_sample_3d

    x, grid = image(2, 3, 4, 5, 6), image(2, 5, 4, 3, 3) * 5 - 2.5
    expected = F.grid_sample(x, grid, mode, padding, align)
    torch.testing.assert_close(grid_sample_3d(x, grid, mode, padding, align), expected, atol=1e-5, rtol=1e-4)


def deep(out, index):
    out[..., index, 0, :] = 3.0


def negative(out, index):
    out[:, -index - 1] = out[:, index].clone() + 1


@pytest.mark.parametrize("fill", [deep, negative])
def test_other_assignments_keep_numpys_rule(fill):
    """Numbers and tensors that are broadcast, indices from the end."""
    module, args = Called(written(fill)), (image(2, 7, 7, 3), INDEX)
    torch.testing.assert_close(patch(module, args)(*args), module(*args))
