"""A look at the beginning of a bag: calibrations, the tf tree and how often images come."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from occvino.datasets.bags.bag import Bag
from occvino.datasets.bags.clock import Clock
from occvino.datasets.bags.messages import (
    CameraInfo,
    CompressedImage,
    DamagedError,
    Kind,
    Message,
    RawImage,
    StampedPose,
)
from occvino.datasets.bags.tree import MovingTree

LOOK = 10 * 10**9
"""Nanoseconds of the bag that are looked at for images; for what is missing then, it is read to the end."""
STAMPS = 9
"""Images of a camera to tell its rate by."""
_TALK = (Kind.INFO, Kind.TF, Kind.ODOMETRY)


@dataclass(frozen=True)
class ImageLook:
    """The first image of a topic: its frame, and what it is, as "bgr8 1600x900"."""

    frame: str
    what: str


@dataclass(eq=False)
class Survey:
    """What was seen of a bag.

    Attributes:
        tree: frames, with little of their movement.
        infos: the first camera_info of each topic.
        images: the first image of each topic.
        stamps: the first time stamps of each image topic, nanoseconds.
        odometry: the first pose of each topic of odometry.
    """

    tree: MovingTree
    infos: dict[str, CameraInfo] = field(default_factory=dict[str, CameraInfo])
    images: dict[str, ImageLook] = field(default_factory=dict[str, ImageLook])
    stamps: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    odometry: dict[str, StampedPose] = field(default_factory=dict[str, StampedPose])

    def take(self, topic: str, message: Message, log: int, clock: Clock) -> None:
        """Note what a message says."""
        if isinstance(message, CameraInfo):
            self.infos.setdefault(topic, message)
        elif isinstance(message, RawImage | CompressedImage):
            self.images.setdefault(topic, ImageLook(message.frame, _what(message)))
            self.stamps.setdefault(topic, []).append(message.stamp)
        else:
            for pose in message:
                self._take_pose(topic, pose, log, clock)

    def _take_pose(self, topic: str, pose: StampedPose, log: int, clock: Clock) -> None:
        if topic in self.odometry_topics:
            self.odometry.setdefault(topic, pose)
            return
        self.tree.add(pose, None if is_static(topic) else clock.key(f"{topic} {pose.child}", pose.stamp, log), topic)

    odometry_topics: frozenset[str] = frozenset()


def is_static(topic: str) -> bool:
    """Whether the transforms of a topic hold at any time."""
    return topic.rstrip("/").endswith("tf_static")


def look(bag: Bag, images: Mapping[str, int], limit: int, enough: Callable[[Survey], bool]) -> Survey:
    """Read the beginning of a bag, and more of it while something is missing.

    Args:
        bag: an open one.
        images: how many images of each topic to wait for.
        limit: nanoseconds; as for `PoseSeries`.
        enough: whether the calibrations and transforms are there.
    """
    odometry = frozenset(topic.name for topic in bag.topics.values() if topic.kind is Kind.ODOMETRY)
    survey, clock = Survey(MovingTree(limit), odometry_topics=odometry), Clock()
    talk = [topic.name for topic in bag.topics.values() if topic.kind in _TALK]
    with contextlib.suppress(DamagedError):  # what is there counts; the error comes again where frames are read
        for topic, log, message in bag.messages([*talk, *images]):
            survey.take(topic, message, log, clock)
            seen = all(len(survey.stamps.get(name, ())) >= count for name, count in images.items())
            if log - bag.start > LOOK or (seen and enough(survey)):
                break
        if not enough(survey):
            for topic, log, message in bag.messages(talk, start=bag.start + LOOK):
                survey.take(topic, message, log, clock)
                if enough(survey):
                    break
    return survey


def _what(image: RawImage | CompressedImage) -> str:
    return f"{image.encoding} {image.width}x{image.height}" if isinstance(image, RawImage) else image.format
