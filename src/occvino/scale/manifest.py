"""The manifest of a batch: `OUT/manifest.jsonl`, one JSON object a line for every frame of the data set.

    frame   <scene>/<token>          state   done, failed or pending
    token, scene, time (seconds)     of a frame that is done: file, sha256 (of the labels), bytes, of (the frame's mark)
                                     of one that failed: error

While a run is under way a line is added for each frame once its labels are on disk, so of several lines of one frame
the last one holds. At the beginning and at the end of a run the file is written anew with one line a frame. What is on
disk is the truth: a run that goes on looks at the labels themselves (`scale.store`).
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from occvino.files import OutputError, from_json, to_json, write_text, writing

MANIFEST = "manifest.jsonl"
State: TypeAlias = Literal["done", "failed", "pending"]


@dataclass(frozen=True)
class Entry:
    """What the manifest says of a frame.

    Attributes:
        frame: `<scene>/<token>`.
        token: of the nuScenes sample.
        scene: its name.
        time: seconds.
        state: "done", "failed" or "pending".
        file: with its labels, under the folder.
        sha256: of the labels (`scale.forms.digest`).
        bytes: that they take; None in a shard, which compresses many.
        of: the mark of the frame that they are of.
        error: why it failed.
    """

    frame: str
    token: str
    scene: str
    time: float
    state: State = "pending"
    file: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    of: str | None = None
    error: str | None = None

    def line(self) -> str:
        """As it stands in the file."""
        return to_json({name: value for name, value in asdict(self).items() if value is not None}, indent=None) + "\n"


class Manifest:
    """The manifest of one folder, for the one process that writes to it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / MANIFEST
        self.entries: dict[str, Entry] = {}
        """By frame, in the data set's order."""

    def begin(self, entries: Iterable[Entry]) -> None:
        """Write all of it anew.

        Raises:
            OutputError: the disk is full, or the folder cannot be written to.
        """
        self.entries = {entry.frame: entry for entry in entries}
        write_text(self.path, "".join(entry.line() for entry in self.entries.values()))

    def add(self, *entries: Entry) -> None:
        """Add what became of frames.

        Raises:
            OutputError: the disk is full. Half a line is taken back.
        """
        line = "".join(entry.line() for entry in entries).encode("utf-8", "backslashreplace")
        with writing(self.path):
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
            try:
                before = os.fstat(file).st_size
                try:
                    if os.write(file, line) < len(line):
                        os.write(file, b"\n")  # gives the reason, or ends what is then a damaged line
                except OSError:
                    os.ftruncate(file, before)
                    raise
            finally:
                os.close(file)
        self.entries.update({entry.frame: entry for entry in entries})

    def end(self) -> None:
        """Write all of it anew, one line a frame.

        Raises:
            OutputError: as `begin`.
        """
        self.begin(list(self.entries.values()))


def read_manifest(folder: Path) -> dict[str, Entry]:
    """Entries by frame; what a process that was killed wrote half of is left out.

    Raises:
        OutputError: there is none, or a line in the middle is damaged.
    """
    path = folder / MANIFEST
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        raise OutputError(f"{folder} holds no {MANIFEST}: is it the --out of `occvino batch`?") from None
    except (OSError, UnicodeDecodeError) as error:
        raise OutputError(f"cannot read {path}: {error}") from error
    found: dict[str, Entry] = {}
    for number, line in enumerate(lines, 1):
        try:
            entry = Entry(**_fields(from_json(line)))
        except (ValueError, TypeError, KeyError) as error:
            if number == len(lines) and not line.endswith("\n"):
                break
            raise OutputError(
                f"{path}, line {number} is damaged ({error}): delete the file, and run the batch again to have it anew"
            ) from error
        found[entry.frame] = entry
    return found


def _fields(value: Mapping[str, Any]) -> Mapping[str, Any]:
    kinds = {"frame": str, "token": str, "scene": str, "time": float | int, "state": str, "bytes": int}
    for name, kind in kinds.items():
        if not isinstance(value.get(name, 0 if name == "bytes" else None), kind):
            raise ValueError(f"{name} is {json.dumps(value.get(name))[:80]}")
    if value["state"] not in ("done", "failed", "pending"):
        raise ValueError(f"state is {value['state']!r}")
    return value
