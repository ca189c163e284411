"""Which image belongs to which camera: by name in a folder or a mapping, by position in a sequence."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from occvino.errors import FrameError
from occvino.geometry.rig import Rig
from occvino.images.decode import ImageLike

Images: TypeAlias = str | Path | Mapping[str, ImageLike] | Sequence[ImageLike] | NDArray[np.uint8]
"""One image per camera: a folder, a mapping from camera names, or a sequence or one array in rig order."""

SUFFIXES = (".jpg", ".jpeg", ".png")


def by_camera(images: Images, rig: Rig) -> Mapping[str, ImageLike]:
    """The image of each camera of the rig by its name, so that the cameras can be put in another order afterwards.

    Raises:
        FrameError: a camera has no image, or a sequence has another length than the rig.
    """
    if isinstance(images, str | Path):
        return {name: _find(Path(images), name) for name in rig.names}
    if isinstance(images, Mapping):
        missing = [name for name in rig.names if name not in images]
        if missing:
            raise FrameError(f"image not found: {', '.join(missing)} (given: {', '.join(sorted(images)) or 'none'})")
        return images
    if len(images) != len(rig):
        raise FrameError(f"{len(images)} images for a rig of {len(rig)} cameras ({', '.join(rig.names)})")
    return dict(zip(rig.names, images, strict=True))


def _find(folder: Path, name: str) -> Path:
    """`NAME.jpg` in the folder, or one nuScenes-style file `*__NAME__*` in it or in its subfolder NAME."""
    if not folder.is_dir():
        raise FrameError(f"image folder not found: {folder}")
    found = _images(folder.glob(f"{name}.*"))
    if not found:
        found = _images((*folder.glob(f"*__{name}__*"), *folder.glob(f"{name}/*")))
    if not found:
        raise FrameError(f"image not found: {name}.jpg (or .png, or *__{name}__*.jpg) in {folder}")
    if len(found) > 1:
        raise FrameError(
            f"{folder} holds {len(found)} images of {name} ({found[0].name}, {found[1].name}, ...): one is expected"
        )
    return found[0]


def _images(paths: Iterable[Path]) -> list[Path]:
    return sorted(path for path in paths if path.suffix.lower() in SUFFIXES)
