"""Which image topic is which camera: guessed from the topics, matched with the names that a network has."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from occvino.datasets.bags.bag import Topic
from occvino.datasets.bags.messages import IMAGES, BagError, Kind

INFO = "camera_info"
_SAME = {"rear": "back", "centre": "center", "camera": "cam"}
_NOTHING = ("cam", "image", "sensor", "sensors", "sensing", "raw", "color", "rgb")
"""Words of names that do not tell one camera from another."""


@dataclass(frozen=True)
class CameraTopics:
    """The topics of one camera. `info` is None where its calibration comes from a rig."""

    name: str
    image: str
    info: str | None

    @property
    def rectified(self) -> bool:
        """Whether the images are rectified, as the topic's name says."""
        return is_rectified(self.image)


def is_rectified(topic: str) -> bool:
    """Whether a topic holds rectified images: `image_rect`, `image_rect_color`, ..."""
    return any(part.startswith("image_rect") for part in topic.split("/"))


def info_beside(topic: str, compressed: bool) -> str:
    """Where the camera_info of an image topic is by ROS's convention: beside it."""
    parts = topic.split("/")
    return "/".join([*parts[: -2 if compressed and _has_transport(parts) else -1], INFO])


def guess(topics: Mapping[str, Topic], *, needs_info: bool = True) -> dict[str, CameraTopics]:
    """Cameras by a name made of their namespace: image topics that have a camera_info beside them, if it is needed.

    Of several image topics with one camera_info, raw ones come before rectified ones, and uncompressed before
    compressed.
    """
    found: dict[str, str] = {}
    for topic in sorted(topics.values(), key=_rank):
        info = info_beside(topic.name, topic.kind is Kind.COMPRESSED)
        if topic.kind in IMAGES and topic.count and _is_colour(topic.name):
            here = topics.get(info)
            if not needs_info or (here is not None and here.kind is Kind.INFO):
                found.setdefault(info, topic.name)
    spaces = {info: info.split("/")[1:-1] for info in found}
    names = {info: _short_name(space, list(spaces.values())) for info, space in spaces.items()}
    return {
        names[info]: CameraTopics(names[info], image, info if needs_info else None)
        for info, image in sorted(found.items())
    }


def named(
    topics: Mapping[str, Topic], wanted: Mapping[str, str], infos: Mapping[str, str], *, needs_info: bool = True
) -> dict[str, CameraTopics]:
    """The cameras that `--topic` and `--camera-info` name.

    Raises:
        BagError: a topic is missing, or holds something else.
    """
    found: dict[str, CameraTopics] = {}
    for name, image in wanted.items():
        topic = _topic(topics, image, IMAGES, f"--topic {name}={image}")
        info = infos.get(name, info_beside(image, topic.kind is Kind.COMPRESSED))
        if needs_info:
            _topic(topics, info, (Kind.INFO,), f"the camera_info of {name}, {info} (--camera-info {name}=TOPIC)")
        found[name] = CameraTopics(name, image, info if needs_info else None)
    return found


def match(guessed: Mapping[str, CameraTopics], wanted: Sequence[str], path: object) -> dict[str, CameraTopics]:
    """The guessed cameras under the names that a network has, in its order, where there is no doubt.

    Raises:
        BagError: a name fits no topic, or two; lists topics and names.
    """
    words = {name: _words(name) for name in guessed}
    found: dict[str, CameraTopics] = {}
    for name in wanted:
        fits = [name] if name in guessed else [each for each in guessed if words[each] == _words(name)]
        if len(fits) != 1:
            raise _doubt(guessed, wanted, path, name, fits)
        found[name] = CameraTopics(name, guessed[fits[0]].image, guessed[fits[0]].info)
    if len({camera.image for camera in found.values()}) < len(found):
        raise _doubt(guessed, wanted, path, "two cameras", [])
    return found


def _doubt(
    guessed: Mapping[str, CameraTopics], wanted: Sequence[str], path: object, name: str, fits: Sequence[str]
) -> BagError:
    there = ", ".join(f"{camera.image} ({other})" for other, camera in guessed.items())
    what = f"{name} may be {' or '.join(guessed[each].image for each in fits)}" if fits else f"no topic fits {name}"
    lost = name if name in wanted else wanted[0]
    fewer = (
        f". These are {len(guessed)} and the network has {len(wanted)} cameras. For one that has yours: "
        f"occvino rig from-bag {path} --out rig.json, then occvino convert MODEL --rig rig.json"
        if 0 < len(guessed) < len(wanted)
        else ""
    )
    return BagError(
        f"{path}: {what}. The network takes {', '.join(wanted)}; the image topics with a camera_info beside them are "
        f"{there or 'none'}. Say which is which, for each camera in doubt: --topic {lost}=/TOPIC{fewer}"
    )


def _topic(topics: Mapping[str, Topic], name: str, kinds: Iterable[Kind], what: str) -> Topic:
    wanted = tuple(kinds)
    found = topics.get(name)
    if found is not None and found.kind in wanted:
        return found
    known = [each.name for each in topics.values() if each.kind in wanted]
    is_there = "is not in the bag" if found is None else f"holds {found.type}"
    said = " or ".join(kind.value for kind in wanted)
    raise BagError(f"{what}: the topic {is_there}; topics of {said}: {', '.join(known) or 'none'}")


def _rank(topic: Topic) -> tuple[bool, bool, int, str]:
    return is_rectified(topic.name), topic.kind is Kind.COMPRESSED, len(topic.name), topic.name


def _is_colour(topic: str) -> bool:
    """No depth image, mask or the like beside a camera_info."""
    return not re.search("depth|mask|disparity|theora|zstd|/points|infra", topic, re.IGNORECASE)


def _has_transport(parts: Sequence[str]) -> bool:
    """Whether the last part is that of image_transport, as `/compressed`, below the name of the image topic."""
    return parts[-1] == "compressed" and len(parts) > 2


def _short_name(space: Sequence[str], others: Sequence[Sequence[str]]) -> str:
    """The last part of a namespace, with as many before it as tell it from all others."""
    for count in range(1, len(space) + 1):
        if sum(other[-count:] == space[-count:] for other in others) == 1:
            return "_".join(space[-count:])
    return "_".join(space) or "camera"


def _words(name: str) -> frozenset[str]:
    parts = re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    return frozenset(_SAME.get(part, part) for part in parts if part) - set(_NOTHING)
