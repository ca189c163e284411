"""The procedural street: what the pictures show is where the voxels are, and both are where the rig says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occvino.cameras import rigid_inverse
from occvino.datasets.raycast import GROUND, SKY, World, picture, trace
from occvino.datasets.scene import Scene, SceneError, make_scene
from occvino.datasets.solids import Ball, Box
from occvino.datasets.street import Ground
from occvino.errors import OccvinoError
from occvino.variants import NUSCENES_CAMERAS, OCC3D_CLASSES, Axis, Grid, get_variant

FINE = get_variant("flashocc-r50").occupancy_grid
COARSE = get_variant("occvino-nano").occupancy_grid
FREE = OCC3D_CLASSES.index("free")


@pytest.fixture(scope="module")
def scene():
    return make_scene(0)


EMPTY = Ground(25.0, (0.0, 0.0, 0.0, 0.0), np.zeros((2, 256, 256), np.float32))

angles = st.floats(-3.2, 3.2)
lengths = st.floats(0.1, 3.0)
places = st.floats(-2.0, 2.0)


def only(scene, *solids):
    """The scene's cameras, ground and sun, and nothing but these solids."""
    return Scene(scene.rig, World(scene.world.ground, solids, scene.world.sun))


def pixel_of(camera, point):
    """Row and column of a point [3] in metres, by the definitions in `cameras`."""
    sensor = rigid_inverse(camera.sensor2ego) @ [*point, 1.0]
    u, v, w = camera.intrinsics @ sensor[:3]
    return round(v / w), round(u / w)


def voxel_of(grid, points):
    """Indices [3, n] of the voxels that hold points [3, n], and which of them lie in the grid."""
    index = np.floor((points - np.array(grid.lower)[:, None]) / np.array(grid.step)[:, None]).astype(int)
    return index, ((index >= 0) & (index < np.array(grid.shape)[:, None])).all(axis=0)


def test_the_same_seed_gives_the_same_scene(scene):
    again = make_scene(0)
    images = again.render(64, 36)
    for name, image in scene.render(64, 36).items():
        assert np.array_equal(image, images[name])
    assert np.array_equal(scene.occupancy(COARSE), again.occupancy(COARSE))


def test_another_seed_gives_another_scene(scene):
    other = make_scene(1)
    assert (scene.occupancy(COARSE) != other.occupancy(COARSE)).mean() > 0.01
    assert not np.array_equal(scene.render(64, 36)["CAM_FRONT"], other.render(64, 36)["CAM_FRONT"])


def test_pictures_are_those_the_rig_describes(scene):
    images = scene.render(352, 198)
    assert tuple(images) == NUSCENES_CAMERAS == scene.rig.names
    for image in images.values():
        assert image.shape == (198, 352, 3)
        assert image.dtype == np.uint8
        assert image.std() > 20


def test_the_cameras_look_where_those_of_nuscenes_do(scene):
    for camera, yaw in zip(scene.rig.cameras, (55, 0, -55, 110, 180, -110), strict=True):
        assert camera.sensor2ego[:3, 2] == pytest.approx([np.cos(np.deg2rad(yaw)), np.sin(np.deg2rad(yaw)), 0.0])
        assert camera.sensor2ego[:3, 1] == pytest.approx([0.0, 0.0, -1.0])
        assert 1.4 < camera.sensor2ego[2, 3] < 1.6
        assert camera.intrinsics[0, 0] == (809.0 if camera.name == "CAM_BACK" else 1266.0)
        assert (camera.width, camera.height) == (1600, 900)


@pytest.mark.parametrize("name", NUSCENES_CAMERAS)
@pytest.mark.parametrize(("right", "up"), [(0.0, 0.0), (-3.0, 1.0), (3.0, -0.9)])
def test_an_object_is_seen_where_the_rig_projects_it(scene, name, right, up):
    camera = scene.rig.select([name]).scaled(0.2).cameras[0]
    point = (camera.sensor2ego @ [right, -up, 12.0, 1.0])[:3]
    red = Box("car", tuple(point), (0.8, 0.8, 0.8), (0.9, 0.05, 0.05), yaw=0.3)
    image = picture(camera, only(scene, red).world)
    row, column = pixel_of(camera, point)
    red_pixels = (image[..., 0] > 2 * image[..., 1].astype(int)) & (image[..., 0] > 60)
    assert red_pixels[row, column]
    rows, columns = np.nonzero(red_pixels)
    assert abs(rows.mean() - row) < 1.5
    assert abs(columns.mean() - column) < 1.5
    assert np.sign(columns.mean() - camera.width / 2) == np.sign(right) or right == 0


