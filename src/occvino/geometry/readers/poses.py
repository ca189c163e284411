"""Poses as other projects give them: angles, rotation vectors, axes that point elsewhere."""

from collections.abc import Sequence

import numpy as np

from occvino.geometry.camera import rigid
from occvino.geometry.transforms import Matrix, frozen

OPTICAL2BODY: Matrix = frozen([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], np.float64)
"""From x right, y down, z forward to x forward, y left, z up, of one camera [4, 4]."""
SIX_NUMBERS = "X,Y,Z[,ROLL,PITCH,YAW]"


def pose_from_angles(place: Sequence[float], yaw: float, pitch: float, roll: float) -> Matrix:
    """Pose [4, 4] of a frame x forward, y left, z up in another such frame.

    Args:
        place: x, y, z in metres.
        yaw: degrees, to the left, about z; turned last.
        pitch: degrees, **down**, about y, as right-handed axes with z up have it.
        roll: degrees, to the right, about x; turned first.
    """
    (cy, cp, cr), (sy, sp, sr) = np.cos(np.radians([yaw, pitch, roll])), np.sin(np.radians([yaw, pitch, roll]))
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    return pose_of(about_z @ about_y @ about_x, place)


def pose_of(rotation: Matrix, place: Sequence[float] | Matrix) -> Matrix:
    """Pose [4, 4] of a rotation [3, 3] and a translation [3]."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = place
    return matrix


def rotation_from_vector(vector: Matrix) -> Matrix:
    """Rotation [3, 3] about a vector [3] by its length in radians: Rodrigues' formula, as OpenCV's `rvec`."""
    angle = float(np.linalg.norm(vector))
    if angle == 0:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def reference_pose(given: Matrix | None, default: Matrix) -> Matrix:
    """Pose of a format's reference frame in the ego frame [4, 4]: what the caller gave, or the default.

    Raises:
        RigError: what was given is not rigid.
    """
    return default if given is None else rigid("reference2ego", "the pose", np.asarray(given, np.float64))
