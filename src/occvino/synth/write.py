"""Write synthetic scenes as a nuScenes set with Occ3D labels, so that they are read back like real ones.

Layout of the output, as nuScenes v1.0 and Occ3D have it:

    v1.0-synth/*.json                     the thirteen tables
    samples/CAM_*/*.jpg                   images
    samples/LIDAR_TOP/*.pcd.bin           float32 [R, 5]: x, y, z (sensor frame, metres), intensity, ring
    gts/scene-0001/<token>/labels.npz     semantics, mask_lidar, mask_camera uint8 and instances uint16 [200, 200, 16]
    maps/synthetic.png                    a blank map, which the devkit wants to see
    synth.json                            what the set was made with
    .scenes/scene-0001.json               records of each finished scene: an interrupted run goes on from here
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from occvino import __version__
from occvino.errors import OccvinoError
from occvino.files import OutputError, atomic_file, from_json, write_text
from occvino.geometry.camera import Camera
from occvino.geometry.transforms import Matrix, rigid_inverse
from occvino.synth.render import Solids, cast, render
from occvino.synth.rig import Mount, SensorSet, make_rig
from occvino.synth.tables import CATEGORY, MAP_FILE, Records, SceneRecords, write_tables
from occvino.synth.voxels import camera_mask, label_voxels, lidar_mask
from occvino.synth.world import SyntheticScene
from occvino.variants import get_variant

_GRID = get_variant("flashocc-r50-M0").occupancy_grid
_EPOCH_US = 1_700_000_000_000_000
_KEY_FRAME_S = 0.5
_LIDAR_RINGS = 32
_LIDAR_COLUMNS = 1080
_LIDAR_REACH = 100.0
_BOX_REACH = 60.0
"""Boxes farther from the ego vehicle than this are left out, metres."""
_ORIGIN_REACH, _MAX_ORIGINS = 39.0, 8


class SynthError(OccvinoError, ValueError):
    """Settings that no set can be made from."""


@dataclass(frozen=True)
class SynthSettings:
    """What a set follows from, together with the release of occvino.

    Attributes:
        seed: of the world; scenes of one seed are numbered from 0.
        frames: key frames a scene, two a second.
        width: of the images in pixels; they are 16:9.
        quality: of the JPEG files, 1 to 95.
    """

    seed: int
    frames: int = 10
    width: int = 704
    quality: int = 90

    def __post_init__(self) -> None:
        limits = {"seed": (0, 2**32), "frames": (1, 80), "width": (64, 3200), "quality": (1, 95)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise SynthError(f"{name} is {value}: choose a number from {low} to {high}")


def synthesize(out: str | Path, scenes: int, settings: SynthSettings) -> Iterator[str]:
    """Write a set of `scenes` synthetic scenes; yields the name of each once it is written, then writes the tables.

    Called again for the same folder and settings it keeps the scenes that are there; more scenes extend the set.

    Raises:
        SynthError: fewer than one scene.
        OutputError: the folder holds something else, or a set of other settings.
    """
    if scenes < 1:
        raise SynthError(f"{scenes} scenes were asked for: ask for at least 1")
    folder = Path(out)
    _claim(folder, settings)
    finished: list[Records] = []
    for index in range(scenes):
        record = folder / ".scenes" / f"scene-{index + 1:04d}.json"
        written = _written(folder, record)
        if written is None:
            written = json.loads(json.dumps(_write_scene(folder, index, settings)))  # as it is read back
            write_text(record, json.dumps(written, allow_nan=False))
        finished.append(written)
        yield record.stem
    with atomic_file(folder / MAP_FILE) as temporary:
        Image.new("L", (8, 8)).save(temporary, format="png")
    write_tables(folder, finished, seed=settings.seed)


def _written(folder: Path, record: Path) -> Records | None:
    """The records of a scene that is written already; None if a file of it is missing, or the record is damaged."""
    try:
        found = from_json(record.read_text(encoding="utf-8"))
        complete = all((folder / data["filename"]).is_file() for data in found["sample_data"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return found if complete else None


def _claim(folder: Path, settings: SynthSettings) -> None:
    """Make sure that the folder is empty or a set of the same settings, and mark it as one."""
    wanted = {"made_by": f"occvino {__version__}", **asdict(settings)}
    stamp = folder / "synth.json"
    if stamp.exists():
        try:
            found = from_json(stamp.read_text(encoding="utf-8"))
        except ValueError as error:
            raise OutputError(
                f"{stamp} is damaged ({error}), so nothing says what the set was made with: delete {folder}, or choose "
                "another folder"
            ) from error
        if found != wanted:
            raise OutputError(f"{folder} holds a set made with {found}, not {wanted}: choose another folder")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} exists and is not a synthetic set: choose another folder, or move it away")
    write_text(stamp, json.dumps(wanted, indent=1, allow_nan=False) + "\n")


def _write_scene(folder: Path, index: int, settings: SynthSettings) -> Records:
    scene = SyntheticScene.make(settings.seed, index, (settings.frames - 1) * _KEY_FRAME_S)
    sensors = make_rig(np.random.default_rng([settings.seed, index, 1]), settings.width)
    records = SceneRecords(settings.seed, index, f"{scene.light.name}, {scene.speed.start:.1f} m/s", sensors)
    for frame in range(settings.frames):
        _write_frame(folder, scene, sensors, records, frame, settings)
    return records.finished()


def _write_frame(
    folder: Path, scene: SyntheticScene, sensors: SensorSet, records: SceneRecords, frame: int, settings: SynthSettings
) -> None:
    start = _EPOCH_US + scene.index * 3_600_000_000
    t = frame * _KEY_FRAME_S
    stamp = start + round(t * 1e6)
    records.add_sample(frame, stamp)
    solids = Solids.of(scene.shapes_at(t), scene.ground)
    with ThreadPoolExecutor() as pool:
        truth = pool.submit(_ground_truth, scene, sensors, solids, t, settings.frames)
        cameras = list(
            pool.map(lambda mount: _write_image(folder, scene, mount, records, frame, settings), sensors.mounts)
        )
        semantics, instances, seen, scanned = truth.result()
    for mount, camera in zip(sensors.mounts, cameras, strict=True):
        exposed = stamp + round(mount.delay * 1e6)
        name = _image_name(records.name, mount.name, exposed)
        records.add_data(frame, mount.name, name, exposed, camera.ego2global, (mount.width, mount.height))

    points, hits = _scan(scene, sensors, solids, t, frame, settings.seed)
    name = f"samples/LIDAR_TOP/{records.name}__LIDAR_TOP__{stamp}.pcd.bin"
    with atomic_file(folder / name) as temporary:
        temporary.write_bytes(points.tobytes())
    records.add_data(frame, "LIDAR_TOP", name, stamp, scene.ego2global(t), (0, 0))
    _add_boxes(scene, records, frame, t, hits)

    labels = folder / "gts" / records.name / records.sample_token(frame) / "labels.npz"
    with atomic_file(labels) as temporary:
        np.savez_compressed(temporary, semantics=semantics, mask_lidar=scanned, mask_camera=seen, instances=instances)


def _image_name(scene: str, channel: str, stamp: int) -> str:
    return f"samples/{channel}/{scene}__{channel}__{stamp}.jpg"


def _write_image(
    folder: Path, scene: SyntheticScene, mount: Mount, records: SceneRecords, frame: int, settings: SynthSettings
) -> Camera:
    """Render one camera at its own time and write the file; gives the camera with its ego pose."""
    stamp = _EPOCH_US + scene.index * 3_600_000_000 + round(frame * _KEY_FRAME_S * 1e6)
    t = frame * _KEY_FRAME_S + mount.delay
    camera = mount.camera(scene.ego2global(t))
    seed = [settings.seed, scene.index, frame, int.from_bytes(mount.name.encode()[-8:], "big")]
    image, _ = render(Solids.of(scene.shapes_at(t), scene.ground), scene.light, camera, seed)
    path = folder / _image_name(records.name, mount.name, stamp + round(mount.delay * 1e6))
    with atomic_file(path) as temporary:
        Image.fromarray(image).save(temporary, format="JPEG", quality=settings.quality)
    return camera


def _ground_truth(
    scene: SyntheticScene, sensors: SensorSet, solids: Solids, t: float, frames: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint16], NDArray[np.uint8], NDArray[np.uint8]]:
    """Labels, instances, camera mask and lidar mask in the ego frame at the lidar's time."""
    pose = scene.ego2global(t)
    semantics, instances = label_voxels(solids.shapes, solids.ground, pose, _GRID)
    cameras = [mount.camera(scene.ego2global(t + mount.delay)) for mount in sensors.mounts]
    seen = camera_mask(semantics, cameras, pose, _GRID)
    directions, _ = _lidar_directions()
    directions = directions @ sensors.lidar2ego[:3, :3].T
    scanned = lidar_mask(semantics, _lidar_origins(scene, sensors, pose, frames), directions, _GRID)
    return semantics, instances, seen, scanned