def test_only_the_windows_of_solids_are_cast_and_nothing_is_missed(scene):
    """The slow twin: every solid against every pixel."""
    for camera in scene.rig.scaled(1 / 40).cameras:
        view = trace(camera, scene.world)
        nearest = np.where(view.seen == SKY, np.inf, view.distance)
        for index, solid in enumerate(scene.world.solids):
            entry = solid.entry(view.origin[:, None, None], view.direction)
            assert not (entry < nearest).any()
            assert (entry[view.seen == index] == view.distance[view.seen == index]).all()


@given(st.tuples(places, places, places), st.tuples(lengths, lengths, lengths), angles)
@settings(max_examples=100, deadline=None)
def test_a_solid_that_reaches_behind_the_camera_is_seen_whole(scene, offset, size, yaw):
    """Boxes around one camera, in every position: the window against the slow twin."""
    camera = scene.rig.cameras[1].scaled(1 / 40)
    box = Box("car", tuple(camera.sensor2ego[:3, 3] + offset), size, (0, 0, 0), yaw)
    view = trace(camera, World(EMPTY, (box,), np.array([0, 0, 1], np.float32)))
    entry = box.entry(view.origin[:, None, None], view.direction)
    below = view.direction[2] < 0
    with np.errstate(divide="ignore"):
        ground = np.where(below, -view.origin[2] / view.direction[2], np.inf)
    assert np.array_equal(view.seen == 0, entry < ground)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("grid", [FINE, COARSE], ids=["0.4 m", "0.8 m"])
def test_what_is_seen_stands_in_the_voxels(seed, grid):
    scene = make_scene(seed)
    labels = scene.occupancy(grid)
    agree, total = 0, 0
    for camera in scene.rig.scaled(0.1).cameras:
        view = trace(camera, scene.world)
        seen, distance = view.seen.ravel(), view.distance.ravel()
        hit = np.flatnonzero(seen != SKY)
        ray = view.direction.reshape(3, -1)[:, hit].astype(float)
        # a little into the solid, or the hit may round to the empty voxel in front
        points = view.origin[:, None] + ray * (distance[hit] + 2e-3)
        points[2, seen[hit] == GROUND] = 0.0
        index, inside = voxel_of(grid, points)
        found = labels[tuple(index[:, inside])]
        assert (found != FREE).mean() > 0.999
        solid = seen[hit][inside] >= 0
        names = np.array([s.label for s in scene.world.solids])[seen[hit][inside][solid]]
        agree += (np.array(OCC3D_CLASSES)[found[solid]] == names).sum()
        total += solid.sum()
    assert total > 5000
    assert agree / total > 0.97


@pytest.mark.parametrize("grid", [FINE, COARSE], ids=["0.4 m", "0.8 m"])
@pytest.mark.parametrize("label", ["car", "bus", "truck"])
def test_the_middle_of_a_vehicle_is_of_its_class(scene, grid, label):
    labels = scene.occupancy(grid)
    middles = np.array([s.centre for s in scene.world.solids if s.label == label]).T
    index, inside = voxel_of(grid, middles)
    assert inside.sum() >= 3
    assert set(labels[tuple(index[:, inside])]) == {OCC3D_CLASSES.index(label)}


def test_the_street_has_its_ground_and_sky_where_they_belong(scene):
    labels = scene.occupancy(FINE)
    places = [
        ("driveable_surface", (0.0, 0.0, 0.0)),
        ("driveable_surface", (scene.world.ground.crossing, 35.0, 0.0)),
        ("driveable_surface", (1.5, -7.0, 0.0)),
        ("sidewalk", (1.0, 12.7, 0.0)),
        ("sidewalk", (1.0, -9.4, 0.0)),
        ("terrain", (1.0, 39.0, 0.0)),
        ("free", (0.0, 0.0, 1.0)),
    ]
    for name, place in places:
        index, _ = voxel_of(FINE, np.array([place]).T)
        assert OCC3D_CLASSES[labels[tuple(index[:, 0])]] == name, place
    assert set(np.unique(labels[..., :2])) == {FREE}


