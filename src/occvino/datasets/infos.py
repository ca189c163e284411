"""Key frames from info files: BEVDet's and FlashOCC's (`bevdetv2-nuscenes_infos_*.pkl`), and mmdet3d 1.x's.

The first kind has a list `infos`, poses as quaternions and the vehicle's pose at each camera's exposure. The second has
`metainfo` and `data_list`, poses as matrices [4, 4], and of each camera where it was seen from the lidar. Both are read
by `unpickle`, which runs nothing.
"""

import pickle
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, cast

from occvino.datasets.fields import DatasetError, Fields, shown
from occvino.datasets.sample import Lidar, Sample
from occvino.datasets.unpickle import safe_unpickle
from occvino.errors import RigError
from occvino.geometry.camera import Camera
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import Matrix, affine_inverse, pose

_FIX = "make the file again with FlashOCC's create_data_bevdet.py, or mmdet3d's create_data.py"
_SIZE = 1600, 900
"""Of nuScenes' images, pixels: files of both kinds leave it out."""
_SECONDS = 1e11
"""mmdet3d 1.x gives seconds; since 1970 they are below this, and microseconds above."""


def frames_from_infos(path: str | Path, root: Path, cameras: Sequence[str]) -> list[Sample]:
    """Key frames in the order of scenes and time; files are looked for under `root`.

    Raises:
        DatasetError: the file cannot be read safely, or a frame lacks something.
    """
    key, infos = load_infos(path)
    frames: list[Sample] = []
    scene_of = _Scenes(root)
    for number, info in enumerate(infos):
        fields = Fields(partial("{}, frame {}".format, path, number), info, _FIX)
        try:
            frames.append((_frame if key == "infos" else _frame_1x)(fields, root, cameras, scene_of))
        except RigError as error:
            raise DatasetError(f"{fields.where}: {error}; {_FIX}") from error
    frames.sort(key=lambda frame: frame.timestamp)
    return frames


def load_infos(path: str | Path) -> tuple[str, list[dict[str, Any]]]:
    """The records of an info file as they stand in it, and the key that they stand under: "infos" or "data_list".

    Raises:
        DatasetError: the file is missing, damaged, or holds anything but plain containers and numpy arrays.
    """
    try:
        if not Path(path).is_file():
            raise DatasetError(f"there is no info file {path}")
        with Path(path).open("rb") as stream:
            document = safe_unpickle(stream)
    except (OSError, pickle.UnpicklingError) as error:
        raise DatasetError(f"cannot read the info file {path}: {error}") from error
    for key in ("infos", "data_list"):
        infos: Any = cast(dict[str, Any], document).get(key) if isinstance(document, dict) else None
        if isinstance(infos, list) and infos and all(isinstance(i, dict) for i in cast(list[Any], infos)):
            return key, cast(list[dict[str, Any]], infos)
    raise DatasetError(
        f"{path} holds no list of frames under 'infos' or 'data_list': is it an info file of BEVDet, FlashOCC or "
        "mmdet3d?"
    )