def _lidar_origins(scene: SyntheticScene, sensors: SensorSet, pose: Matrix, frames: int) -> NDArray[np.float64]:
    """Where the lidar was at the scene's key frames within the grid, at most 8, in the ego frame of `pose`, [T, 3].

    Labels of real sets gather several sweeps; this does the same.
    """
    global2ego = rigid_inverse(pose)
    places = [global2ego @ scene.ego2global(i * _KEY_FRAME_S) @ sensors.lidar2ego[:, 3] for i in range(frames)]
    near = np.array([p[:3] for p in places if np.abs(p[:2]).max() < _ORIGIN_REACH])
    return near[np.unique(np.linspace(0, len(near) - 1, _MAX_ORIGINS).round().astype(int))]


def _lidar_directions() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Unit rays [R, 3] of a 32-beam lidar (-30.7 to 10.7 degrees) in its own frame, and the ring of each."""
    elevation = np.deg2rad(np.linspace(-30.67, 10.67, _LIDAR_RINGS))
    azimuth = np.arange(_LIDAR_COLUMNS) * (2 * np.pi / _LIDAR_COLUMNS)
    e, a = np.meshgrid(elevation, azimuth, indexing="ij")
    rays = np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)], axis=-1).reshape(-1, 3)
    return rays, np.repeat(np.arange(_LIDAR_RINGS), _LIDAR_COLUMNS)


def _scan(
    scene: SyntheticScene, sensors: SensorSet, solids: Solids, t: float, frame: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Lidar returns [R, 5] in the lidar's frame, and how many points each object number got."""
    lidar2global = scene.ego2global(t) @ sensors.lidar2ego
    directions, rings = _lidar_directions()
    distance, found = cast(solids, lidar2global[:3, 3].copy(), directions @ lidar2global[:3, :3].T, _LIDAR_REACH)
    hit = distance < _LIDAR_REACH
    rng = np.random.default_rng([seed, scene.index, frame])
    measured = distance[hit] + rng.normal(0, 0.02, int(hit.sum()))
    numbers = np.where(found >= 0, solids.shapes.tags[found, 2], 0)[hit]
    points = np.concatenate(
        [directions[hit] * measured[:, None], np.zeros((len(measured), 1)), rings[hit, None]], axis=1
    )
    return points.astype(np.float32), np.bincount(numbers, minlength=1 + max(actor.instance for actor in scene.actors))


def _add_boxes(scene: SyntheticScene, records: SceneRecords, frame: int, t: float, hits: NDArray[np.int64]) -> None:
    x, y = scene.ego2global(t)[:2, 3]
    for actor in scene.actors:
        place = scene.pose_of(actor, t)
        if actor.name in CATEGORY and np.hypot(place[0] - x, place[1] - y) < _BOX_REACH:
            records.add_box(frame, actor, place, int(hits[actor.instance]))
