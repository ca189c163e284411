"""torch_scatter in stock operators, against the package (its stand-in), and the cumulative sum of LSS."""

import pytest
import torch
from torch import nn

from occvino.doctor import DoctorError, diagnose, patch, scatter
from occvino.doctor.routes import ALL_ROUTES
from occvino.doctor.watch import observe
from tests.doctor.zoo import scatter as zoo
from tests.doctor.zoo.extensions import QuickCumsum

import torch_scatter  # isort: skip - the zoo puts its stand-in on the path


def values(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


@pytest.mark.parametrize("name", ["scatter_sum", "scatter_mean", "scatter_max"])
@pytest.mark.parametrize(
    ("shape", "index", "dim"),
    [((7,), [7], -1), ((7, 3), [7], 0), ((2, 7, 3), [7], 1), ((2, 7, 3), [2, 7], 1), ((3, 7), [3, 7], -1)],
)
def test_a_replacement_gives_what_the_package_gives_cells_that_hold_nothing_too(name, shape, index, dim):
    src = values(*shape)
    cell = torch.randint(0, 4, index, generator=torch.Generator().manual_seed(0))
    expected = getattr(torch_scatter, name)(src, cell, dim, None, 6)
    got = scatter.REPLACEMENTS[name](src, cell, dim, None, 6)
    torch.testing.assert_close(got, expected)


def test_minimum_and_product_against_loops():
    src, cell = values(7, 2), zoo.CELL
    smallest, at = scatter.REPLACEMENTS["scatter_min"](src, cell, 0, dim_size=6)
    product = scatter.REPLACEMENTS["scatter_mul"](src, cell, 0, dim_size=6)
    for row in range(6):
        inside = src[cell == row]
        torch.testing.assert_close(product[row], inside.prod(0))
        if len(inside):
            torch.testing.assert_close(smallest[row], inside.amin(0))
            assert torch.equal(src[at[row], torch.arange(2)], smallest[row])
        else:
            assert smallest[row].tolist() == [0, 0]
            assert at[row].tolist() == [7, 7]


@pytest.mark.parametrize("pointers", [[0, 2, 2, 3, 7], [0, 0, 7, 7], [2, 3, 5]])
def test_segments_between_pointers(pointers):
    """Empty ones at either end, and points that lie in none."""
    pointers = torch.tensor(pointers)
    expected = torch_scatter.segment_csr(values(7, 3), pointers)
    torch.testing.assert_close(scatter.REPLACEMENTS["segment_csr"](values(7, 3), pointers), expected)
    means = scatter.REPLACEMENTS["segment_mean_csr"](values(7, 3), pointers)
    torch.testing.assert_close(means, expected / pointers.diff().clamp(min=1).unsqueeze(-1))


def test_segments_by_index_are_a_scatter_along_the_axis_of_the_index():
    src, cell = values(2, 7, 3), torch.tensor([[0, 0, 1, 2, 2, 2, 5], [1, 1, 1, 3, 4, 4, 4]])
    expected = torch_scatter.scatter_sum(src, cell, 1, None, 6)
    torch.testing.assert_close(scatter.REPLACEMENTS["segment_coo"](src, cell, None, 6, "sum"), expected)


@pytest.mark.parametrize("pair", zoo.PAIRS, ids=lambda pair: pair.name)
def test_patch_replaces_what_has_a_known_size(pair):
    module, args, _ = pair.trap()
    if isinstance(module, zoo.MeanOfUnknownSize):
        with pytest.raises(DoctorError, match="no.* safe recipe"):
            patch(module, args)
        return
    patched = patch(module, args)
    assert patched.doctor.error < 1e-6
    assert not observe(patched, args, {}).of("scatter", "function", "custom-op")


class OnItself(nn.Module):
    """The function sits on a submodule, as in graph networks that take their reduction as an argument."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Identity()
        self.inner.reduce = torch_scatter.scatter

    def forward(self, x, cell):
        return self.inner.reduce(x, cell, 0, None, zoo.CELLS, "max")


def test_a_function_held_by_a_submodule_is_found_and_put_back():
    module, args = OnItself(), (zoo.POINTS, zoo.CELL)
    (event,) = observe(module, args, {}).events
    assert (event.kind, event.name) == ("scatter", "torch_scatter.scatter")
    patched = patch(module, args)
    torch.testing.assert_close(patched(*args), module(*args))
    assert patched.inner.reduce is torch_scatter.scatter
    assert zoo.scatter_max is torch_scatter.scatter_max


class Summed(nn.Module):
    def forward(self, x, cell):
        return torch_scatter.scatter(x, cell, dim=0, dim_size=zoo.CELLS)


def test_sums_that_every_route_takes_are_a_note():
    findings = diagnose(Summed(), (zoo.POINTS, zoo.CELL), routes=ALL_ROUTES[:1])
    assert findings.clean
    assert findings.codes() == ["operators/pooler"]
    assert findings[0].fix.worked


class Cancelling(nn.Module):
    """One cell is a hundred million times the others, which the cumulative sum therefore loses."""

    def forward(self, x, geometry, ranks):
        scale = torch.where(ranks == 0, 1e8, 1.0).unsqueeze(-1)
        pooled, _ = QuickCumsum.apply(x * scale, geometry, ranks)
        return pooled[1:]


def test_a_cumulative_sum_that_lost_its_digits_is_not_replaced():
    call = (zoo.POINTS, zoo.GEOMETRY, zoo.RANKS)
    with pytest.raises(DoctorError, match="differs from the original"):
        patch(Cancelling(), call)
    (finding,) = (f for f in diagnose(Cancelling(), call, routes=()) if f.code == "operators/pooler")
    assert finding.fix.tried
    assert not finding.fix.worked
