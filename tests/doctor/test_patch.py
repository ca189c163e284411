"""Recipes, and the proof that goes with them."""

import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from occvino.doctor import DoctorError, diagnose, patch, recipes
from tests.doctor.zoo import extensions, leaving, operators, solver


@settings(max_examples=40, deadline=None)
@given(size=st.integers(2, 4), batch=st.integers(1, 3), seed=st.integers(0, 10_000))
def test_closed_form_inverse(size, batch, seed):
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(batch, size, size, generator=generator, dtype=torch.float64) + 3 * torch.eye(size)
    identity = recipes.closed_form_inverse(matrix) @ matrix
    tolerance = 1e-12 * torch.linalg.cond(matrix).max() ** 2
    assert (identity - torch.eye(size)).abs().max() < tolerance


def test_closed_form_inverse_refuses_what_it_has_no_form_for():
    with pytest.raises(ValueError, match="5x5"):
        recipes.closed_form_inverse(torch.eye(5))


@pytest.mark.parametrize("case", ["PoolV2", "PoolV1", "PoolVoxels"])
def test_poolers_are_replaced_also_under_names_bound_at_import(case):
    made = {
        "PoolV2": (operators.PoolV2(), operators.POOL_V2),
        "PoolV1": (operators.PoolV1(), (operators.POINTS, operators.GEOMETRY)),
        "PoolVoxels": (operators.PoolVoxels(), (operators.POINTS[None], operators.VOXELS)),
    }  # fmt: skip
    module, args = made[case]
    patched = patch(module, args)
    assert patched.doctor.error < 1e-6
    findings = diagnose(patched, args, routes=())
    assert set(findings.codes()) <= {"leaving/number"}  # BEVDepth gives its grid as a tensor, and it is read
    # outside the patched module everything is as it was
    assert extensions.voxel_pooling == extensions.VoxelPooling.apply
    assert "apply" not in vars(extensions.QuickCumsumCuda)


def test_without_an_example_it_is_proved_by_the_first_call():
    patched = patch(solver.Inverse())
    assert patched.doctor.error is None
    with pytest.raises(DoctorError, match="not been proved"):
        torch.jit.trace(patched, (solver.K, solver.V))
    torch.testing.assert_close(patched(solver.K, solver.V), solver.Inverse()(solver.K, solver.V))
    assert patched.doctor.error < 1e-6
    torch.jit.trace(patched, (solver.K, solver.V))


def test_a_number_that_follows_the_input_is_not_replaced():
    with pytest.raises(DoctorError, match="nothing in Float has a safe recipe"):
        patch(leaving.Float(), (leaving.X,))


class LengthAsNumber(nn.Module):
    """Here the length is not only asked whether it is zero."""

    def forward(self, x, matrix):
        kept = x[x > 0.5]
        return torch.inverse(matrix) * len(kept)


def test_a_length_that_is_computed_with_stays():
    x, matrix = torch.linspace(0, 1, 20), torch.eye(3)[None] * 2
    patched = patch(LengthAsNumber(), (x, matrix))
    assert patched.doctor.applied == [line for line in patched.doctor.applied if "inverse" in line]
    torch.testing.assert_close(patched(x * 0.7, matrix), LengthAsNumber()(x * 0.7, matrix))


def test_a_recipe_that_is_not_exact_is_not_handed_out(monkeypatch):
    monkeypatch.setattr(sys.modules["occvino.doctor.replacing"], "inverse", lambda matrix: torch.inverse(matrix) * 1.01)
    with pytest.raises(DoctorError, match=r"differs from the original by 0\.01"):
        patch(solver.Inverse(), (solver.K, solver.V))


def test_class_weights_and_signature_stay():
    patched = patch(leaving.OwnGrid(), (leaving.X,))
    assert type(patched) is leaving.OwnGrid
    assert list(patched.state_dict()) == list(leaving.OwnGrid().state_dict())


class NumpyInside(nn.Module):
    def forward(self, x):
        import numpy as np

        return torch.from_numpy(np.abs(x.numpy()))


def test_numpy_in_the_middle_is_refused_not_frozen():
    with pytest.raises(DoctorError):
        patch(NumpyInside(), (torch.randn(3),))
