"""Poses between poses, the clock that jumps, and the tree of frames."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from occvino.datasets.bags.clock import Clock
from occvino.datasets.bags.messages import BagError, StampedPose
from occvino.datasets.bags.poses import KEPT, NoPoseError, PoseSeries, slerp
from occvino.datasets.bags.tree import MovingTree
from occvino.geometry.transforms import pose, rigid_inverse

SECOND = 10**9


def random_poses(count, seed=0):
    rng = np.random.default_rng(seed)
    turns = rng.normal(size=(count, 4))
    return rng.normal(size=(count, 3)), turns / np.linalg.norm(turns, axis=1, keepdims=True)


def series(shifts, turns, step=SECOND // 10, limit=SECOND):
    made = PoseSeries("odom -> base_link", limit)
    for index, (shift, turn) in enumerate(zip(shifts, turns, strict=True)):
        made.add((0, index * step), shift, turn)
    return made


def test_rotations_are_interpolated_as_by_scipy():
    shifts, turns = random_poses(20)
    made, times = series(shifts, turns), np.arange(20) * (SECOND // 10)
    reference = Slerp(times, Rotation.from_quat(turns[:, [1, 2, 3, 0]]))
    for time in (1, 37, SECOND // 20, SECOND // 10, 123_456_789, 19 * SECOND // 10 - 1):
        found = made.at((0, time))
        np.testing.assert_allclose(found[:3, :3], reference(time).as_matrix(), atol=1e-12)
        expected = [np.interp(time, times, shifts[:, axis]) for axis in range(3)]
        np.testing.assert_allclose(found[:3, 3], expected, atol=1e-12)


def test_a_tiny_rotation_and_the_longer_way_round():
    start, end = np.array([1.0, 0, 0, 0]), np.array([1.0, 1e-12, 0, 0])
    assert np.isfinite(slerp(start, end, 0.3)).all()
    half = np.sqrt(0.5)
    quarter = np.array([half, 0, 0, half])
    np.testing.assert_allclose(slerp(start, -quarter, 1.0) @ quarter, 1.0)


def test_a_pose_at_its_own_time_is_that_pose_to_the_bit():
    shifts, turns = random_poses(3)
    assert np.array_equal(series(shifts, turns).at((0, SECOND // 10)), pose(turns[1], shifts[1]))


def test_nothing_is_extrapolated_or_bridged():
    shifts, turns = random_poses(2)
    made = series(shifts, turns, step=2 * SECOND)
    for time, words in ((-1, "before the first"), (2 * SECOND + 1, "after the last"), (SECOND, "2.00 s apart")):
        with pytest.raises(NoPoseError, match=words):
            made.at((0, time))
    with pytest.raises(NoPoseError, match="on this clock"):
        made.at((1, SECOND))


def test_late_poses_go_to_their_place_and_memory_is_bounded():
    made = PoseSeries("x", SECOND)
    for index in range(3 * KEPT):
        made.add((0, (index ^ 1) * 1000), np.array([index ^ 1, 0.0, 0.0]), np.array([1.0, 0, 0, 0]))
    assert made.at((0, (3 * KEPT - 5) * 1000 + 500))[0, 3] == pytest.approx(3 * KEPT - 4.5)
    assert len(made._keys) <= 2 * KEPT


def test_the_clock_jumps_once_for_all_sources():
    clock = Clock()
    assert clock.key("a", 100 * SECOND, 0) == (0, 100 * SECOND)
    assert clock.key("b", 100 * SECOND, 1) == (0, 100 * SECOND)
    assert clock.key("a", 99 * SECOND + 9 * SECOND // 10, 2) == (0, 99 * SECOND + 9 * SECOND // 10), (
        "out of order is no jump"
    )
    assert clock.key("a", 50 * SECOND, SECOND) == (1, 50 * SECOND)
    assert clock.key("b", 100 * SECOND + 5, SECOND + 1) == (0, 100 * SECOND + 5), "still under way"
    assert clock.key("b", 50 * SECOND, SECOND + 2) == (1, 50 * SECOND)
    assert clock.key("c", 51 * SECOND, 2 * SECOND) == (1, 51 * SECOND), "a source that is new"
    assert clock.key("a", 20 * SECOND, 20 * SECOND) == (2, 20 * SECOND)
    assert len(clock.jumps) == 2


def stamped(parent, child, shift=(0.0, 0.0, 0.0), wxyz=(1.0, 0.0, 0.0, 0.0), stamp=0):
    return StampedPose(stamp, parent, child, shift, wxyz)


def tree_of(*poses, key=None):
    tree = MovingTree(SECOND)
    for each in poses:
        tree.add(each, key, "/tf_static")
    return tree


def test_frames_over_a_common_parent():
    shifts, turns = random_poses(4, seed=1)
    names = [("base", "mast"), ("mast", "camera"), ("base", "rear"), ("rear", "lidar")]
    poses = [stamped(*pair, tuple(t), tuple(q)) for pair, t, q in zip(names, shifts, turns, strict=True)]
    tree = tree_of(*poses)
    mast, camera, rear, lidar = (each.matrix("") for each in poses)
    np.testing.assert_allclose(tree.at("camera", "base", (0, 0)), mast @ camera, atol=1e-12)
    np.testing.assert_allclose(tree.at("base", "camera", (0, 0)), rigid_inverse(mast @ camera), atol=1e-12)
    expected = rigid_inverse(rear @ lidar) @ mast @ camera
    np.testing.assert_allclose(tree.at("camera", "lidar", (0, 0)), expected, atol=1e-12)
    assert np.array_equal(tree.at("base", "base", (0, 0)), np.eye(4))


def test_trees_that_do_not_connect_are_both_named():
    tree = tree_of(stamped("base_link", "mast"), stamped("camera_link", "camera_optical"))
    with pytest.raises(BagError, match=r"tree of camera_link \(camera_link, camera_optical\).*tree of|base_link, mast"):
        tree.at("camera_optical", "base_link", (0, 0))
    with pytest.raises(BagError, match="no frame 'lidar'; it has base_link, camera_link"):
        tree.at("lidar", "base_link", (0, 0))


def test_two_parents_rings_and_bad_quaternions():
    with pytest.raises(BagError, match="two parents, a and b"):
        tree_of(stamped("a", "c"), stamped("b", "c"), stamped("a", "b")).at("c", "a", (0, 0))
    with pytest.raises(BagError, match="in a ring: a -> b -> a"):
        tree_of(stamped("a", "b"), stamped("b", "a")).at("a", "b", (0, 0))
    with pytest.raises(BagError, match=r"/tf_static: the transform a -> b: rotation .* is not a unit quaternion"):
        tree_of(stamped("a", "b", wxyz=(0.0, 0.0, 0.0, 0.0)))


def test_a_mount_that_is_sent_again_and_again_holds_at_any_time():
    tree = tree_of(stamped("base", "camera", (1.0, 2.0, 3.0)), key=(0, SECOND))
    assert tree.at("camera", "base", (0, 50 * SECOND), mount=True)[0, 3] == 1.0
    with pytest.raises(NoPoseError):
        tree.at("camera", "base", (0, 50 * SECOND))
    tree.add(stamped("base", "camera", (1.5, 2.0, 3.0)), (0, 2 * SECOND), "/tf")
    with pytest.raises(NoPoseError, match="after the last"):
        tree.at("camera", "base", (0, 50 * SECOND), mount=True)
