"""Times of one thing, taken again and again, and what may be said of so many."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

PERCENTS = (50, 90, 99)


@dataclass(frozen=True)
class Times:
    """How long each call of one thing took, milliseconds, in the order of the calls. There is at least one."""

    each_ms: tuple[float, ...]

    @classmethod
    def of_seconds(cls, seconds: Iterable[float]) -> "Times":
        """From what a clock gives."""
        return cls(tuple(1e3 * each for each in seconds))

    def __len__(self) -> int:
        return len(self.each_ms)

    @property
    def best(self) -> float:
        """The shortest, milliseconds."""
        return min(self.each_ms)

    @property
    def mean(self) -> float:
        """Milliseconds."""
        return sum(self.each_ms) / len(self)

    def percentile(self, percent: int) -> float | None:
        """The time that so many per cent of the calls take at most, milliseconds, interpolated between samples.

        None if not one whole sample is left above it: of 20 calls, a 99th percentile would be the worst one.
        """
        if len(self) * (100 - percent) < 100:
            return None
        return float(np.percentile(self.each_ms, percent))

    def to_dict(self, *, each: bool = False) -> dict[str, Any]:
        """Plain values, for JSON; with the times themselves if asked for."""
        found: dict[str, Any] = {"count": len(self), "best_ms": self.best, "mean_ms": self.mean}
        found |= {f"p{percent}_ms": self.percentile(percent) for percent in PERCENTS}
        return found | ({"each_ms": list(self.each_ms)} if each else {})


def needed(percent: int) -> int:
    """How many samples a percentile takes."""
    return -(-100 // (100 - percent))
