"""Frames of a nuScenes folder, real or synthetic, from its tables or from an info file of BEVDet or FlashOCC."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occvino.datasets.infos import load_infos
from occvino.datasets.occ3d import Occ3DLabels
from occvino.datasets.tables import DatasetError, Record, Tables
from occvino.errors import FrameError
from occvino.files import parts_inside
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import Matrix, moved, pose
from occvino.images.decode import Reading, read_into
from occvino.images.exif import Exif
from occvino.metrics.ray import lidar_origins
from occvino.variant import NUSCENES_CAMERAS


@dataclass(frozen=True, eq=False)
class Sample:
    """One key frame. Files are opened when asked for.

    Attributes:
        token: of the nuScenes sample.
        scene: name of its scene, as `scene-0001`.
        timestamp: of the lidar sweep, microseconds.
        rig: the cameras with their poses, in the reader's order.
        images: image file of each camera.
        ego2global: pose of the vehicle at the lidar's time: labels are in this ego frame.  # [4, 4]
        lidar2ego: pose of the lidar on the vehicle.  # [4, 4]
        lidar: file of the sweep.
        labels: file of the Occ3D ground truth, whether or not it is there.
    """

    token: str
    scene: str
    timestamp: int
    rig: Rig
    images: tuple[Path, ...]
    ego2global: Matrix
    lidar2ego: Matrix
    lidar: Path
    labels: Path

    def __post_init__(self) -> None:
        for what, name in {"scene name": self.scene, "token": self.token}.items():
            if parts_inside(name) != (name,):
                raise DatasetError(f"the {what} {name!r} can be no folder name, and labels are stored under it")

    @property
    def lidar2global(self) -> Matrix:
        """Pose of the lidar on the map [4, 4]."""
        return self.ego2global @ self.lidar2ego

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


class NuScenes:
    """The key frames of a data set, in order of scenes and time.

    Args:
        root: folder with `samples`, `v1.0-*` and `gts`.
        version: folder of tables, as `v1.0-mini`; found by itself when there is only one.
        cameras: which cameras, in which order. The published models' order by default.
        scenes: names of the scenes to read; all when left out.

    Raises:
        DatasetError: a table, scene, camera or record is missing.
    """

    def __init__(
        self,
        root: str | Path,
        version: str | None = None,
        *,
        cameras: Sequence[str] = NUSCENES_CAMERAS,
        scenes: Sequence[str] | None = None,
    ) -> None:
        tables = Tables(root, version)
        self._set(_frames_from_tables(tables, cameras, scenes), f"{tables.root / tables.version}")

    @classmethod
    def from_infos(cls, path: str | Path, root: str | Path, *, cameras: Sequence[str] = NUSCENES_CAMERAS) -> "NuScenes":
        """Frames of a `bevdetv2-nuscenes_infos_*.pkl`, without running anything in it.

        File names in it are taken from `samples` and `gts` on, and looked for under `root`.

        Raises:
            DatasetError: the file cannot be read safely, or a frame lacks something.
        """
        dataset = cls.__new__(cls)
        dataset._set([_frame_from_info(info, Path(root), cameras) for info in load_infos(path)], str(path))
        return dataset

    def _set(self, frames: list[Sample], source: str) -> None:
        if not frames:
            raise DatasetError(f"{source} holds no key frame")
        self._frames = tuple(frames)
        self._source = source
        self._by_token = {frame.token: index for index, frame in enumerate(frames)}
        self._scenes: dict[str, list[int]] = {}
        for index, frame in enumerate(frames):
            self._scenes.setdefault(frame.scene, []).append(index)

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> Sample:
        return self._frames[index]

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._frames)

    @property
    def scenes(self) -> dict[str, tuple[Sample, ...]]:
        """Frames of each scene, in order of time."""
        return {name: tuple(self._frames[i] for i in indices) for name, indices in self._scenes.items()}

    def find(self, token: str) -> int:
        """Index of the frame with this sample token.

        Raises:
            DatasetError: there is no such frame.
        """
        try:
            return self._by_token[token]
        except KeyError:
            raise DatasetError(f"{self._source} has no frame {token!r}") from None

    def previous(self, index: int, count: int) -> tuple[Sample, ...]:
        """The `count` frames before frame `index`, newest first.

        Before the scene's beginning the current frame stands in, as in the official code (`get_adj_info`).
        """
        frame = self[index]
        before = self._scenes[frame.scene]
        position = before.index(index % len(self))
        return tuple(self._frames[before[position - n]] if position >= n else frame for n in range(1, count + 1))

    def ray_origins(self, index: int) -> NDArray[np.float64]:
        """Where RayIoU's rays start for frame `index`, in its ego frame: see `metrics.ray.lidar_origins`, [T, 3]."""
        indices = self._scenes[self[index].scene]
        frames = [self._frames[i] for i in indices]
        poses = np.stack([frame.lidar2global for frame in frames])
        return lidar_origins(poses, indices.index(index % len(self)), self[index].lidar2ego)


