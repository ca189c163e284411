"""What an IR makes of matrices, against float64: the first step of `verify`, whose others are then given the IR's own.

So every step is compared with the one before: the cells, camera vectors and warps that the graph computes in float32
with those of float64, and all that follows with PyTorch on those very cells.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from occvino.artifact import IR, Artifact
from occvino.geometry.inputs import beside_plan, joint_calibration
from occvino.geometry.lift import PoolingPlan, cells_of_points
from occvino.geometry.matrices import (
    CELLS,
    MATRIX_INPUTS,
    border_distances,
    cells_in_order,
    matrix_inputs,
    positions,
)
from occvino.geometry.rig import Rig
from occvino.runtime.devices import Settings, compile_model
from occvino.variant import Variant

NEAR = 1e-3
"""Cells from a border within which float32 may decide otherwise: ten times what rounding alone comes to at 60 m."""
_VECTORS = 1e-6
_PIXELS = 1e-2
"""Of the network's image, that a warp may be off at any depth; features are sampled at a quarter of its size."""


@dataclass(frozen=True)
class Computed:
    """What the graph computed of matrices, against float64.

    Attributes:
        points: how many frustum points there are.
        other_cell: how many of them are in another cell than in float64.
        farthest: how far from a border the farthest of those is, in cells; 0 if there is none.
        vectors: largest relative error of a camera vector; None where the network takes none.
        warps: largest error of a stereo warp, in pixels of the network's image; None where it takes none.
    """

    points: int
    other_cell: int
    farthest: float
    vectors: float | None = None
    warps: float | None = None

    @property
    def ok(self) -> bool:
        """Whether only points near a border are in another cell, and vectors and warps are within rounding."""
        return self.farthest <= NEAR and (self.vectors or 0) <= _VECTORS and (self.warps or 0) <= _PIXELS


def computed_geometry(
    opened: Artifact, rigs: Sequence[Rig], device: str, precision: str | None
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]], Computed | None]:
    """Run the geometry of an IR that takes matrices; gives nothing for others.

    Args:
        opened: the artifact.
        rigs: of all frames that it takes, newest first.
        device: that it runs on.
        precision: what the device is asked to compute in.

    Returns:
        The IR's own two inputs; the inputs of a network that takes a plan, as the graph computed them; and what those
        are against float64.
    """
    variant, form, temporal = opened.variant, opened.manifest.matrices, opened.manifest.temporal
    if form is None:
        return {}, {}, None
    calibration = joint_calibration(rigs, variant)
    given = matrix_inputs(calibration, variant, form)
    part = geometry_part(ov.Core().read_model(opened.path / IR))
    outputs = compile_model(part, device, Settings(precision))({name: given[name] for name in MATRIX_INPUTS})
    found = {name: np.array(outputs[name]) for name in (value.get_any_name() for value in part.outputs)}
    cell = cells_in_order(found.pop(CELLS), variant)
    lifted = calibration.first(len(rigs[0]) * variant.lifted_frames)
    other = cell != cells_of_points(lifted, variant)
    exact = positions(matrix_inputs(calibration, variant, form, np.float64), variant, form, np.float64)
    distance = border_distances(exact, variant)[other]
    plan = PoolingPlan.from_frames(cell, variant)
    expected = beside_plan(plan, calibration, variant, temporal)
    computed = Computed(
        points=cell.size,
        other_cell=int(other.sum()),
        farthest=float(distance.max(initial=0)),
        vectors=_relative(found["cameras"], expected["cameras"]) if "cameras" in found else None,
        warps=_off(found["warps"], expected["warps"], variant) if "warps" in found else None,
    )
    return {**given}, {**expected, **found}, computed


def geometry_part(model: ov.Model) -> ov.Model:
    """What an IR computes of matrices alone: `CELLS`, and `cameras` and `warps` where it has them."""
    copy = model.clone()
    wanted = {CELLS, "cameras", "warps"}
    values = {name: value for op in copy.get_ops() for value in op.outputs() for name in value.get_names() & wanted}
    inputs = [each for each in copy.get_parameters() if each.get_friendly_name() in MATRIX_INPUTS]
    return ov.Model(list(values.values()), inputs, "geometry")  # pyright: ignore[reportGeneralTypeIssues]


def _relative(found: NDArray[Any], expected: NDArray[Any]) -> float:
    return float((np.abs(found - expected) / np.maximum(np.abs(expected), 1)).max())


def _off(found: NDArray[Any], expected: NDArray[Any], variant: Variant) -> float:
    """How far apart two sets of warps [B, 3, 4] bring the corners of the image, at every depth that is in front."""
    height, width = variant.input_size
    corners = np.array([[u, v, 1.0] for u in (0, width - 1) for v in (0, height - 1)])  # [4, 3]
    depths = np.array(variant.depths())
    points = corners[None] * depths[:, None, None]  # [D, 4, 3]
    homogeneous = np.concatenate([points, np.ones_like(points[..., :1])], axis=-1).reshape(-1, 4)
    a, b = (np.einsum("bij,kj->bki", warps.astype(np.float64), homogeneous) for warps in (found, expected))
    front = b[..., 2] > 1
    pixel_a, pixel_b = (each[..., :2] / np.where(front, each[..., 2], 1)[..., None] for each in (a, b))
    seen = front & (np.abs(pixel_b) <= 2 * max(height, width)).all(-1)
    return float(np.linalg.norm(pixel_a - pixel_b, axis=-1)[seen].max(initial=0))
