"""All cameras of a vehicle, in the order in which the network takes them."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from occvino.errors import RigError, warn
from occvino.geometry.calibration import Calibration
from occvino.geometry.camera import Camera, off_centre
from occvino.geometry.image_transform import ImageTransform
from occvino.geometry.rig_json import load_rig, save_rig
from occvino.geometry.rig_nuscenes import cameras_of_sample
from occvino.geometry.transforms import Matrix
from occvino.variant import Variant

MAX_CAMERAS = 12

_FAR = 1e4
"""Metres from the map's origin beyond which float32, which the official code uses, loses millimetres: UTM coordinates
would lose half a metre. Only differences of ego poses matter, so the origin is moved then. nuScenes stays below."""


@dataclass(frozen=True, eq=False)
class Rig:
    """From 1 to 12 cameras, in the order in which the network takes them. Camera 0 defines the key ego frame.

    Raises:
        RigError: no camera, more than 12, or two of one name.
    """

    cameras: tuple[Camera, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "cameras", tuple(self.cameras))
        if not 1 <= len(self.cameras) <= MAX_CAMERAS:
            raise RigError(f"the rig has {len(self.cameras)} cameras, expected 1 to {MAX_CAMERAS}")
        twice = {name for name in self.names if self.names.count(name) > 1}
        if twice:
            raise RigError(f"the rig has more than one camera called {', '.join(sorted(twice))}")

    def __len__(self) -> int:
        return len(self.cameras)

    @property
    def has_pose(self) -> bool:
        """Whether the rig says where the vehicle is: where `ego2global` is left out, it is the identity."""
        return any(not np.array_equal(camera.ego2global, np.eye(4)) for camera in self.cameras)

    @property
    def names(self) -> tuple[str, ...]:
        """Camera names, in order."""
        return tuple(camera.name for camera in self.cameras)

    def fingerprint(self) -> bytes:
        """Hash of every value of every camera, in order."""
        digest = hashlib.sha256()
        for camera in self.cameras:
            for field in fields(camera):
                value = getattr(camera, field.name)
                told = value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode("utf-8", "replace")
                digest.update(b"%s %d " % (field.name.encode(), len(told)) + told)
        return digest.digest()

    @classmethod
    def load(cls, path: str | Path) -> "Rig":
        """Read a rig from JSON: `{"cameras": {NAME: {width, height, intrinsics, distortion, sensor2ego, ego2global}}}`.

        Poses are a matrix [4, 4], `{"rotation_wxyz": [4], "translation_m": [3]}`, or a ROS pose whose fields have
        names; `ego2global` may be left out for a vehicle that stands still. Keys that begin with "_" or "comment" are
        ignored; other unknown ones too, with an `UnknownKeyWarning`.

        Raises:
            RigError: the file is missing, not JSON, or a value cannot be right; `ego2global` is given for some of the
                cameras only; a lens is of an unknown model, or folds back inside of the image.
        """
        return cls(load_rig(path))

    def save(self, path: str | Path) -> None:
        """Write the rig as JSON that `load` reads back to the same float64 values."""
        save_rig(self.cameras, path)

    @classmethod
    def from_nuscenes(cls, sample: Mapping[str, Mapping[str, Any]], names: Sequence[str] | None = None) -> "Rig":
        """Rig of one nuScenes key frame, from its per-camera records as BEVDet's info files hold them (`info["cams"]`).

        Args:
            sample: camera name -> record with `cam_intrinsic` [3, 3], `sensor2ego_rotation` (w, x, y, z),
                `sensor2ego_translation`, `ego2global_rotation`, `ego2global_translation`, and, when the image is not
                1600x900, `width` and `height`.
            names: which cameras, in which order. When left out: nuScenes' six in the order of the published models if
                the sample has just these, else all in the sample's own order.

        Raises:
            RigError: a camera or a field is missing.
        """
        return cls(cameras_of_sample(sample, names))

    @classmethod
    def from_kalibr(cls, path: str | Path, reference2ego: Matrix | None = None) -> "Rig":
        """Rig of Kalibr's camchain; see `geometry.readers.kalibr.read_kalibr`, which also says how it was read.

        Raises:
            RigError: the file cannot be read, or a value cannot be right.
        """
        from occvino.geometry import readers

        return readers.read_kalibr(path, reference2ego).rig

    @classmethod
    def from_opencv(cls, files: Mapping[str, str | Path], reference2ego: Matrix | None = None) -> "Rig":
        """Rig of OpenCV's FileStorage, camera name -> file; see `geometry.readers.opencv.read_opencv`.

        Raises:
            RigError: a file cannot be read, or a value cannot be right.
        """
        from occvino.geometry import readers

        return readers.read_opencv(files, reference2ego).rig

    @classmethod
    def from_kitti360(cls, folder: str | Path, reference2ego: Matrix | None = None) -> "Rig":
        """Rig of KITTI-360's two perspective cameras, rectified; see `geometry.readers.kitti360.read_kitti360`.

        Raises:
            RigError: a file cannot be read, or a value cannot be right.
        """
        from occvino.geometry import readers

        return readers.read_kitti360(folder, reference2ego).rig

    @classmethod
    def from_argoverse2(
        cls, log: str | Path, reference2ego: Matrix | None = None, cameras: Sequence[str] | None = None
    ) -> "Rig":
        """Rig of a log of Argoverse 2, its ring cameras; see `geometry.readers.argoverse2.read_argoverse2`.

        Raises:
            RigError: pyarrow is not installed, a file cannot be read, or a value cannot be right.
        """
        from occvino.geometry import readers

        return readers.read_argoverse2(log, reference2ego, cameras).rig

    @classmethod
    def from_carla(cls, path: str | Path, reference2ego: Matrix | None = None) -> "Rig":
        """Rig of CARLA's sensors, or of its ROS bridge's objects; see `geometry.readers.carla.read_carla`.

        Raises:
            RigError: the file cannot be read, or a value cannot be right.
        """
        from occvino.geometry import readers

        return readers.read_carla(path, reference2ego).rig

    def scaled(self, factor: float) -> "Rig":
        """The same rig for images that were resized by `factor`."""
        return Rig(tuple(camera.scaled(factor) for camera in self.cameras))

    def straight(self) -> "Rig":
        """The rig of the images after they were undistorted: the same cameras without lenses."""
        return Rig(tuple(replace(camera, lens=None) for camera in self.cameras))

    def select(self, names: Iterable[str]) -> "Rig":
        """The rig of the named cameras, in that order.

        Raises:
            RigError: a camera is missing; the message lists those there are.
        """
        names = tuple(names)
        by_name = {camera.name: camera for camera in self.cameras}
        missing = [name for name in names if name not in by_name]
        if missing:
            raise RigError(f"the rig has no camera {', '.join(missing)}; it has {', '.join(self.names)}")
        return Rig(tuple(by_name[name] for name in names))

    def image_transforms(self, variant: Variant) -> tuple[ImageTransform, ...]:
        """For each camera, how its image becomes the variant's input.

        Raises:
            RigError: an image is too flat, or the principal point is not in what the network would see of it.
        """
        return tuple(_transform_of(camera, variant) for camera in self.cameras)

    def map_origin(self) -> Matrix:
        """What to subtract from positions on the map [3], metres: nothing, or this vehicle's own when it is far off."""
        positions = np.array([camera.ego2global[:3, 3] for camera in self.cameras])
        return positions[0] if np.abs(positions).max() > _FAR else np.zeros(3)

    def calibration(self, variant: Variant, origin: Matrix | None = None) -> Calibration:
        """The matrices that the geometry needs, float32, with the test-time image transform in them.

        `origin` is the `map_origin` that several frames share; this rig's own when left out.
        """
        transforms = self.image_transforms(variant)
        lenses = tuple(camera.lens for camera in self.cameras)
        ego2global = np.array([camera.ego2global for camera in self.cameras])
        ego2global[:, :3, 3] -= self.map_origin() if origin is None else origin
        return Calibration(
            sensor2ego=np.array([camera.sensor2ego for camera in self.cameras], np.float32),
            ego2global=ego2global.astype(np.float32),
            intrinsics=np.array([camera.intrinsics for camera in self.cameras], np.float32),
            post_rot=np.array([np.diag([t.scale, t.scale, 1.0]) for t in transforms], np.float32),
            post_trans=np.array([[-t.crop[0], -t.crop[1], 0.0] for t in transforms], np.float32),
            bda=np.eye(3, dtype=np.float32),
            lenses=lenses if any(lenses) else (),
        )


