"""What half precision does to a network, without a device that computes in it: PyTorch, rounded after every operator.

NPUs and GPUs compute in f16. Their matrix units add products up in f32; the reference kernels of the pooling bags add
in f16, one entry after another. So a network is run twice: weights and what every operator gives rounded to f16, sums
inside of an operator in f32; and the same with bags that add in f16. What computes with calibration alone stays in f32,
as it does on the devices (`conversion.rewrite`, `runtime.calibration`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from occvino.conversion.references import run_torch
from occvino.conversion.tolerances import Arrays, Error
from occvino.geometry.temporal import Temporal
from occvino.networks import FlashOcc
from occvino.runtime.calibration import INPUTS as CALIBRATION

LARGEST = 65504.0
"""What f16 ends at."""
SUMS = ("f32", "f16")
"""What bags add in, in the two runs."""
EVERYWHERE = "f16 everywhere"
"""What convolutions add in as well on GPUs without matrix engines (docs/gpu.md). Slow: one step for every product."""
_EXACT = "_occvino_exact"
"""Attribute of tensors, see `Rounded`."""
_BAGS = ("embedding_bag", "_embedding_bag", "_embedding_bag_forward_only")
"""As they come here, with and without inference mode; the arguments that matter stand in the same places."""
_CONVOLUTIONS = ("conv2d", "convolution")
"""The same for these; of one group each."""


@dataclass(frozen=True)
class HalfRun:
    """One run in emulated f16 against PyTorch in f32.

    Attributes:
        sums: what bags add in, "f32" or "f16".
        labels: share of equal labels.
        taps: error of each tap, relative to its standard deviation.
        peak: the largest magnitude that an operator gave, before rounding; beyond `LARGEST` it becomes infinite.
        peak_at: that operator, and the shape of what it gave.
    """

    sums: str
    labels: float
    taps: Mapping[str, Error]
    peak: float
    peak_at: str

    @property
    def fits(self) -> bool:
        """Whether nothing was too large for f16."""
        return self.peak <= LARGEST


def emulate_half(model: FlashOcc, inputs: Arrays, expected: Arrays, temporal: Temporal) -> tuple[HalfRun, ...]:
    """Both runs. `expected`: taps and labels of the same inputs in f32 (`run_torch`)."""
    runs: list[HalfRun] = []
    for sums in SUMS:
        found, mode = run_half(model, inputs, temporal, sums)
        taps = {name: Error.between(found[name], expected[name]) for name in expected if name != "labels"}
        labels = float(np.mean(found["labels"] == expected["labels"]))
        runs.append(HalfRun(sums, labels, taps, mode.peak, mode.peak_at))
    return tuple(runs)


def run_half(model: FlashOcc, inputs: Arrays, temporal: Temporal, sums: str) -> "tuple[Arrays, Rounded]":
    """Every tap and the labels in emulated f16, and what was rounded.

    `sums`: what bags add in, of `SUMS`; or `EVERYWHERE`.
    """
    with Rounded(inputs, half_bags=sums != "f32", half_convolutions=sums == EVERYWHERE) as mode:
        return run_torch(model, inputs, temporal), mode


class Rounded(TorchDispatchMode):
    """Rounds what every operator takes and gives to f16, and keeps it in f32. Views and copies change nothing.

    What is computed from calibration alone (`runtime.calibration`) is not rounded before it meets something else: the
    IR marks it as what is to be computed in fp32. Constants and weights are rounded where they meet something else too.

    Args:
        inputs: of the network, by name, if there is calibration among them; the memory that its tensors share.
    """

    def __init__(
        self, inputs: Arrays | None = None, *, half_bags: bool = False, half_convolutions: bool = False
    ) -> None:
        super().__init__()
        self._half_bags, self._half_convolutions = half_bags, half_convolutions
        self._kinds = {np.asarray(value).ctypes.data: name in CALIBRATION for name, value in (inputs or {}).items()}
        self._apart = any(self._kinds.values())
        self.peak, self.peak_at = 0.0, "nothing"

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name, kwargs = str(func.overloadpacket.__name__), dict(kwargs or {})
        kinds = {self._exact(value) for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)}
        exact = None if kinds <= {None} else kinds <= {None, True}
        if exact or (exact is None and self._apart) or func.is_view:
            return tree_map_only(Tensor, lambda value: _marked(value, exact), func(*args, **kwargs))
        args = tree_map_only(Tensor, self._taken, tuple(args))
        given = func(*args, **tree_map_only(Tensor, self._taken, kwargs))
        if name in _BAGS and self._half_bags:
            given = (half_bag(args[0], args[1], args[2], args[6]), *given[1:])
        if name in _CONVOLUTIONS and self._half_convolutions:
            given = half_convolution(*args[:6])
        return tree_map_only(Tensor, lambda value: _marked(self._rounded(value, name), False), given)

    def _exact(self, value: Tensor) -> bool | None:
        """Whether a tensor is computed from calibration alone; None for what is computed from no input."""
        return getattr(value, _EXACT, self._kinds.get(value.data_ptr()))

    def _taken(self, value: Tensor) -> Tensor:
        return value if value.dtype != torch.float32 or self._exact(value) is False else value.half().float()

    def _rounded(self, value: Tensor, name: str) -> Tensor:
        if value.dtype != torch.float32 or not value.numel():
            return value
        finite = torch.where(torch.isfinite(value), value, 0.0)  # infinities that are meant, as of a masked attention
        largest = float(finite.abs().max())
        if largest > self.peak:
            self.peak, self.peak_at = largest, f"{name} {list(value.shape)}"
        return value.copy_(value.half())


def _marked(value: Tensor, exact: bool | None) -> Tensor:
    if exact is not None:
        setattr(value, _EXACT, exact)
    return value


def half_convolution(
    values: Tensor,
    weights: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
) -> Tensor:
    """A convolution of one group whose products are added one after another, every partial sum rounded to f16.

    One order among those that a device may take: channel by channel, and the taps of each by rows.

    Args:
        values: [N, C, H, W].
        weights: [O, C, kH, kW].
        bias: [O].
        stride: along y and x.
        padding: along y and x, on both sides.
        dilation: along y and x.

    Returns:
        [N, O, H', W'].
    """
    size = tuple(weights.shape[2:])
    patches = F.unfold(values, size, dilation=tuple(dilation), padding=tuple(padding), stride=tuple(stride))
    taps = weights.flatten(1)  # [O, K]
    made = values.new_empty(len(values), len(weights), patches.shape[2])
    for image, columns in zip(made, patches, strict=True):
        for start in range(0, columns.shape[1], _AT_A_TIME):
            some = columns[:, start : start + _AT_A_TIME]
            total = values.new_zeros(len(weights), some.shape[1])
            for tap, row in zip(taps.T, some, strict=True):
                total = total.addr_(tap, row).half().float()
            image[:, start : start + _AT_A_TIME] = total
    made = made if bias is None else made + bias[:, None]
    sizes = zip(values.shape[2:], size, stride, padding, dilation, strict=True)
    return made.view(len(values), len(weights), *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sizes))


_AT_A_TIME = 2048
"""Pixels: their partial sums stay in a cache."""


def half_bag(table: Tensor, index: Tensor, starts: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums of bags, each product and each partial sum rounded to f16, entries in their order.

    Args:
        table: [T, C].
        index: [E], rows.
        starts: [cells], where bags begin, 0 first, ascending.
        weights: [E].

    Returns:
        [cells, C].
    """
    sizes = torch.diff(starts, append=starts.new_tensor([len(index)]))
    total = torch.zeros(len(starts), table.shape[1], dtype=torch.float16)
    table, weights = table.half(), weights.half()
    left = torch.arange(len(starts))
    for step in range(int(sizes.max())):  # the step-th entry of every bag that has one
        left = left[sizes[left] > step]
        entry = starts[left] + step
        total[left] += table[index[entry]] * weights[entry, None]
    return total.float()
