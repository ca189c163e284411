"""The messages that a bag is read for, in one form: ROS 1, ROS 2 and Foxglove's own schemas all become these."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from occvino.datasets.fields import DatasetError
from occvino.errors import RigError
from occvino.geometry.transforms import Matrix, pose


class BagError(DatasetError):
    """A bag that cannot be read, lacks something, or holds a value that cannot be right."""


class DamagedError(BagError):
    """A bag that cannot be read beyond some message."""


class Kind(Enum):
    """What a message is to us."""

    IMAGE = "raw images"
    COMPRESSED = "compressed images"
    INFO = "camera_info"
    TF = "tf"
    ODOMETRY = "odometry"


IMAGES = (Kind.IMAGE, Kind.COMPRESSED)


@dataclass(frozen=True, eq=False)
class RawImage:
    """An image as an array of bytes. `stamp`: of its header, nanoseconds; `frame`: the optical frame."""

    stamp: int
    frame: str
    width: int
    height: int
    encoding: str
    step: int
    data: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class CompressedImage:
    """An image as a file holds it. `format` is told by the publisher, and not always so."""

    stamp: int
    frame: str
    format: str
    data: bytes


@dataclass(frozen=True)
class CameraInfo:
    """A calibration, as `sensor_msgs/CameraInfo` has it: K, R [9], P [12] row by row; `roi` is x, y, width, height."""

    frame: str
    width: int
    height: int
    model: str
    d: tuple[float, ...]
    k: tuple[float, ...]
    r: tuple[float, ...]
    p: tuple[float, ...]
    binning: tuple[int, int] = (0, 0)
    roi: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True)
class StampedPose:
    """The pose of the frame `child` in the frame `parent` at a time, nanoseconds; translation in metres."""

    stamp: int
    parent: str
    child: str
    translation: tuple[float, float, float]
    wxyz: tuple[float, float, float, float]

    def matrix(self, topic: str) -> Matrix:
        """From child to parent [4, 4].

        Raises:
            BagError: not a unit quaternion, or a number is not finite. Names the topic and the frames.
        """
        try:
            return pose(self.wxyz, self.translation)
        except RigError as error:
            raise BagError(f"{topic}: the transform {self.parent} -> {self.child}: {error}") from error


Message: TypeAlias = RawImage | CompressedImage | CameraInfo | tuple[StampedPose, ...]
"""Those of tf and odometry are poses."""

_KINDS = {
    "sensor_msgs/Image": Kind.IMAGE,
    "sensor_msgs/CompressedImage": Kind.COMPRESSED,
    "sensor_msgs/CameraInfo": Kind.INFO,
    "tf2_msgs/TFMessage": Kind.TF,
    "tf/tfMessage": Kind.TF,
    "nav_msgs/Odometry": Kind.ODOMETRY,
    "foxglove.RawImage": Kind.IMAGE,
    "foxglove.CompressedImage": Kind.COMPRESSED,
    "foxglove.CameraCalibration": Kind.INFO,
    "foxglove.FrameTransform": Kind.TF,
    "foxglove.FrameTransforms": Kind.TF,
}


def plain_type(msgtype: str) -> str:
    """A type's name as ROS 1 writes it, without `/msg/`."""
    return msgtype.replace("/msg/", "/")


def kind_of(msgtype: str) -> Kind | None:
    """What messages of a type are to us; None for those that nothing is done with."""
    return _KINDS.get(plain_type(msgtype))


def from_ros(msgtype: str, message: Any) -> Message:
    """One of `kind_of`'s types, with the field names of ROS 1 or ROS 2."""
    return _FROM_ROS[_KINDS[plain_type(msgtype)]](message)


def from_foxglove(msgtype: str, message: Mapping[str, Any]) -> Message:
    """One of `kind_of`'s types, as `protobuf.Decoder` gives it."""
    return _FROM_FOXGLOVE[msgtype](message)


