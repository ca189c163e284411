"""What is written for RViz and Foxglove, on a scene that looks different from every side."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from occvino.datasets.bags.results import (
    DRIVEABLE,
    OBSTACLE,
    UNKNOWN,
    Seen,
    cloud_fields,
    cloud_points,
    occupancy_cells,
    quaternion,
)
from occvino.geometry.rig import Rig
from occvino.variant import Axis, Grid
from occvino.viz.palette import COLOURS, GROUND
from tests.conftest import make_camera

NAMES = ("car", "driveable_surface", "sidewalk", "vegetation", "free")
CAR, ROAD, SIDEWALK, TREE, FREE = range(5)
GRID = Grid(Axis(-2.0, 4.0, 0.5), Axis(-1.0, 3.0, 0.5), Axis(-1.0, 4.0, 0.5))


@pytest.fixture
def labels():
    """Road all over, left of it (y > 2) a sidewalk; a car ahead, a branch hanging behind, a hole at one corner."""
    made = np.full(GRID.shape, FREE, np.uint8)
    made[:, :, 1] = ROAD
    made[:, 6:, 1] = SIDEWALK
    made[9, 2, 2:4] = CAR
    made[1, 4, 7] = TREE  # its lower side is 3 m above the road
    made[0, 0, 1] = FREE
    return made


def test_cells_lie_along_x_first_then_y(labels):
    cells = occupancy_cells(labels, GRID, NAMES, GROUND, np.ones(labels.shape[:2], bool))
    assert cells.shape == (8, 12), "height along y, width along x"
    flat = cells.reshape(-1)

    def at(x, y):
        """As RViz finds a point: x goes fastest, from the origin in the lower corner."""
        column, row = int((x - GRID.x.lower) / 0.5), int((y - GRID.y.lower) / 0.5)
        return flat[row * 12 + column]

    assert at(2.75, 0.25) == OBSTACLE
    assert at(0.25, 2.75) == OBSTACLE
    assert at(-1.25, 1.25) == DRIVEABLE, "what hangs higher than a vehicle is no obstacle"
    assert at(-1.75, -0.75) == UNKNOWN
    assert (flat == DRIVEABLE).sum() == 12 * 6 - 2


def test_what_no_camera_sees_is_unknown(labels):
    seen = np.ones(labels.shape[:2], bool)
    seen[5:] = False
    cells = occupancy_cells(labels, GRID, NAMES, GROUND, seen)
    assert (cells[:, 5:] == UNKNOWN).all()
    assert (cells[:, 1:5] != UNKNOWN).all()


def test_a_camera_sees_ahead_of_it_wherever_the_vehicle_is():
    camera = make_camera("front", 0.0)
    away = np.eye(4)
    away[:3, 3] = [500.0, -30.0, 2.0]
    moved = type(camera)(
        camera.name, camera.width, camera.height, camera.intrinsics, camera.sensor2ego, away @ camera.ego2global
    )
    for each in (camera, moved):
        seen = Seen(GRID)(Rig((each,)))
        assert not seen[:4].any(), "behind"
        assert seen[-1, :6].all(), "3.75 m ahead, within 32 degrees to either side"
        assert not seen[-1, 7:].any()


def test_points_have_the_layout_that_their_fields_tell(labels):
    instances = np.zeros(labels.shape, np.uint16)
    instances[9, 2, 2:4] = 777
    points = cloud_points(labels, GRID, NAMES, COLOURS, instances)
    raw = points.tobytes()
    step = points.itemsize
    assert len(raw) == step * (labels != FREE).sum()
    types = {7: "<f4", 6: "<u4"}
    columns = {
        name: np.ndarray(len(points), types[kind], raw, offset, (step,)) for name, offset, kind in cloud_fields(True)
    }
    car = columns["label"] == CAR
    np.testing.assert_allclose(columns["x"][car], 2.75)
    np.testing.assert_allclose(columns["y"][car], 0.25)
    np.testing.assert_allclose(np.sort(columns["z"][car]), [0.25, 0.75])
    packed = columns["rgb"][car].view("<u4")
    assert [int(packed[0]) >> 16 & 255, int(packed[0]) >> 8 & 255, int(packed[0]) & 255] == list(COLOURS["car"])
    assert (columns["instance"][car] == 777).all()
    assert (columns["instance"][~car] == 0).all()


def test_without_instances_there_is_no_such_field(labels):
    assert [name for name, _, _ in cloud_fields(False)] == ["x", "y", "z", "rgb", "label"]
    assert cloud_points(labels, GRID, NAMES, COLOURS).itemsize == 20


def test_quaternions_of_rotations():
    for rotation in (Rotation.random(50, rng=0), Rotation.from_rotvec(np.pi * np.eye(3))):
        for matrix in rotation.as_matrix():
            np.testing.assert_allclose(Rotation.from_quat(quaternion(matrix)).as_matrix(), matrix, atol=1e-9)
