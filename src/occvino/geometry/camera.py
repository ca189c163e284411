"""One camera: its image size, intrinsics and pose, checked when it is made."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from occvino.errors import RigError, warn
from occvino.files import parts_inside
from occvino.geometry.lens import Lens, check_inside
from occvino.geometry.transforms import Matrix, frozen, moved, nearest_rotation, rigid_inverse

_ROTATION_TOLERANCE = 1e-4
"""float32 rotations are orthonormal to about 1e-6; a wrong one is off by far more than this."""
_ROUNDED = 2e-3
"""How far one that was rounded to three decimals may be off: half a unit in each entry, times two, times sqrt(3)."""

_CENTRED = 0.8, 1.25
"""Twice the principal point's column over the width. Lenses are centred to a few percent."""
_SAME_FACTOR = 0.35
"""How far rows and columns may differ where the intrinsics are of another resolution: rows are often cropped."""


class RoundedRotationWarning(UserWarning):
    """A rotation was given with so few decimals that it had to be made orthonormal again."""


@dataclass(frozen=True, eq=False)
class Camera:
    """One camera of a rig. The matrices are float64 and checked when the camera is made.

    Args:
        name: as `CAM_FRONT`; image files are found by it (docs/rig.md).
        width: of the raw image, pixels.
        height: of the raw image, pixels.
        intrinsics: [3, 3], sensor frame to raw pixels.
        sensor2ego: [4, 4], rigid.
        ego2global: [4, 4], rigid, at this camera's own exposure. Identity for a vehicle that stands still.
        lens: how its raw images are distorted; None for straight images.

    Raises:
        RigError: names the camera, the value and what was expected; the lens folds back inside of the image.

    Warns with `RoundedRotationWarning` where a rotation was rounded to three or four decimals, and takes the nearest
    rotation.
    """

    name: str
    width: int
    height: int
    intrinsics: Matrix
    sensor2ego: Matrix
    ego2global: Matrix
    lens: Lens | None = None

    def __post_init__(self) -> None:
        for attribute in ("intrinsics", "sensor2ego", "ego2global"):
            object.__setattr__(self, attribute, frozen(getattr(self, attribute), np.float64))
        if parts_inside(self.name) is None:
            raise RigError(f"the camera name {self.name!r} can be no file name, and images are found by it: rename it")
        if self.width < 1 or self.height < 1:
            raise RigError(f"{self.name}: the image is {self.width}x{self.height}; both must be 1 or more")
        _check_intrinsics(self.name, self.intrinsics)
        for what in ("sensor2ego", "ego2global"):
            object.__setattr__(self, what, rigid(self.name, what, getattr(self, what)))
        if self.lens is not None and self.lens.straight:
            object.__setattr__(self, "lens", None)
        if self.lens is not None:
            check_inside(self.name, self.lens, self.intrinsics, self.width, self.height)

    def project(self, points: Matrix) -> Matrix:
        """Points of the global frame [K, 3] that it sees, as u, v (raw pixels) and depth (metres), [M, 3].

        Points nearer than 0.1 m along the optical axis, or outside the image, are left out.
        """
        return self._seen(points)[0]

    def sees(self, points: Matrix) -> NDArray[np.bool_]:
        """Which points of the global frame [K, 3] `project` does not leave out, [K]."""
        return self._seen(points)[1]

    def _seen(self, points: Matrix) -> tuple[Matrix, NDArray[np.bool_]]:
        """What `project` and `sees` give."""
        seen = moved(points, rigid_inverse(self.ego2global @ self.sensor2ego))
        mask = seen[:, 2] > 0.1
        seen = seen[mask]
        slopes = seen[:, :2] / seen[:, 2:]
        if self.lens is not None:
            slopes = self.lens.distorted(slopes)  # NaN, which is not inside, where it shows nothing
        pixels = slopes @ self.intrinsics[:2, :2].T + self.intrinsics[:2, 2]
        inside = (pixels >= -0.5) & (pixels < np.array([self.width, self.height]) - 0.5)
        mask[mask] = inside.all(1)
        return np.column_stack([pixels, seen[:, 2]])[inside.all(1)], mask

    def rays(self, pixels: Matrix) -> Matrix:
        """Unit rays of the sensor frame [..., 3] that raw pixels [..., 2] (u, v) see; NaN where the lens shows nothing.

        Those of a fisheye lens may look sideways or back.
        """
        slopes = (pixels - self.intrinsics[:2, 2]) @ np.linalg.inv(self.intrinsics[:2, :2]).T
        if self.lens is not None:
            return self.lens.rays(slopes)
        ray = np.concatenate([slopes, np.ones_like(slopes[..., :1])], axis=-1)
        return ray / np.linalg.norm(ray, axis=-1, keepdims=True)

    def scaled(self, factor: float) -> "Camera":
        """The same camera with its images resized by `factor`: sizes are rounded, the first two rows of K scale."""
        if not np.isfinite(factor) or factor <= 0:
            raise RigError(f"{self.name}: cannot scale by {factor}; a positive number is expected")
        width, height = max(1, round(self.width * factor)), max(1, round(self.height * factor))
        return replace(
            self,
            width=width,
            height=height,
            intrinsics=np.diag([width / self.width, height / self.height, 1.0]) @ self.intrinsics,
        )


