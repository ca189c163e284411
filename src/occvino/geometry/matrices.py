"""Calibration as matrices: what an IR takes that computes the geometry itself, and how that is computed, in NumPy.

Such an IR takes two inputs, for the cameras of all frames, newest frame first (docs/contract.md):

    intrinsics [F*N, 3, 3]  raw pixels          camera2ego [F*N, 4, 4]  camera to key ego frame, metres

The resize and crop of the images is a constant of the IR, so that it is for raw images of one size a camera.
`conversion.matrices` builds the same arithmetic as a graph: `positions` in float32 is its twin.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occvino.errors import RigError
from occvino.geometry.calibration import Calibration
from occvino.geometry.image_transform import ImageTransform
from occvino.geometry.lift import OUTSIDE, frustum
from occvino.variant import Variant

MATRIX_INPUTS = ("intrinsics", "camera2ego")
"""Names of the two inputs, in order."""
POINTS_LOST = "points_lost"
"""Output of an IR that pools in pieces: how many points found no place. It must be 0."""
CELLS = "cells"
"""Tensor in the IR that holds the cell of each point (see `cells_in_order`)."""


@dataclass(frozen=True)
class Matrices:
    """What is fixed in an IR that takes calibration as matrices.

    Attributes:
        image_sizes: (height, width) of the raw images of each camera, pixels.
        pieces: J, how many cells the points of one image column and depth bin may fall in (`bev_pool_scatter`); None
            where each point is scattered by itself, and any number of cells will do.
    """

    image_sizes: tuple[tuple[int, int], ...]
    pieces: int | None

    @classmethod
    def from_json(cls, found: Mapping[str, Any] | None) -> "Matrices | None":
        """Read what `to_dict` gave, or None."""
        if found is None:
            return None
        pieces = found["pieces"]
        return cls(tuple((int(h), int(w)) for h, w in found["image_sizes"]), None if pieces is None else int(pieces))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def transform(self, variant: Variant) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The resize and crop that is a constant of the IR, of each camera: `post_rot` [N, 3, 3], `post_trans` [N, 3].

        As in `Calibration`: network pixel = post_rot @ raw pixel + post_trans.
        """
        found = [ImageTransform.for_test(size, variant.input_size, variant.crop) for size in self.image_sizes]
        rotation = np.array([np.diag([each.scale, each.scale, 1.0]) for each in found], np.float32)
        return rotation, np.array([[-each.crop[0], -each.crop[1], 0.0] for each in found], np.float32)

    def raw_pixels(self, variant: Variant) -> NDArray[np.float32]:
        """Where the pixels of the feature map are in the raw images [N, 2, fH*fW] (u, v), computed in float64."""
        rotation, shift = self.transform(variant)
        pixels = frustum(variant)[0].astype(np.float64).T  # [2, fH*fW]
        scale = rotation[:, 0, 0].astype(np.float64)
        return ((pixels - shift[:, :2, None]) / scale[:, None, None]).astype(np.float32)


def matrix_inputs(
    calibration: Calibration, variant: Variant, form: Matrices, kind: type[np.float32] | type[np.float64] = np.float32
) -> dict[str, NDArray[np.floating[Any]]]:
    """The two inputs by name, composed in float64 and cast.

    Intrinsics of raw images of another size are made those of the IR's size, so that a network pixel sees along the
    same ray.

    Args:
        calibration: of the cameras of all frames, newest first, without BEV augmentation.
        variant: whose network it is.
        form: of the IR.
        kind: of number to give; the IR takes float32.

    Raises:
        RigError: a lens distorts; raw images have another size and the network is told the intrinsics themselves.
    """
    if any(calibration.lenses):
        raise RigError(f"{variant.name} takes calibration as matrices, which know no lens: undistort the images")
    rotation, shift = form.transform(variant)
    frames = len(calibration) // len(form.image_sizes)
    rotation, shift = np.tile(rotation, (frames, 1, 1)), np.tile(shift, (frames, 1))
    intrinsics = calibration.intrinsics
    other = (rotation != calibration.post_rot).any((1, 2)) | (shift != calibration.post_trans).any(1)
    if other.any():
        if variant.depth_net:
            height, width = form.image_sizes[int(np.flatnonzero(other)[0]) % len(form.image_sizes)]
            raise RigError(
                f"the depth net of {variant.name} is told the intrinsics of raw images of {height}x{width} (height x "
                "width), and the rig has others: convert again with --rig RIG.json"
            )
        scale = (calibration.post_rot[:, 0, 0] / rotation[:, 0, 0].astype(np.float64))[:, None, None]
        moved = (calibration.post_trans - shift.astype(np.float64)) / rotation[:, :1, 0]
        intrinsics = calibration.intrinsics.astype(np.float64)
        intrinsics[:, :2] *= scale
        intrinsics[:, :2, 2] += moved[:, :2]
    return {"intrinsics": intrinsics.astype(kind), "camera2ego": calibration.sensor2keyego().astype(kind)}


