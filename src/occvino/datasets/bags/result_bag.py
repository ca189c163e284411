"""Results written as a ROS 2 bag in one MCAP file, for RViz and Foxglove."""

import contextlib
import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occvino.datasets.bags.messages import BagError
from occvino.datasets.bags.results import (
    Colours,
    Seen,
    cloud_fields,
    cloud_points,
    occupancy_cells,
    quaternion,
)
from occvino.files import atomic_file, folder_beside
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import Matrix, rigid_inverse
from occvino.variant import Grid

POINTS, CELLS = "/occvino/points", "/occvino/grid"
EGO = "occvino_ego"
"""Name of the ego frame where it is not that of the vehicle's frame in tf."""
_CLOUD, _GRID, _TF = "sensor_msgs/msg/PointCloud2", "nav_msgs/msg/OccupancyGrid", "tf2_msgs/msg/TFMessage"


@dataclass(frozen=True, eq=False)
class Look:
    """What all results of a run have in common.

    Attributes:
        grid: where the voxels are.
        class_names: the last is free.
        colours: of the classes.
        ground: names of the classes that one drives or walks on.
        fixed_frame: that the vehicle moves in.
        base_link: the vehicle's frame.
        base2ego: its pose in the ego frame, whose points the voxels are.  # [4, 4]
    """

    grid: Grid
    class_names: Sequence[str]
    colours: Colours
    ground: frozenset[str]
    fixed_frame: str
    base_link: str
    base2ego: Matrix

    @property
    def frame(self) -> str:
        """The frame of all results."""
        return self.base_link if np.array_equal(self.base2ego, np.eye(4)) else EGO


@contextlib.contextmanager
def result_bag(path: Path, look: Look) -> Generator["ResultBag"]:
    """Write results to an MCAP file, which takes the place of an older one when all went well.

    Raises:
        BagError: the name does not end in .mcap, or `rosbags` is not installed.
        OutputError: it cannot be written.
    """
    if path.suffix != ".mcap":
        raise BagError(f"--out-bag {path}: expected a name that ends in .mcap")
    try:
        from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
    except ModuleNotFoundError as error:
        raise BagError(f'{error.name} is not installed, and --out-bag needs it: pip install "occvino[ros]"') from error
    with atomic_file(path) as temporary, folder_beside(path) as folder:
        writer = Writer(folder / "bag", version=9, storage_plugin=StoragePlugin.MCAP)
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        writer.set_custom_data("occvino.class_names", json.dumps(list(look.class_names)))
        with writer:
            yield ResultBag(writer, look)
        (folder / "bag" / "bag.mcap").replace(temporary)


class ResultBag:
    """Takes the results of one frame after another."""

    def __init__(self, writer: Any, look: Look) -> None:
        from rosbags.typesys import Stores, get_typestore

        self._writer, self._look = writer, look
        self._store = get_typestore(Stores.ROS2_HUMBLE)
        self._connections = {
            topic: writer.add_connection(topic, kind, typestore=self._store, offered_qos_profiles=_qos(topic))
            for topic, kind in {POINTS: _CLOUD, CELLS: _GRID, "/tf": _TF, "/tf_static": _TF}.items()
        }
        self._seen = Seen(look.grid)
        self._begun = False

    def add(self, time: int, labels: NDArray[np.uint8], rig: Rig, instances: NDArray[np.uint16] | None = None) -> None:
        """Write the results of a frame.

        Args:
            time: of the frame, nanoseconds.
            labels: u8 [Dx, Dy, Dz].
            rig: the cameras in the network's order: the labels are in the ego frame of the first one.
            instances: u16 [Dx, Dy, Dz], of a panoptic model.
        """
        look = self._look
        if not self._begun and look.frame != look.base_link:
            fixed = self._transform(time, look.base_link, look.frame, rigid_inverse(look.base2ego))
            self._write("/tf_static", time, fixed)
        self._begun = True
        base2global = rig.cameras[0].ego2global @ look.base2ego
        self._write("/tf", time, self._transform(time, look.fixed_frame, look.base_link, base2global))
        points = cloud_points(labels, look.grid, look.class_names, look.colours, instances)
        self._write(POINTS, time, self._cloud(time, points, instances is not None))
        cells = occupancy_cells(labels, look.grid, look.class_names, look.ground, self._seen(rig))
        self._write(CELLS, time, self._cells(time, cells))

    def _write(self, topic: str, time: int, message: Any) -> None:
        connection = self._connections[topic]
        self._writer.write(connection, time, self._store.serialize_cdr(message, connection.msgtype))

    def _made(self, kind: str, /, **fields: Any) -> Any:
        return self._store.types[kind](**fields)

    def _header(self, time: int, frame: str) -> Any:
        return self._made("std_msgs/msg/Header", stamp=self._time(time), frame_id=frame)

    def _time(self, time: int) -> Any:
        return self._made("builtin_interfaces/msg/Time", sec=time // 10**9, nanosec=time % 10**9)

    def _transform(self, time: int, parent: str, child: str, matrix: Matrix) -> Any:
        """The pose of `child` in `parent`."""
        shift = self._made("geometry_msgs/msg/Vector3", **_named("xyz", matrix[:3, 3]))
        turn = self._made("geometry_msgs/msg/Quaternion", **_named("xyzw", quaternion(matrix[:3, :3])))
        moved = self._made("geometry_msgs/msg/Transform", translation=shift, rotation=turn)
        header = self._header(time, parent)
        stamped = self._made("geometry_msgs/msg/TransformStamped", header=header, child_frame_id=child, transform=moved)
        return self._made(_TF, transforms=[stamped])

    def _cloud(self, time: int, points: NDArray[np.void], instances: bool) -> Any:
        fields = [
            self._made("sensor_msgs/msg/PointField", name=name, offset=offset, datatype=kind, count=1)
            for name, offset, kind in cloud_fields(instances)
        ]
        return self._made(
            _CLOUD,
            header=self._header(time, self._look.frame),
            height=1,
            width=len(points),
            fields=fields,
            is_bigendian=False,
            point_step=points.itemsize,
            row_step=points.nbytes,
            data=points.view(np.uint8).reshape(-1),
            is_dense=True,
        )

    def _cells(self, time: int, cells: NDArray[np.int8]) -> Any:
        grid = self._look.grid
        corner = self._made("geometry_msgs/msg/Point", **_named("xyz", (grid.x.lower, grid.y.lower, 0.0)))
        straight = self._made("geometry_msgs/msg/Quaternion", **_named("xyzw", (0.0, 0.0, 0.0, 1.0)))
        info = self._made(
            "nav_msgs/msg/MapMetaData",
            map_load_time=self._time(time),
            resolution=grid.x.step,
            width=cells.shape[1],
            height=cells.shape[0],
            origin=self._made("geometry_msgs/msg/Pose", position=corner, orientation=straight),
        )
        return self._made(_GRID, header=self._header(time, self._look.frame), info=info, data=cells.reshape(-1))


def _named(names: str, values: Any) -> dict[str, float]:
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def _qos(topic: str) -> list[Any]:
    """Of /tf_static: kept for those who listen later."""
    from rosbags.interfaces import (
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
    )

    durability = QosDurability.TRANSIENT_LOCAL if topic == "/tf_static" else QosDurability.VOLATILE
    never = QosTime(9223372036, 854775807)
    automatic = QosLiveliness.AUTOMATIC
    reliable = QosReliability.RELIABLE
    return [Qos(QosHistory.KEEP_LAST, 10, reliable, durability, never, never, automatic, never, False)]
