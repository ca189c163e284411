"""MCAP files as foxglove/nuscenes2mcap writes them: in Foxglove's schemas, and as ROS 1 messages."""

import re

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2
from mcap.writer import Writer

from occvino.datasets.bags.messages import BagError
from occvino.datasets.bags.protobuf import Decoder
from occvino.datasets.bags.source import open_bag
from occvino.variant import NUSCENES_CAMERAS
from tests.datasets.bags.test_stream import check_frames, frames_of
from tests.datasets.bags.writing import ROS1, TYPES, drive_events, message_of, quaternion, shipped_drive

FIELDS = {
    "Vector3": "double x = 1; double y = 2; double z = 3",
    "Quaternion": "double x = 1; double y = 2; double z = 3; double w = 4",
    "CompressedImage": "T timestamp = 1; string frame_id = 4; bytes data = 2; string format = 3",
    "CameraCalibration": (
        "T timestamp = 1; string frame_id = 9; fixed32 width = 2; fixed32 height = 3; string distortion_model = 4; "
        "repeated double D = 5; repeated double K = 6; repeated double R = 7; repeated double P = 8"
    ),
    "FrameTransform": (
        "T timestamp = 1; string parent_frame_id = 2; string child_frame_id = 3; Vector3 translation = 4; "
        "Quaternion rotation = 5"
    ),
    "Numbers": (
        "int32 a = 1; sint64 b = 2; bool c = 3; float d = 4; repeated int32 e = 5; repeated string f = 6; "
        "repeated Vector3 g = 7; sfixed32 h = 8; uint64 i = 9"
    ),
}
"""As in foxglove-sdk/schemas/proto; `Numbers` is for the decoder alone."""


def described() -> descriptor_pb2.FileDescriptorSet:
    """The description that such a file holds."""
    found = descriptor_pb2.FileDescriptorSet()
    timestamp_pb2.DESCRIPTOR.CopyToProto(found.file.add())
    file = found.file.add(name="foxglove.proto", package="foxglove", syntax="proto3")
    file.dependency.append("google/protobuf/timestamp.proto")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, text in FIELDS.items():
        message = file.message_type.add(name=name)
        for part in text.split("; "):
            repeated, kind, field, number = re.fullmatch(r"(repeated )?(\w+) (\w+) = (\d+)", part).groups()
            made = message.field.add(name=field, number=int(number))
            made.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            if kind == "T":
                made.type, made.type_name = kinds.TYPE_MESSAGE, ".google.protobuf.Timestamp"
            elif kind in FIELDS:
                made.type, made.type_name = kinds.TYPE_MESSAGE, f".foxglove.{kind}"
            else:
                made.type = getattr(kinds, f"TYPE_{kind.upper()}")
    return found


SET = described()
POOL = descriptor_pool.DescriptorPool()
for each in SET.file:
    POOL.Add(each)


def make(name: str, **fields):
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"foxglove.{name}"))(**fields)