def frame_name(name: str) -> str:
    """A frame's name; those of ROS 1 may begin with a slash, which tf2 takes no notice of."""
    return name.strip("/")


def _stamp(header: Any) -> int:
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)


def _image(message: Any) -> RawImage:
    header = message.header
    size = int(message.width), int(message.height)
    return RawImage(
        _stamp(header), frame_name(header.frame_id), *size, message.encoding, int(message.step), message.data
    )


def _compressed(message: Any) -> CompressedImage:
    header = message.header
    return CompressedImage(_stamp(header), frame_name(header.frame_id), message.format, message.data.tobytes())


def _info(message: Any) -> CameraInfo:
    def numbers(name: str) -> tuple[float, ...]:
        given = getattr(message, name, None)
        return tuple(float(value) for value in (getattr(message, name.upper()) if given is None else given))

    roi = message.roi
    return CameraInfo(
        frame_name(message.header.frame_id),
        int(message.width),
        int(message.height),
        message.distortion_model,
        numbers("d"),
        numbers("k"),
        numbers("r"),
        numbers("p"),
        (int(message.binning_x), int(message.binning_y)),
        (int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height)),
    )


def _pose(header: Any, child: str, translation: Any, rotation: Any) -> StampedPose:
    return StampedPose(
        _stamp(header),
        frame_name(header.frame_id),
        frame_name(child),
        (float(translation.x), float(translation.y), float(translation.z)),
        (float(rotation.w), float(rotation.x), float(rotation.y), float(rotation.z)),
    )


def _tf(message: Any) -> tuple[StampedPose, ...]:
    return tuple(
        _pose(each.header, each.child_frame_id, each.transform.translation, each.transform.rotation)
        for each in message.transforms
    )


def _odometry(message: Any) -> tuple[StampedPose, ...]:
    at = message.pose.pose
    return (_pose(message.header, message.child_frame_id, at.position, at.orientation),)


_FROM_ROS: dict[Kind, Callable[[Any], Message]] = {
    Kind.IMAGE: _image,
    Kind.COMPRESSED: _compressed,
    Kind.INFO: _info,
    Kind.TF: _tf,
    Kind.ODOMETRY: _odometry,
}


def _time(message: Mapping[str, Any]) -> int:
    return int(message["timestamp"]["seconds"]) * 10**9 + int(message["timestamp"]["nanos"])


def _foxglove_image(message: Mapping[str, Any]) -> RawImage:
    data = np.frombuffer(message["data"], np.uint8)
    size = message["width"], message["height"]
    return RawImage(_time(message), frame_name(message["frame_id"]), *size, message["encoding"], message["step"], data)


def _foxglove_compressed(message: Mapping[str, Any]) -> CompressedImage:
    return CompressedImage(_time(message), frame_name(message["frame_id"]), message["format"], message["data"])


def _foxglove_info(message: Mapping[str, Any]) -> CameraInfo:
    numbers = (tuple(message[name]) for name in "DKRP")
    size = message["width"], message["height"]
    return CameraInfo(frame_name(message.get("frame_id", "")), *size, message["distortion_model"], *numbers)


def _foxglove_tf(message: Mapping[str, Any]) -> tuple[StampedPose, ...]:
    shift, turn = message["translation"], message["rotation"]
    names = frame_name(message["parent_frame_id"]), frame_name(message["child_frame_id"])
    return (
        StampedPose(
            _time(message),
            *names,
            (shift["x"], shift["y"], shift["z"]),
            (turn["w"], turn["x"], turn["y"], turn["z"]),
        ),
    )


_FROM_FOXGLOVE: dict[str, Callable[[Mapping[str, Any]], Message]] = {
    "foxglove.RawImage": _foxglove_image,
    "foxglove.CompressedImage": _foxglove_compressed,
    "foxglove.CameraCalibration": _foxglove_info,
    "foxglove.FrameTransform": _foxglove_tf,
    "foxglove.FrameTransforms": lambda message: tuple(
        each for one in message["transforms"] for each in _foxglove_tf(one)
    ),
}