def _frames_from_tables(tables: Tables, cameras: Sequence[str], scenes: Sequence[str] | None) -> list[Sample]:
    names = {scene["name"]: scene for scene in tables["scene"].values()}
    missing = [name for name in scenes or () if name not in names]
    if missing:
        raise DatasetError(f"there is no scene {', '.join(missing)}; there is {', '.join(sorted(names))}")
    data = _key_data(tables)
    frames: list[Sample] = []
    for name in sorted(names):
        if scenes is not None and name not in scenes:
            continue
        token = names[name]["first_sample_token"]
        while token:
            sample = tables.get("sample", token)
            frames.append(_frame_from_sample(tables, sample, name, data.get(token, {}), cameras))
            token = sample["next"]
    return frames


def _key_data(tables: Tables) -> dict[str, dict[str, Record]]:
    """Sample token -> channel -> its record of `sample_data`."""
    found: dict[str, dict[str, Record]] = {}
    for record in tables["sample_data"].values():
        if record["is_key_frame"]:
            sensor = tables.get("calibrated_sensor", record["calibrated_sensor_token"])["sensor_token"]
            found.setdefault(record["sample_token"], {})[tables.get("sensor", sensor)["channel"]] = record
    return found


def _frame_from_sample(
    tables: Tables, sample: Record, scene: str, data: dict[str, Record], cameras: Sequence[str]
) -> Sample:
    missing = [channel for channel in (*cameras, "LIDAR_TOP") if channel not in data]
    if missing:
        raise DatasetError(f"sample {sample['token']} has no {', '.join(missing)}; it has {', '.join(sorted(data))}")
    records = {channel: _camera_record(tables, data[channel]) for channel in (*cameras, "LIDAR_TOP")}
    lidar = records.pop("LIDAR_TOP")
    return Sample(
        token=sample["token"],
        scene=scene,
        timestamp=sample["timestamp"],
        rig=Rig.from_nuscenes(records, cameras),
        images=tuple(tables.file(data[channel]) for channel in cameras),
        ego2global=pose(lidar["ego2global_rotation"], lidar["ego2global_translation"]),
        lidar2ego=pose(lidar["sensor2ego_rotation"], lidar["sensor2ego_translation"]),
        lidar=tables.file(data["LIDAR_TOP"]),
        labels=tables.root / "gts" / scene / sample["token"] / "labels.npz",
    )


def _camera_record(tables: Tables, data: Record) -> dict[str, Any]:
    """One sensor's record in the form of BEVDet's info files, which `Rig.from_nuscenes` takes."""
    sensor = tables.get("calibrated_sensor", data["calibrated_sensor_token"])
    ego = tables.get("ego_pose", data["ego_pose_token"])
    return {
        "cam_intrinsic": sensor["camera_intrinsic"],
        "sensor2ego_rotation": sensor["rotation"],
        "sensor2ego_translation": sensor["translation"],
        "ego2global_rotation": ego["rotation"],
        "ego2global_translation": ego["translation"],
        "width": data["width"],
        "height": data["height"],
    }


def _frame_from_info(info: Record, root: Path, cameras: Sequence[str]) -> Sample:
    try:
        labels = _under(root, "gts", info["occ_path"]) / "labels.npz"
        return Sample(
            token=info["token"],
            scene=info.get("scene_name", labels.parent.parent.name),
            timestamp=int(info["timestamp"]),
            rig=Rig.from_nuscenes(info["cams"], cameras),
            images=tuple(_under(root, "samples", info["cams"][name]["data_path"]) for name in cameras),
            ego2global=pose(info["ego2global_rotation"], info["ego2global_translation"]),
            lidar2ego=pose(info["lidar2ego_rotation"], info["lidar2ego_translation"]),
            lidar=_under(root, "samples", info["lidar_path"]),
            labels=labels,
        )
    except KeyError as error:
        raise DatasetError(f"frame {info.get('token', '?')} of the info file has no {error.args[0]!r}") from error


def _under(root: Path, folder: str, name: str) -> Path:
    """`./data/nuscenes/samples/CAM_FRONT/x.jpg` -> `root/samples/CAM_FRONT/x.jpg`."""
    parts = Path(name).parts
    if folder not in parts or ".." in parts:
        raise DatasetError(f"the info file names {name!r}, which is not in a folder {folder!r}")
    return root.joinpath(*parts[parts.index(folder) :])
