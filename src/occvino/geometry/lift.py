"""Where image features land: the frustum of every camera, cut into BEV cells, as the plan that pooling follows.

A camera sees D depth bins along the ray of each of its fH x fW feature pixels: N * D * fH * fW *frustum points*,
numbered in that order. Geometry decides which BEV cell each falls in; the pooling operator (`bev_pool`) then sums, in
every cell, feature[pixel] * depth probability[point] over the points of that cell.

The geometry is that of FlashOCC's `LSSViewTransformer.get_ego_coor` and `voxel_pooling_prepare_v2`, in closed form.
Slow readable twins of everything here are in `lift_reference.py`; the tests hold the two together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from occvino.errors import RigError, warn
from occvino.geometry.calibration import Calibration
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import inverse3x3
from occvino.variant import Variant

OUTSIDE = -1
"""The cell of a frustum point that lies in no cell of the grid."""


class EmptyPlanWarning(UserWarning):
    """Every frustum point misses the grid: the BEV will be all zero."""


@lru_cache(maxsize=8)
def frustum(variant: Variant) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Network pixels [fH*fW, 2] (u, v) of the feature map, and depths [D] in metres along the optical axis.

    Pixels are spread from 0 to W-1 with both ends included (not pixel centres); depths are the bins' lower edges.
    Source: `create_frustum` of FlashOCC's view transformer.
    """
    (height, width), (rows, columns) = variant.input_size, variant.feature_size
    u = np.linspace(0, width - 1, columns, dtype=np.float32)
    v = np.linspace(0, height - 1, rows, dtype=np.float32)
    pixels = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2)  # [fH*fW, 2]
    return pixels, np.array(variant.depths(), np.float32)


