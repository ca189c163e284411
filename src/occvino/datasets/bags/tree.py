"""The tf tree of a bag: fixed transforms, and those that move."""

import numpy as np

from occvino.datasets.bags.messages import BagError, StampedPose
from occvino.datasets.bags.poses import Key, PoseSeries
from occvino.geometry.transforms import Matrix, rigid_inverse


class MovingTree:
    """Frames and where they were.

    Args:
        limit: nanoseconds; as for `PoseSeries`.
        moving: names of the child frames to remember the movement of; all when left out.
    """

    def __init__(self, limit: int, moving: frozenset[str] | None = None) -> None:
        self._limit, self._moving = limit, moving
        self._parents: dict[str, str] = {}
        self._fixed: dict[str, Matrix] = {}
        self._series: dict[str, PoseSeries] = {}
        self._doubts: dict[str, str] = {}

    def fixed_part(self, moving: frozenset[str]) -> "MovingTree":
        """A tree of the fixed transforms alone, which remembers the movement of some frames from now on."""
        tree = MovingTree(self._limit, moving)
        tree._fixed = dict(self._fixed)
        tree._parents = {child: self._parents[child] for child in self._fixed}
        return tree

    def __contains__(self, frame: str) -> bool:
        return frame in self._parents or frame in self._parents.values()

    @property
    def edges(self) -> dict[str, str]:
        """The parent of each frame that has one."""
        return dict(self._parents)

    def follows(self, child: str) -> bool:
        """Whether the movement of a frame is remembered."""
        return self._moving is None or child in self._moving

    def add(self, given: StampedPose, key: Key | None, topic: str) -> None:
        """Take note of a transform. `key`: when it held; None where it always does.

        Raises:
            BagError: a quaternion of another length than 1, or a number that is not finite.
        """
        child = given.child
        matrix = given.matrix(topic)
        known = self._parents.setdefault(child, given.parent)
        if known != given.parent:
            self._doubts[child] = f"{topic}: the frame {child} has two parents, {known} and {given.parent}"
            return
        if key is None:
            self._fixed[child] = matrix
            return
        if child not in self._series:
            self._series[child] = PoseSeries(f"{topic}: {given.parent} -> {child}", self._limit)
        wxyz = np.array(given.wxyz)
        self._series[child].add(key, np.array(given.translation), wxyz / np.linalg.norm(wxyz))

    def is_fixed(self, child: str) -> bool:
        """Whether the transform of a frame holds at any time."""
        return child in self._fixed

    def root(self, frame: str) -> str:
        """The frame at the top of the tree that a frame is in."""
        return self._up(frame)[-1]

    def connects(self, source: str, target: str) -> bool:
        """Whether there is a way from one frame to another."""
        return source in self and target in self and self.root(source) == self.root(target)

    def moving_between(self, source: str, target: str) -> tuple[str, ...]:
        """The child frames whose transforms lie between two frames and are not fixed.

        Raises:
            BagError: as `at`.
        """
        ups, downs = self._ways(source, target)
        return tuple(child for child in (*ups, *downs) if child not in self._fixed)

    def at(self, source: str, target: str, key: Key, *, mount: bool = False) -> Matrix:
        """From one frame to another [4, 4] at a time. `mount`: what never moved is where it was, at any time.

        Raises:
            BagError: a frame is not there, the two are not connected, or a frame between them has two parents.
            NoPoseError: nothing is known of that time.
        """
        ups, downs = self._ways(source, target)
        matrix = np.eye(4)
        for child in ups:
            matrix = self._edge(child, key, mount) @ matrix
        back = np.eye(4)
        for child in downs:
            back = self._edge(child, key, mount) @ back
        return rigid_inverse(back) @ matrix if downs else matrix

    def newest(self, source: str, target: str, *, mount: bool = False) -> Key | None:
        """The time up to which the way between two frames is known; None where it is fixed. `mount`: as for `at`.

        Raises:
            BagError: as `at`.
        """
        series = [self._series[child] for child in self.moving_between(source, target)]
        return min((each.newest for each in series if each.newest and not (mount and each.still)), default=None)

    def _edge(self, child: str, key: Key, mount: bool) -> Matrix:
        return self._fixed[child] if child in self._fixed else self._series[child].at(key, hold=mount)

    def _ways(self, source: str, target: str) -> tuple[list[str], list[str]]:
        """The frames to go up from `source`, and those to go up from `target`, to the first that is above both."""
        for frame in (source, target):
            if frame not in self:
                there = ", ".join(sorted(self._names())) or "none"
                fix = "Record /tf_static and /tf as a whole, or give the calibration with --rig"
                raise BagError(f"tf has no frame {frame!r}; it has {there}. {fix}")
        ups, downs = self._up(source), self._up(target)
        if ups[-1] != downs[-1]:
            raise BagError(
                f"tf does not connect {source} with {target}: {source} is in the tree of {ups[-1]} "
                f"({', '.join(self._under(ups[-1]))}), {target} in that of {downs[-1]} "
                f"({', '.join(self._under(downs[-1]))}). Record /tf_static and /tf as a whole"
            )
        while len(ups) > 1 and len(downs) > 1 and ups[-2] == downs[-2]:
            ups.pop()
            downs.pop()
        ways = ups[:-1], downs[:-1]
        for child in (*ways[0], *ways[1]):
            if child in self._doubts:
                raise BagError(f"{self._doubts[child]}: which one is right is not known; leave one out of the bag")
        return ways

    def _up(self, frame: str) -> list[str]:
        found = [frame]
        while (above := self._parents.get(found[-1])) is not None:
            if above in found:
                raise BagError(f"tf goes in a ring: {' -> '.join([*found, above])}")
            found.append(above)
        return found

    def _names(self) -> set[str]:
        return {*self._parents, *self._parents.values()}

    def _under(self, root: str) -> list[str]:
        return sorted(name for name in self._names() if self._up(name)[-1] == root)