class _Scenes:
    """Scene and labels of a frame: as the file says, else as Occ3D's `gts/<scene>/<token>` has them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._found: dict[str, str] | None = None

    def __call__(self, info: Fields) -> tuple[str, Path]:
        token = info.label("token")
        if "occ_path" in info:
            labels = _under(self.root, "gts", info, "occ_path") / "labels.npz"
            return info.label("scene_name") if "scene_name" in info else labels.parent.parent.name, labels
        scene = info.label("scene_name") if "scene_name" in info else self._of(token, info)
        return scene, self.root / "gts" / scene / token / "labels.npz"

    def _of(self, token: str, info: Fields) -> str:
        if self._found is None:
            self._found = {path.name: path.parent.name for path in self.root.glob("gts/*/*")}
        if token not in self._found:
            raise DatasetError(
                f"{info.where} names no scene ('scene_name', 'occ_path'), and {self.root / 'gts'} holds no folder "
                f"{shown(token)} to tell it by: unpack Occ3D's gts there, or make the file with FlashOCC's "
                "create_data_bevdet.py"
            )
        return self._found[token]


def _frame(info: Fields, root: Path, cameras: Sequence[str], scene_of: _Scenes) -> Sample:
    """Of BEVDet and FlashOCC."""
    cams = info.record("cams")
    scene, labels = scene_of(info)
    records = {name: cams.record(name) for name in cameras}
    return Sample(
        token=info.label("token"),
        scene=scene,
        timestamp=info.whole("timestamp", 0, "microseconds"),
        rig=Rig(tuple(_camera(name, record) for name, record in records.items())),
        images=tuple(_under(root, "samples", record, "data_path") for record in records.values()),
        sweep=Lidar(_pose(info, "lidar2ego"), _pose(info, "ego2global"), _under(root, "samples", info, "lidar_path"))
        if "lidar_path" in info
        else None,
        labels=labels,
    )


def _camera(name: str, record: Fields) -> Camera:
    width, height = _size(record)
    sensor2ego, ego2global = _pose(record, "sensor2ego"), _pose(record, "ego2global")
    return Camera(name, width, height, record.numbers("cam_intrinsic", 3, 3), sensor2ego, ego2global)


def _frame_1x(info: Fields, root: Path, cameras: Sequence[str], scene_of: _Scenes) -> Sample:
    """Of mmdet3d 1.x, whose files leave out the folders of images and sweep."""
    images, points = info.record("images"), info.record("lidar_points")
    scene, labels = scene_of(info)
    ego2global, lidar2ego = info.numbers("ego2global", 4, 4), points.numbers("lidar2ego", 4, 4)
    records = {name: images.record(name) for name in cameras}
    time = float(info.numbers("timestamp"))
    return Sample(
        token=info.label("token"),
        scene=scene,
        timestamp=round(time * 1e6 if time < _SECONDS else time),
        rig=Rig(tuple(_camera_1x(name, record, ego2global @ lidar2ego) for name, record in records.items())),
        images=tuple(_named(root, name, record, "img_path") for name, record in records.items()),
        sweep=Lidar(lidar2ego, ego2global, _named(root, "LIDAR_TOP", points, "lidar_path")),
        labels=labels,
    )


def _camera_1x(name: str, record: Fields, lidar2global: Matrix) -> Camera:
    """The vehicle moves between sweep and exposure: `lidar2cam` knows by how much."""
    width, height = _size(record)
    cam2ego, lidar2cam = record.numbers("cam2ego", 4, 4), record.numbers("lidar2cam", 4, 4)
    ego2global = lidar2global @ affine_inverse(lidar2cam) @ affine_inverse(cam2ego)
    return Camera(name, width, height, record.numbers("cam2img", 3, 3), cam2ego, ego2global)


def _size(record: Fields) -> tuple[int, int]:
    if "width" not in record and "height" not in record:
        return _SIZE
    return record.whole("width", 1, "pixels"), record.whole("height", 1, "pixels")


def _pose(record: Fields, name: str) -> Matrix:
    return pose(record.numbers(f"{name}_rotation", 4), record.numbers(f"{name}_translation", 3))


def _under(root: Path, folder: str, record: Fields, name: str) -> Path:
    """`./data/nuscenes/samples/CAM_FRONT/x.jpg` -> `root/samples/CAM_FRONT/x.jpg`."""
    value = record.text(name)
    parts = PurePosixPath(value).parts
    if folder not in parts or ".." in parts or "\\" in value or "\0" in value:
        raise DatasetError(
            f"{record.where}: {name!r} is {shown(value)}, which is not in a folder {folder!r}: {record.fix}"
        )
    return root.joinpath(*parts[parts.index(folder) :])


def _named(root: Path, channel: str, record: Fields, name: str) -> Path:
    """`x.jpg` -> `root/samples/CAM_FRONT/x.jpg`, and as `_under` where folders are given."""
    if len(PurePosixPath(record.text(name)).parts) > 1:
        return _under(root, "samples", record, name)
    return root / "samples" / channel / record.label(name)
