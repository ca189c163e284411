"""What a frame is, as a hash: by it, labels that are stored know what they were made of."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from occvino.errors import FrameError
from occvino.files import sha256
from occvino.geometry.rig import Rig
from occvino.images.decode import ImageLike
from occvino.images.find import Images, by_camera


def identity(images: Images, rig: Rig, *place: object, contents: bool = False) -> str:
    """Hash of the images of one frame and of the rig that took them: any change of either gives another one.

    It begins with "time-" or "content-": by what files are known. Only those of one kind can be compared.

    Args:
        images: as `Pipeline` takes them. A file is known by its name, size and time, wherever its folder is.
        rig: that took them, all of its values.
        place: what else tells the frame from others, such as its scene and time.
        contents: know files by what is in them, which takes reading them.

    Raises:
        FrameError: a camera has no image, or its file cannot be read.
    """
    found = by_camera(images, rig)
    told = [_image(found[name], contents) for name in rig.names]
    return identity_of(told, rig, *place, kind="content" if contents else "time")


def identity_of(told: Iterable[str], rig: Rig, *place: object, kind: str) -> str:
    """The same, where something else tells what the images are.

    Args:
        told: words that change when the image of a camera does, in rig order.
        rig: that took them.
        place: what else tells the frame from others.
        kind: by what the images are known, one word.
    """
    digest = hashlib.sha256(repr(place).encode("utf-8", "backslashreplace") + rig.fingerprint())
    for words in told:
        digest.update(words.encode("utf-8", "backslashreplace") + b"\n")
    return f"{kind}-{digest.hexdigest()}"


def _image(image: ImageLike, contents: bool) -> str:
    if isinstance(image, str | Path):
        return _file(Path(image), contents)
    if isinstance(image, Image.Image):
        image = np.asarray(image)
    if isinstance(image, np.ndarray):
        return f"{image.dtype} {image.shape} {hashlib.sha256(image.tobytes()).hexdigest()}"
    return hashlib.sha256(image).hexdigest()


def _file(path: Path, contents: bool) -> str:
    try:
        if contents:
            return f"{path.name} {sha256(path)}"
        told = path.stat()
        return f"{path.name} {told.st_size} {told.st_mtime_ns}"
    except OSError as error:
        raise FrameError(f"cannot read {path}: {error.strerror or error}") from error
