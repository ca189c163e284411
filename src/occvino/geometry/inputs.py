"""All network inputs that come from calibration, by name: the pooling plan, camera vectors and stereo warps.

With F frames a `Calibration` holds the N cameras of the key frame, then those of the frame before it, and so on; the
key ego frame is that of its first camera. `joint_calibration` makes one from rigs. Slow readable twins of the two
formulas here are in `inputs_reference.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from occvino.errors import RigError, warn
from occvino.geometry.calibration import Calibration
from occvino.geometry.columns import ColumnSizes, column_inputs
from occvino.geometry.doubts import doubts, told_doubts, told_mistakes, warn_of_doubts
from occvino.geometry.lift import PoolingPlan, cameras_per_frame, without_ray
from occvino.geometry.matrices import Matrices, matrix_inputs
from occvino.geometry.mistakes import mistakes
from occvino.geometry.rig import Rig
from occvino.geometry.temporal import MISSING, Temporal, state_inputs
from occvino.geometry.transforms import affine_inverse, inverse3x3
from occvino.variant import Variant

PLAN_INPUTS = ("ranks_depth", "ranks_feat", "interval_starts")


def input_names(variant: Variant, temporal: Temporal = "batch") -> tuple[str, ...]:
    """Names of the inputs of a variant's network, in order. The state of a stream (see `temporal`) comes last."""
    names = ("images", *PLAN_INPUTS)
    names += ("cameras",) if variant.depth_net else ()
    names += ("warps",) if variant.stereo else ()
    return names if temporal == "batch" else (*names, MISSING, *state_inputs(variant, temporal))


@dataclass(frozen=True, eq=False)
class Geometry:
    """All that a network takes from the rigs of its frames. `inputs`: arrays by input name, the plan's included."""

    plan: PoolingPlan
    inputs: dict[str, NDArray[np.generic]]

    @classmethod
    def of(
        cls,
        calibration: Calibration,
        variant: Variant,
        temporal: Temporal = "batch",
        columns: ColumnSizes | None = None,
    ) -> "Geometry":
        """From explicit matrices. `columns`: of a network that pools in the column form.

        Raises:
            RigError: the number of cameras is no multiple of the variant's frames, a matrix has no inverse, or the rig
                does not fit the column form.
        """
        plan = PoolingPlan.from_calibration(calibration, variant)
        return cls(plan, beside_plan(plan, calibration, variant, temporal, columns))

    @classmethod
    def of_rigs(cls, rigs: Sequence[Rig], variant: Variant, temporal: Temporal = "batch") -> "Geometry":
        """From the rigs of all frames, newest first. Other modules call this and compose no matrices themselves.

        Warns with `DoubtfulRigWarning` where the newest rig can hardly be right, and says what was likely mistaken.

        Raises:
            RigError: there is not one rig for each frame of the variant, the rigs have different cameras, or no point
                that they see is in the grid.
        """
        return GeometryCache(variant, temporal)(rigs)


class LeftOutWarning(UserWarning):
    """A part of a wide lens's image adds nothing, since its rays have no depth along the optical axis."""


class GeometryCache:
    """`Geometry.of_rigs` for one network, computed again only when a rig has moved. Several threads may call it.

    It warns of each doubt about a camera once, however often that camera moves.
    """

    def __init__(
        self,
        variant: Variant,
        temporal: Temporal = "batch",
        columns: ColumnSizes | None = None,
        matrices: Matrices | None = None,
    ) -> None:
        self._variant = variant
        self._temporal: Temporal = temporal
        self._columns = columns
        self._matrices = matrices
        self._last: tuple[bytes, Geometry] | None = None
        self._mounted: bytes | None = None
        self._told: set[tuple[str, str]] = set()

    def inputs(self, rigs: Sequence[Rig]) -> dict[str, NDArray[np.generic]]:
        """What the network is given: a plan and what goes with it, or matrices.

        Of matrices no plan is made, except one, to look for doubts, where cameras were mounted otherwise than before.
        Arguments and errors are those of `Geometry.of_rigs`; a rig has a lens, and the network takes matrices.
        """
        if self._matrices is None:
            return self(rigs).inputs
        calibration = joint_calibration(rigs, self._variant)
        found = matrix_inputs(calibration, self._variant, self._matrices)
        newest = calibration.first(len(rigs[0]))
        mounted = newest.sensor2ego.tobytes() + newest.intrinsics.tobytes()
        if mounted != self._mounted:
            self(rigs)
            self._mounted = mounted
        return {**found}

    def __call__(self, rigs: Sequence[Rig]) -> Geometry:
        """Arguments and errors are those of `Geometry.of_rigs`."""
        calibration = joint_calibration(rigs, self._variant)
        fingerprint, last = calibration.fingerprint(), self._last  # read once: another thread may replace it
        if last is None or last[0] != fingerprint:
            last = self._last = fingerprint, Geometry.of(calibration, self._variant, self._temporal, self._columns)
            self._warn(rigs[0], last[1].plan)
            self._warn_of_left_out(rigs[0])
        return last[1]

    def _warn_of_left_out(self, rig: Rig) -> None:
        bent = [camera for camera in rig.cameras if camera.lens and (camera.name, "ray") not in self._told]
        if not bent:
            return
        shares = without_ray(Rig(tuple(bent)).calibration(self._variant), self._variant)
        left_out = {camera.name: share for camera, share in zip(bent, shares, strict=True) if share}
        self._told.update((name, "ray") for name in left_out)
        if left_out:
            told = ", ".join(f"{share:.0%} of {name}" for name, share in left_out.items())
            warn(
                f"pixels that look 90 degrees and more off the optical axis, or at nothing, have no depth and are left "
                f"out: {told}",
                LeftOutWarning,
            )

    def _warn(self, rig: Rig, plan: PoolingPlan) -> None:
        found = doubts(rig, self._variant, plan)
        if not plan.kept:
            told = told_mistakes(mistakes(rig, found)) or told_doubts(found)
            raise RigError(f"no point that the cameras see is in the grid of {self._variant.name}: {told.lstrip()}")
        new = [each for each in found if (each.camera, each.kind) not in self._told]
        self._told.update((each.camera, each.kind) for each in new)
        if new:
            warn_of_doubts(new, mistakes(rig, found))


