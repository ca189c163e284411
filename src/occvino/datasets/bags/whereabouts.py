"""Where the vehicle and its cameras are at a time, from tf and odometry as they come."""

import numpy as np

from occvino.datasets.bags.clock import Clock
from occvino.datasets.bags.messages import StampedPose
from occvino.datasets.bags.options import BagOptions
from occvino.datasets.bags.poses import Key, PoseSeries
from occvino.datasets.bags.setup import Setup
from occvino.datasets.bags.survey import is_static
from occvino.geometry.transforms import Matrix, rigid_inverse


class Whereabouts:
    """Follows the transforms that the cameras of a bag need, and no others.

    Args:
        setup: what to follow.
        options: the vehicle's frame, and how far apart poses may be.
        clock: which run of the clock a time stamp belongs to.
    """

    def __init__(self, setup: Setup, options: BagOptions, clock: Clock) -> None:
        self._setup, self._options, self._clock = setup, options, clock
        limit, known = round(options.pose_gap * 1e9), setup.survey.tree
        self._ego2base = rigid_inverse(options.base2ego)
        self._is_ego = np.array_equal(options.base2ego, np.eye(4))
        children = [child for pair in self._pairs() for child in known.moving_between(*pair)]
        self._tree = known.fixed_part(frozenset(children))
        poses = setup.poses
        self._odometry = PoseSeries(str(poses), limit) if poses and poses.odometry else None

    def _pairs(self) -> list[tuple[str, str]]:
        """The frames between which transforms are needed."""
        base, poses = self._options.base_link, self._setup.poses
        pairs = [(frame, base) for frame in self._setup.frames.values()]
        if poses and not poses.odometry:
            pairs.append((base, poses.frame))
        elif poses and poses.child != base:
            pairs.append((base, poses.child))
        return pairs

    def take(self, topic: str, poses: tuple[StampedPose, ...], log: int) -> None:
        """Take a message of tf or odometry.

        Raises:
            BagError: a value in it cannot be right.
        """
        for pose in poses:
            if self._setup.poses and topic == self._setup.poses.odometry:
                assert self._odometry is not None
                pose.matrix(topic)
                key = self._clock.key(topic, pose.stamp, log)
                wxyz = np.array(pose.wxyz)
                self._odometry.add(key, np.array(pose.translation), wxyz / np.linalg.norm(wxyz))
            elif is_static(topic):
                self._tree.add(pose, None, topic)
            elif self._tree.follows(pose.child):
                self._tree.add(pose, self._clock.key(f"{topic} {pose.child}", pose.stamp, log), topic)

    def known_until(self) -> Key | None:
        """The time up to which all is known; None where nothing moves, or nothing is known yet."""
        found: list[Key] = []
        if self._odometry is not None:
            found.append(self._odometry.newest or (0, -1))
        for source, target in self._pairs():
            mount = self._is_mount(target)
            if self._tree.connects(source, target):
                newest = self._tree.newest(source, target, mount=mount)
                found += [newest] if newest else []
            else:
                found.append((0, -1))
        return min(found, default=None)

    def _is_mount(self, target: str) -> bool:
        poses = self._setup.poses
        return not (poses and not poses.odometry and target == poses.frame)

    def optical2ego(self, name: str, key: Key) -> Matrix:
        """Pose of a camera's optical frame on the vehicle [4, 4].

        Raises:
            BagError: tf does not say so.
        """
        found = self._tree.at(self._setup.frames[name], self._options.base_link, key, mount=True)
        return found if self._is_ego else self._options.base2ego @ found

    def ego2global(self, key: Key) -> Matrix:
        """Pose of the vehicle's ego frame at a time [4, 4]; the identity where it stands still.

        Raises:
            NoPoseError: it is not known.
        """
        poses, base = self._setup.poses, self._options.base_link
        if poses is None:
            return np.eye(4)
        if self._odometry is not None:
            found = self._odometry.at(key)
            if poses.child != base:
                found = found @ self._tree.at(base, poses.child, key, mount=True)
        else:
            found = self._tree.at(base, poses.frame, key)
        return found if self._is_ego else found @ self._ego2base
