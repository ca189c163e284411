"""Writes bags of the scene that ships inside, in every form that is read."""

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from occvino.datasets.shipped import shipped_scene
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import Matrix, nearest_rotation

ROS2 = get_typestore(Stores.ROS2_HUMBLE)
ROS1 = get_typestore(Stores.ROS1_NOETIC)
ROS1.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", "tf2_msgs/msg/TFMessage"))


@dataclass(frozen=True)
class Event:
    """One message: topic, time of recording and of its header (nanoseconds), kind and what is in it."""

    topic: str
    log: int
    stamp: int
    kind: str
    values: dict[str, Any] = field(default_factory=dict)


def quaternion(matrix: Matrix) -> tuple[float, float, float, float]:
    """w, x, y, z of a rotation [3, 3], by the largest component."""
    m = nearest_rotation(matrix)
    squares = np.array(
        [
            1 + m[0, 0] + m[1, 1] + m[2, 2],
            1 + m[0, 0] - m[1, 1] - m[2, 2],
            1 - m[0, 0] + m[1, 1] - m[2, 2],
            1 - m[0, 0] - m[1, 1] + m[2, 2],
        ]
    )
    largest = int(squares.argmax())
    rows = np.array(
        [
            [squares[0], m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]],
            [m[2, 1] - m[1, 2], squares[1], m[1, 0] + m[0, 1], m[0, 2] + m[2, 0]],
            [m[0, 2] - m[2, 0], m[1, 0] + m[0, 1], squares[2], m[2, 1] + m[1, 2]],
            [m[1, 0] - m[0, 1], m[0, 2] + m[2, 0], m[2, 1] + m[1, 2], squares[3]],
        ]
    )
    return tuple(rows[largest] / np.linalg.norm(rows[largest]))


def transform(topic: str, log: int, stamp: int, parent: str, child: str, matrix: Matrix) -> Event:
    """A message of tf with one transform."""
    return Event(
        topic, log, stamp, "tf", {"parent": parent, "child": child, "t": matrix[:3, 3], "q": quaternion(matrix[:3, :3])}
    )


def encoded(pixels: np.ndarray, encoding: str, padding: int = 0) -> tuple[np.ndarray, int]:
    """Bytes and step of an RGB image [H, W, 3]; rows end with `padding` bytes of 7."""
    height, width = pixels.shape[:2]
    if encoding in ("rgb8", "bgr8"):
        rows = pixels[..., :: -1 if encoding == "bgr8" else 1]
    elif encoding in ("rgba8", "bgra8"):
        alpha = np.full((height, width, 1), 9, np.uint8)
        rows = np.concatenate([pixels[..., :: -1 if encoding == "bgra8" else 1], alpha], axis=2)
    else:
        rows = pixels[..., 0]
    rows = np.ascontiguousarray(rows).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=7)
    return rows.reshape(-1), rows.shape[1]


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def image(
    topic: str, log: int, stamp: int, frame: str, pixels: np.ndarray, encoding: str = "bgr8", padding: int = 0
) -> Event:
    """A message with an image; encoding "png" is a compressed one."""
    if encoding == "png":
        return Event(topic, log, stamp, "compressed", {"frame": frame, "format": "png", "data": png(pixels)})
    data, step = encoded(pixels, encoding, padding)
    height, width = pixels.shape[:2]
    size = {"height": height, "width": width, "step": step, "big": 1}
    return Event(topic, log, stamp, "image", {"frame": frame, "encoding": encoding, "data": data, **size})


def info(topic: str, log: int, stamp: int, frame: str, size: tuple[int, int], k: Matrix, **others: Any) -> Event:
    """A camera_info; D, R, P, model, binning and roi may be given."""
    p = np.hstack([k, np.zeros((3, 1))])
    values = {"d": np.zeros(5), "r": np.eye(3), "p": p, "model": "plumb_bob", "binning": (0, 0), "roi": (0, 0, 0, 0)}
    return Event(topic, log, stamp, "info", {"frame": frame, "size": size, "k": k, **values, **others})


@dataclass(frozen=True, eq=False)
class Drive:
    """Frames to write: rig, images and exposure time of each camera, nanoseconds."""

    rigs: list[Rig]
    pixels: list[dict[str, np.ndarray]]
    stamps: list[dict[str, int]]


def shipped_drive(width: int = 176) -> Drive:
    """The shipped scene with small images."""
    rigs, pixels, stamps = [], [], []
    for sample in shipped_scene():
        rig = sample.rig.scaled(width / sample.rig.cameras[0].width)
        files = sample.image_files()
        size = rig.cameras[0].width, rig.cameras[0].height
        pixels.append({name: np.asarray(Image.open(files[name]).convert("RGB").resize(size)) for name in rig.names})
        stamps.append({name: int(files[name].stem.split("__")[-1]) * 1000 for name in rig.names})
        rigs.append(rig)
    return Drive(rigs, pixels, stamps)