def beside_plan(
    plan: PoolingPlan,
    calibration: Calibration,
    variant: Variant,
    temporal: Temporal = "batch",
    columns: ColumnSizes | None = None,
) -> dict[str, NDArray[np.generic]]:
    """The inputs from a finished plan, and the other inputs that come from calibration.

    The fast form of a temporal model runs its depth net on the current frame alone.
    """
    inputs: dict[str, NDArray[np.generic]] = {**plan.inputs()}
    if columns:
        inputs = column_inputs(plan.inputs(), variant, columns)
    frames = 1 if temporal == "fast" else variant.lifted_frames
    asked = slice(0, cameras_per_frame(calibration, variant) * frames)
    if variant.depth_net:
        inputs["cameras"] = camera_vectors(calibration, variant)[asked]
    if variant.stereo:
        inputs["warps"] = stereo_warps(calibration, variant)[asked]
    return inputs


def joint_calibration(rigs: Sequence[Rig], variant: Variant) -> Calibration:
    """Calibration of the key frame's rig and of those before it, newest first, under the test-time image transform.

    Raises:
        RigError: there is not one rig for each frame of the variant, or the rigs have different cameras.
    """
    if len(rigs) != variant.frames:
        raise RigError(
            f"{len(rigs)} rigs for {variant.name}, which takes {variant.frames} frames: give one rig for each frame"
        )
    for rig in rigs:
        if rig.names != rigs[0].names:
            raise RigError(
                f"the frames have different cameras: {', '.join(rig.names)} and {', '.join(rigs[0].names)}: "
                "give every frame the same, in the same order"
            )
    origin = rigs[0].map_origin()
    return Calibration.join([rig.calibration(variant, origin) for rig in rigs])


def camera_vectors(calibration: Calibration, variant: Variant) -> NDArray[np.float32]:
    """27 numbers for each lifted camera [B, 27]: what a depth net is told about it.

    In order: fx, fy, cx, cy of the raw image in pixels; the first two rows of the image transform, linear part and
    shift; five entries of the BEV augmentation; the first three rows of sensor to key ego, metres. The last are those
    of the **key frame's** camera for every frame. Source: `get_mlp_input` of FlashOCC's view transformer.
    """
    cameras = cameras_per_frame(calibration, variant)
    lifted = slice(0, cameras * variant.lifted_frames)
    k, rotation, shift = calibration.intrinsics[lifted], calibration.post_rot[lifted], calibration.post_trans[lifted]
    bda = np.broadcast_to(calibration.bda[[0, 0, 1, 1, 2], [0, 1, 0, 1, 2]], (len(k), 5))
    key = calibration.sensor2keyego()[:cameras, :3].reshape(cameras, 12)
    columns = (
        np.stack([k[:, 0, 0], k[:, 1, 1], k[:, 0, 2], k[:, 1, 2]], axis=1),
        np.concatenate([rotation[:, 0, :2], shift[:, :1], rotation[:, 1, :2], shift[:, 1:2]], axis=1),
        bda,
        np.tile(key, (variant.lifted_frames, 1)),
    )
    return np.concatenate(columns, axis=1).astype(np.float32)  # [B, 27]


def stereo_warps(calibration: Calibration, variant: Variant) -> NDArray[np.float32]:
    """Where each lifted camera's pixels are in the previous frame [B, 3, 4], for `networks.stereo.cost_volume`.

    `warp @ (u*d, v*d, d, 1)` is the homogeneous network pixel there of the network pixel (u, v) at depth d; its third
    entry is the depth there in metres. The current frame's intrinsics and image transform serve the previous image
    too, as in the official code (`gen_grid` of its depth net), whose steps are here one matrix, composed in float64.

    Raises:
        RigError: a lens distorts, and no matrix says where its pixels are.
    """
    if any(calibration.lenses):
        raise RigError(
            f"{variant.name} compares the images of two frames pixel by pixel (stereo), which takes straight images: "
            "undistort them (--undistort, or Pipeline(undistort=True))"
        )
    cameras = cameras_per_frame(calibration, variant)
    now, before = slice(0, cameras * variant.lifted_frames), slice(cameras, None)
    sensor2global = calibration.ego2global.astype(np.float64) @ calibration.sensor2ego.astype(np.float64)
    motion = affine_inverse(sensor2global[before]) @ sensor2global[now]  # [B, 4, 4]
    transform = calibration.post_rot[now].astype(np.float64)
    transform[:, :2, 2] = calibration.post_trans[now, :2]
    to_pixel = transform @ calibration.intrinsics[now].astype(np.float64)  # [B, 3, 3]
    warp = to_pixel @ motion[:, :3]  # [B, 3, 4]
    warp[:, :, :3] = warp[:, :, :3] @ inverse3x3(to_pixel)
    return warp.astype(np.float32)
