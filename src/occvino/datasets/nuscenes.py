"""Frames of a nuScenes folder, real or synthetic, from its tables or from an info file."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from occvino.datasets.fields import DatasetError
from occvino.datasets.from_tables import frames_from_tables
from occvino.datasets.infos import frames_from_infos
from occvino.datasets.sample import Sample
from occvino.datasets.tables import Tables
from occvino.datasets.times import check_times
from occvino.metrics.ray import lidar_origins
from occvino.variant import NUSCENES_CAMERAS


class NuScenes:
    """The key frames of a data set, in order of scenes and time.

    Args:
        root: folder with `samples`, `v1.0-*` and `gts`; or the folder of tables in it, `ROOT/v1.0-mini`.
        version: folder of tables, as `v1.0-mini`; found by itself when there is only one.
        cameras: which cameras, in which order. The published models' order by default.
        scenes: names of the scenes to read; all when left out.

    Raises:
        DatasetError: a table, scene, camera or record is missing, or a field cannot be right.
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
        self._set(frames_from_tables(tables, cameras, scenes), tables.root, str(tables.folder))

    @classmethod
    def from_infos(cls, path: str | Path, root: str | Path, *, cameras: Sequence[str] = NUSCENES_CAMERAS) -> "NuScenes":
        """Frames of an info file, without running anything in it: `bevdetv2-nuscenes_infos_*.pkl`, or mmdet3d 1.x's.

        File names in it are taken from `samples` and `gts` on, and looked for under `root`.

        Raises:
            DatasetError: the file cannot be read safely, or a frame lacks something.
        """
        dataset = cls.__new__(cls)
        dataset._set(frames_from_infos(path, Path(root), cameras), Path(root), str(path))
        return dataset

    def _set(self, frames: list[Sample], root: Path, source: str) -> None:
        if not frames:
            raise DatasetError(f"{source} holds no key frame")
        self.root = root
        self._frames = tuple(frames)
        self._source = source
        self._by_token = {frame.token: index for index, frame in enumerate(frames)}
        if len(self._by_token) < len(frames):
            twice = next(frame.token for index, frame in enumerate(frames) if self._by_token[frame.token] != index)
            raise DatasetError(f"{source} holds two frames {twice}: remove one")
        self._scenes: dict[str, list[int]] = {}
        for index, frame in enumerate(frames):
            self._scenes.setdefault(frame.scene, []).append(index)
        check_times(((name, [frame.timestamp for frame in scene]) for name, scene in self.scenes.items()), source)

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

    def require_lidar(self, indices: Iterable[int]) -> None:
        """Make sure that rays can be cast for these frames.

        Raises:
            DatasetError: a frame of their scenes has no lidar.
        """
        for name in {self[index].scene for index in indices}:
            for index in self._scenes[name]:
                _ = self[index].lidar2ego

    def ray_origins(self, index: int) -> NDArray[np.float64]:
        """Where RayIoU's rays start for frame `index`, in its ego frame: see `metrics.ray.lidar_origins`, [T, 3].

        Raises:
            DatasetError: a frame of the scene has no lidar.
        """
        indices = self._scenes[self[index].scene]
        frames = [self._frames[i] for i in indices]
        poses = np.stack([frame.lidar2global for frame in frames])
        return lidar_origins(poses, indices.index(index % len(self)), self[index].lidar2ego)
