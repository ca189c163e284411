"""A frame as Rerun's entities: cameras, voxels, the way in the map, plots and the log.

The tree, with one entity a class, so that the viewer's tree of entities is a legend whose classes can be hidden:

```
map                       x forward, y left, z up at the first frame of the scene; metres
map/way                   where the vehicle was
map/ego                   its pose, from the rig's first camera
map/ego/cameras/NAME      pose of a camera; under it image, with its pinhole
map/ego/predicted/CLASS   voxels that can be seen; map/ego/truth/CLASS alike
map/ego/differences/KIND  missed, invented, wrong class
map/ego/instances         predicted voxels in the colours of their ids
plots/miou  plots/seconds/STEP  log  legend
features/NAME             images of what the network made on its way
```
"""

import io
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from occvino.geometry.camera import Camera
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import Matrix, rigid_inverse
from occvino.variant import Grid
from occvino.viz.bev import check_labels
from occvino.viz.frame import EPOCH, Viewable, ViewFrame
from occvino.viz.palette import COLOURS, DIFFERENCE_COLOURS, FREE, Colour, PictureError
from occvino.viz.rerun.legend import legend
from occvino.viz.rerun.sdk import rr
from occvino.viz.surface import DIFFERENCES, differences, surface

MAP, EGO, WAY = "map", "map/ego", "map/way"
CAMERAS, PREDICTED, TRUTH = f"{EGO}/cameras", f"{EGO}/predicted", f"{EGO}/truth"
DIFFERENT, INSTANCES = f"{EGO}/differences", f"{EGO}/instances"
MIOU, SECONDS, LOG, LEGEND = "plots/miou", "plots/seconds", "log", "legend"
FEATURES = "features"
FRAME, TIME = "frame", "time"
"""Timelines."""

_WAY_COLOUR: Colour = (255, 255, 255)
_WAY_POINTS = 2000
"""The most positions of the way that a frame carries, 12 bytes each: those of the last frames."""
_PLANE = 1.6
"""Metres from a camera at which the viewer draws its image."""
_SAME_SHAPE = 0.02
"""How far the proportions of an image may differ from those that its rig says."""
_JPEG = b"\xff\xd8\xff"
_QUALITY = 90


def camera_path(name: str) -> str:
    """Entity of a camera, whose name may hold anything."""
    return f"{CAMERAS}/{rr.escape_entity_path_part(name)}"


def feature_path(name: str) -> str:
    """Entity of an image of features."""
    return f"{FEATURES}/{rr.escape_entity_path_part(name)}"


def class_colours(class_names: Sequence[str]) -> list[Colour]:
    """Colour of each class, free left out: those of the pictures."""
    return [COLOURS[name] for name in class_names if name != FREE]