def rays(calibration: Calibration, variant: Variant) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Straight lines in the key ego frame: the point of a pixel at depth d is `origin + d * direction`.

    Since the image transform and the lens leave depth alone, all D points of a pixel lie on one line; the matrices are
    applied to 6 * 704 pixels and not to 186,000 points. NaN where a lens shows no ray, or one without a depth.

    Returns:
        direction [N, 3, fH*fW] per metre of depth, and origin [N, 3] in metres.

    Raises:
        RigError: an intrinsic or image matrix cannot be inverted, or the image transform changes depth.
    """
    if not (
        np.array_equal(calibration.post_rot[:, 2], np.tile([0, 0, 1], (len(calibration), 1)))
        and not calibration.post_rot[:, :2, 2].any()
        and not calibration.post_trans[:, 2].any()
    ):
        raise RigError("calibration: the image transform must keep depth: third row and column of post_rot those of I")
    for what in ("intrinsics", "post_rot"):
        singular = np.flatnonzero(np.abs(np.linalg.det(getattr(calibration, what).astype(np.float64))) < 1e-9)
        if singular.size:
            raise RigError(f"calibration: {what} of camera {singular[0]} is singular and has no inverse")
    pixels, _ = frustum(variant)
    sensor2keyego = calibration.sensor2keyego().astype(np.float64)
    bda = calibration.bda.astype(np.float64)
    shifted = pixels.T[None] - calibration.post_trans[:, :2, None]  # [N, 2, fH*fW]
    raw = inverse3x3(calibration.post_rot)[:, :2, :2] @ shifted  # [N, 2, fH*fW]
    homogeneous = np.concatenate([raw, np.ones_like(raw[:, :1])], axis=1)  # [N, 3, fH*fW]
    slopes = inverse3x3(calibration.intrinsics) @ homogeneous  # [N, 3, fH*fW]
    for of_camera, lens in zip(slopes, calibration.lenses, strict=False):
        if lens is not None:
            of_camera[:2] = lens.slopes(of_camera[:2].T).T
    direction = bda @ sensor2keyego[:, :3, :3] @ slopes
    origin = sensor2keyego[:, :3, 3] @ bda.T
    return direction.astype(np.float32), origin.astype(np.float32)


def cells_of_points(calibration: Calibration, variant: Variant) -> NDArray[np.int32]:
    """The cell of every frustum point [N*D*fH*fW]: `(z * Dy + y) * Dx + x`, or `OUTSIDE`.

    The last step is float32 and **truncates** towards zero, as the official `.long()` does: a point up to one cell
    below the lower bound counts as inside. (A pillar 6.4 m high that starts at -1 m takes points from -7.4 m up.)
    """
    direction, origin = rays(calibration, variant)
    _, depth = frustum(variant)
    grid = variant.lift_grid
    n, pixels = len(calibration), direction.shape[-1]
    cell = np.zeros((n, depth.size, pixels), np.int32)  # [N, D, fH*fW]
    inside = np.ones(cell.shape, bool)
    position = np.empty(cell.shape, np.float32)
    strides = (1, grid.shape[0], grid.shape[0] * grid.shape[1])
    for axis in range(3):
        np.multiply(depth[:, None], direction[:, axis, None, :], out=position)
        position += origin[:, axis, None, None]
        position -= np.float32(grid.lower[axis])
        position /= np.float32(grid.step[axis])
        inside &= position > -1.0
        inside &= position < grid.shape[axis]
        if grid.shape[axis] > 1:  # one bin: truncation gives 0
            with np.errstate(invalid="ignore"):  # far outside, or NaN of a lens: overwritten below
                index = position.astype(np.int32)
            cell += index * np.int32(strides[axis]) if strides[axis] > 1 else index
    np.logical_not(inside, out=inside)
    cell[inside] = OUTSIDE
    return cell.reshape(-1)


def points_in_grid(calibration: Calibration, variant: Variant) -> NDArray[np.int64]:
    """How many frustum points of each camera [N] are in the grid."""
    inside = cells_of_points(calibration, variant).reshape(len(calibration), -1) != OUTSIDE
    return inside.sum(axis=1)


def without_ray(calibration: Calibration, variant: Variant) -> NDArray[np.float64]:
    """Of each camera [N], which share (0..1) of its feature pixels has no ray with a depth, because of its lens."""
    return np.isnan(rays(calibration, variant)[0][:, 0]).mean(axis=1)


def cameras_per_frame(calibration: Calibration, variant: Variant) -> int:
    """N, where a calibration holds the cameras of all the frames that the variant takes.

    Raises:
        RigError: the cameras do not divide among the frames.
    """
    cameras, rest = divmod(len(calibration), variant.frames)
    if rest or not cameras:
        raise RigError(
            f"calibration of {len(calibration)} cameras for {variant.name}, which takes {variant.frames} frames: "
            "a multiple of that is expected, the key frame's cameras first"
        )
    return cameras


@dataclass(frozen=True, eq=False)
class PoolingPlan:
    """Which entries each BEV cell sums: the calibration-dependent input of the network.

    The entries of all cells stand one after another; cell i owns those from `interval_starts[i]` to the next start.
    Entry e adds `feature[ranks_feat[e]] * depth[ranks_depth[e]]`. P = N*D*fH*fW, one past the last depth value, stands
    for a weight of zero, and T = N*fH*fW, one past the last row of features, for a row of zeros: an entry that is to
    add nothing has both, so that an infinite feature somewhere cannot leak into it as 0 * inf.

    Every plan of a variant has the same number of entries, so that the network's shapes are static, and no cell is
    empty, which plugins disagree about. Both come from one rule: **each cell begins with one entry that adds nothing,
    and each point outside the grid is kept as such an entry of some cell**, dealt round so that none grows long.

    A plan of several frames has a grid for each, one after another, which the frame's own cameras alone fill.

    Names are those of `bev_pool_v2`; `ranks_bev` is implied by `interval_starts`.
    """

    ranks_depth: NDArray[np.int32]  # [E], in 0..P
    ranks_feat: NDArray[np.int32]  # [E], in 0..T
    interval_starts: NDArray[np.int32]  # [cells]
    points: int
    rows: int
    kept_of: tuple[int, ...]
    """How many points of each camera are in the grid, frame after frame."""

    @property
    def kept(self) -> int:
        """How many points are in the grid."""
        return sum(self.kept_of)

    @classmethod
    def from_rig(cls, rig: Rig, variant: Variant) -> "PoolingPlan":
        """Plan of a rig under the test-time image transform. Warns when every point misses the grid.

        Raises:
            RigError: a matrix cannot be inverted.
        """
        return cls.from_calibration(rig.calibration(variant), variant)

    @classmethod
    def from_calibration(cls, calibration: Calibration, variant: Variant) -> "PoolingPlan":
        """Plan of explicit matrices, of all frames that the variant takes.

        Past frames are lifted straight into the key ego frame. Warns with `EmptyPlanWarning` when every point misses
        the grid.

        Raises:
            RigError: the cameras do not divide among the frames, or a matrix has no inverse.
        """
        lifted = cameras_per_frame(calibration, variant) * variant.lifted_frames
        plan = cls.from_frames(cells_of_points(calibration.first(lifted), variant), variant)
        if plan.kept == 0:
            warn(
                f"none of the {plan.points} frustum points falls in the grid of {variant.name} (key ego frame, x "
                f"{variant.lift_grid.x.lower:g}..{variant.lift_grid.x.upper:g} m): the BEV is all zero and the labels "
                "say nothing. Are sensor2ego and ego2global camera-to-ego and ego-to-global, in metres?",
                EmptyPlanWarning,
            )
        return plan

    @classmethod
    def from_frames(cls, cell: NDArray[np.int32], variant: Variant) -> "PoolingPlan":
        """Plan from the cell of each point of all lifted frames (see `cells_of_points`)."""
        rows, columns = variant.feature_size
        cells, depth_bins = variant.lift_grid.cells, variant.depth_bins
        frames = np.split(cell, variant.lifted_frames)
        return cls.stack([cls.from_cells(f, cells, depth_bins=depth_bins, pixels=rows * columns) for f in frames])

    @classmethod
    def from_cells(cls, cell: NDArray[np.int32], cells: int, *, depth_bins: int, pixels: int) -> "PoolingPlan":
        """Plan from the cell of each point [P] (`OUTSIDE` for none); points are numbered (camera, depth bin, pixel)."""
        points = cell.size
        outside = np.flatnonzero(cell == OUTSIDE)
        owner = cell.copy()
        owner[outside] = np.arange(outside.size, dtype=np.int32) % cells
        # NumPy sorts 16-bit keys by radix: four times faster than the same keys in 32 bits
        order = np.argsort(owner.astype(np.uint16) if cells <= 1 << 16 else owner, kind="stable").astype(np.int32)
        entry_of_rank = owner[order]
        entry_of_rank += np.arange(1, points + 1, dtype=np.int32)  # one entry that adds nothing per cell so far
        weight_of = np.arange(points, dtype=np.int32)
        weight_of[outside] = points
        ranks_depth = np.full(points + cells, points, np.int32)
        ranks_depth[entry_of_rank] = weight_of[order]
        ranks_feat = _pixel_of_point(points, depth_bins, pixels)[ranks_depth]
        sizes = np.bincount(owner, minlength=cells) + 1
        starts = (np.cumsum(sizes) - sizes).astype(np.int32)
        per_camera = depth_bins * pixels
        lost = np.diff(np.searchsorted(outside, np.arange(0, points + 1, per_camera)))
        kept_of = tuple((per_camera - lost).tolist())
        return cls(ranks_depth, ranks_feat, starts, points, points // depth_bins, kept_of)

    @classmethod
    def stack(cls, frames: "Sequence[PoolingPlan]") -> "PoolingPlan":
        """One plan of several frames of the same size, whose cells stand frame after frame."""
        if len(frames) == 1:
            return frames[0]
        points, rows = frames[0].points, frames[0].rows
        # the indices that stand for nothing come after those of all frames
        nothing = points * len(frames), rows * len(frames)
        depth = [
            np.where(f.ranks_depth == points, nothing[0], f.ranks_depth + i * points) for i, f in enumerate(frames)
        ]
        feat = [np.where(f.ranks_feat == rows, nothing[1], f.ranks_feat + i * rows) for i, f in enumerate(frames)]
        starts = [f.interval_starts + i * f.ranks_depth.size for i, f in enumerate(frames)]
        return cls(
            np.concatenate(depth).astype(np.int32),
            np.concatenate(feat).astype(np.int32),
            np.concatenate(starts).astype(np.int32),
            nothing[0],
            nothing[1],
            tuple(kept for frame in frames for kept in frame.kept_of),
        )

    def inputs(self) -> dict[str, NDArray[np.int32]]:
        """The arrays by the names that the exported networks give their inputs."""
        return {
            "ranks_depth": self.ranks_depth,
            "ranks_feat": self.ranks_feat,
            "interval_starts": self.interval_starts,
        }


@lru_cache(maxsize=8)
def _pixel_of_point(points: int, depth_bins: int, pixels: int) -> NDArray[np.int32]:
    """Feature row of every point [P + 1]; the point P that stands for nothing reads the row T."""
    point = np.arange(points, dtype=np.int32)
    row = point // (depth_bins * pixels) * pixels + point % pixels
    return np.append(row, np.int32(points // depth_bins)).astype(np.int32)