def _transform_of(camera: Camera, variant: Variant) -> ImageTransform:
    try:
        transform = ImageTransform.for_test((camera.height, camera.width), variant.input_size, variant.crop)
    except RigError as error:
        raise RigError(f"{camera.name}: {error}") from error
    (x, y), (width, height) = camera.intrinsics[:2, 2], transform.resized
    left, top, right, bottom = transform.crop
    if left <= x * transform.scale <= right and top <= y * transform.scale <= bottom:
        return transform
    away = off_centre(camera)
    if not (0 <= x <= camera.width and 0 <= y <= camera.height):
        away = f"the principal point ({x:.0f}, {y:.0f}) is outside of the {camera.width}x{camera.height} image"
    if away:
        raise RigError(
            f"{camera.name}: {away}: are the intrinsics those of images of another size? Give width, height and "
            "intrinsics of the same images; Rig.scaled changes them together"
        )
    raise RigError(
        f"{camera.name}: the crop {variant.crop!r} keeps the rows {top} to {bottom} of the image resized to "
        f"{width}x{height} for {variant.name}, and the principal point is in row {y * transform.scale:.0f}: the "
        "horizon would be lost. Convert with --crop middle, or --crop ROWS to cut that many from the top"
    )


class UnknownPoseWarning(UserWarning):
    """No rig of several frames says where the vehicle was: past frames are used as if it had stood still."""


def warn_of_unknown_poses(rigs: Iterable[Rig]) -> None:
    """For the rigs of two or more frames. The identity counts as left out: a moving vehicle is there at most once."""
    if not any(rig.has_pose for rig in rigs):
        warn(
            "ego2global is left out, or the identity, in every frame: past frames are used as if the vehicle stood "
            "still. Give ego2global in the rig of each frame",
            UnknownPoseWarning,
        )


def turned(rig: Rig, degrees: float) -> Rig:
    """The rig after all its cameras turned to the left about the vehicle's vertical axis, as on a mount that gave way.

    For measuring: each angle has a pooling plan of its own.
    """
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[cos, -sin, 0, 0], [sin, cos, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    return Rig(tuple(replace(camera, sensor2ego=turn @ camera.sensor2ego) for camera in rig.cameras))