def instance_colours(ids: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
    """A bright colour for each id [K], far from those of the next ids, u8 [K, 3]."""
    hue = (ids.astype(np.float64) * 0.618033988749895) % 1.0  # the golden ratio spreads them
    away = np.abs((hue[:, None] + np.array([0.0, 2 / 3, 1 / 3])) % 1.0 * 6 - 3) - 1  # of HSV, at full saturation
    return (255 * (0.25 + 0.75 * np.clip(away, 0, 1))).astype(np.uint8)


@dataclass
class Scene:
    """Writes one frame after the other to a recording, and remembers what the viewer shows until it is told else."""

    recording: Any
    frames: int = 0
    _scene: str | None = None
    _first: Matrix | None = None
    _way: deque[NDArray[np.float64]] = field(default_factory=lambda: deque[NDArray[np.float64]](maxlen=_WAY_POINTS))
    _drawn: set[str] = field(default_factory=set[str])
    _seen: set[str] = field(default_factory=set[str])
    _features_seen: set[str] = field(default_factory=set[str])
    _classes: tuple[str, ...] = ()
    _steps: set[str] = field(default_factory=set[str])

    def add(self, frame: ViewFrame) -> None:
        """Write one frame.

        Raises:
            PictureError: labels that do not fit the grid or the classes, or an image that is none or not of its rig.
        """
        check_labels(frame.labels, frame.grid, frame.class_names)
        if frame.truth is not None:
            check_labels(frame.truth, frame.grid, frame.class_names)
        self._legend(frame.class_names)
        self._set_time(frame)
        self._pose(frame)
        self._cameras(frame)
        self._volumes(frame)
        self._features(frame)
        self._plots(frame)
        self._events(frame)
        self.frames += 1

    def note(self, words: str) -> None:
        """A line in the log, at the time of the last frame."""
        self.recording.log(LOG, rr.TextLog(words, level=rr.TextLogLevel.WARN))

    def _legend(self, class_names: tuple[str, ...]) -> None:
        if class_names == self._classes:
            return
        self._classes = class_names
        colours = class_colours(class_names)
        told = [(i, name, colours[i]) for i, name in enumerate(class_names[:-1])]
        self.recording.log(MAP, rr.AnnotationContext(told), rr.ViewCoordinates.FLU, static=True)
        with io.BytesIO() as file:
            legend(class_names).save(file, format="PNG")
            drawn = rr.EncodedImage(contents=file.getvalue(), media_type="image/png")
        self.recording.log(LEGEND, drawn, static=True)

    def _set_time(self, frame: ViewFrame) -> None:
        self.recording.reset_time()  # a frame without a time is not at that of the one before
        self.recording.set_time(FRAME, sequence=self.frames)
        if frame.time is not None:
            kind = "timestamp" if abs(frame.time) >= EPOCH else "duration"
            self.recording.set_time(TIME, **{kind: frame.time})

    def _pose(self, frame: ViewFrame) -> None:
        if self._scene != frame.scene:
            self._scene, self._first = frame.scene, None
            self._way.clear()
        pose = np.eye(4)
        if frame.rig is not None and frame.rig.has_pose:
            now = frame.rig.cameras[0].ego2global
            self._first = now if self._first is None else self._first
            pose = rigid_inverse(self._first) @ now
            self._way.append(pose[:3, 3])
        self.recording.log(EGO, rr.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3]))
        way = [np.array(self._way, np.float32)] if len(self._way) > 1 else []
        self.recording.log(WAY, rr.LineStrips3D(way, colors=[_WAY_COLOUR], radii=[0.1]))

    def _cameras(self, frame: ViewFrame) -> None:
        cameras = {camera.name: camera for camera in frame.rig.cameras} if frame.rig else {}
        for name in self._seen - (cameras.keys() & frame.images.keys()):
            self.recording.log(camera_path(name), rr.Clear(recursive=True))  # what an earlier frame had of it
        self._seen = {*cameras, *frame.images}
        for name in dict.fromkeys([*cameras, *frame.images]):
            path, camera = camera_path(name), cameras.get(name)
            size = (camera.width, camera.height) if camera else (0, 0)
            if name in frame.images:
                image, size = _encoded(frame.images[name], name)
                self.recording.log(f"{path}/image", image)
            if camera:
                pose = camera.sensor2ego
                self.recording.log(path, rr.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3]))
                self.recording.log(f"{path}/image", _pinhole(camera, size))

    def _volumes(self, frame: ViewFrame) -> None:
        free = len(frame.class_names) - 1
        shown: dict[str, tuple[NDArray[np.intp], Sequence[Colour] | NDArray[np.uint8]]] = {}
        colours = class_colours(frame.class_names)
        for layer, labels in ((PREDICTED, frame.labels), (TRUTH, frame.truth)):
            if labels is not None:
                seen = surface(labels != free)
                shown |= _by_kind(layer, np.argwhere(seen), labels[seen], frame.class_names, colours)
        if frame.truth is not None:
            kinds = differences(frame.labels, frame.truth, free, frame.mask)
            seen = surface(kinds >= 0)
            shown |= _by_kind(DIFFERENT, np.argwhere(seen), kinds[seen], DIFFERENCES, DIFFERENCE_COLOURS)
        if frame.instances is not None:
            ids = np.where(frame.labels == free, 0, frame.instances)
            seen = surface(ids > 0)
            shown[INSTANCES] = (np.argwhere(seen), instance_colours(ids[seen]))
        for path in sorted(self._drawn - set(shown)):
            shown[path] = (np.zeros((0, 3), np.intp), [])  # what was there a frame ago, and is not now
        for path, (voxels, colour) in shown.items():
            self.recording.log(path, _cubes(voxels, colour, frame.grid))
        self._drawn = {path for path, (voxels, _) in shown.items() if len(voxels)}

    def _features(self, frame: ViewFrame) -> None:
        for name in self._features_seen - frame.features.keys():
            self.recording.log(feature_path(name), rr.Clear(recursive=True))
        self._features_seen = set(frame.features)
        for name, image in frame.features.items():
            self.recording.log(feature_path(name), rr.Image(image))  # small, and sharp edges between its pixels

    def _plots(self, frame: ViewFrame) -> None:
        if frame.miou is not None:
            self._plot(MIOU, "mIoU", frame.miou)
        for step, seconds in frame.seconds.items():
            self._plot(f"{SECONDS}/{rr.escape_entity_path_part(step)}", step, seconds)

    def _plot(self, path: str, name: str, value: float) -> None:
        if path not in self._steps:
            self._steps.add(path)
            self.recording.log(path, rr.SeriesLines(names=name, widths=2), static=True)
        self.recording.log(path, rr.Scalars(value))

    def _events(self, frame: ViewFrame) -> None:
        name = f"{frame.scene} {frame.name}" if frame.scene else frame.name
        self.recording.log(LOG, rr.TextLog(f"frame {self.frames}: {name}", level=rr.TextLogLevel.INFO))
        bent = [camera.name for camera in frame.rig.cameras if camera.lens] if frame.rig and not self.frames else []
        if bent:
            self.note(f"{', '.join(bent)}: drawn as if the lens were straight")
        for event in frame.events:
            self.note(event)


