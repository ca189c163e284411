"""Key frames from the nuScenes tables. What is wrong with a record is said before any frame is run."""

from collections.abc import Sequence
from typing import Any

from occvino.datasets.fields import DatasetError, Fields, shown
from occvino.datasets.sample import Lidar, Sample
from occvino.datasets.tables import Tables
from occvino.errors import RigError, warn
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import pose

_LIDAR = "LIDAR_TOP"


def frames_from_tables(tables: Tables, cameras: Sequence[str], scenes: Sequence[str] | None) -> list[Sample]:
    """Key frames in order of scenes and time; those of some scenes if `scenes` is given.

    Raises:
        DatasetError: a scene, record or field is missing or cannot be right.
    """
    named: dict[str, Fields] = {}
    for record in tables.rows("scene"):
        name = record.label("name")
        if name in named:
            raise DatasetError(f"{record.where}: another scene is called {name!r} too: {record.fix}")
        named[name] = record
    missing = [name for name in scenes or () if name not in named]
    if missing:
        raise DatasetError(f"there is no scene {', '.join(missing)}; there is {', '.join(sorted(named))}")
    data = _key_data(tables)
    seen: dict[str, str] = {}
    chosen = [name for name in sorted(named) if scenes is None or name in scenes]
    chains = {name: _chain(tables, named[name], name, seen) for name in chosen}
    _warn_of_short(chains, named)
    return [
        _frame(tables, sample, name, data.get(sample["token"], {}), cameras)
        for name, chain in chains.items()
        for sample in chain
    ]


def _chain(tables: Tables, scene: Fields, name: str, seen: dict[str, str]) -> list[Fields]:
    """Records of a scene's samples. `seen`: the scene of each sample that was met before."""
    chain = [tables.follow(scene, "first_sample_token", "sample")]
    while True:
        token = chain[-1].label("token")
        if token in seen:
            told = "`next` leads back to it" if seen[token] == name else f"it is in {seen[token]} too"
            raise DatasetError(f"{chain[-1].where} is met twice in {name}: {told}; {scene.fix}")
        seen[token] = name
        if chain[-1]["next"] in ("", None):
            break
        chain.append(tables.follow(chain[-1], "next", "sample"))
    return chain


def _warn_of_short(chains: dict[str, list[Fields]], named: dict[str, Fields]) -> None:
    """A `next` that ends too early would leave frames out without a word."""
    told = {name: named[name].values.get("nbr_samples") for name in chains}
    short = [name for name, count in told.items() if count not in (None, len(chains[name]))]
    if short:
        warn(
            f"{named[short[0]].where} says that {short[0]} has {shown(told[short[0]])} samples, and `next` leads "
            f"through {len(chains[short[0]])}; {len(short)} scenes are so: frames may be missing from the tables"
        )


def _key_data(tables: Tables) -> dict[str, dict[str, Fields]]:
    """Sample token -> channel -> its record of `sample_data`."""
    found: dict[str, dict[str, Fields]] = {}
    for record in tables.rows("sample_data"):
        sensor = tables.follow(record, "calibrated_sensor_token", "calibrated_sensor")
        channel = tables.follow(sensor, "sensor_token", "sensor").text("channel")
        of_sample = found.setdefault(record.text("sample_token"), {})
        if channel in of_sample:
            raise DatasetError(f"{record.where}: its sample has another key frame of {channel}; {record.fix}")
        of_sample[channel] = record
    return found


def _frame(tables: Tables, sample: Fields, scene: str, data: dict[str, Fields], cameras: Sequence[str]) -> Sample:
    missing = [channel for channel in cameras if channel not in data]
    if missing:
        raise DatasetError(
            f"{sample.where} has no {', '.join(missing)} in sample_data.json; it has "
            f"{', '.join(sorted(data)) or 'nothing'}: {sample.fix}"
        )
    try:
        return Sample(
            token=sample["token"],
            scene=scene,
            timestamp=sample.whole("timestamp", 0, "microseconds"),
            rig=Rig.from_nuscenes({channel: _camera(tables, data[channel]) for channel in cameras}, cameras),
            images=tuple(data[channel].file("filename", tables.root) for channel in cameras),
            sweep=_sweep(tables, data[_LIDAR]) if _LIDAR in data else None,
            labels=tables.root / "gts" / scene / sample["token"] / "labels.npz",
        )
    except RigError as error:
        raise DatasetError(f"{sample.where}: {error}; {sample.fix}") from error


def _camera(tables: Tables, data: Fields) -> dict[str, Any]:
    """One camera's record in the form of BEVDet's info files, which `Rig.from_nuscenes` takes."""
    sensor = tables.follow(data, "calibrated_sensor_token", "calibrated_sensor")
    return {
        "cam_intrinsic": sensor.numbers("camera_intrinsic", 3, 3),
        **_poses(tables, data),
        "width": data.whole("width", 1, "pixels"),
        "height": data.whole("height", 1, "pixels"),
    }


def _sweep(tables: Tables, data: Fields) -> Lidar:
    poses = _poses(tables, data)
    return Lidar(
        lidar2ego=pose(poses["sensor2ego_rotation"], poses["sensor2ego_translation"]),
        ego2global=pose(poses["ego2global_rotation"], poses["ego2global_translation"]),
        file=data.file("filename", tables.root),
    )


def _poses(tables: Tables, data: Fields) -> dict[str, Any]:
    sensor = tables.follow(data, "calibrated_sensor_token", "calibrated_sensor")
    ego = tables.follow(data, "ego_pose_token", "ego_pose")
    return {
        "sensor2ego_rotation": sensor.numbers("rotation", 4),
        "sensor2ego_translation": sensor.numbers("translation", 3),
        "ego2global_rotation": ego.numbers("rotation", 4),
        "ego2global_translation": ego.numbers("translation", 3),
    }