def off_centre(camera: Camera) -> str:
    """What is to be said of a principal point far from the middle of the image's width; empty for a usual one.

    The intrinsics are then those of larger or smaller images, or of images before they were cropped.
    """
    (x, y), (width, height) = camera.intrinsics[:2, 2], (camera.width, camera.height)
    across, down = 2 * x / width, 2 * y / height
    if _CENTRED[0] <= across <= _CENTRED[1]:
        return ""
    words = f"the principal point ({x:.0f}, {y:.0f}) is far from the middle of the {width}x{height} image"
    if abs(down / across - 1) < _SAME_FACTOR:
        words += f": the intrinsics look like those of images of about {width * across:.0f}x{height * across:.0f}"
    return words


def _check_intrinsics(name: str, k: Matrix) -> None:
    if k.shape != (3, 3):
        raise RigError(f"{name}: intrinsics have shape {k.shape}, expected (3, 3)")
    if not np.isfinite(k).all():
        raise RigError(f"{name}: intrinsics hold a value that is not finite: {k.tolist()}")
    if not k.any():
        raise RigError(
            f"{name}: intrinsics are all zero, as in ROS's camera_info of an uncalibrated camera: calibrate it"
        )
    if not np.array_equal(k[2], [0.0, 0.0, 1.0]):
        raise RigError(f"{name}: the last row of the intrinsics is {k[2].tolist()}, expected [0, 0, 1]")
    if k[0, 0] <= 0 or k[1, 1] <= 0:
        raise RigError(
            f"{name}: intrinsics are singular or mirrored: focal lengths fx={k[0, 0]:g}, fy={k[1, 1]:g} pixels, "
            "expected two positive numbers"
        )
    if abs(k[0, 0] * k[1, 1] - k[0, 1] * k[1, 0]) < 1e-6 * k[0, 0] * k[1, 1]:
        raise RigError(f"{name}: intrinsics are singular: the first two rows are parallel, {k[:2].tolist()}")
    if not k[:2, 2].any():
        raise RigError(
            f"{name}: intrinsics have no principal point: cx = cy = 0, the corner of the image. Give it in pixels from "
            "that corner; it is near the middle of the image"
        )


def rigid(name: str, what: str, matrix: Matrix) -> Matrix:
    """The matrix [4, 4], with the nearest rotation in the place of one that was rounded.

    Args:
        name: of the camera, or the file and place that it is from, for messages.
        what: the field.
        matrix: as it was given.

    Raises:
        RigError: it is not rigid: another shape, values that are not finite, no rotation, or one that mirrors.

    Warns with `RoundedRotationWarning` where it was rounded.
    """
    if matrix.shape != (4, 4):
        raise RigError(f"{name}: {what} has shape {matrix.shape}, expected (4, 4)")
    if not np.isfinite(matrix).all():
        raise RigError(f"{name}: {what} holds a value that is not finite: {matrix.tolist()}")
    rotation = matrix[:3, :3]
    error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if error > _ROUNDED:
        raise RigError(
            f"{name}: the 3x3 part of {what} is not a rotation: R R^T differs from the identity by {error:.3g}. Give "
            "all decimals of the matrix, without a scale in it, or a quaternion (rotation_wxyz)"
        )
    if np.linalg.det(rotation) < 0:
        raise RigError(f"{name}: the 3x3 part of {what} mirrors (determinant -1): an axis is flipped")
    if not np.array_equal(matrix[3], [0.0, 0.0, 0.0, 1.0]):
        raise RigError(f"{name}: the last row of {what} is {matrix[3].tolist()}, expected [0, 0, 0, 1]")
    if error <= _ROTATION_TOLERANCE:
        return matrix
    warn(
        f"{name}: the 3x3 part of {what} is a rotation with few decimals: R R^T differs from the identity by "
        f"{error:.3g}. The nearest rotation is used; give six decimals or more, or a quaternion (rotation_wxyz)",
        RoundedRotationWarning,
    )
    orthonormal = matrix.copy()
    orthonormal[:3, :3] = nearest_rotation(rotation)
    return frozen(orthonormal, np.float64)
