"""From the images that the caller gives to the image input of the network.

Images are resized exactly as in the official test pipeline: Pillow, bicubic, crop. This is the reference for an IR that
takes raw images and resizes them itself. Normalisation is in the graph (`networks.flashocc.normalise`), so the result
stays u8.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from occvino.errors import FrameError, warn
from occvino.geometry.camera import Camera
from occvino.geometry.image_transform import ImageTransform
from occvino.geometry.rig import Rig, warn_of_unknown_poses
from occvino.images.decode import ImageLike, Reading, read, read_into
from occvino.images.exif import Exif
from occvino.images.find import Images, by_camera
from occvino.images.layout import ImageInput
from occvino.images.parallel import side_by_side
from occvino.variant import Variant

ImagesAndRig: TypeAlias = tuple[Images, Rig]
"""The images of one frame and the rig that took them."""


class HostResizeWarning(UserWarning):
    """The IR takes raw images of another size, so Pillow resizes the images on the host, which is slower."""


def with_past(images: Images, rig: Rig, past: Sequence[ImagesAndRig], count: int) -> list[ImagesAndRig]:
    """The current frame and its past frames, newest first: `count` in all.

    The current frame stands in for missing ones, as in the official loader at the start of a scene.

    Warns with `UnknownPoseWarning` where no rig says where the vehicle was.

    Raises:
        FrameError: more past frames than the network takes.
    """
    if len(past) >= count:
        raise FrameError(f"{len(past)} past frames for a network that takes {count - 1}: give the newest ones")
    if past:
        warn_of_unknown_poses([rig, *(other for _, other in past)])
    now = (images, rig)
    return [now, *past, *[now] * (count - 1 - len(past))]


def image_inputs(
    seen: Sequence[ImagesAndRig],
    rigs: Sequence[Rig],
    variant: Variant,
    takes: ImageInput | None = None,
    pool: Executor | None = None,
    exif: Exif = "warn",
) -> dict[str, NDArray[np.uint8]]:
    """Images of one or more frames as the IR takes them: its input `frames` if they are raw, `images` if resized.

    Args:
        seen: images and rig of each frame, newest first.
        rigs: of the same frames, with the cameras in the network's order.
        variant: what the images are resized and cropped for.
        takes: the raw images that the IR resizes itself; None if it takes them resized.
        pool: its idle threads read images too; without it this thread reads one camera after another.
        exif: what to do about an EXIF orientation: use the image as stored and "warn", "apply" it, or "ignore" it.

    Warns with `HostResizeWarning` where the IR takes raw images of another size, and with `ImageDoubtWarning` where an
    image is stored turned or has transparent pixels.

    Raises:
        FrameError: as `network_images`; or the IR takes another size, and not in RGB.
    """
    if takes is None:
        return {"images": resized_images(seen, rigs, variant, pool, exif)}
    sizes = {(camera.height, camera.width) for rig in rigs for camera in rig.cameras}
    if sizes == {takes.size}:
        return {"frames": raw_images(seen, rigs, takes, pool, exif)}
    found = ", ".join(f"{height}x{width}" for height, width in sorted(sizes))
    message = f"the IR takes images of {takes}, the rig's cameras have {found} (height x width)"
    if takes.layout != "rgb":
        raise FrameError(f"{message}: convert again with --rig RIG.json")
    fix = "convert again with --rig RIG.json" if len(sizes) == 1 else "an IR takes one size for all cameras"
    warn(f"{message}: Pillow resizes them on the host. {fix}", HostResizeWarning)
    return {"images": resized_images(seen, rigs, variant, pool, exif)}


def network_images(
    images: Images, rig: Rig, variant: Variant, pool: Executor | None = None, exif: Exif = "warn"
) -> NDArray[np.uint8]:
    """Images of a rig -> u8 [N, H, W, 3], RGB, resized and cropped, in rig order.

    Args:
        images: one per camera.
        rig: that took them.
        variant: what the images are resized and cropped for.
        pool: as in `image_inputs`.
        exif: as in `image_inputs`.

    Warns with `ImageDoubtWarning` as `image_inputs`.

    Raises:
        FrameError: a camera has no image, or it cannot be read, or it has another size than the rig says. Of several
            errors, that of the first camera in rig order is raised.
    """
    given, reading = by_camera(images, rig), Reading(exif)

    def resized(taken: tuple[Camera, ImageTransform]) -> NDArray[np.uint8]:
        camera, transform = taken
        image = read(given[camera.name], camera, reading).resize(transform.resized, Image.Resampling.BICUBIC)
        return np.asarray(image.crop(transform.crop))

    cameras = list(zip(rig.cameras, rig.image_transforms(variant), strict=True))
    made = np.stack(side_by_side(resized, cameras, pool))  # [N, H, W, 3]
    reading.warn()
    return made


def resized_images(
    seen: Sequence[ImagesAndRig],
    rigs: Sequence[Rig],
    variant: Variant,
    pool: Executor | None = None,
    exif: Exif = "warn",
) -> NDArray[np.uint8]:
    """Images of several frames -> u8 [F * N, H, W, 3], frame after frame.

    The arguments are those of `image_inputs`. A frame that stands in for missing ones is read once.

    Raises:
        FrameError: as `network_images`.
    """
    made: dict[int, NDArray[np.uint8]] = {}
    for frame, rig in zip(seen, rigs, strict=True):
        if id(frame) not in made:
            made[id(frame)] = network_images(by_camera(*frame), rig, variant, pool, exif)
    return np.concatenate([made[id(frame)] for frame in seen])


def raw_images(
    seen: Sequence[ImagesAndRig],
    rigs: Sequence[Rig],
    takes: ImageInput,
    pool: Executor | None = None,
    exif: Exif = "warn",
) -> NDArray[np.uint8]:
    """Raw images of several frames, for an IR that resizes them itself -> u8 [F * N, *takes.shape].

    The arguments are those of `image_inputs`, and all cameras have the size of `takes`. A single frame that is one
    array in the network's order is passed on without a copy.

    Raises:
        FrameError: as `network_images`; or an array does not have the layout.
    """
    (images, given), cameras = seen[0], len(rigs[0])
    expected = (cameras, *takes.shape)
    if (
        len(seen) == 1
        and isinstance(images, np.ndarray)
        and given.names == rigs[0].names
        and (images.dtype, images.shape) == (np.uint8, expected)
    ):
        return np.ascontiguousarray(images)
    out, reading = np.empty((len(seen), *expected), np.uint8), Reading(exif)
    written: dict[int, NDArray[np.uint8]] = {}
    for block, frame, rig in zip(out, seen, rigs, strict=True):
        if id(frame) in written:
            block[:] = written[id(frame)]
        else:
            _write_raw(block, by_camera(*frame), rig, takes, pool, reading)
            written[id(frame)] = block
    reading.warn()
    return out.reshape(len(seen) * cameras, *takes.shape)


def _write_raw(
    out: NDArray[np.uint8],
    images: Mapping[str, ImageLike],
    rig: Rig,
    image_input: ImageInput,
    pool: Executor | None,
    reading: Reading,
) -> None:
    """Each image straight to its place in `out`, u8 [N, *image_input.shape]."""

    def write(taken: tuple[NDArray[np.uint8], Camera]) -> None:
        place, camera = taken
        _write_image(place, images[camera.name], camera, image_input, reading)

    side_by_side(write, list(zip(out, rig.cameras, strict=True)), pool)


def _write_image(
    out: NDArray[np.uint8], image: ImageLike, camera: Camera, image_input: ImageInput, reading: Reading
) -> None:
    shape, layout = image_input.shape, image_input.layout
    if (
        isinstance(image, np.ndarray)
        and image.dtype == np.uint8
        and image.shape in (shape, shape[:2])[: 1 + (layout == "nv12")]
    ):
        out[:] = image.reshape(shape)
        return
    if layout == "nv12" or (layout == "bgr" and isinstance(image, np.ndarray)):
        is_a = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else f"a {type(image).__name__}"
        raise FrameError(
            f"the image of {camera.name} is {is_a}, and the model takes {image_input}: "
            f"an array uint8 {list(shape)} is expected"
        )
    read_into(out, image, camera, layout, reading)
