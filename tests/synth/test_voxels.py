import numpy as np
import pytest

from occvino.geometry.camera import Camera
from occvino.geometry.transforms import pose
from occvino.synth.layout import Ground
from occvino.synth.render import GROUND, Solids, cast
from occvino.synth.rig import make_rig
from occvino.synth.shapes import FREE, LABEL, Kind, Material, Part, Shapes
from occvino.synth.voxels import camera_mask, label_voxels, lidar_mask
from occvino.synth.world import SyntheticScene
from occvino.variant import OCC3D_CLASSES
from occvino.variants import get_variant

GRID = get_variant("flashocc-r50-M0").occupancy_grid
GREY = (0.5, 0.5, 0.5)
ASPHALT = Ground(np.full((1200, 1200), Material.ASPHALT, np.uint8), (-75.0, -75.0))


def box(centre, half, label, number=1, yaw=0.0) -> Shapes:
    return Shapes.of([Part(Kind.BOX, centre, half, Material.PLAIN, GREY, yaw=yaw)], LABEL[label], number)


def voxel(*point: float) -> tuple[int, ...]:
    return tuple(int(i) for i in np.floor((np.array(point) - GRID.lower) / GRID.step))


def test_a_box_a_person_and_the_road():
    car = box((10.0, 4.0, 0.8), (2.0, 1.0, 0.8), "car", 7)
    walker = box((-6.1, -3.1, 0.9), (0.2, 0.2, 0.9), "pedestrian", 8)
    semantics, instances = label_voxels(Shapes.joined([car, walker]), ASPHALT, np.eye(4), GRID)
    assert semantics[voxel(10, 4, 0.9)] == LABEL["car"]
    assert instances[voxel(10, 4, 0.9)] == 7
    assert semantics[voxel(-6.1, -3.1, 0.9)] == LABEL["pedestrian"]
    assert semantics[voxel(10, 4, 2.1)] == FREE
    assert semantics[voxel(20, 20, 0.0)] == LABEL["driveable_surface"]
    assert semantics[voxel(20, 20, -0.5)] == FREE
    # 4 x 2 m in voxels of 0.4 m, plus at most one at each side that is touched.
    assert 10 * 5 <= (semantics[:, :, 4] == LABEL["car"]).sum() <= 12 * 7
    assert set(np.unique(instances)) == {0, 7, 8}


def test_labels_turn_with_the_vehicle():
    car = box((110.0, 54.0, 0.8), (2.0, 1.0, 0.8), "car")
    ego2global = pose((np.cos(0.4), 0, 0, np.sin(0.4)), (100.0, 50.0, 0.0))
    ground = Ground(ASPHALT.material, (25.0, -25.0))
    semantics, _ = label_voxels(car, ground, ego2global, GRID)
    x, y, z = np.linalg.inv(ego2global) @ [110, 54, 0.9, 1] @ np.eye(4)[:, :3]
    assert semantics[voxel(x, y, z)] == LABEL["car"]


def test_only_things_have_instances():
    shapes = Shapes.joined([box((5, 0, 1), (1, 1, 1), name, i + 1) for i, name in enumerate(OCC3D_CLASSES[:-1])])
    for name in ("barrier", "traffic_cone", "manmade", "vegetation"):
        one = Shapes(*(part[[LABEL[name]]] for part in (shapes.geometry, shapes.tags, shapes.colour)))
        semantics, instances = label_voxels(one, ASPHALT, np.eye(4), GRID)
        assert (semantics == LABEL[name]).any()
        assert not instances.any()


def looking_along_x(width=200, height=120) -> Camera:
    sensor2ego = np.eye(4)
    sensor2ego[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    sensor2ego[:3, 3] = (0.0, 0.0, 1.5)
    k = np.array([[100.0, 0, 99.5], [0, 100.0, 59.5], [0, 0, 1]])
    return Camera("CAM", width, height, k, sensor2ego, np.eye(4))


def test_cameras_see_what_is_in_front_and_not_what_is_behind_a_wall():
    wall = box((10.0, 0.0, 2.5), (0.2, 4.0, 2.5), "manmade")
    semantics, _ = label_voxels(wall, ASPHALT, np.eye(4), GRID)
    seen = camera_mask(semantics, [looking_along_x()], np.eye(4), GRID).astype(bool)
    assert seen[voxel(9.9, 0, 1.5)]  # its front
    assert seen[voxel(5, 0, 1.5)]  # air before it
    assert seen[voxel(5, 1, 0)]  # road before it
    assert not seen[voxel(15, 0, 1.5)]  # behind it
    assert not seen[voxel(15, 0, 0)]
    assert seen[voxel(15, 12, 1.5)]  # beside it
    assert not seen[voxel(-5, 0, 1.5)]  # behind the camera
    assert not seen[voxel(5, 12, 1.5)]  # outside the image: 45 degrees to each side
    assert not seen[:, :, 0].any()  # under the ground


def test_a_camera_in_a_solid_sees_nothing():
    shut = box((0.0, 0.0, 1.5), (1, 1, 1), "truck")
    semantics, _ = label_voxels(shut, ASPHALT, np.eye(4), GRID)
    assert not camera_mask(semantics, [looking_along_x()], np.eye(4), GRID).any()


def test_lidar_passes_air_and_ends_at_walls():
    semantics = np.full(GRID.shape, FREE, np.uint8)
    semantics[150] = LABEL["manmade"]
    seen = lidar_mask(semantics, np.array([[0.2, 0.2, 2.0]]), np.array([[1.0, 0, 0], [-1.0, 0, 0]]), GRID)
    assert list(np.flatnonzero(seen[:, 100, 7])) == list(range(151))
    assert seen.sum() == 151


@pytest.fixture(scope="module")
def scene() -> SyntheticScene:
    return SyntheticScene.make(11, 0, 0.5)


def test_what_rays_hit_is_labelled(scene):
    ego2global = scene.ego2global(0.2)
    shapes = scene.shapes_at(0.2)
    semantics, _ = label_voxels(shapes, scene.ground, ego2global, GRID)
    camera = make_rig(np.random.default_rng(0), 352).mounts[1].camera(ego2global)
    sensor2global = camera.ego2global @ camera.sensor2ego
    v, u = np.indices((60, 176)) * 2.0 + 78
    rays = np.stack([u - 78, v, np.ones_like(u)], -1).reshape(-1, 3) @ np.linalg.inv(camera.intrinsics).T
    rays = rays @ sensor2global[:3, :3].T
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    distance, found = cast(Solids.of(shapes, scene.ground), sensor2global[:3, 3].copy(), rays, 60.0)
    points = sensor2global[:3, 3] + rays * (distance + 1e-3)[:, None]
    index = np.floor(((points - ego2global[:3, 3]) @ ego2global[:3, :3] - GRID.lower) / GRID.step).astype(int)
    inside = ((index >= 0) & (index < GRID.shape)).all(1) & (distance < 60)
    label = semantics[tuple(index[inside].T)]
    assert inside.sum() > 1000
    assert (label != FREE).mean() > 0.99
    solid = found[inside] >= 0
    expected = shapes.tags[found[inside][solid], 1]
    assert (label[solid] == expected).mean() > 0.9  # the rest shares its voxel with something larger
    assert (label[~solid & (found[inside] == GROUND)] != FREE).all()
