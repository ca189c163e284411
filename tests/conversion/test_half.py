"""Half precision, emulated: rounded after every operator, and bags that add in f16."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from occvino.conversion.half import LARGEST, Rounded, half_bag, half_convolution
from occvino.conversion.verify import verify
from tests.converted import converted
from tests.small import known


def slow_bag(table, index, starts, weights):
    """The definition, one entry at a time."""
    ends = [*starts[1:], len(index)]
    total = np.zeros((len(starts), table.shape[1]), np.float16)
    for cell, (start, end) in enumerate(zip(starts, ends, strict=True)):
        for entry in range(start, end):
            product = np.float16(table[index[entry]].astype(np.float16) * np.float16(weights[entry]))
            total[cell] = np.float16(total[cell] + product)
    return total.astype(np.float32)


@given(st.integers(0, 2**31), st.integers(1, 9), st.integers(0, 30))
@settings(max_examples=30, deadline=None)
def test_a_bag_in_half_precision_is_that_of_the_definition(seed, cells, more):
    rng = np.random.default_rng(seed)
    entries = cells + more
    starts = np.sort(rng.choice(np.arange(1, entries), cells - 1, replace=False)) if cells > 1 else np.zeros(0, int)
    starts = np.concatenate([[0], starts]).astype(np.int64)
    table = rng.normal(size=(11, 3)).astype(np.float32)
    index, weights = rng.integers(0, 11, entries), rng.random(entries, dtype=np.float32)
    found = half_bag(*(torch.from_numpy(array) for array in (table, index, starts, weights)))
    np.testing.assert_array_equal(found.numpy(), slow_bag(table, index, starts, weights))


@given(st.integers(0, 2**31), st.sampled_from([(1, 1, 1, 3), (2, 3, 1, 7), (1, 2, 2, 3), (1, 0, 1, 1)]))
@settings(max_examples=10, deadline=None)
def test_a_convolution_in_half_precision_is_that_of_the_definition(seed, form):
    """One product at a time, and in f32 what PyTorch gives."""
    stride, padding, dilation, kernel = form
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(2, 3, 9, 8)).astype(np.float16).astype(np.float32)
    weights = rng.normal(size=(4, 3, kernel, kernel)).astype(np.float16).astype(np.float32)
    bias = torch.from_numpy(rng.normal(size=4).astype(np.float32))
    sizes = [stride] * 2, [padding] * 2, [dilation] * 2
    found = half_convolution(torch.from_numpy(values), torch.from_numpy(weights), bias, *sizes)
    exact = torch.nn.functional.conv2d(torch.from_numpy(values), torch.from_numpy(weights), bias, *sizes)
    assert found.shape == exact.shape
    size = torch.nn.functional.conv2d(torch.from_numpy(values).abs(), torch.from_numpy(weights).abs(), None, *sizes)
    rounded = (1 + 2.0**-11) ** (3 * kernel**2) - 1  # so many sums: Higham, Accuracy and Stability, 4.2
    assert ((found - exact).abs() <= rounded * size + 1e-5).all()
    padded = np.pad(values, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    height, width = (stride * (length - 1) + 1 for length in exact.shape[2:])
    total = np.zeros(exact.shape, np.float16)
    for channel in range(3):
        for y in range(0, kernel * dilation, dilation):
            for x in range(0, kernel * dilation, dilation):
                at = padded[:, channel, None, y : y + height : stride, x : x + width : stride]  # [2, 1, oH, oW]
                weight = weights[:, channel, y // dilation, x // dilation, None, None]  # [4, 1, 1]
                total = (total.astype(np.float32) + weight * at).astype(np.float16)
    np.testing.assert_array_equal(found, total.astype(np.float32) + bias.numpy()[:, None, None])


def test_every_result_is_rounded_and_the_largest_is_told():
    x = torch.tensor([1.0, 2049.0, 30000.0])
    with Rounded() as mode:
        y = x * 1.0
        z = y + y
        w = z * 2
    assert y.tolist() == [1.0, 2048.0, 30000.0]
    assert z.tolist() == [2.0, 4096.0, 60000.0]
    assert w[2].isinf()
    assert mode.peak == 120000.0 > LARGEST
    assert mode.peak_at == "mul [3]"


def test_inputs_and_views_stay():
    x = torch.tensor([[0.1, 0.2]])
    with Rounded():
        assert torch.equal(x.reshape(2)[1:], x[0, 1:])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["small-pillars", "small-4d"])
def test_verify_tells_what_half_precision_costs(name, tmp_path):
    from tests.conversion.test_parts import scene

    with known():
        artifact = converted(name, None, tmp_path / "a", precision="fp32", cameras=2)
        (images, rig), *past = scene(3 if name == "small-4d" else 1)
        report = verify(artifact, images, rig, past=past, emulate="f16")
    assert [run.sums for run in report.half] == ["f32", "f16"]
    for run in report.half:
        assert 0.9 < run.labels <= 1
        assert 0 < run.peak < LARGEST
        assert 1e-5 < run.taps["trunk"].mean < 0.05
    assert report.half[1].taps["bev"].mean > report.half[0].taps["bev"].mean
    assert report.to_dict()["half"][0]["sums"] == "f32"
