"""From a camera_info to the intrinsics, lens and size of the images that go with it."""

from dataclasses import dataclass, replace

import numpy as np

from occvino.datasets.bags.messages import BagError, CameraInfo
from occvino.errors import RigError, warn
from occvino.geometry.camera import Camera
from occvino.geometry.lens import Lens
from occvino.geometry.lens_json import make_lens
from occvino.geometry.transforms import Matrix

_ROTATION_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Calibration:
    """What a camera_info says of the images of one topic.

    Attributes:
        width: of the images, pixels.
        height: of the images, pixels.
        intrinsics: sensor frame to pixels.  # [3, 3]
        lens: None for straight images.
        turn: from the sensor frame of these images to the optical frame that tf knows.  # [4, 4]
    """

    width: int
    height: int
    intrinsics: Matrix
    lens: Lens | None
    turn: Matrix

    def camera(self, name: str, optical2ego: Matrix, ego2global: Matrix) -> Camera:
        """The camera of a rig."""
        pose = optical2ego @ self.turn if not np.array_equal(self.turn, np.eye(4)) else optical2ego
        return Camera(name, self.width, self.height, self.intrinsics, pose, ego2global, lens=self.lens)

    @classmethod
    def of_camera(cls, camera: Camera) -> "Calibration":
        """Of a camera of a rig file."""
        return cls(camera.width, camera.height, camera.intrinsics, camera.lens, np.eye(4))


def calibration_of(info: CameraInfo, topic: str, *, rectified: bool) -> Calibration:
    """What a camera_info says of raw images (K and D), or of rectified ones (P and R; no lens).

    `binning` and `roi` are taken into account as image_geometry does: the region of interest first, then the binning.

    Raises:
        BagError: a value cannot be right; names the topic.
    """
    try:
        lens = make_lens(info.model, info.d) if any(info.d) or info.model in ("equidistant", "fisheye") else None
    except RigError as error:
        raise BagError(f"{topic}: {error}") from error
    k = np.array(info.k).reshape(3, 3)
    turn = np.eye(4)
    if rectified:
        k, turn = _rectified(info, topic, k, lens)
        lens = None
    if info.width < 1 or info.height < 1:
        raise BagError(f"{topic}: the size is {info.width}x{info.height}: calibrate the camera, which sets it")
    return _cropped(Calibration(info.width, info.height, k, lens, turn), info, topic)


def _rectified(info: CameraInfo, topic: str, k: Matrix, lens: Lens | None) -> tuple[Matrix, Matrix]:
    """Intrinsics of the rectified images, and how their sensor frame is turned."""
    p = np.array(info.p).reshape(3, 4)
    turned = np.array(info.r).reshape(3, 3)
    if not p.any():
        if lens is not None or not k.any():
            raise BagError(f"{topic}: P is all zero, and rectified images need it: calibrate again, or use raw images")
        return k, np.eye(4)
    if p[:2, 3].any():
        warn(
            f"{topic}: P has Tx={p[0, 3]:g}, Ty={p[1, 3]:g}, as of the second camera of a stereo pair: tf is expected "
            f"to say where this camera itself is, in frame {info.frame}, not the first one"
        )
    if not turned.any():
        turned = np.eye(3)
    if np.abs(turned @ turned.T - np.eye(3)).max() > _ROTATION_TOLERANCE or np.linalg.det(turned) < 0:
        if lens is not None or not np.allclose(p[:, :3], k):
            raise BagError(f"{topic}: R is {np.round(turned, 4).tolist()}, expected a rotation: calibrate again")
        warn(f"{topic}: R is {turned.tolist()}, no rotation; P equals K and D is zero, so the identity is taken")
        turned = np.eye(3)
    turn = np.eye(4)
    turn[:3, :3] = turned.T
    return p[:, :3].copy(), turn


def _cropped(found: Calibration, info: CameraInfo, topic: str) -> Calibration:
    x, y, width, height = info.roi
    if (width, height) == (0, 0):
        x, y, width, height = 0, 0, found.width, found.height
    if x + width > found.width or y + height > found.height or not (width and height):
        raise BagError(
            f"{topic}: roi is {width}x{height} at ({x}, {y}), which is not inside of the {found.width}x{found.height} "
            "image: set it to zeros, or to what the driver cuts"
        )
    across, down = max(1, info.binning[0]), max(1, info.binning[1])
    if (x, y, width, height, across, down) == (0, 0, found.width, found.height, 1, 1):
        return found
    shifted = found.intrinsics - np.array([[0, 0, x], [0, 0, y], [0, 0, 0]])
    scaled = np.diag([1 / across, 1 / down, 1.0]) @ shifted
    return replace(found, width=width // across, height=height // down, intrinsics=scaled)
