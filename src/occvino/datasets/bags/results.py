"""What RViz and Foxglove show of labelled voxels: a point cloud, an occupancy grid, and the fields of both as arrays.

Sources of the formats: the comments in `sensor_msgs/PointCloud2`, `sensor_msgs/PointField` and
`nav_msgs/OccupancyGrid`, and PCL's packing of `rgb`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from occvino.datasets.bags.messages import BagError
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import Matrix, moved
from occvino.variant import Grid

DRIVEABLE, OBSTACLE, UNKNOWN = 0, 100, -1
"""Values of an occupancy grid."""
FREE, ROAD = "free", "driveable_surface"
VEHICLE_HEIGHT = 2.0
"""Metres above the ground in which a vehicle moves; what hangs higher is no obstacle."""
_FLOAT32, _UINT32 = 7, 6
"""Types of `sensor_msgs/PointField`."""

Colours = Mapping[str, tuple[int, int, int]]


def cloud_fields(instances: bool) -> list[tuple[str, int, int]]:
    """Name, offset in bytes and type of each field of a point."""
    names = [("x", _FLOAT32), ("y", _FLOAT32), ("z", _FLOAT32), ("rgb", _FLOAT32), ("label", _UINT32)]
    names += [("instance", _UINT32)] if instances else []
    return [(name, 4 * place, kind) for place, (name, kind) in enumerate(names)]


def cloud_points(
    labels: NDArray[np.uint8],
    grid: Grid,
    class_names: Sequence[str],
    colours: Colours,
    instances: NDArray[np.uint16] | None = None,
) -> NDArray[np.void]:
    """Centres of the voxels that are not free, one record each, as `cloud_fields` says.

    Args:
        labels: u8 [Dx, Dy, Dz].
        grid: where the voxels are.
        class_names: the last is free.
        colours: of the classes; `rgb` is 0x00RRGGBB in the four bytes of a float.
        instances: u16 [Dx, Dy, Dz], of a panoptic model.
    """
    occupied = np.argwhere(labels != class_names.index(FREE))
    kinds = {_FLOAT32: "<f4", _UINT32: "<u4"}
    fields = [(name, kinds[kind]) for name, _, kind in cloud_fields(instances is not None)]
    points = np.zeros(len(occupied), np.dtype(fields))
    for axis, (name, lower, step) in enumerate(zip("xyz", grid.lower, grid.step, strict=True)):
        points[name] = lower + (occupied[:, axis] + 0.5) * step
    seen = labels[tuple(occupied.T)]
    table = np.array([_packed(colours.get(name, (255, 255, 255))) for name in class_names], np.uint32)
    points["rgb"] = table[seen].view(np.float32)
    points["label"] = seen
    if instances is not None:
        points["instance"] = instances[tuple(occupied.T)]
    return points


def _packed(colour: tuple[int, int, int]) -> int:
    red, green, blue = colour
    return red << 16 | green << 8 | blue


def occupancy_cells(
    labels: NDArray[np.uint8],
    grid: Grid,
    class_names: Sequence[str],
    ground: frozenset[str],
    seen: NDArray[np.bool_],
) -> NDArray[np.int8]:
    """The value of each column of voxels, i8 [Dy, Dx]: rows along y, as `nav_msgs/OccupancyGrid` stores them.

    Driveable is a road with nothing on it up to `VEHICLE_HEIGHT`. An obstacle is something in that height, or ground
    that is no road. Unknown is what no camera sees, and where there is no ground and nothing stands.

    Args:
        labels: u8 [Dx, Dy, Dz].
        grid: where the voxels are.
        class_names: the last is free.
        ground: names of the classes to drive or walk on.
        seen: whether a camera sees a column.  # [Dx, Dy]
    """
    free, road = class_names.index(FREE), class_names.index(ROAD) if ROAD in class_names else -1
    is_ground = np.array([name in ground for name in class_names])[labels]  # [Dx, Dy, Dz]
    solid = (labels != free) & ~is_ground
    has_ground = is_ground.any(2)
    heights = np.arange(grid.z.size) * grid.z.step
    level_at_zero = max(0.0, -grid.z.lower)
    floor = np.where(has_ground, heights[is_ground.argmax(2)], level_at_zero)  # of the lowest ground [Dx, Dy]
    above = heights - floor[..., None]
    blocked = (solid & (above >= 0) & (above < VEHICLE_HEIGHT)).any(2)
    cells = np.full(labels.shape[:2], UNKNOWN, np.int8)
    cells[has_ground] = OBSTACLE
    cells[has_ground & (labels == road).any(2)] = DRIVEABLE
    cells[blocked] = OBSTACLE
    cells[~seen] = UNKNOWN
    return np.ascontiguousarray(cells.T)


class Seen:
    """Which columns of a grid the cameras of a rig see; worked out again only where the calibration changes."""

    def __init__(self, grid: Grid) -> None:
        if grid.x.step != grid.y.step:
            raise BagError(f"an occupancy grid has square cells, and the voxels are {grid.x.step} by {grid.y.step} m")
        x, y = (axis.lower + (np.arange(axis.size) + 0.5) * axis.step for axis in (grid.x, grid.y))
        self._shape = grid.x.size, grid.y.size
        across, along = np.meshgrid(x, y, indexing="ij")
        flat = np.zeros(across.size)
        self._points = np.concatenate(
            [np.column_stack([across.ravel(), along.ravel(), flat + z]) for z in (0.0, VEHICLE_HEIGHT)]
        )
        self._known: tuple[bytes, NDArray[np.bool_]] | None = None

    def __call__(self, rig: Rig) -> NDArray[np.bool_]:
        """Whether a camera sees the ground of a column, or what is as high as a vehicle above it [Dx, Dy]."""
        mark = b"".join(
            camera.intrinsics.tobytes() + camera.sensor2ego.tobytes() + repr(camera.lens).encode()
            for camera in rig.cameras
        )
        if self._known is None or self._known[0] != mark:
            found = np.zeros(len(self._points), bool)
            for camera in rig.cameras:
                found |= camera.sees(moved(self._points, camera.ego2global))
            self._known = mark, np.logical_or(*found.reshape(2, *self._shape))
        return self._known[1]


def quaternion(rotation: Matrix) -> NDArray[np.float64]:
    """x, y, z, w of a rotation [3, 3]: the eigenvector of the largest eigenvalue (Bar-Itzhack 2000)."""
    (a, b, c), (d, e, f), (g, h, i) = rotation
    k = np.array(
        [
            [a - e - i, d + b, g + c, h - f],
            [d + b, e - a - i, h + f, c - g],
            [g + c, h + f, i - a - e, d - b],
            [h - f, c - g, d - b, a + e + i],
        ]
    )
    found = np.linalg.eigh(k)[1][:, -1]
    return found if found[3] >= 0 else -found
