"""From picture files to what the network takes, exactly as the official test pipeline does it: Pillow, bicubic, crop.

This is the reference. Mean and deviation are in the graph (`networks.flashocc.normalise`), so the result stays u8.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from occvino.errors import FrameError
from occvino.geometry.camera import Camera
from occvino.geometry.image_transform import ImageTransform
from occvino.geometry.rig import Rig, warn_of_unknown_poses
from occvino.images.decode import Frame, read, read_into
from occvino.images.layout import ImageInput
from occvino.variant import Variant

Item = TypeVar("Item")
Result = TypeVar("Result")

Frames: TypeAlias = str | Path | Mapping[str, Frame] | Sequence[Frame] | NDArray[np.uint8]
"""One picture per camera: a folder, a mapping from camera names, or a sequence or one array in rig order."""

Moment: TypeAlias = tuple[Frames, Rig]
"""The pictures of one moment and the rig that took them."""

SUFFIXES = (".jpg", ".jpeg", ".png")


def network_images(frames: Frames, rig: Rig, variant: Variant, pool: Executor | None = None) -> NDArray[np.uint8]:
    """Pictures of a rig -> u8 [N, H, W, 3], RGB, in rig order.

    Args:
        frames: one picture per camera.
        rig: that took them.
        variant: what the pictures are resized and cropped for.
        pool: whose idle threads take cameras off this one; without it the cameras are read one after another.

    Raises:
        FrameError: a camera has no picture, or it cannot be read, or it has another size than the rig says. Of several,
            the first one in rig order is told.
    """
    pictures = by_camera(frames, rig)

    def image(taken: tuple[Camera, ImageTransform]) -> NDArray[np.uint8]:
        camera, transform = taken
        resized = read(pictures[camera.name], camera).resize(transform.resized, Image.Resampling.BICUBIC)
        return np.asarray(resized.crop(transform.crop))

    cameras = list(zip(rig.cameras, rig.image_transforms(variant), strict=True))
    return np.stack(side_by_side(image, cameras, pool))  # [N, H, W, 3]


def moments(frames: Frames, rig: Rig, past: Sequence[Moment], count: int) -> list[Moment]:
    """The current moment and those before it, newest first: `count` in all.

    Where there are fewer, the current one stands in for those that are missing, as the official loader has it at the
    start of a scene.

    Warns with `UnknownPoseWarning` where no rig says where the vehicle was.

    Raises:
        FrameError: there are more than the network takes.
    """
    if len(past) >= count:
        raise FrameError(f"{len(past)} past frames for a network that takes {count - 1}: give the newest ones")
    if past:
        warn_of_unknown_poses([rig, *(other for _, other in past)])
    now = (frames, rig)
    return [now, *past, *[now] * (count - 1 - len(past))]


def images_of(
    seen: Sequence[Moment], rigs: Sequence[Rig], variant: Variant, pool: Executor | None = None
) -> NDArray[np.uint8]:
    """Pictures of several moments -> u8 [F * N, H, W, 3], frame after frame.

    `rigs` are those of the moments with their cameras in the network's order. A moment that stands in for another is
    read once. `pool` is as in `network_images`.

    Raises:
        FrameError: as `network_images`.
    """
    images: dict[int, NDArray[np.uint8]] = {}
    for moment, rig in zip(seen, rigs, strict=True):
        if id(moment) not in images:
            images[id(moment)] = network_images(by_camera(*moment), rig, variant, pool)
    return np.concatenate([images[id(moment)] for moment in seen])


def whole_pictures(
    seen: Sequence[Moment], rigs: Sequence[Rig], image_input: ImageInput, pool: Executor | None = None
) -> NDArray[np.uint8]:
    """Pictures of several moments as an IR takes them that resizes itself -> u8 [F * N, *image_input.shape].

    `rigs` are as in `images_of`, and all their cameras have the size of `image_input`; `pool` is as in
    `network_images`. One moment that is one array in the network's order is passed on without a copy.

    Raises:
        FrameError: as `network_images`; or an array is not of the layout.
    """
    (frames, given), cameras = seen[0], len(rigs[0])
    expected = (cameras, *image_input.shape)
    if (
        len(seen) == 1
        and isinstance(frames, np.ndarray)
        and given.names == rigs[0].names
        and (frames.dtype, frames.shape) == (np.uint8, expected)
    ):
        return np.ascontiguousarray(frames)
    out = np.empty((len(seen), *expected), np.uint8)
    written: dict[int, NDArray[np.uint8]] = {}
    for block, moment, rig in zip(out, seen, rigs, strict=True):
        if id(moment) in written:
            block[:] = written[id(moment)]
        else:
            _write_whole(block, by_camera(*moment), rig, image_input, pool)
            written[id(moment)] = block
    return out.reshape(len(seen) * cameras, *image_input.shape)


def _write_whole(
    out: NDArray[np.uint8],
    pictures: Mapping[str, Frame],
    rig: Rig,
    image_input: ImageInput,
    pool: Executor | None,
) -> None:
    """Each picture straight to its place in `out`, u8 [N, *image_input.shape]."""

    def write(taken: tuple[NDArray[np.uint8], Camera]) -> None:
        place, camera = taken
        _write_picture(place, pictures[camera.name], camera, image_input)

    side_by_side(write, list(zip(out, rig.cameras, strict=True)), pool)


def _write_picture(out: NDArray[np.uint8], frame: Frame, camera: Camera, image_input: ImageInput) -> None:
    shape, layout = image_input.shape, image_input.layout
    if (
        isinstance(frame, np.ndarray)
        and frame.dtype == np.uint8
        and frame.shape in (shape, shape[:2])[: 1 + (layout == "nv12")]
    ):
        out[:] = frame.reshape(shape)
        return
    if layout == "nv12" or (layout == "bgr" and isinstance(frame, np.ndarray)):
        is_a = f"{frame.dtype} {list(frame.shape)}" if isinstance(frame, np.ndarray) else f"a {type(frame).__name__}"
        raise FrameError(
            f"the picture of {camera.name} is {is_a}, and the model takes {image_input}: "
            f"an array uint8 {list(shape)} is expected"
        )
    read_into(out, frame, camera, layout)


def side_by_side(function: Callable[[Item], Result], items: Sequence[Item], pool: Executor | None) -> list[Result]:
    """`function` of each item, in this thread and in those of `pool` that have nothing else to do.

    This thread begins at the end and takes what no other has begun, so that it may be one of the pool itself. Where it
    returns or raises, nothing is under way any more; of several errors that of the first item is raised.
    """
    if pool is None:
        return [function(item) for item in items]
    shared = [pool.submit(function, item) for item in items]
    done = [_here(function, item) if one.cancel() else one for item, one in zip(items[::-1], shared[::-1], strict=True)]
    wait(done)
    return [one.result() for one in done[::-1]]


def _here(function: Callable[[Item], Result], item: Item) -> "Future[Result]":
    future: Future[Result] = Future()
    try:
        future.set_result(function(item))
    except Exception as error:
        future.set_exception(error)
    return future


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
