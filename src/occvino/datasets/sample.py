"""One key frame of a data set, and whether the files of many are there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from occvino.datasets.fields import DatasetError
from occvino.datasets.occ3d import Occ3DLabels
from occvino.errors import FrameError, warn
from occvino.files import parts_inside
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import Matrix, moved
from occvino.images.decode import Reading, read_into
from occvino.images.exif import Exif


@dataclass(frozen=True, eq=False)
class Lidar:
    """The lidar sweep of a key frame.

    Attributes:
        lidar2ego: pose of the lidar on the vehicle.  # [4, 4]
        ego2global: pose of the vehicle at the lidar's time.  # [4, 4]
        file: of the sweep, whether or not it is there.
    """

    lidar2ego: Matrix
    ego2global: Matrix
    file: Path


@dataclass(frozen=True, eq=False)
class Sample:
    """One key frame. Files are opened when asked for.

    Attributes:
        token: of the nuScenes sample.
        scene: name of its scene, as `scene-0001`.
        timestamp: of the key frame, in nuScenes that of the lidar sweep, microseconds.
        rig: the cameras with their poses, in the reader's order.
        images: image file of each camera.
        sweep: the lidar sweep; None where the data set has no lidar, which labelling does without.
        labels: file of the Occ3D ground truth, whether or not it is there.
    """

    token: str
    scene: str
    timestamp: int
    rig: Rig
    images: tuple[Path, ...]
    sweep: Lidar | None
    labels: Path

    def __post_init__(self) -> None:
        for what, name in {"scene name": self.scene, "token": self.token}.items():
            if parts_inside(name) != (name,):
                raise DatasetError(f"the {what} {name!r} can be no folder name, and labels are stored under it")

    @property
    def ego2global(self) -> Matrix:
        """Pose of the vehicle, whose frame the labels are in [4, 4]: at the lidar's time, where Occ3D's truth is.

        Without a lidar at the first camera's exposure: networks give their labels in that frame.
        """
        return self.sweep.ego2global if self.sweep else self.rig.cameras[0].ego2global

    @property
    def lidar2ego(self) -> Matrix:
        """Pose of the lidar on the vehicle [4, 4]; raises `DatasetError` if there is no lidar."""
        return self._lidar().lidar2ego

    @property
    def lidar(self) -> Path:
        """File of the sweep; raises `DatasetError` if there is no lidar."""
        return self._lidar().file

    @property
    def lidar2global(self) -> Matrix:
        """Pose of the lidar on the map [4, 4]; raises `DatasetError` if there is no lidar."""
        return self._lidar().ego2global @ self.lidar2ego

    def _lidar(self) -> Lidar:
        if self.sweep is None:
            raise DatasetError(
                f"sample {self.token} has no LIDAR_TOP record, which rays (--rays) and the depth loss of training "
                "(--depth-weight) need: leave them out, or complete the data set"
            )
        return self.sweep

    def image_files(self) -> dict[str, Path]:
        """Image file of each camera by name, as `Pipeline` takes them."""
        return dict(zip(self.rig.names, self.images, strict=True))

    def load_images(self, exif: Exif = "warn") -> NDArray[np.uint8]:
        """The raw RGB images, [N, H, W, 3]. `exif` and warnings are those of `images.inputs.image_inputs`.

        Raises:
            FrameError: an image is missing, unreadable, or not of the size that the rig says.
        """
        reading, found = Reading(exif), list[NDArray[np.uint8]]()
        for path, camera in zip(self.images, self.rig.cameras, strict=True):
            if not path.exists():
                raise FrameError(f"image not found: {path}; unpack the nuScenes samples there")
            found.append(np.empty((camera.height, camera.width, 3), np.uint8))
            read_into(found[-1], path, camera, "rgb", reading)
        reading.warn()
        return np.stack(found)

    def load_labels(self) -> Occ3DLabels:
        """Ground truth.

        Raises:
            DatasetError: the file is missing or is not Occ3D's.
        """
        return Occ3DLabels.load(self.labels)

    def load_lidar(self) -> NDArray[np.float32]:
        """Points of the sweep: x, y, z in the lidar's frame (metres), intensity, ring, [R, 5].

        Raises:
            DatasetError: the file is missing or is not a sweep of nuScenes.
        """
        try:
            values = np.fromfile(self.lidar, np.float32)
        except OSError as error:
            raise DatasetError(f"cannot read the lidar sweep {self.lidar}: {error.strerror or error}") from error
        if values.size % 5:
            raise DatasetError(f"{self.lidar} holds {values.size} numbers, expected five a point")
        return values.reshape(-1, 5)

    def lidar_pixels(self) -> tuple[NDArray[np.float32], ...]:
        """Lidar points in each camera's raw image: u, v (pixels) and depth along the optical axis (metres).

        Points are moved by the vehicle's motion between sweep and exposure. One array [K, 3] a camera.
        """
        points = moved(self.load_lidar()[:, :3], self.lidar2global)
        return tuple(camera.project(points).astype(np.float32) for camera in self.rig.cameras)


def require_labels(frames: Iterable[Sample], root: Path, *, masked: bool) -> None:
    """Make sure that frames have ground truth, before anything long begins. That of three is read.

    Args:
        frames: to be scored or learnt from.
        root: of the data set.
        masked: only voxels that a camera sees will count.

    Raises:
        DatasetError: files are missing or not Occ3D's, or the camera masks are empty.
    """
    wanted = [frame.labels for frame in frames]
    missing = [path for path in wanted if not path.is_file()]
    if missing:
        raise DatasetError(
            f"the ground truth of {len(missing)} of {len(wanted)} frames is missing, first {missing[0]}: "
            f"{_where_labels_are(root)}"
        )
    looked_at = [Occ3DLabels.load(wanted[i]) for i in {0, len(wanted) // 2, len(wanted) - 1} if wanted]
    if masked and looked_at and not any(labels.mask_camera.any() for labels in looked_at):
        raise DatasetError(
            f"no camera sees a voxel in {wanted[0]} and others: 'mask_camera' is empty, so nothing would be counted. "
            "Take Occ3D's own labels, or count all voxels (--unmasked)"
        )


def require_sweeps(frames: Iterable[Sample]) -> None:
    """Make sure that frames have lidar sweeps.

    Raises:
        DatasetError: there is no lidar, or files are missing.
    """
    wanted = [frame.lidar for frame in frames]
    missing = [path for path in wanted if not path.is_file()]
    if missing:
        raise DatasetError(
            f"{len(missing)} of {len(wanted)} lidar sweeps are missing, first {missing[0]}: unpack the nuScenes "
            "samples there, or train without a depth loss (--depth-weight 0)"
        )


def _where_labels_are(root: Path) -> str:
    elsewhere = sorted(path for level in ("*", "*/*") for path in root.glob(f"{level}/gts") if path.is_dir())
    if elsewhere:
        return f"there is {elsewhere[0]}: move it to {root / 'gts'}, or make a link there"
    return f"unpack Occ3D's gts archive in {root}"


def require_images(frames: Iterable[Sample]) -> None:
    """Make sure that frames have their images.

    Raises:
        FrameError: files are missing.
    """
    wanted, missing = _missing_images(frames)
    if missing:
        raise FrameError(_unpack(wanted, missing))


def warn_of_missing_images(frames: Iterable[Sample]) -> None:
    """The same where frames may fail one by one: warns of some.

    Raises:
        FrameError: there is not one image.
    """
    wanted, missing = _missing_images(frames)
    if missing and len(missing) == wanted:
        raise FrameError(_unpack(wanted, missing))
    if missing:
        warn(_unpack(wanted, missing))


def _missing_images(frames: Iterable[Sample]) -> tuple[int, Sequence[Path]]:
    wanted = [path for frame in frames for path in frame.images]
    return len(wanted), [path for path in wanted if not path.is_file()]


def _unpack(wanted: int, missing: Sequence[Path]) -> str:
    return f"{len(missing)} of {wanted} images are missing, first {missing[0]}: unpack the nuScenes samples there"
