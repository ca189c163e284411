"""Which image belongs to which camera: by name in a folder or a mapping, by position in a sequence."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from occvino.errors import FrameError
from occvino.files import parts_inside
from occvino.geometry.rig import Rig
from occvino.images.decode import ImageLike

Images: TypeAlias = str | Path | Mapping[str, ImageLike] | Sequence[ImageLike] | NDArray[np.uint8]
"""One image per camera: a folder, a mapping from camera names, or a sequence or one array in rig order."""

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


def by_camera(images: Images, rig: Rig) -> Mapping[str, ImageLike]:
    """The image of each camera of the rig by its name, so that the cameras can be put in another order afterwards.

    Raises:
        FrameError: a camera has no image, or a sequence has another length than the rig.
    """
    if isinstance(images, str | Path):
        return _in_folder(Path(images), rig.names)
    if isinstance(images, Mapping):
        missing = [name for name in rig.names if name not in images]
        if missing:
            raise FrameError(f"image not found: {', '.join(missing)} (given: {', '.join(sorted(images)) or 'none'})")
        return images
    if len(images) != len(rig):
        raise FrameError(f"{len(images)} images for a rig of {len(rig)} cameras ({', '.join(rig.names)})")
    return dict(zip(rig.names, images, strict=True))


def _in_folder(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    if not folder.is_dir():
        raise FrameError(f"image folder not found: {folder}")
    try:
        entries = _entries(folder)
        found = {name: _find(folder, entries, name) for name in names}
    except OSError as error:
        raise FrameError(f"cannot list the image folder {folder}: {error.strerror or error}") from error
    owners: dict[Path, str] = {}
    for name, path in found.items():
        if owners.setdefault(path, name) != name:
            raise FrameError(f"{path} fits two cameras, {owners[path]} and {name}: name each file as its camera")
    return found


def _find(folder: Path, entries: Sequence[str], name: str) -> Path:
    """`NAME.jpg` in the folder, or one nuScenes-style file `*__NAME__*` in it or in its subfolder NAME.

    A name is text and no pattern. Slashes in it, as in ROS topics, are `_` in the file's name, or subfolders; only what
    a listing gives is joined to the folder, so that no name leads out of it.
    """
    parts = parts_inside(name)
    if parts is None:
        raise FrameError(f"the camera name {name!r} can be no file name in {folder}: rename the camera in the rig")
    stem = "_".join(parts)
    found = _images(folder, entries, lambda entry: entry.startswith(f"{stem}."))
    if len(parts) > 1:
        found += _images_below(folder, parts[:-1], lambda entry: entry.startswith(f"{parts[-1]}."))
    if not found:
        found = _images(folder, entries, lambda entry: f"__{stem}__" in entry)
        found += _images_below(folder, parts, lambda entry: True)
    if not found:
        others = ", ".join(entry for entry in entries if entry.startswith(f"{stem}."))
        raise FrameError(
            f"image not found: {stem}.jpg (or {', '.join(SUFFIXES[1:])}; or *__{stem}__*.jpg) in {folder}"
            + (f", which holds {others}" if others else "")
        )
    if len(found) > 1:
        first, second = (path.relative_to(folder) for path in found[:2])
        raise FrameError(f"{folder} holds {len(found)} images of {name} ({first}, {second}, ...): one is expected")
    return found[0]


def _entries(folder: Path) -> list[str]:
    """Names in a folder, without the `._NAME` files that macOS puts beside others."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("._"))


def _images(folder: Path, entries: Sequence[str], fits: Callable[[str], bool]) -> list[Path]:
    return [folder / entry for entry in entries if fits(entry) and Path(entry).suffix.lower() in SUFFIXES]


def _images_below(folder: Path, parts: Sequence[str], fits: Callable[[str], bool]) -> list[Path]:
    """Of the subfolder that the parts lead to; none if there is none."""
    for part in parts:
        if part not in _entries(folder) or not (folder / part).is_dir():
            return []
        folder = folder / part
    return _images(folder, _entries(folder), fits)
