"""The HTML page of some frames: parts of the package and the data, put into one file as it is made."""

import base64
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from occvino.files import atomic_file
from occvino.geometry.camera import Camera
from occvino.images.open import opened
from occvino.variant import Grid
from occvino.viz.bev import check_labels
from occvino.viz.frame import Viewable, ViewFrame
from occvino.viz.palette import COLOURS, DIFFERENCE_COLOURS, GROUPS, SAFE_COLOURS, SAFE_DIFFERENCES, PictureError
from occvino.viz.surface import DIFFERENCES

_RIGHT = ("right", (128, 136, 150))
"""Occupied voxels of the right class, in the layer of differences."""
_ONE, _MANY = 480, 240
"""Width of an image in pixels, of a page of one frame and of several."""
_QUALITY = 74
_FRUSTUM = 1.6
"""Metres from a camera to the base of its drawn pyramid."""


def write_html(
    frames: Iterable[ViewFrame], path: str | Path, *, title: str = "occvino", labels: str = "Prediction"
) -> int:
    """Write one page that shows the frames; it holds all that it needs. Returns how many frames it has.

    Frames are taken one by one: of each, compressed volumes and small images are kept.

    Args:
        frames: of one grid and one list of classes.
        path: of the file.
        title: of the page.
        labels: what the labels are called: the ground truth alone is no prediction.

    Raises:
        PictureError: no frame, one that cannot be drawn, or one of another grid or class list than the first.
        OutputError: the file cannot be written.
    """
    parts = _Parts(labels)
    for frame in _looking_ahead(frames):
        parts.add(*frame)
    if parts.first is None:
        raise PictureError("there is no frame to make a page of")
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as out:
        _write(out, parts, title)
    return len(parts.frames)


def _looking_ahead(frames: Iterable[ViewFrame]) -> Iterator[tuple[ViewFrame, int]]:
    """Each frame with the width of its images, which are larger where there is one frame only."""
    every = iter(frames)
    first, second = next(every, None), next(every, None)
    if first is not None:
        yield first, _ONE if second is None else _MANY
    if second is not None:
        yield second, _MANY
    for frame in every:
        yield frame, _MANY


class _Parts:
    """What the page is told of frames, and the elements that hold their data."""

    def __init__(self, labels: str) -> None:
        self.labels = labels
        self.first: ViewFrame | None = None
        self.frames: list[dict[str, Any]] = []
        self.elements: list[tuple[str, str]] = []

    def add(self, frame: ViewFrame, width: int) -> None:
        first = self.first = self.first or frame
        if frame.grid != first.grid or frame.class_names != first.class_names:
            raise PictureError(
                f"frame {frame.name} has a grid of {_told(frame.grid)} and {len(frame.class_names)} classes, and "
                f"{first.name} {_told(first.grid)} and {len(first.class_names)}: one page shows one kind"
            )
        volumes = _volumes(frame)
        index = len(self.frames)
        self.elements += [(f"volume-{index}-{name}", _packed(volume)) for name, volume in volumes.items()]
        self.elements += [(f"image-{index}-{k}", _small(image, width)) for k, image in enumerate(frame.images.values())]
        rig = frame.rig
        self.frames.append(
            {
                "name": frame.name,
                "scene": frame.scene,
                "time": frame.time,
                "miou": frame.miou,
                "events": frame.events,
                "volumes": list(volumes),
                "images": list(frame.images),
                "cameras": [_frustum(camera) for camera in rig.cameras] if rig else [],
                "pose": rig.cameras[0].ego2global.reshape(-1).tolist() if rig and rig.has_pose else None,
            }
        )

    def meta(self, title: str) -> dict[str, Any]:
        assert self.first is not None
        grid, names = self.first.grid, self.first.class_names[:-1]
        groups = {name: group for group, members in GROUPS.items() for name in members}
        kinds = zip(
            (*DIFFERENCES, _RIGHT[0]), (*DIFFERENCE_COLOURS, _RIGHT[1]), (*SAFE_DIFFERENCES, _RIGHT[1]), strict=True
        )
        return {
            "title": title,
            "labels": self.labels,
            "grid": {"lower": list(grid.lower), "step": list(grid.step), "shape": list(grid.shape)},
            "classes": [
                {"name": name, "group": groups[name], "colour": COLOURS[name], "safe": SAFE_COLOURS[name]}
                for name in names
            ],
            "kinds": [
                {"name": name, "group": "Against the truth", "colour": colour, "safe": safe}
                for name, colour, safe in kinds
            ],
            "frames": self.frames,
        }


def _told(grid: Grid) -> str:
    return "x".join(map(str, grid.shape))


def _volumes(frame: ViewFrame) -> dict[str, NDArray[Any]]:
    check_labels(frame.labels, frame.grid, frame.class_names)
    found: dict[str, NDArray[Any]] = {"labels": frame.labels}
    if frame.truth is not None:
        check_labels(frame.truth, frame.grid, frame.class_names)
        found["truth"] = frame.truth
        if frame.mask is not None:
            found["mask"] = frame.mask.astype(np.uint8)
    if frame.instances is not None:
        found["instances"] = frame.instances.astype("<u2")
    return found


def _packed(volume: NDArray[Any]) -> str:
    """A zlib stream as base64: what browsers undo by themselves."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(volume).tobytes(), 9)).decode()


def _small(image: Viewable, width: int) -> str:
    """A JPEG of that width as base64."""
    full = opened(image).convert("RGB")
    if full.width > width:
        full = full.resize((width, max(1, round(full.height * width / full.width))), Image.Resampling.LANCZOS)
    with io.BytesIO() as file:
        full.save(file, format="JPEG", quality=_QUALITY, optimize=True)
        return base64.b64encode(file.getvalue()).decode()


def _frustum(camera: Camera) -> dict[str, Any]:
    """Centre [3] and the corners of the image `_FRUSTUM` metres ahead [4, 3], ego frame; a lens is left aside."""
    right, down = camera.width, camera.height
    corners = np.array([[0, 0, 1], [right, 0, 1], [right, down, 1], [0, down, 1]], np.float64)
    rays = corners @ np.linalg.inv(camera.intrinsics).T * _FRUSTUM  # [4, 3]
    placed = rays @ camera.sensor2ego[:3, :3].T + camera.sensor2ego[:3, 3]
    return {
        "name": camera.name,
        "centre": np.round(camera.sensor2ego[:3, 3], 3).tolist(),
        "corners": np.round(placed, 3).tolist(),
    }


def _write(out: TextIO, parts: _Parts, title: str) -> None:
    page = _part("page.html").replace("/*STYLE*/", _part("style.css"))
    head, rest = page.split("<!--DATA-->")
    before, after = rest.split("/*VIEWER*/")
    out.write(head)
    told = json.dumps(parts.meta(title), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    out.write(f'<script type="application/json" id="meta">{told}</script>\n')
    for name, data in parts.elements:
        out.write(f'<script type="text/plain" id="{name}">{data}</script>\n')
    out.write(before + _part("viewer.js").replace("</script", "<\\/script") + after)


def _part(name: str) -> str:
    return files("occvino.viz.html").joinpath(name).read_text(encoding="utf-8")
