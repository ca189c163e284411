"""Poses over time: the last ones of a stream, and the pose between two of them."""

import bisect
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from occvino.datasets.bags.messages import BagError
from occvino.geometry.transforms import Matrix, pose

Key: TypeAlias = tuple[int, int]
"""A time in a bag: how often its clock had jumped back, and nanoseconds. In the order in which things happened."""

KEPT = 4000
"""Poses that are remembered; the oldest go, so that memory does not grow with the bag."""


class NoPoseError(BagError):
    """No pose is known at a time; none is guessed."""


class PoseSeries:
    """Poses of one frame in another over time.

    Args:
        name: of what moves, for messages.
        limit: nanoseconds; between two poses that are further apart nothing is interpolated.
    """

    def __init__(self, name: str, limit: int) -> None:
        self.name, self.limit = name, limit
        self.still = True
        """Whether all poses so far are the same, as on a mount whose fixed transform is sent again and again."""
        self._keys: list[Key] = []
        self._poses: list[tuple[Matrix, Matrix]] = []

    @property
    def newest(self) -> Key | None:
        """Of the last pose; None before the first."""
        return self._keys[-1] if self._keys else None

    def add(self, key: Key, translation: NDArray[np.float64], wxyz: NDArray[np.float64]) -> None:
        """Remember a pose; one that comes late goes to its place, and of two at one time the first stays."""
        place = bisect.bisect_left(self._keys, key)
        if place < len(self._keys) and self._keys[place] == key:
            return
        if self._poses:
            first = self._poses[0]
            self.still &= np.array_equal(first[0], translation) and np.array_equal(first[1], wxyz)
        self._keys.insert(place, key)
        self._poses.insert(place, (translation, wxyz))
        if len(self._keys) > 2 * KEPT:
            del self._keys[:KEPT], self._poses[:KEPT]

    def at(self, key: Key, *, hold: bool = False) -> Matrix:
        """The pose [4, 4] at a time: positions are interpolated on a line, rotations by slerp.

        `hold`: where all poses are the same, it is that one at any time.

        Raises:
            NoPoseError: before the first or after the last pose, or in a gap.
        """
        if hold and self.still and self._poses:
            return pose(self._poses[0][1], self._poses[0][0])
        place = bisect.bisect_left(self._keys, key)
        if place < len(self._keys) and self._keys[place] == key:
            return pose(self._poses[place][1], self._poses[place][0])
        before, after = self._keys[place - 1 : place], self._keys[place : place + 1]
        same = [each for each in (*before, *after) if each[0] == key[0]]
        if len(same) < 2:
            raise NoPoseError(self._outside(key, bool(before and before[0][0] == key[0])))
        apart = after[0][1] - before[0][1]
        if apart > self.limit:
            raise NoPoseError(
                f"{self.name}: the poses around {seconds(key[1])} are {apart / 1e9:.2f} s apart, more than the "
                f"{self.limit / 1e9:g} s that are bridged (--pose-gap)"
            )
        share = (key[1] - before[0][1]) / apart
        (start, turn), (end, next_turn) = self._poses[place - 1], self._poses[place]
        return pose(slerp(turn, next_turn, share), start + share * (end - start))

    def _outside(self, key: Key, ended: bool) -> str:
        if not self._keys:
            return f"{self.name}: there is no pose at all"
        where = "after the last" if ended else "before the first"
        near = [each[1] for each in self._keys if each[0] == key[0]]
        told = f", {seconds(near[-1] if ended else near[0])}" if near else " on this clock"
        return f"{self.name}: {seconds(key[1])} is {where} pose{told}; poses are not extrapolated"


def seconds(stamp: int) -> str:
    """A time stamp for messages: "1700000000.123 s"."""
    return f"{stamp // 10**9}.{stamp % 10**9 // 10**6:03d} s"


def slerp(start: NDArray[np.float64], end: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """The rotation between two unit quaternions [4], on the shorter way, at a constant rate (Shoemake 1985)."""
    if start @ end < 0:
        end = -end
    angle = 2 * np.arctan2(np.linalg.norm(end - start), np.linalg.norm(end + start))
    if angle < 1e-9:
        return start
    return (np.sin((1 - share) * angle) * start + np.sin(share * angle) * end) / np.sin(angle)
