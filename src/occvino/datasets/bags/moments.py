"""Images of several cameras put together by their time stamps, as they come."""

import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from occvino.datasets.bags.messages import CompressedImage, RawImage
from occvino.datasets.bags.poses import Key


@dataclass(frozen=True, eq=False)
class Taken:
    """One image, when it was exposed, and when it was recorded (nanoseconds)."""

    key: Key
    log: int
    image: RawImage | CompressedImage


@dataclass(frozen=True, eq=False)
class Moment:
    """The images of one time, by camera. `missing`: cameras without one. `log`: of the newest image."""

    key: Key
    images: dict[str, Taken]
    missing: tuple[str, ...]
    log: int


@dataclass(eq=False)
class Moments:
    """Gives the moments of the first camera, each with the nearest image of every other one.

    Args:
        names: of the cameras; the first one's images say when the moments are.
        period: nanoseconds between them.
        window: nanoseconds; no image of a moment is further from that of the first camera.
        patience: nanoseconds of the recorder's time after which an image is given up.

    Where the first camera misses an image and others do not, there is a moment all the same.
    """

    names: Sequence[str]
    period: int
    window: int
    patience: int
    missing: Counter[str] = field(default_factory=Counter[str])
    """Moments without an image, by camera."""
    late: Counter[str] = field(default_factory=Counter[str])
    """Images that came after their moment was given up."""
    unused: Counter[str] = field(default_factory=Counter[str])
    """Images between two moments, as of a camera that is faster than the first one."""
    _queues: dict[str, list[Taken]] = field(init=False)
    _last: Key | None = None
    _served: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._queues = {name: [] for name in self.names}

    def add(self, name: str, taken: Taken) -> None:
        """Take an image of a camera."""
        margin = 0 if name == self.names[0] else min(self.window, self.period // 2)
        if self._last is not None and taken.key <= (self._last[0], self._last[1] + margin):
            if name == self.names[0] or name not in self._served:
                self.late[name] += 1
            else:
                self.unused[name] += 1
            return
        bisect.insort(self._queues[name], taken, key=lambda each: each.key)

    def ready(self, log: int, *, end: bool = False) -> Iterator[Moment]:
        """The moments that are decided at a time of the recorder; at the end all that are left."""
        while (moment := self._next(log, end)) is not None:
            for name in moment.missing:
                self.missing[name] += 1
            yield moment

    def _next(self, log: int, end: bool) -> Moment | None:
        anchors = self._queues[self.names[0]]
        while (first := self._earliest()) is not None:
            expected = self._expected(first.key)
            if anchors and (expected is None or not self._before(expected, anchors[0].key)):
                break
            if not (anchors or end or log - first.log > self.patience):
                return None
            if expected is not None and expected != self._last and (anchors or not end or self._went_on(expected)):
                return self._moment(expected, None)
            self._drop_until(first.key)
        return self._of_anchor(anchors[0], log, end) if anchors else None

    def _went_on(self, expected: Key) -> bool:
        """Whether a bag did not end before a moment: more than half of the other cameras have an image of it."""
        near = [
            any(each.key[0] == expected[0] and abs(each.key[1] - expected[1]) <= self.window for each in queue)
            for name, queue in self._queues.items()
            if name != self.names[0]
        ]
        return 2 * sum(near) > len(near)

    def _earliest(self) -> Taken | None:
        """The first image of any camera but the first one."""
        heads = [queue[0] for name, queue in self._queues.items() if queue and name != self.names[0]]
        return min(heads, key=lambda each: each.key, default=None)

    def _expected(self, key: Key) -> Key | None:
        """The moment that an image belongs to, by the first camera's rhythm; None before its first image on a clock."""
        if self._last is None or self._last[0] != key[0]:
            return None
        steps = round((key[1] - self._last[1]) / self.period)
        return key[0], self._last[1] + max(0, steps) * self.period

    def _of_anchor(self, anchor: Taken, log: int, end: bool) -> Moment | None:
        waited = end or log - anchor.log > self.patience
        others = [queue for name, queue in self._queues.items() if name != self.names[0]]
        if not waited and not all(queue and queue[-1].key >= anchor.key for queue in others):
            return None
        return self._moment(anchor.key, anchor)

    def _moment(self, key: Key, anchor: Taken | None) -> Moment:
        """Take the images around a time out of the queues."""
        images: dict[str, Taken] = {}
        for name in self.names:
            queue = self._queues[name]
            near = [each for each in queue if each.key[0] == key[0] and abs(each.key[1] - key[1]) <= self.window]
            if name == self.names[0]:
                near = [anchor] if anchor is not None else []
            if near:
                images[name] = min(near, key=lambda each: abs(each.key[1] - key[1]))
        self._last, self._served = key, frozenset(images)
        for name, queue in self._queues.items():
            until = images[name].key if name in images else (key[0], key[1] - self.window)
            gone = [each for each in queue if each.key <= until]
            self.unused[name] += len(gone) - (name in images)
            del queue[: len(gone)]
        missing = tuple(name for name in self.names if name not in images)
        return Moment(key, images, missing, max((each.log for each in images.values()), default=0))

    def _drop_until(self, key: Key) -> None:
        for name, queue in self._queues.items():
            gone = [each for each in queue if each.key <= key]
            self.unused[name] += len(gone)
            del queue[: len(gone)]

    def _before(self, expected: Key, anchor: Key) -> bool:
        return expected < (anchor[0], anchor[1] - self.period // 2)