def _by_kind(
    layer: str,
    voxels: NDArray[np.intp],
    kinds: NDArray[np.integer[Any]],
    names: Sequence[str],
    colours: Sequence[Colour],
) -> dict[str, tuple[NDArray[np.intp], Sequence[Colour]]]:
    """The voxels [K, 3] of each kind there is, by entity."""
    order = np.argsort(kinds, kind="stable")
    counts = np.bincount(kinds, minlength=len(names))
    parts = np.split(voxels[order], np.cumsum(counts)[:-1])
    return {
        f"{layer}/{rr.escape_entity_path_part(names[i])}": (part, [colours[i]])
        for i, part in enumerate(parts)
        if len(part)
    }


def _cubes(voxels: NDArray[np.intp], colours: Sequence[Colour] | NDArray[np.uint8], grid: Grid) -> Any:
    return rr.VoxelGridMap(voxels.astype(np.int32), grid.step, colors=colours, translation=grid.lower)


def _encoded(image: Viewable, name: str) -> tuple[Any, tuple[int, int]]:
    """A JPEG, as it is if it was one, and its width and height. Raw images would be 4 MB a camera."""
    try:
        contents = image.read_bytes() if isinstance(image, Path) else image
        if isinstance(contents, bytes):
            opened = Image.open(io.BytesIO(contents))
            if contents.startswith(_JPEG):
                return rr.EncodedImage(contents=contents, media_type="image/jpeg"), opened.size
        else:
            opened = contents if isinstance(contents, Image.Image) else Image.fromarray(contents)
        with io.BytesIO() as file:
            opened.convert("RGB").save(file, format="JPEG", quality=_QUALITY)
            return rr.EncodedImage(contents=file.getvalue(), media_type="image/jpeg"), opened.size
    except (OSError, TypeError, ValueError, Image.DecompressionBombError) as error:
        raise PictureError(f"{name}: the image cannot be read ({error}): give a file, its bytes or u8 RGB") from error


def _pinhole(camera: Camera, size: tuple[int, int]) -> Any:
    """Of an image that may be a resized one."""
    across, down = size[0] / camera.width, size[1] / camera.height
    if abs(across / down - 1) > _SAME_SHAPE:
        raise PictureError(
            f"{camera.name}: the image is {size[0]}x{size[1]}, and the rig says {camera.width}x{camera.height}: give "
            "the rig of these images"
        )
    return rr.Pinhole(
        image_from_camera=np.diag([across, down, 1.0]) @ camera.intrinsics,
        resolution=size,
        camera_xyz=rr.ViewCoordinates.RDF,
        image_plane_distance=_PLANE,
    )


def yaw(rig: Rig, name: str) -> float:
    """Where a camera looks, radians counter-clockwise from the vehicle's x axis, -pi..pi."""
    axis = rig.cameras[rig.names.index(name)].sensor2ego[:2, 2]
    return float(np.arctan2(axis[1], axis[0]))
