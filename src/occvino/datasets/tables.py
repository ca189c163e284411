"""The nuScenes v1.0 tables: JSON lists of records that name each other by token."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO, TypeAlias, cast

from occvino.datasets.fields import DatasetError, Fields

Record: TypeAlias = dict[str, Any]

_FIX = "unpack the nuScenes metadata again, or mend what wrote the table"
_CHUNK = 1 << 20
_SPACE = re.compile(r"[ \t\n\r]*")


class Tables:
    """The six tables that frames need. Of `sample_data` and `ego_pose` what belongs to key frames is kept.

    Args:
        root: the data set's folder, which holds `samples` and the folder of tables; or that folder of tables.
        version: name of the folder of tables, as `v1.0-mini`; found by itself when there is only one.

    Raises:
        DatasetError: a folder or a table is missing or is not valid; the message names it.
    """

    def __init__(self, root: str | Path, version: str | None = None) -> None:
        self.root, self.version = _located(Path(root), version)
        self.folder = self.root / self.version
        if not self.folder.is_dir():
            raise DatasetError(f"{self.folder} is not there: {_versions_there(self.root)}")
        self._tables = {name: self._load(name) for name in ("scene", "sample", "sensor", "calibrated_sensor")}
        self._tables["sample_data"] = self._load("sample_data", lambda record: record.flag("is_key_frame"))
        poses = {record.text("ego_pose_token") for record in self.rows("sample_data")}
        self._tables["ego_pose"] = self._load("ego_pose", lambda record: record["token"] in poses)

    def rows(self, table: str) -> Iterator[Fields]:
        """The records of a table."""
        return (self._fields(table, record) for record in self._tables[table].values())

    def follow(self, record: Fields, field: str, table: str) -> Fields:
        """The record of `table` that a field of another one names.

        Raises:
            DatasetError: the field is missing, or there is no such token in the table.
        """
        token = record.text(field)
        if token not in self._tables[table]:
            raise DatasetError(
                f"{self._file(table)} has no record {token[:80]!r}, which {record.where} names as {field!r}: {_FIX}"
            )
        return self._fields(table, self._tables[table][token])

    def _file(self, table: str) -> Path:
        return self.folder / f"{table}.json"

    def _fields(self, table: str, record: Record) -> Fields:
        return Fields(lambda: f"{self._file(table)}, record {record['token'][:80]!r}", record, _FIX)

    def _load(self, table: str, keep: Callable[[Fields], bool] = lambda record: True) -> dict[str, Record]:
        path = self._file(table)
        found: dict[str, Record] = {}
        try:
            for record in _records(path):
                token = record.get("token")
                if not isinstance(token, str) or not token:
                    raise DatasetError(_no_list(path))
                if token in found:
                    raise DatasetError(f"{path} has two records {token[:80]!r}: {_FIX}")
                if keep(self._fields(table, record)):
                    found[token] = record
        except FileNotFoundError:
            raise DatasetError(f"the table {path} is missing: unpack the nuScenes metadata archive there") from None
        except (OSError, UnicodeDecodeError, RecursionError) as error:
            raise DatasetError(f"cannot read the table {path}: {error}") from error
        return found


def _located(root: Path, version: str | None) -> tuple[Path, str]:
    """Folder of the data set and name of its tables; the tables' own folder names both."""
    if version is None and root.resolve().name.startswith("v1.0-") and _holds_tables(root):
        return root.parent if root.name == root.resolve().name else root.resolve().parent, root.resolve().name
    if version is not None and Path(version).name != version:
        raise DatasetError(f"the version {version!r} is not the name of a folder of tables: {_versions_there(root)}")
    found = _versions(root)
    if version is None and not found:
        raise DatasetError(_versions_there(root))
    if version is None and len(found) > 1:
        raise DatasetError(
            f"cannot choose the tables of {root}: {_versions_there(root)}; name one: --version {found[0]}, "
            f"version={found[0]!r}, or {root / found[0]} as the folder"
        )
    return root, version or found[0]


def _holds_tables(folder: Path) -> bool:
    return any((folder / f"{name}.json").is_file() for name in ("sample", "scene", "sample_data"))


def _versions(root: Path) -> list[str]:
    """Folders of tables; archives of images unpack into folders of like names."""
    return sorted(path.name for path in root.glob("v1.0-*") if _holds_tables(path))


def _versions_there(root: Path) -> str:
    if found := _versions(root):
        return f"there is {', '.join(found)}"
    if not root.is_dir():
        return f"there is no folder {root}"
    nested = sorted(path.parent for level in ("*", "*/*") for path in root.glob(f"{level}/v1.0-*/sample.json"))
    if nested:
        return f"{root} holds no folder v1.0-* of tables, {nested[0].parent} does: give that folder"
    return f"{root} holds no folder v1.0-* of tables; is it the nuScenes folder?"


def _no_list(path: Path) -> str:
    return f"the table {path} is not a list of records that each have a token: {_FIX}"


def _records(path: Path) -> Iterator[Record]:
    """Records of a table one by one: those of nuScenes are larger than what is needed of them."""
    with path.open(encoding="utf-8-sig") as stream:
        for value in _items(stream, path):
            if not isinstance(value, dict):
                raise DatasetError(_no_list(path))
            yield cast(Record, value)


def _items(stream: TextIO, path: Path) -> Iterator[Any]:
    """Items of a JSON list, read in pieces."""
    decode, number = json.JSONDecoder().raw_decode, 0
    text, at, _ = _more(stream, "", 0)
    if text[at : at + 1] != "[":
        raise DatasetError(f"cannot read the table {path}: it does not begin as a JSON list of records")
    at += 1
    while True:
        text, at = _ahead(stream, text, at)
        if text[at : at + 1] == "]":
            if text[at + 1 :].strip() or stream.read(_CHUNK).strip():
                raise DatasetError(f"cannot read the table {path}: more follows after the end of the list")
            return
        if number:
            if text[at : at + 1] != ",":
                raise DatasetError(f"cannot read the table {path}: {_cut(text[at:], number)}")
            text, at = _ahead(stream, text, at + 1)
        while True:
            try:
                value, at = decode(text, at)
                break
            except ValueError as error:  # damaged, or not read to its end
                text, at, more = _more(stream, text, at)
                if not more:
                    said = f"record {number + 1} is cut off or no JSON: {getattr(error, 'msg', error)}"
                    raise DatasetError(f"cannot read the table {path}: {said}; {_FIX}") from error
        number += 1
        yield value


def _cut(rest: str, number: int) -> str:
    return f"after record {number} comes {rest[:20]!r}, expected a comma; {_FIX}" if rest else f"it was cut off; {_FIX}"


def _ahead(stream: TextIO, text: str, at: int) -> tuple[str, int]:
    """Text with the next thing in it, and where that begins."""
    at = _next(text, at)
    return (text, at) if len(text) - at > _CHUNK // 8 else _more(stream, text, at)[:2]


def _more(stream: TextIO, text: str, at: int) -> tuple[str, int, bool]:
    """What is left of `text` and at least as much again; where the next thing begins; whether there was more."""
    text = text[at:]
    while True:
        piece = stream.read(max(_CHUNK, len(text)))
        text = text[_next(text, 0) :] + piece
        at = _next(text, 0)
        if at < len(text) or not piece:
            return text, at, bool(piece)


def _next(text: str, at: int) -> int:
    """Where white space ends."""
    space = _SPACE.match(text, at)
    return space.end() if space else at
