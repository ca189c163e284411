"""What `verify` found, tap by tap, and the verdict."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occvino.conversion.as_run import AsRun
from occvino.conversion.half import HalfRun
from occvino.conversion.tolerances import Error, Tolerance
from occvino.conversion.verify_matrices import Computed
from occvino.files import to_json
from occvino.geometry.doubts import FEW
from occvino.geometry.temporal import Temporal
from occvino.runtime.devices import Running


@dataclass(frozen=True)
class TapResult:
    """One tap in the three forms of the network. `scale` is its standard deviation in PyTorch.

    `floor` is what rounding alone does to it in the IR's precision, measured for stereo networks, whose tolerance it
    may raise.
    """

    name: str
    scale: float
    onnx: Error
    ir: Error
    onnx_ok: bool
    ir_ok: bool
    floor: Error | None = None


@dataclass(frozen=True)
class Resized:
    """The images that the IR resized itself against Pillow's: largest difference in grey levels, share of equal pixels.

    Torch and ONNX are then given those of the IR, so that each step is compared with the one before.
    """

    levels: int
    equal: float

    @classmethod
    def between(cls, found: NDArray[np.uint8], expected: NDArray[np.uint8]) -> "Resized":
        """Of two arrays of one shape."""
        difference = np.abs(found.astype(np.int16) - expected)
        return cls(int(difference.max()), float((difference == 0).mean()))

    @property
    def ok(self) -> bool:
        """Within 1 level everywhere, and equal on 99.9 % of the pixels."""
        return self.levels <= 1 and self.equal >= 0.999


@dataclass(frozen=True)
class Report:
    """What `verify` found. `ok` is its verdict.

    `points`: of each camera of the newest frame, which share of its points is in the grid; `points_usual`: which share
    a camera as in nuScenes has there. A frame with few points in the grid proves little, however well it agrees.

    `as_run`: what the labels are in the precision that the device takes by itself; it is not judged.

    `half`: what emulated f16 does to the network (`conversion.half`), where it was asked for; it is not judged.
    `computed`: of an IR that takes matrices, its geometry against float64; torch and ONNX are given what it made.

    `batch_labels`: of a streaming artifact, the share of the IR's labels that equal those of PyTorch with all frames at
    once. The exact form must have the same labels; for the fast form the share is only reported.
    """

    taps: tuple[TapResult, ...]
    onnx_labels: float
    ir_labels: float
    tolerances: Mapping[str, Tolerance]
    running: Running
    points_kept: float
    points: Mapping[str, float]
    points_usual: float
    batch_labels: float | None = None
    temporal: Temporal = "batch"
    resized: Resized | None = None
    half: tuple[HalfRun, ...] = ()
    as_run: AsRun | None = None
    computed: Computed | None = None

    @property
    def first_divergence(self) -> str | None:
        """The first tap that is out of tolerance and the form in which it is, such as "bev (IR)"; None if none is.

        A frame that exercises nothing proves nothing: a tap that is constant, or not finite, in PyTorch comes first.
        """
        if self.resized and not self.resized.ok:
            return "images (IR)"
        if self.computed and not self.computed.ok:
            return "geometry (IR, against float64)"
        for tap in self.taps:
            if not np.isfinite(tap.scale):
                return f"{tap.name} (PyTorch's own values are not finite)"
            if tap.scale == 0:
                kept = f"{self.points_kept:.0%} of the points are in the grid"
                return f"{tap.name} (constant in PyTorch, so nothing was compared; {kept})"
            if not tap.onnx_ok:
                return f"{tap.name} (ONNX)"
            if not tap.ir_ok:
                return f"{tap.name} (IR)"
        if self.onnx_labels < self.tolerances["onnx"].labels:
            return "labels (ONNX)"
        if self.ir_labels < self.tolerances["ir"].labels:
            return "labels (IR)"
        if self.temporal == "exact" and (self.batch_labels or 0.0) < self.tolerances["ir"].labels:
            return "labels (IR, against all frames at once)"
        return None

    @property
    def proves_little(self) -> str | None:
        """Why agreement on this frame says little about others, in words; None if it does say something."""
        found = sum(self.points.values()) / len(self.points)
        if found >= FEW * self.points_usual:
            return None
        return f"{found:.0%} of the points are in the grid, {self.points_usual:.0%} are usual: is the rig right?"

    @property
    def ok(self) -> bool:
        """Whether every tap and the labels are within tolerance, on a frame that proves something."""
        return self.first_divergence is None and self.proves_little is None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; a figure that is not finite is None."""
        verdict = {
            **asdict(self),
            "first_divergence": self.first_divergence,
            "proves_little": self.proves_little,
            "ok": self.ok,
        }
        return json.loads(to_json(verdict))