def drive_events(
    drive: Drive,
    *,
    encoding: str = "bgr8",
    padding: int = 0,
    image_topic: str = "/{name}/image_raw",
    static: bool = True,
    poses: str = "tf",
    fixed: str = "odom",
    ros1: bool = False,
) -> list[Event]:
    """All messages of a drive: static transforms first, poses at each exposure, a little after the images."""
    events: list[Event] = []
    start = min(min(each.values()) for each in drive.stamps)
    slash = "/" if ros1 else ""
    for camera in drive.rigs[0].cameras if static else ():
        child = f"{slash}{camera.name.lower()}_optical"
        events.append(transform("/tf_static", start - 10**8, start, f"{slash}base_link", child, camera.sensor2ego))
    for rig, pixels, stamps in zip(drive.rigs, drive.pixels, drive.stamps, strict=True):
        for camera in rig.cameras:
            stamp, name = stamps[camera.name], camera.name
            frame, topic = f"{name.lower()}_optical", image_topic.format(name=name)
            beside = f"/{name}/camera_info"
            size = camera.width, camera.height
            events.append(info(beside, stamp + 10**6, stamp, frame, size, camera.intrinsics))
            events.append(image(topic, stamp + 2 * 10**6, stamp, frame, pixels[name], encoding, padding))
            if poses == "tf":
                pose = transform("/tf", stamp + 10**8, stamp, fixed, "base_link", camera.ego2global)
                events.append(pose)
            elif poses == "odometry":
                moved = transform("/odom", stamp + 10**8, stamp, fixed, "base_link", camera.ego2global)
                events.append(Event(moved.topic, moved.log, stamp, "odometry", moved.values))
    return events


def write_bag(path: Path, events: Iterable[Event], storage: str = "mcap") -> Path:
    """Write a bag: "mcap" or "sqlite3" of ROS 2, "ros1". The path is that of the folder or file."""
    ordered = sorted(events, key=lambda event: event.log)
    if storage == "ros1":
        with Writer1(path) as writer:
            _write(writer, ordered, ROS1, ROS1.serialize_ros1, {"typestore": ROS1})
        return path
    plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
    with Writer2(path, version=9, storage_plugin=plugin) as writer:
        _write(writer, ordered, ROS2, ROS2.serialize_cdr, {"typestore": ROS2})
    return path


def _write(
    writer: Any, events: list[Event], store: Any, serialize: Callable[..., Any], options: dict[str, Any]
) -> None:
    connections: dict[str, Any] = {}
    for event in events:
        msgtype = TYPES[event.kind]
        if event.topic not in connections:
            connections[event.topic] = writer.add_connection(event.topic, msgtype, **options)
        data = serialize(message_of(event, store), msgtype)
        writer.write(connections[event.topic], event.log, data[: event.values.get("cut", len(data))])


TYPES = {
    "tf": "tf2_msgs/msg/TFMessage",
    "image": "sensor_msgs/msg/Image",
    "compressed": "sensor_msgs/msg/CompressedImage",
    "info": "sensor_msgs/msg/CameraInfo",
    "odometry": "nav_msgs/msg/Odometry",
    "text": "std_msgs/msg/String",
}


def message_of(event: Event, store: Any) -> Any:
    """The message of ROS 1 or ROS 2."""
    types, v = store.types, event.values
    time = types["builtin_interfaces/msg/Time"](sec=event.stamp // 10**9, nanosec=event.stamp % 10**9)
    first = {"seq": 0} if store is ROS1 else {}

    def header(frame: str) -> Any:
        return types["std_msgs/msg/Header"](**first, stamp=time, frame_id=frame)

    def vector(kind: str, numbers: Any) -> Any:
        return types[f"geometry_msgs/msg/{kind}"](**dict(zip("xyz", map(float, numbers), strict=True)))

    def turn(q: Any) -> Any:
        return types["geometry_msgs/msg/Quaternion"](**dict(zip("wxyz", map(float, q), strict=True)))

    if event.kind == "text":
        return types["std_msgs/msg/String"](data=v["data"])
    if event.kind == "tf":
        moved = types["geometry_msgs/msg/Transform"](translation=vector("Vector3", v["t"]), rotation=turn(v["q"]))
        stamped = types["geometry_msgs/msg/TransformStamped"](
            header=header(v["parent"]), child_frame_id=v["child"], transform=moved
        )
        return types[TYPES["tf"]](transforms=[stamped])
    if event.kind == "odometry":
        pose = types["geometry_msgs/msg/Pose"](position=vector("Point", v["t"]), orientation=turn(v["q"]))
        zero = vector("Vector3", (0, 0, 0))
        twist = types["geometry_msgs/msg/Twist"](linear=zero, angular=zero)
        return types[TYPES["odometry"]](
            header=header(v["parent"]),
            child_frame_id=v["child"],
            pose=types["geometry_msgs/msg/PoseWithCovariance"](pose=pose, covariance=np.zeros(36)),
            twist=types["geometry_msgs/msg/TwistWithCovariance"](twist=twist, covariance=np.zeros(36)),
        )
    if event.kind == "compressed":
        data = np.frombuffer(v["data"], np.uint8)
        return types[TYPES["compressed"]](header=header(v["frame"]), format=v["format"], data=data)
    if event.kind == "image":
        return types[TYPES["image"]](
            header=header(v["frame"]),
            height=v["height"],
            width=v["width"],
            encoding=v["encoding"],
            is_bigendian=v["big"],
            step=v["step"],
            data=v["data"],
        )
    x, y, width, height = v["roi"]
    roi = types["sensor_msgs/msg/RegionOfInterest"](
        x_offset=x, y_offset=y, width=width, height=height, do_rectify=False
    )
    arrays = {name: np.asarray(v[name], np.float64).reshape(-1) for name in "dkrp"}
    arrays = {name.upper() if store is ROS1 else name: array for name, array in arrays.items()}
    return types[TYPES["info"]](
        header=header(v["frame"]),
        width=v["size"][0],
        height=v["size"][1],
        distortion_model=v["model"],
        **arrays,
        binning_x=v["binning"][0],
        binning_y=v["binning"][1],
        roi=roi,
    )