def positions(
    inputs: Mapping[str, NDArray[np.floating[Any]]],
    variant: Variant,
    form: Matrices,
    kind: type[np.float32] | type[np.float64] = np.float32,
) -> NDArray[np.floating[Any]]:
    """Where each frustum point is in the lift grid, in cells from its lower corner [B, D, 3, fH*fW], B lifted cameras.

    Two cancellations are met before anything is rounded: the principal point is taken from a pixel before that is
    divided by focal lengths, and the last row of the intrinsics, (0, 0, 1), is not computed with.

    Args:
        inputs: those of `matrix_inputs`.
        variant: of the network.
        form: of the IR.
        kind: of number to compute in; float32 is what the graph does.
    """
    cameras = len(form.image_sizes) * variant.lifted_frames
    k, pose = (np.asarray(inputs[name][:cameras], kind) for name in MATRIX_INPUTS)
    raw = np.tile(form.raw_pixels(variant).astype(kind), (variant.lifted_frames, 1, 1))  # [B, 2, fH*fW]
    u, v = (raw[:, axis] - k[:, axis, 2, None] for axis in (0, 1))  # [B, fH*fW]
    a, b, c, d = (k[:, row, column, None] for row in (0, 1) for column in (0, 1))
    det = a * d - b * c
    x, y = (d * u - b * v) / det, (a * v - c * u) / det
    r = pose[:, :3, :3, None]
    direction = r[:, :, 0] * x[:, None] + r[:, :, 1] * y[:, None] + r[:, :, 2]  # [B, 3, fH*fW]
    depth = frustum(variant)[1].astype(kind)
    found = depth[:, None, None] * direction[:, None]  # [B, D, 3, fH*fW]
    found += pose[:, None, :3, 3:]
    found -= np.array(variant.lift_grid.lower, kind)[:, None]
    found /= np.array(variant.lift_grid.step, kind)[:, None]
    return found


def cells_of_positions(found: NDArray[np.floating[Any]], variant: Variant) -> NDArray[np.int32]:
    """The cell of every point [B*D*fH*fW], numbered and truncated as in `lift.cells_of_points`."""
    shape = np.array(variant.lift_grid.shape)[:, None]
    inside = ((found > -1) & (found < shape)).all(axis=2)
    index = np.where(np.expand_dims(inside, 2), found, 0).astype(np.int32)  # [B, D, 3, fH*fW]
    dx, dy, _ = variant.lift_grid.shape
    cell = index[:, :, 0] + dx * index[:, :, 1] + dx * dy * index[:, :, 2]
    return np.where(inside, cell, np.int32(OUTSIDE)).astype(np.int32).reshape(-1)


def border_distances(found: NDArray[np.floating[Any]], variant: Variant) -> NDArray[np.floating[Any]]:
    """How far each point is from a border that decides about its cell [B*D*fH*fW], in cells along the nearest axis.

    Borders are at -1 and at every whole number from 1 to the grid's size: truncation makes 0 none.
    """
    nearest = np.rint(found)
    nearest = np.where(nearest == 0, np.where(found < 0, -1, 1), nearest)
    shape = np.array(variant.lift_grid.shape)[:, None]
    return np.abs(found - np.clip(nearest, -1, shape)).min(axis=2).reshape(-1)


def cells_in_order(found: NDArray[Any], variant: Variant) -> NDArray[np.int32]:
    """The cells that a graph gives as `CELLS` in the order of `lift.cells_of_points`, every frame counted from 0.

    Args:
        found: [B*fW, D, fH] where it pools in pieces, else [B*D*fH*fW]; cells of the frames one after another, and
            numbers behind those for points that are in none.
        variant: of the network.
    """
    (rows, columns), bins = variant.feature_size, variant.depth_bins
    cell = found.astype(np.int64)
    if cell.ndim == 3:
        cell = cell.reshape(-1, columns, bins, rows).transpose(0, 2, 3, 1)
    cell = cell.reshape(variant.lifted_frames, -1)
    inside = cell < variant.plan_cells()
    cell = cell - np.arange(variant.lifted_frames)[:, None] * variant.lift_grid.cells
    return np.where(inside, cell, OUTSIDE).astype(np.int32).reshape(-1)


def pieces_needed(cell: NDArray[np.int32], variant: Variant) -> int:
    """In how many cells the points of one image column and depth bin fall at most, runs of one cell counted once.

    Args:
        cell: of each point, as `lift.cells_of_points` gives them.
        variant: of the network.
    """
    rows, columns = variant.feature_size
    points = cell.reshape(-1, variant.depth_bins, rows, columns)
    begins = points != OUTSIDE
    begins[:, :, 1:] &= points[:, :, 1:] != points[:, :, :-1]
    return int(begins.sum(axis=2).max(initial=0))
