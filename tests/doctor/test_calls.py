"""Comparing outputs: `error` works block by block, and must not show it."""

import pytest
import torch

from occvino.doctor.calls import _BLOCK, error


@pytest.mark.parametrize("at", [0, _BLOCK - 1, _BLOCK, 2 * _BLOCK])
def test_the_error_is_of_the_whole_tensor_wherever_it_sits(at):
    expected = torch.ones(2 * _BLOCK + 1)
    expected[_BLOCK // 2] = -4.0
    actual = expected.clone()
    actual[at] += 2.0
    assert error(actual, expected) == 0.5


def test_infinities_and_nan_that_agree_are_no_error_and_those_that_do_not_are_infinite():
    expected = torch.tensor([1.0, float("inf"), float("nan")])
    assert error(expected.clone(), expected) == 0.0
    assert error(torch.tensor([1.0, 1.0, float("nan")]), expected) == float("inf")
    assert error(torch.tensor([1.0, float("inf"), 0.0]), expected) == float("inf")


def test_scalars_empty_and_complex_tensors_have_an_error():
    assert error(torch.tensor(3.0), torch.tensor(2.0)) == 0.5
    assert error(torch.empty(0), torch.empty(0)) == 0.0
    assert error(torch.tensor([1 + 1j]), torch.tensor([1 + 2j])) == 0.5
    assert error(torch.zeros(2), torch.zeros(3)) == float("inf")
