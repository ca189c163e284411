"""MCAP files that `rosbags` does not read: cut off, with messages of ROS 1, or in Foxglove's schemas (protobuf)."""

import contextlib
from collections.abc import Callable, Collection, Generator, Iterator
from pathlib import Path
from typing import Any

from occvino.datasets.bags.bag import Topic
from occvino.datasets.bags.messages import BagError, DamagedError, Message, from_foxglove, from_ros, kind_of, plain_type
from occvino.datasets.bags.poses import seconds
from occvino.datasets.bags.protobuf import Decoder

Decode = Callable[[bytes], Message]


@contextlib.contextmanager
def open_mcap(file: Path, path: Path, why: str) -> Generator["McapBag"]:
    """Open an MCAP file.

    Args:
        file: to read.
        path: that the user named.
        why: `rosbags` does not read it.

    Raises:
        BagError: it cannot be read at all, or `mcap` is not installed.
    """
    try:
        import mcap.reader  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ModuleNotFoundError as error:
        raise BagError(f"{path}: {why}. To read it all the same: pip install mcap") from error
    with file.open("rb") as stream:
        yield McapBag(path, stream, why)


class McapBag:
    """See `source.Bag`."""

    def __init__(self, path: Path, stream: Any, why: str) -> None:
        self.path, self.format, self._stream = path, "MCAP", stream
        self.topics: dict[str, Topic] = {}
        self.start, self.end, self.damaged = 0, 0, ""
        self._decoders: dict[int, Decode] = {}
        self._summary = self._read_summary()
        if self._summary is not None:
            self._take_summary()
        else:
            self._scan(why)

    def messages(self, topics: Collection[str], start: int | None = None) -> Iterator[tuple[str, int, Message]]:
        """Messages of these topics; ends where the file is cut off."""
        log = self.start
        try:
            for schema, channel, record in self._records(topics, start):
                log = record.log_time
                yield channel.topic, log, self._decoder(schema, channel)(record.data)
        except (BagError, GeneratorExit):
            raise
        except Exception as error:
            if self.damaged:
                return
            raise DamagedError(f"{self.path} is damaged after {seconds(log)}: {error}. Try `mcap recover`") from error

    def _records(self, topics: Collection[str], start: int | None) -> Iterator[tuple[Any, Any, Any]]:
        from mcap.reader import SeekingReader

        self._stream.seek(0)
        indexed = self._summary is not None
        for schema, channel, record in SeekingReader(self._stream).iter_messages(topics) if indexed else self._all():
            if channel.topic in topics and (start is None or record.log_time >= start):
                yield schema, channel, record

    def _all(self) -> Iterator[tuple[Any, Any, Any]]:
        """In the order of the file, which is that of recording; until the file is cut off."""
        from mcap.records import Channel, Schema
        from mcap.records import Message as Record
        from mcap.stream_reader import StreamReader

        schemas: dict[int, Any] = {}
        channels: dict[int, Any] = {}
        self._stream.seek(0)
        for record in StreamReader(self._stream).records:
            if isinstance(record, Schema):
                schemas[record.id] = record
            elif isinstance(record, Channel):
                channels[record.id] = record
            elif isinstance(record, Record):
                channel = channels[record.channel_id]
                yield schemas.get(channel.schema_id), channel, record

    def _read_summary(self) -> Any:
        from mcap.reader import SeekingReader

        try:
            summary = SeekingReader(self._stream).get_summary()
        except Exception:  # it is cut off, or no MCAP file: the scan finds out
            return None
        usable = summary is not None and summary.statistics is not None and summary.chunk_indexes
        return summary if usable else None

    def _take_summary(self) -> None:
        statistics = self._summary.statistics
        self.start, self.end = statistics.message_start_time, statistics.message_end_time
        for key, channel in self._summary.channels.items():
            schema = self._summary.schemas.get(channel.schema_id)
            self._add(schema, channel, statistics.channel_message_counts.get(key, 0))

    def _scan(self, why: str) -> None:
        """Of a file without an index: what there is, up to where it ends."""
        from mcap.exceptions import McapError

        log = 0
        try:
            for schema, channel, record in self._all():
                log = record.log_time
                self.start, self.end = min(self.start or log, log), max(self.end, log)
                self._add(schema, channel, 1)
        except McapError as error:
            if not self.topics:
                raise BagError(f"{self.path} cannot be read: {why}, and nothing whole comes before its end") from error
            self.damaged = f"cut off after {seconds(log)} ({type(error).__name__}): what comes before it is read"
        except Exception as error:  # of zstd and lz4
            if not self.topics:
                raise BagError(f"{self.path} cannot be read: {why}") from error
            self.damaged = f"damaged after {seconds(log)} ({error}): what comes before it is read"

    def _add(self, schema: Any, channel: Any, count: int) -> None:
        name = "" if schema is None else schema.name
        known = self.topics.get(channel.topic)
        kind = kind_of(name) if _readable(schema, channel) else None
        total = count + (known.count if known else 0)
        told = plain_type(name) if _readable(schema, channel) else f"{plain_type(name)} ({channel.message_encoding})"
        self.topics[channel.topic] = Topic(channel.topic, told, kind, total)

    def _decoder(self, schema: Any, channel: Any) -> Decode:
        """Of a channel; made once."""
        if schema.id not in self._decoders:
            self._decoders[schema.id] = _decoder_of(schema, channel)
        return self._decoders[schema.id]


def _readable(schema: Any, channel: Any) -> bool:
    pair = ("" if schema is None else schema.encoding, channel.message_encoding)
    return pair in (("ros2msg", "cdr"), ("ros2idl", "cdr"), ("ros1msg", "ros1"), ("protobuf", "protobuf"))


def _decoder_of(schema: Any, channel: Any) -> Decode:
    if channel.message_encoding == "protobuf":
        decoder = Decoder(schema.name, schema.data)
        return lambda data: from_foxglove(schema.name, decoder(data))
    from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

    name, text = schema.name, schema.data.decode()
    if "/msg/" not in name:
        name = name.replace("/", "/msg/")
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_idl(text) if schema.encoding == "ros2idl" else get_types_from_msg(text, name))
    read = store.deserialize_ros1 if channel.message_encoding == "ros1" else store.deserialize_cdr
    return lambda data: from_ros(name, read(data, name))
