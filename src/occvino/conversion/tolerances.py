"""How far a tap may be from PyTorch's, and how far it is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Tolerance:
    """What passes: errors of a tap relative to its standard deviation, and the share of equal labels.

    The 99.9th percentile is what finds an error in a few cells. The largest one is judged in fp32 only: in half
    precision a saturated depth softmax may flip outright at one pixel, which the labels then tell.
    """

    mean: float
    p999: float
    maximum: float | None
    labels: float

    def over(self, floor: "Error") -> "Tolerance":
        """At least `FLOORS` times what rounding alone does to a tap."""
        return replace(
            self,
            mean=max(self.mean, FLOORS * floor.mean),
            p999=max(self.p999, FLOORS * floor.p999),
            maximum=None if self.maximum is None else max(self.maximum, FLOORS * floor.maximum),
        )


FLOORS = 5
"""How many times its measured noise floor a tap of a stereo network may be off (see `references`): a judgement.

A right IR of M2 is off by about one floor in most figures: its roundings are of the same size.
"""

TOLERANCES = {
    # a change of PyTorch's own convolution back end moves a tap by up to 1e-3 of its deviation (golden cases, recipe A)
    "fp32": Tolerance(mean=1e-4, p999=1e-3, maximum=2e-2, labels=0.9995),
    # weights keep 11 bits, arithmetic is fp32
    "fp16": Tolerance(mean=2e-3, p999=2e-2, maximum=None, labels=0.995),
    # arithmetic in half precision too, or in what the device does not tell
    "half": Tolerance(mean=2e-2, p999=2e-1, maximum=None, labels=0.98),
}
TOLERANCES["int8"] = Tolerance(mean=2e-1, p999=3.0, maximum=None, labels=0.85)
"""256 levels a tensor. Rounding adds up along the network, so taps are judged loosely; mIoU is what `convert` held."""


@dataclass(frozen=True)
class Error:
    """Difference from PyTorch, relative to the tap's standard deviation there."""

    mean: float
    p999: float
    maximum: float

    @classmethod
    def between(cls, found: NDArray[Any], expected: NDArray[Any]) -> "Error":
        """Of two arrays of one shape; not finite where they are not comparable."""
        if found.shape != expected.shape or not np.isfinite(found).all():
            return cls(np.inf, np.inf, np.inf)
        difference = np.abs(found.astype(np.float64) - expected) / max(float(expected.std()), 1e-12)
        return cls(float(difference.mean()), float(np.quantile(difference, 0.999)), float(difference.max()))

    def most(self, other: "Error") -> "Error":
        """The larger of each figure."""
        return Error(max(self.mean, other.mean), max(self.p999, other.p999), max(self.maximum, other.maximum))

    def within(self, tolerance: Tolerance) -> bool:
        """Whether every figure passes; one that is not finite never does."""
        largest = np.inf if tolerance.maximum is None else tolerance.maximum
        return self.mean <= tolerance.mean and self.p999 <= tolerance.p999 and self.maximum <= largest