def test_a_grid_without_the_ground_level_has_no_ground(scene):
    above = Grid(FINE.x, FINE.y, Axis(0.6, 5.4, 0.4))
    assert np.array_equal(only(scene).occupancy(above), np.full(above.shape, FREE))


def test_every_class_of_the_street_is_named_by_occ3d(scene):
    present = {OCC3D_CLASSES[i] for i in np.unique(scene.occupancy(FINE))}
    assert present >= {"car", "bus", "truck", "pedestrian", "bicycle", "traffic_cone", "barrier", "manmade"}
    assert present >= {"vegetation", "driveable_surface", "sidewalk", "terrain", "other_flat", "free"}


def test_the_sun_throws_shadows_away_from_itself(scene):
    box = Box("manmade", (6.0, 0.0, 1.5), (1.0, 1.0, 3.0), (0.5, 0.5, 0.5))
    world = only(scene, box).world
    away = -world.sun[:2] / np.hypot(*world.sun[:2]) * 1.5
    x, y = (np.array([6.0 + sign * away[0] for sign in (1, -1)]), np.array([sign * away[1] for sign in (1, -1)]))
    dark, lit = world.shadow_at(x.astype(np.float32), y.astype(np.float32))
    assert dark == 1.0
    assert lit == 0.0


@given(places, places, lengths, lengths, angles)
@settings(max_examples=100, deadline=None)
def test_a_cell_overlaps_a_turned_box_exactly_when_their_footprints_share_area(x, y, length, width, yaw):
    box = Box("car", (x, y, 0.0), (length, width, 1.0), (0, 0, 0), yaw)
    footprint = box.corners()[:2, [0, 4, 6, 2]].T.astype(float)
    overlaps = bool(box.overlaps(np.zeros((3, 1), np.float32), (0.8, 0.8, 0.8))[0])
    if clipped_area(footprint, 0.4 - 1e-4) > 0:
        assert overlaps
    if clipped_area(footprint, 0.4 + 1e-4) == 0:
        assert not overlaps
    assert not box.overlaps(np.array([[x], [y], [0.95]], np.float32), (0.8, 0.8, 0.8))[0]


def clipped_area(polygon, half):
    """Area of a polygon's [n, 2] part in the square -half..half: Sutherland-Hodgman, then the shoelace formula."""
    for axis, sign in ((0, 1), (0, -1), (1, 1), (1, -1)):
        inside = half - sign * polygon[:, axis] if len(polygon) else np.empty(0)
        kept = []
        for i in range(len(polygon)):
            a, b = inside[i - 1], inside[i]
            if (a < 0) != (b < 0):
                kept.append(polygon[i - 1] + a / (a - b) * (polygon[i] - polygon[i - 1]))
            if b >= 0:
                kept.append(polygon[i])
        polygon = np.array(kept).reshape(-1, 2)
    if not len(polygon):
        return 0.0
    x, y = polygon.T
    return abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2


def test_a_ball_takes_the_cells_its_surface_reaches_and_no_more():
    ball = Ball("vegetation", (0.0, 0.0, 0.0), 1.0, (0, 0, 0))
    cells = np.array([[1.15, 0, 0], [1.25, 0, 0], [0.75, 0.75, 0.0], [0.85, 0.85, 0.85]], np.float32).T
    assert ball.overlaps(cells, (0.4, 0.4, 0.4)).tolist() == [True, False, True, False]


@pytest.mark.parametrize("size", [(352, 199), (0, 0), (100, 100)])
def test_a_size_of_other_proportions_is_refused_with_one_that_fits(scene, size):
    with pytest.raises(SceneError, match=rf"{size[0]}x{size[1]}.*use \d+x\d+") as caught:
        scene.render(*size)
    assert isinstance(caught.value, OccvinoError)
    assert isinstance(caught.value, ValueError)


def test_a_negative_seed_is_refused():
    with pytest.raises(SceneError, match="-1 is negative: use 0"):
        make_scene(-1)
