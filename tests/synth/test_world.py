import numpy as np
import pytest

from occvino.geometry.transforms import quaternion_from_rotation, rotation_from_quaternion
from occvino.synth.rig import make_rig, rotation_zyx
from occvino.synth.shapes import FREE, GROUND_LABEL
from occvino.synth.voxels import label_voxels
from occvino.synth.world import SyntheticScene
from occvino.variant import NUSCENES_CAMERAS, OCC3D_CLASSES, Axis, Grid

ABOUT_THE_CAMERAS = Grid(Axis(-0.8, 2.4, 0.4), Axis(-0.8, 0.8, 0.4), Axis(0.6, 2.2, 0.4))


@pytest.fixture(scope="module")
def some_scenes() -> list[SyntheticScene]:
    return [SyntheticScene.make(21, index, 3.0) for index in range(4)]


def test_the_same_seed_gives_the_same_scene(some_scenes):
    again = SyntheticScene.make(21, 1, 3.0)
    first, second = some_scenes[1].shapes_at(1.3), again.shapes_at(1.3)
    assert np.array_equal(first.geometry, second.geometry)
    assert np.array_equal(first.colour, second.colour)
    assert np.array_equal(some_scenes[1].ground.material, again.ground.material)
    assert not np.array_equal(some_scenes[0].ego2global(0), again.ego2global(0))


def test_every_class_occurs(some_scenes):
    names = {actor.name for scene in some_scenes for actor in scene.actors}
    ground = {OCC3D_CLASSES[i] for scene in some_scenes for i in np.unique(GROUND_LABEL[scene.ground.material])}
    assert names | ground == set(OCC3D_CLASSES[:-1])


def test_nothing_stands_where_the_vehicle_drives(some_scenes):
    for scene in some_scenes:
        for t in (0.0, 1.5, 3.0):
            semantics, _ = label_voxels(scene.shapes_at(t), scene.ground, scene.ego2global(t), ABOUT_THE_CAMERAS)
            assert (semantics == FREE).all()


def test_things_move_and_the_rest_stands(some_scenes):
    for scene in some_scenes:
        for actor in scene.actors:
            moved = np.hypot(*np.subtract(scene.pose_of(actor, 2.0), scene.pose_of(actor, 0.0))[:2])
            assert moved == 0 or actor.motion.moves
            assert moved < 60
    assert any(a.motion.moves for scene in some_scenes for a in scene.actors)


def test_cameras_are_those_of_nuscenes_and_differ_a_little():
    one, two = (make_rig(np.random.default_rng(seed), 1600) for seed in (1, 2))
    assert tuple(mount.name for mount in one.mounts) == NUSCENES_CAMERAS
    for a, b in zip(one.mounts, two.mounts, strict=True):
        assert (a.width, a.height) == (1600, 900)
        shift = np.linalg.norm(a.sensor2ego[:3, 3] - b.sensor2ego[:3, 3])
        assert 0 < shift < 0.2
        assert 0 < abs(a.intrinsics[0, 0] / b.intrinsics[0, 0] - 1) < 0.05
        assert -0.06 < a.delay < 0.01
    small = make_rig(np.random.default_rng(1), 352).mounts[0]
    np.testing.assert_allclose(small.intrinsics[:2] / one.mounts[0].intrinsics[:2].clip(1e-9), 0.22, atol=0.3)


def test_quaternions_and_rotations_agree():
    rng = np.random.default_rng(0)
    for angles in [(0, 0, 0), (np.pi, 0, 0), (0, np.pi, 0), *rng.uniform(-3, 3, (50, 3))]:
        rotation = rotation_zyx(*angles)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(rotation_from_quaternion(quaternion_from_rotation(rotation)), rotation, atol=1e-9)
