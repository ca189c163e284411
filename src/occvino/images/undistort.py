"""Images straightened on the host, for networks that learnt on straight ones: OpenCV's resampling by our lens model.

What a straight image shows keeps its focal length and principal point, as `cv2.undistort` does it by default: a wide
lens loses its edges, and where a lens shows nothing the image is black.
"""

from collections.abc import Mapping
from concurrent.futures import Executor
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occvino.errors import OccvinoError, RigError
from occvino.geometry.camera import Camera
from occvino.geometry.lens import Lens
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import inverse3x3
from occvino.images.decode import ImageLike, Reading, read
from occvino.images.exif import Exif
from occvino.images.find import Images, by_camera
from occvino.images.parallel import side_by_side


def undistorted(
    images: Images, rig: Rig, pool: Executor | None = None, exif: Exif = "warn"
) -> tuple[Mapping[str, ImageLike], Rig]:
    """Straight images of a rig, and the rig without lenses. Images of cameras without a lens are passed on unread.

    Args:
        images: one per camera, arrays in RGB order.
        rig: that took them.
        pool: its idle threads work too.
        exif: as in `images.inputs.image_inputs`.

    Raises:
        FrameError: an image is missing or cannot be read.
        RigError: no camera has a lens.
        OccvinoError: OpenCV is not installed.
    """
    given, reading = by_camera(images, rig), Reading(exif)
    bent = [camera for camera in rig.cameras if camera.lens is not None]
    if not bent:
        raise RigError(
            "undistort was asked for, and no camera of the rig has a lens: give its distortion in the rig, or leave "
            "--undistort out"
        )
    made = side_by_side(
        lambda camera: _straight(np.asarray(read(given[camera.name], camera, reading)), camera), bent, pool
    )
    reading.warn()
    found = {**given, **dict(zip((camera.name for camera in bent), made, strict=True))}
    return found, rig.straight()


def _straight(image: NDArray[np.uint8], camera: Camera) -> NDArray[np.uint8]:
    assert camera.lens is not None
    shape = camera.height, camera.width
    sources = source_pixels(camera.lens, tuple(camera.intrinsics.reshape(-1).tolist()), shape)
    cv2 = _opencv()
    return cv2.remap(image, sources, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


@lru_cache(maxsize=24)
def source_pixels(lens: Lens, intrinsics: tuple[float, ...], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Where the raw image shows each pixel of the straight one, [height, width, 2] (u, v); -1e4 for nowhere."""
    k = np.array(intrinsics).reshape(3, 3)
    v, u = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    slopes = np.stack([u, v, np.ones_like(u)], axis=-1) @ inverse3x3(k).T
    found = lens.distorted(slopes[..., :2]) @ k[:2, :2].T + k[:2, 2]
    return np.nan_to_num(found, nan=-1e4).astype(np.float32)


def _opencv() -> Any:
    try:
        import cv2
    except ModuleNotFoundError as error:
        raise OccvinoError('images are undistorted by OpenCV: pip install "occvino[undistort]"') from error
    return cv2