def foxglove_message(event):
    """An event of `writing` as the schemas of Foxglove have it."""
    v, time = event.values, {"seconds": event.stamp // 10**9, "nanos": event.stamp % 10**9}
    if event.kind == "compressed":
        return make("CompressedImage", timestamp=time, frame_id=v["frame"], data=v["data"], format=v["format"])
    if event.kind == "info":
        numbers = {name: np.asarray(v[name.lower()]).reshape(-1).tolist() for name in "KRP"}
        size = {"width": v["size"][0], "height": v["size"][1]}
        return make("CameraCalibration", timestamp=time, frame_id=v["frame"], **size, **numbers)
    shift = dict(zip("xyz", map(float, v["t"]), strict=True))
    turn = dict(zip("wxyz", map(float, v["q"]), strict=True))
    names = {"parent_frame_id": v["parent"], "child_frame_id": v["child"]}
    return make("FrameTransform", timestamp=time, **names, translation=shift, rotation=turn)


def write_foxglove(path, events):
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start()
        other = writer.register_schema("Pose", "jsonschema", b'{"type": "object"}')
        odom = writer.register_channel("/odom", "json", other)
        channels = {}
        for event in sorted(events, key=lambda event: event.log):
            message = foxglove_message(event)
            name = message.DESCRIPTOR.full_name
            if event.topic not in channels:
                schema = writer.register_schema(name, "protobuf", SET.SerializeToString())
                channels[event.topic] = writer.register_channel(event.topic, "protobuf", schema)
            writer.add_message(channels[event.topic], event.log, message.SerializeToString(), event.log)
            writer.add_message(odom, event.log, b"{}", event.log)
        writer.finish()
    return path


@pytest.fixture(scope="module")
def drive():
    return shipped_drive()


def nuscenes2mcap_events(drive, **how):
    """Its topics and frames; the sensors' poses come on /tf, once, and are not static."""
    events = drive_events(drive, encoding="png", image_topic="/{name}/image_rect_compressed", fixed="map", **how)
    for event in events:
        if event.topic == "/tf_static":
            object.__setattr__(event, "topic", "/tf")
    return events


def test_foxglove_schemas_give_what_was_written(drive, tmp_path):
    path = write_foxglove(tmp_path / "nuscenes.mcap", nuscenes2mcap_events(drive))
    check_frames(frames_of(path), drive)
    with open_bag(path) as bag:
        assert bag.topics["/odom"].kind is None
        assert bag.topics["/tf"].type == "foxglove.FrameTransform"


def test_ros_1_messages_in_mcap_give_what_was_written(drive, tmp_path):
    path = tmp_path / "ros1.mcap"
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start(profile="ros1")
        channels = {}
        for event in sorted(nuscenes2mcap_events(drive, ros1=True), key=lambda event: event.log):
            kind = TYPES[event.kind]
            if event.topic not in channels:
                text = ROS1.generate_msgdef(kind, ros_version=1)[0].encode()
                schema = writer.register_schema(kind.replace("/msg/", "/"), "ros1msg", text)
                channels[event.topic] = writer.register_channel(event.topic, "ros1", schema)
            data = bytes(ROS1.serialize_ros1(message_of(event, ROS1), kind))
            writer.add_message(channels[event.topic], event.log, data, event.log)
        writer.finish()
    check_frames(frames_of(path), drive)


def test_the_decoder_reads_what_protobuf_writes():
    decode = Decoder("foxglove.Numbers", SET.SerializeToString())
    values = {"a": -5, "b": -(2**40), "c": True, "d": 0.25, "e": [1, -2, 300], "f": ["x", ""], "h": -7, "i": 2**63}
    message = make("Numbers", **values, g=[{"x": 1.5}, {"z": -2.0}])
    found = decode(message.SerializeToString())
    assert found == {**values, "g": [{"x": 1.5, "y": 0.0, "z": 0.0}, {"x": 0.0, "y": 0.0, "z": -2.0}]}
    empty = decode(b"")
    assert (empty["a"], empty["e"], empty["f"]) == (0, [], [])
    assert Decoder("foxglove.CompressedImage", SET.SerializeToString())(b"")["timestamp"] == {"seconds": 0, "nanos": 0}


def test_damaged_messages_and_descriptions_are_named():
    decode = Decoder("foxglove.CompressedImage", SET.SerializeToString())
    data = make("CompressedImage", data=b"x" * 100).SerializeToString()
    with pytest.raises(BagError, match=r"a message of foxglove.CompressedImage is damaged: a field of 100 bytes"):
        decode(data[:50])
    with pytest.raises(BagError, match="does not tell of it"):
        Decoder("foxglove.Other", SET.SerializeToString())
    with pytest.raises(BagError, match="the description of foxglove.Other is damaged"):
        Decoder("foxglove.Other", b"\xff" * 7)


def test_the_helper_gives_the_rotation_back(drive):
    from occvino.geometry.transforms import rotation_from_quaternion

    for camera in drive.rigs[0].cameras:
        turned = rotation_from_quaternion(quaternion(camera.sensor2ego[:3, :3]))
        np.testing.assert_allclose(turned, camera.sensor2ego[:3, :3], atol=1e-12)
    assert drive.rigs[0].names == NUSCENES_CAMERAS
