"""Rotations, rigid transforms and their inverses in closed form, float64: no solver."""

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from occvino.errors import RigError

Matrix: TypeAlias = NDArray[np.float64]


def rotation_from_quaternion(wxyz: ArrayLike) -> Matrix:
    """Rotation matrix [3, 3] of a quaternion (w, x, y, z) of length 1, which is normalised against rounding.

    Raises:
        RigError: not four finite numbers, or a length off by more than 1 %.
    """
    q = np.asarray(wxyz, np.float64)
    if q.shape != (4,) or not np.isfinite(q).all() or abs(np.linalg.norm(q) - 1) > 1e-2:
        raise RigError(f"rotation {q.tolist()} is not a unit quaternion: four finite numbers w, x, y, z of length 1")
    w, x, y, z = q / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_from_rotation(rotation: Matrix) -> list[float]:
    """(w, x, y, z) of a rotation [3, 3], by the eigenvector of Bar-Itzhack's symmetric 4x4 matrix (2000)."""
    (a, b, c), (d, e, f), (g, h, i) = rotation
    k = np.array(
        [
            [a - e - i, b + d, c + g, h - f],
            [b + d, e - a - i, f + h, c - g],
            [c + g, f + h, i - a - e, d - b],
            [h - f, c - g, d - b, a + e + i],
        ]
    )
    x, y, z, w = np.linalg.eigh(k)[1][:, -1]
    return [float(v) * (1.0 if w >= 0 else -1.0) for v in (w, x, y, z)]


def pose(rotation_wxyz: ArrayLike, translation: ArrayLike) -> Matrix:
    """Rigid transform [4, 4] from a quaternion (w, x, y, z) and a translation in metres."""
    shift = np.asarray(translation, np.float64)
    if shift.shape != (3,) or not np.isfinite(shift).all():
        raise RigError(f"translation {shift.tolist()} is not three finite numbers, in metres")
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_from_quaternion(rotation_wxyz)
    matrix[:3, 3] = shift
    return matrix


def nearest_rotation(matrix: Matrix) -> Matrix:
    """The rotation nearest to one that was rounded [3, 3]: Newton's iteration for the polar factor."""
    for _ in range(4):  # the error is squared in each
        matrix = matrix @ (3 * np.eye(3) - matrix.T @ matrix) / 2
    return matrix


def rigid_inverse(matrix: NDArray[np.floating[Any]]) -> Matrix:
    """Inverse of rigid transforms [..., 4, 4] in closed form, float64: R' = R^T, t' = -R^T t."""
    rotation_t = np.swapaxes(matrix[..., :3, :3].astype(np.float64), -1, -2)
    inverse = np.zeros(matrix.shape)
    inverse[..., :3, :3] = rotation_t
    inverse[..., :3, 3] = -(rotation_t @ matrix[..., :3, 3:].astype(np.float64))[..., 0]
    inverse[..., 3, 3] = 1.0
    return inverse


def inverse3x3(matrix: NDArray[np.floating[Any]]) -> Matrix:
    """Inverse of matrices [..., 3, 3] by the adjugate, float64: rows of the inverse are cross products of columns."""
    a, b, c = np.moveaxis(matrix.astype(np.float64), -1, 0)  # the three columns, [..., 3] each
    rows = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=-2)  # [..., 3, 3]
    return rows / np.sum(a * rows[..., 0, :], axis=-1)[..., None, None]


def frozen(values: ArrayLike, dtype: type[np.floating[Any]]) -> NDArray[Any]:
    """A copy that nobody can change after it was checked."""
    array = np.array(values, dtype)
    array.setflags(write=False)
    return array


def affine_inverse(matrix: Matrix) -> Matrix:
    """Inverse of [..., 4, 4] by the adjugate: float32 rotations far from the map's origin are not rigid enough."""
    inverse = np.zeros_like(matrix)
    inverse[..., :3, :3] = inverse3x3(matrix[..., :3, :3])
    inverse[..., :3, 3] = -(inverse[..., :3, :3] @ matrix[..., :3, 3:])[..., 0]
    inverse[..., 3, 3] = 1.0
    return inverse


def moved(points: NDArray[np.floating[Any]], a2b: Matrix) -> Matrix:
    """Points [K, 3] of frame a in frame b, float64."""
    return points.astype(np.float64) @ a2b[:3, :3].T + a2b[:3, 3]


def seen_from(poses: NDArray[np.float64], index: int) -> Matrix:
    """Each of the poses [F, 4, 4] in the frame of one of them, [F, 4, 4]."""
    return rigid_inverse(poses[index]) @ poses


def motion_between(before: Matrix, now: Matrix) -> tuple[float, float]:
    """How far a pose [4, 4] moved, in metres, and how far it turned, in degrees."""
    motion = rigid_inverse(before) @ now
    cosine = (float(np.trace(motion[:3, :3])) - 1) / 2
    return float(np.linalg.norm(motion[:3, 3])), math.degrees(math.acos(min(1.0, max(-1.0, cosine))))
