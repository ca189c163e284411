"""Ten different plausible rigs, and the mistakes that people make in them."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from occvino.geometry.camera import Camera
from occvino.geometry.lens import Lens
from occvino.geometry.rig import Rig
from occvino.geometry.rig_json import UnknownKeyWarning
from occvino.geometry.transforms import Matrix
from occvino.synth.rig import make_rig
from occvino.variant import NUSCENES_CAMERAS

OPTICAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
"""Columns: x (right), y (down) and z (forward) of a camera that looks ahead, in the ego frame."""
FISHEYE = Lens("fisheye", (0.02, -0.004, 0.001, 0.0))


def turn(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Matrix:
    """Degrees: to the left, down, clockwise."""
    (y, p, r) = np.radians([yaw, pitch, roll])
    about_z = np.array([[np.cos(y), -np.sin(y), 0], [np.sin(y), np.cos(y), 0], [0, 0, 1]])
    about_y = np.array([[np.cos(p), 0, np.sin(p)], [0, 1, 0], [-np.sin(p), 0, np.cos(p)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(r), -np.sin(r)], [0, np.sin(r), np.cos(r)]])
    return about_z @ about_y @ about_x


def camera(name, yaw, place, *, pitch=0.0, roll=0.0, size=(1280, 720), focal=0.8, lens=None) -> Camera:
    """`focal`: over the width."""
    width, height = size
    intrinsics = np.array([[focal * width, 0, 0.503 * width], [0, focal * width, 0.49 * height], [0, 0, 1]])
    sensor2ego = np.eye(4)
    sensor2ego[:3, :3] = turn(yaw, pitch, roll) @ OPTICAL
    sensor2ego[:3, 3] = place
    return Camera(name, width, height, intrinsics, sensor2ego, np.eye(4), lens)


def real_rig(real_frame: Path) -> Rig:
    """Of one frame of nuScenes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnknownKeyWarning)
        return Rig.load(real_frame / "calibration.json").select(NUSCENES_CAMERAS)


def right_rigs() -> Iterator[tuple[str, Rig]]:
    """All are right, as the real one is: nothing may be said about them."""
    mounts = make_rig(np.random.default_rng(5), 704).mounts
    yield "synthetic", Rig(tuple(mount.camera(np.eye(4)) for mount in mounts))
    yield "truck", Rig((
        camera("front", 0, [4.2, 0.1, 3.0], pitch=6, focal=0.7),
        camera("left", 88, [3.1, 1.25, 3.05], pitch=9, focal=0.6),
        camera("right", -92, [3.1, -1.25, 3.02], pitch=9, focal=0.6),
        camera("rear", 179, [-4.8, -0.05, 2.9], pitch=10, focal=0.6),
    ))  # fmt: skip
    yield "robot", Rig((
        camera("front_camera", 1, [0.25, 0.01, 0.30], size=(640, 360), focal=0.6),
        camera("back_camera", 178, [-0.2, -0.02, 0.31], size=(640, 360), focal=0.6),
    ))  # fmt: skip
    yield "single", Rig((camera("dashcam", 3, [1.4, 0.05, 1.3], size=(1920, 1080), focal=0.9),))
    yield "parking", Rig((
        camera("CAM_FRONT", 0, [3.6, 0.0, 0.7], pitch=25, focal=0.32, lens=FISHEYE),
        camera("CAM_LEFT", 90, [2.0, 0.95, 1.0], pitch=35, focal=0.32, lens=FISHEYE),
        camera("CAM_RIGHT", -90, [2.0, -0.95, 1.0], pitch=35, focal=0.32, lens=FISHEYE),
        camera("CAM_BACK", 180, [-0.9, 0.0, 0.9], pitch=30, focal=0.32, lens=FISHEYE),
    ))  # fmt: skip
    yield "stereo", Rig((
        camera("cam_left", 0.4, [1.6, 0.27, 1.65], size=(1242, 600), focal=0.58),
        camera("cam_right", -0.3, [1.6, -0.27, 1.65], size=(1242, 600), focal=0.58),
    ))  # fmt: skip
    yield "ring", Rig(tuple(
        camera(name, yaw, [1.35 + 0.1 * np.cos(np.radians(yaw)), 0.1 * np.sin(np.radians(yaw)), 1.4], roll=0.5)
        for name, yaw in [("ring_front_center", 0.5), ("ring_front_left", 45), ("ring_front_right", -44),
                          ("ring_side_left", 99), ("ring_side_right", -98), ("ring_rear_left", 153),
                          ("ring_rear_right", -153)]
    ))  # fmt: skip
    yield "numbers", Rig(tuple(
        camera(f"cam{index}", yaw, [0.8 + 0.5 * np.cos(np.radians(yaw)), 0.5 * np.sin(np.radians(yaw)), 1.9], pitch=3)
        for index, yaw in enumerate([10, 80, 150, 221, 291])
    ))  # fmt: skip
    yield "shuttle", Rig(tuple(
        camera(f"cam_{word}", yaw, [1.0 + 1.9 * np.cos(np.radians(yaw)), 0.9 * np.sin(np.radians(yaw)), 2.3], pitch=5,
               focal=0.6, lens=Lens("plumb_bob", (-0.2, 0.03, 2e-4, 1e-5, 0.0)))
        for word, yaw in [("front", 0), ("front_left", 47), ("left", 91), ("rear_left", 134), ("rear", 181),
                          ("rear_right", -134), ("right", -90), ("front_right", -46)]
    ))  # fmt: skip


def each(rig: Rig, change: Callable[[Matrix], Matrix]) -> Rig:
    """The rig with `sensor2ego` of every camera changed."""
    return Rig(tuple(replace(camera, sensor2ego=change(camera.sensor2ego)) for camera in rig.cameras))
