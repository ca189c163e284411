"""Bags as streams of messages: ROS 1 and ROS 2 by `rosbags`, other MCAP files by `mcap`."""

import contextlib
from collections.abc import Collection, Generator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from occvino.datasets.bags.bag import Bag, Topic
from occvino.datasets.bags.messages import BagError, DamagedError, Message, from_ros, kind_of, plain_type
from occvino.datasets.bags.poses import seconds

SUFFIXES = (".mcap", ".db3", ".bag")
METADATA = "metadata.yaml"


def is_bag(path: Path) -> bool:
    """Whether a path looks like a bag."""
    return (path / METADATA).is_file() or path.suffix in SUFFIXES


def open_bag(path: Path) -> AbstractContextManager[Bag]:
    """Open a ROS 1 or ROS 2 bag, or an MCAP file with messages of ROS or Foxglove.

    Raises:
        BagError: it is missing, empty, no bag, or damaged at its beginning; or `rosbags` is not installed.
    """
    if not path.exists():
        raise BagError(f"{path}: there is no such bag")
    if path.is_dir() and not (path / METADATA).is_file():
        inside = sorted(each.name for each in path.iterdir() if each.suffix in SUFFIXES)
        hint = f"; it holds {', '.join(inside[:3])}: name that" if inside else ""
        raise BagError(f"{path} is a folder without {METADATA}, and no ROS 2 bag{hint}")
    if path.is_file() and path.suffix not in SUFFIXES:
        raise BagError(f"{path}: {path.suffix or 'a file without a suffix'} is no bag: expected {', '.join(SUFFIXES)}")
    if path.is_file() and not path.stat().st_size:
        raise BagError(f"{path} is empty (0 bytes): the recording was not finished")
    return _opened(path)


@contextlib.contextmanager
def _opened(path: Path) -> Generator[Bag]:
    try:
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import Stores, get_typestore
    except ModuleNotFoundError as error:
        missing = f"{error.name} is not installed, and reading bags needs it"
        raise BagError(f'{missing}: pip install "occvino[ros]"') from error
    reader = AnyReader([path], default_typestore=get_typestore(Stores.ROS2_HUMBLE))
    try:
        reader.open()
    except Exception as error:  # the readers raise what zstd, SQLite and struct do, too
        other = _mcap_in(path)
        if other is None:
            raise BagError(f"{path} cannot be read: {_words(error)}{_fix(path)}") from error
        from occvino.datasets.bags.mcap_source import open_mcap

        with open_mcap(other, path, _words(error)) as bag:
            yield _not_empty(bag)
        return
    with contextlib.closing(reader):
        yield _not_empty(RosBag(path, reader))


class RosBag:
    """A bag that `rosbags` reads; see `Bag`."""

    def __init__(self, path: Path, reader: Any) -> None:
        self.path, self._reader = path, reader
        self.format = ("ROS 2" if reader.is2 else "ROS 1") + f" bag{_storage(path)}"
        self.topics: dict[str, Topic] = {}
        for connection in reader.connections:
            known = self.topics.get(connection.topic)
            count = connection.msgcount + (known.count if known else 0)
            kind = kind_of(connection.msgtype)
            self.topics[connection.topic] = Topic(connection.topic, plain_type(connection.msgtype), kind, count)
        self.start, self.end = (reader.start_time, reader.end_time - 1) if reader.message_count else (0, 0)
        self.damaged = ""

    def messages(self, topics: Collection[str], start: int | None = None) -> Iterator[tuple[str, int, Message]]:
        """Messages of these topics; raises `BagError` where the bag is damaged."""
        wanted = [each for each in self._reader.connections if each.topic in topics]
        log = self.start
        if not wanted:
            return
        try:
            for connection, log, raw in self._reader.messages(wanted, start=start):
                message = self._reader.deserialize(raw, connection.msgtype)
                yield connection.topic, log, from_ros(connection.msgtype, message)
        except (BagError, GeneratorExit):
            raise
        except Exception as error:
            raise DamagedError(
                f"{self.path} is damaged after {seconds(log)}: {_words(error)}{_fix(self.path)}"
            ) from error


def _not_empty(bag: Bag) -> Bag:
    if not any(topic.count for topic in bag.topics.values()):
        raise BagError(f"{bag.path} holds no messages: was the recording stopped before anything was published?")
    return bag


def _mcap_in(path: Path) -> Path | None:
    """The MCAP file to read in another way; None if there is none, or several."""
    files = sorted(path.glob("*.mcap")) if path.is_dir() else [path]
    return files[0] if len(files) == 1 and files[0].suffix == ".mcap" and files[0].stat().st_size else None


def _storage(path: Path) -> str:
    inside = sorted(path.glob("*.mcap")) if path.is_dir() else [path]
    return ", MCAP" if inside and inside[0].suffix == ".mcap" else ", SQLite" if path.suffix != ".bag" else ""


def _words(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__


def _fix(path: Path) -> str:
    repair = {".bag": "rosbag reindex", ".mcap": "mcap recover"}.get(path.suffix, "ros2 bag reindex")
    return f". Record it again, or try `{repair}`"
