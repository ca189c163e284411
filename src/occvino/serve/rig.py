"""Calibration as matrices, which any language can send, as a `Rig`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occvino.errors import RigError
from occvino.geometry.camera import Camera
from occvino.geometry.rig import Rig


def rig_of_matrices(
    names: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    intrinsics: NDArray[np.floating[Any]],
    camera2ego: NDArray[np.floating[Any]],
) -> Rig:
    """The rig of straight images whose cameras are described by matrices alone.

    The ego frame is that of the frame: where the cameras were exposed at different times, `camera2ego` leads to the one
    of the first camera's time.

    Args:
        names: of the cameras, N of them.
        sizes: of the raw images, (width, height) in pixels, in the same order.
        intrinsics: [N, 3, 3], sensor frame to raw pixels.
        camera2ego: [N, 4, 4], rigid, metres.

    Raises:
        RigError: another number of matrices than of cameras, or as `Camera`, which names the camera and the value.
    """
    count = len(names)
    for what, given, size in (("intrinsics", intrinsics, 3), ("camera2ego", camera2ego, 4)):
        if given.shape != (count, size, size):
            raise RigError(
                f"{what} have shape {list(given.shape)}, expected {[count, size, size]}: one matrix for each of "
                f"{', '.join(names)}"
            )
    if len(sizes) != count:
        raise RigError(f"{len(sizes)} image sizes for {count} cameras")
    return Rig(
        tuple(
            Camera(name, *size, intrinsics=k, sensor2ego=pose, ego2global=np.eye(4))
            for name, size, k, pose in zip(names, sizes, intrinsics, camera2ego, strict=True)
        )
    )
