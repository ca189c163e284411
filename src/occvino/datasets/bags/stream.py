"""The frames of a bag, one after another: images, rig and time. Nothing is kept but what later frames need."""

import io
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from occvino.datasets.bags.bag import Bag
from occvino.datasets.bags.calibration import calibration_of
from occvino.datasets.bags.clock import Clock
from occvino.datasets.bags.messages import CameraInfo, CompressedImage, Kind, RawImage
from occvino.datasets.bags.moments import Moment, Moments, Taken
from occvino.datasets.bags.options import BagOptions
from occvino.datasets.bags.pixels import check_compressed, rgb_of
from occvino.datasets.bags.poses import Key, seconds
from occvino.datasets.bags.setup import Setup, set_up
from occvino.datasets.bags.whereabouts import Whereabouts
from occvino.errors import FrameError, OccvinoError
from occvino.geometry.rig import Rig

_PATIENCE = 5 * 10**8
"""Nanoseconds of the recorder's time to wait for an image or a pose, at least; or two periods."""


@dataclass(frozen=True, eq=False)
class BagFrame:
    """The images of one time.

    Attributes:
        scene: as "scene-0001"; another one where the clock jumps.
        time: of the first camera's image, nanoseconds.
        images: of each camera, a file's bytes or an RGB array u8 [H, W, 3]; None if the frame failed.
        rig: that took them; None if the frame failed.
        error: why it failed.
    """

    scene: str
    time: int
    images: Mapping[str, bytes | NDArray[np.uint8]] | None
    rig: Rig | None
    error: OccvinoError | None = None


