"""From picture files to what the network takes, exactly as the official test pipeline does it: Pillow, bicubic, crop.

This is the reference. Mean and deviation are in the graph (`networks.flashocc.normalise`), so the result stays u8.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from occvino.cameras import Camera, Rig
from occvino.errors import FrameError
from occvino.image_input import ImageInput
from occvino.variants import Variant

Frame: TypeAlias = str | Path | bytes | NDArray[np.uint8] | Image.Image
"""One camera's picture: a file, what a file holds, an array u8 [H, W, 3] in RGB order, or a Pillow image.

Arrays for an IR that takes BGR or NV12 are in that layout."""
Frames: TypeAlias = str | Path | Mapping[str, Frame] | Sequence[Frame] | NDArray[np.uint8]
"""One picture per camera: a folder, a mapping from camera names, or a sequence or one array in rig order."""

Moment: TypeAlias = tuple[Frames, Rig]
"""The pictures of one moment and the rig that took them."""

SUFFIXES = (".jpg", ".jpeg", ".png")
MODES = ("RGB", "RGBA", "L", "P", "CMYK", "YCbCr")
"""Of Pillow, that hold 8 bits a channel; converting deeper ones would cut them off at 255."""


def network_images(frames: Frames, rig: Rig, variant: Variant) -> NDArray[np.uint8]:
    """Pictures of a rig -> u8 [N, H, W, 3], RGB, in rig order.

    Raises:
        FrameError: a camera has no picture, or it cannot be read, or it has another size than the rig says.
    """
    pictures = by_camera(frames, rig)
    transforms = rig.image_transforms(variant)
    images = [
        _read(pictures[camera.name], camera).resize(transform.resized, Image.Resampling.BICUBIC).crop(transform.crop)
        for camera, transform in zip(rig.cameras, transforms, strict=True)
    ]
    return np.stack([np.asarray(image) for image in images])  # [N, H, W, 3]


def moments(frames: Frames, rig: Rig, past: Sequence[Moment], count: int) -> list[Moment]:
    """The current moment and those before it, newest first: `count` in all.

    Where there are fewer, the current one stands in for those that are missing, as the official loader has it at the
    start of a scene.

    Raises:
        FrameError: there are more than the network takes.
    """
    if len(past) >= count:
        raise FrameError(f"{len(past)} past frames for a network that takes {count - 1}: give the newest ones")
    now = (frames, rig)
    return [now, *past, *[now] * (count - 1 - len(past))]


def images_of(seen: Sequence[Moment], rigs: Sequence[Rig], variant: Variant) -> NDArray[np.uint8]:
    """Pictures of several moments -> u8 [F * N, H, W, 3], frame after frame.

    `rigs` are those of the moments with their cameras in the network's order. A moment that stands in for another is
    read once.

    Raises:
        FrameError: as `network_images`.
    """
    read: dict[int, NDArray[np.uint8]] = {}
    for moment, rig in zip(seen, rigs, strict=True):
        if id(moment) not in read:
            read[id(moment)] = network_images(by_camera(*moment), rig, variant)
    return np.concatenate([read[id(moment)] for moment in seen])


def whole_pictures(seen: Sequence[Moment], rigs: Sequence[Rig], image_input: ImageInput) -> NDArray[np.uint8]:
    """Pictures of several moments as an IR takes them that resizes itself -> u8 [F * N, *image_input.shape].

    `rigs` are as in `images_of`, and all their cameras have the size of `image_input`. One moment that is one array in
    the network's order is passed on without a copy.

    Raises:
        FrameError: as `network_images`; or an array is not of the layout.
    """
    read: dict[int, NDArray[np.uint8]] = {}
    for moment, rig in zip(seen, rigs, strict=True):
        if id(moment) not in read:
            read[id(moment)] = _whole(*moment, rig, image_input)
    return read[id(seen[0])] if len(seen) == 1 else np.concatenate([read[id(moment)] for moment in seen])


def _whole(frames: Frames, given: Rig, rig: Rig, image_input: ImageInput) -> NDArray[np.uint8]:
    expected = (len(rig), *image_input.shape)
    if (
        isinstance(frames, np.ndarray)
        and given.names == rig.names
        and (frames.dtype, frames.shape) == (np.uint8, expected)
    ):
        return np.ascontiguousarray(frames)
    pictures = by_camera(frames, given)
    return np.stack([_whole_picture(pictures[camera.name], camera, image_input) for camera in rig.cameras])


def _whole_picture(frame: Frame, camera: Camera, image_input: ImageInput) -> NDArray[np.uint8]:
    shape, layout = image_input.shape, image_input.layout
    if (
        isinstance(frame, np.ndarray)
        and frame.dtype == np.uint8
        and frame.shape in (shape, shape[:2])[: 1 + (layout == "nv12")]
    ):
        return frame.reshape(shape)
    if layout == "nv12" or (layout == "bgr" and isinstance(frame, np.ndarray)):
        is_a = f"{frame.dtype} {list(frame.shape)}" if isinstance(frame, np.ndarray) else f"a {type(frame).__name__}"
        raise FrameError(
            f"the picture of {camera.name} is {is_a}, and the model takes {image_input}: "
            f"an array uint8 {list(shape)} is expected"
        )
    rgb = np.asarray(_read(frame, camera))
    return rgb[..., ::-1] if layout == "bgr" else rgb


def by_camera(frames: Frames, rig: Rig) -> Mapping[str, Frame]:
    """The picture of each camera of the rig by its name, so that the cameras can be put in another order afterwards.

    Raises:
        FrameError: a camera has no picture, or a sequence has another length than the rig.
    """
    if isinstance(frames, str | Path):
        return {name: _find(Path(frames), name) for name in rig.names}
    if isinstance(frames, Mapping):
        missing = [name for name in rig.names if name not in frames]
        if missing:
            raise FrameError(f"no picture of {', '.join(missing)}; there are {', '.join(sorted(frames)) or 'none'}")
        return frames
    if len(frames) != len(rig):
        raise FrameError(f"{len(frames)} pictures for a rig of {len(rig)} cameras ({', '.join(rig.names)})")
    return dict(zip(rig.names, frames, strict=True))


def _find(folder: Path, name: str) -> Path:
    """`NAME.jpg` in the folder, or one nuScenes-style file `*__NAME__*` in it or in its subfolder NAME."""
    if not folder.is_dir():
        raise FrameError(f"there is no folder of pictures {folder}")
    found = _pictures(folder.glob(f"{name}.*"))
    if not found:
        found = _pictures((*folder.glob(f"*__{name}__*"), *folder.glob(f"{name}/*")))
    if not found:
        raise FrameError(f"{folder} holds no picture of {name}: {name}.jpg is expected")
    if len(found) > 1:
        raise FrameError(
            f"{folder} holds {len(found)} pictures of {name} ({found[0].name}, {found[1].name}, ...): one is expected"
        )
    return found[0]


def _pictures(paths: Iterable[Path]) -> list[Path]:
    return sorted(path for path in paths if path.suffix.lower() in SUFFIXES)


def _read(frame: Frame, camera: Camera) -> Image.Image:
    label = Path(frame).name if isinstance(frame, str | Path) else f"the picture of {camera.name}"
    image = _decode(frame, label)
    if image.size != (camera.width, camera.height):
        width, height = image.size
        raise FrameError(
            f"{label} is {width}x{height}, the rig says {camera.width}x{camera.height}: " + _fix(image, camera)
        )
    return image


def _fix(image: Image.Image, camera: Camera) -> str:
    factor = image.width / camera.width
    if round(camera.height * factor) == image.height:
        return f"rescale the intrinsics with Rig.scaled({factor:g})"
    return "the shapes differ, so it was cropped or belongs to another camera; calibrate the pictures you have"


def _decode(frame: Frame, label: str) -> Image.Image:
    if isinstance(frame, np.ndarray):
        return _from_array(frame, label)
    try:
        source = io.BytesIO(frame) if isinstance(frame, bytes) else frame
        image = source if isinstance(source, Image.Image) else Image.open(source)
        if image.mode not in MODES:
            raise FrameError(
                f"{label} has pixels of mode {image.mode}, expected 8-bit colour or grey: convert it first"
            )
        return image.convert("RGB")
    except AttributeError:
        kind = type(frame).__name__
        raise FrameError(f"{label} is a {kind}, expected a file, bytes, a uint8 array or a Pillow image") from None
    except (OSError, UnidentifiedImageError, SyntaxError, Image.DecompressionBombError) as error:
        raise FrameError(f"{label} cannot be read as a picture: {error}") from error


def _from_array(array: NDArray[Any], label: str) -> Image.Image:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise FrameError(
            f"{label} is {array.dtype} {list(array.shape)}, expected uint8 [height, width, 3] in RGB order"
        )
    return Image.fromarray(np.ascontiguousarray(array))
