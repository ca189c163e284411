"""What an open bag gives, whatever it is read by."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from occvino.datasets.bags.messages import Kind, Message


@dataclass(frozen=True)
class Topic:
    """One topic of a bag: what it holds, and how many messages."""

    name: str
    type: str
    kind: Kind | None
    count: int


class Bag(Protocol):
    """An open bag.

    Attributes:
        path: of the file or folder.
        format: in words.
        topics: by name.
        start: recorder's time of the first message, nanoseconds.
        end: and of the last.
        damaged: what could not be read, in words; empty if all can.
    """

    path: Path
    format: str
    topics: dict[str, Topic]
    start: int
    end: int
    damaged: str

    def messages(self, topics: Collection[str], start: int | None = None) -> Iterator[tuple[str, int, Message]]:
        """Topic, recorder's time and message, in the order of that time, one at a time."""
        ...