class BagStream:
    """Reads a bag as frames.

    Args:
        bag: an open one.
        options: what was said about it.
        names: of the cameras, in the order of the network, whose first one says when the frames are; all that are
            found when left out.

    Raises:
        BagError: something is missing, or in doubt.
    """

    def __init__(self, bag: Bag, options: BagOptions | None = None, names: Sequence[str] | None = None) -> None:
        self.bag, self.options = bag, options or BagOptions()
        self.setup: Setup = set_up(bag, self.options, names)
        period = self.setup.period
        window = period // 2 if self.options.window is None else round(self.options.window * 1e9)
        patience = max(_PATIENCE, 2 * period)
        self.clock = Clock()
        self.moments = Moments([camera.name for camera in self.setup.cameras], period, window, patience)
        self.breaks: list[str] = []
        """Where another scene began, and why."""
        self._patience = patience
        self._whereabouts = Whereabouts(self.setup, self.options, self.clock)
        self._calibrations = dict(self.setup.calibrations)
        self._last_info: dict[str, CameraInfo] = {}
        self._previous: Key | None = None
        self._scene = 1

    @property
    def expected(self) -> int:
        """How many frames there may be: the images of the first camera."""
        return self.bag.topics[self.setup.cameras[0].image].count

    def __iter__(self) -> Iterator[BagFrame]:
        waiting: deque[Moment] = deque()
        log = self.bag.start
        for topic, log, message in self.bag.messages(self._topics()):
            self._take(topic, message, log)
            waiting.extend(self.moments.ready(log))
            while waiting and self._is_placed(waiting[0], log):
                yield self._frame(waiting.popleft())
        waiting.extend(self.moments.ready(log, end=True))
        yield from map(self._frame, waiting)

    def _topics(self) -> set[str]:
        """All that is read: images and calibrations of the cameras, tf, and the odometry that is used."""
        images = {camera.image for camera in self.setup.cameras}
        infos = {camera.info for camera in self.setup.cameras if camera.info}
        tf = {topic.name for topic in self.bag.topics.values() if topic.kind is Kind.TF}
        odometry = self.setup.poses.odometry if self.setup.poses else None
        return images | infos | tf | ({odometry} if odometry else set())

    def _take(self, topic: str, message: object, log: int) -> None:
        if isinstance(message, RawImage | CompressedImage):
            for camera in self.setup.cameras:
                if camera.image == topic:
                    self.moments.add(camera.name, Taken(self.clock.key(topic, message.stamp, log), log, message))
        elif isinstance(message, CameraInfo):
            self._take_info(topic, message)
        elif isinstance(message, tuple):
            self._whereabouts.take(topic, message, log)  # pyright: ignore[reportUnknownArgumentType]

    def _take_info(self, topic: str, info: CameraInfo) -> None:
        """A calibration that changed holds from the next image on."""
        for camera in self.setup.cameras:
            if camera.info == topic and self._last_info.get(camera.name) != info:
                self._last_info[camera.name] = info
                self._calibrations[camera.name] = calibration_of(info, topic, rectified=camera.rectified)

    def _is_placed(self, moment: Moment, log: int) -> bool:
        """Whether all poses are there, or are waited for no longer."""
        until = self._whereabouts.known_until()
        newest = max((taken.key for taken in moment.images.values()), default=moment.key)
        return until is None or until >= newest or log - moment.log > self._patience

    def _frame(self, moment: Moment) -> BagFrame:
        self._tell_break(moment.key)
        scene, time = f"scene-{self._scene:04d}", moment.key[1]
        try:
            images = self._images(moment)
            return BagFrame(scene, time, images, self._rig(moment))
        except OccvinoError as error:
            return BagFrame(scene, time, None, None, error)

    def _tell_break(self, key: Key) -> None:
        before, self._previous = self._previous, key
        if before is None:
            return
        if before[0] != key[0]:
            self.breaks.append(f"the clock went from {seconds(before[1])} to {seconds(key[1])}")
        elif key[1] - before[1] > self.options.scene_gap * 1e9:
            self.breaks.append(f"nothing for {(key[1] - before[1]) / 1e9:.1f} s after {seconds(before[1])}")
        else:
            return
        self._scene += 1

    def _images(self, moment: Moment) -> dict[str, bytes | NDArray[np.uint8]]:
        if moment.missing:
            topics = {camera.name: camera.image for camera in self.setup.cameras}
            lost = ", ".join(f"{name} ({topics[name]})" for name in moment.missing)
            within = f"within {self.moments.window / 1e9:.3g} s (--window)"
            raise FrameError(f"no image of {lost} at {seconds(moment.key[1])}, {within}")
        return {camera.name: self._image(camera.name, moment) for camera in self.setup.cameras}

    def _image(self, name: str, moment: Moment) -> bytes | NDArray[np.uint8]:
        image = moment.images[name].image
        camera = next(each for each in self.setup.cameras if each.name == name)
        if isinstance(image, RawImage):
            size, made = (image.width, image.height), rgb_of(image, camera.image)
        else:
            check_compressed(image, camera.image)
            size, made = _size(image.data, camera.image), image.data
        wanted = self._calibrations[name]
        if size != (wanted.width, wanted.height):
            by = camera.info or "the rig"
            raise FrameError(
                f"{camera.image} has images of {size[0]}x{size[1]}, and {by} is of {wanted.width}x{wanted.height}: "
                "are they of the same camera, and was one of them resized? Record the camera_info of these images, or "
                "give their calibration with --rig"
            )
        return made

    def _rig(self, moment: Moment) -> Rig:
        cameras = []
        for name, taken in moment.images.items():
            given = self.options.rig
            pose = (
                given.select([name]).cameras[0].sensor2ego if given else self._whereabouts.optical2ego(name, taken.key)
            )
            cameras.append(self._calibrations[name].camera(name, pose, self._whereabouts.ego2global(taken.key)))
        return Rig(tuple(cameras))


def _size(data: bytes, topic: str) -> tuple[int, int]:
    """Width and height by the header."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            return image.size
    except Exception as error:  # what Pillow raises on a damaged header is of many kinds
        raise FrameError(f"{topic}: an image cannot be read: {error}") from error
