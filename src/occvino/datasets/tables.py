"""The nuScenes v1.0 tables: JSON lists of records that name each other by token."""

import json
from pathlib import Path, PureWindowsPath
from typing import Any, cast

from occvino.errors import OccvinoError
from occvino.files import parts_inside

Record = dict[str, Any]

_NEEDED = ("calibrated_sensor", "ego_pose", "sample", "sample_data", "scene", "sensor")


class DatasetError(OccvinoError, ValueError):
    """A data set that is incomplete, or a file of it that is not what the format says."""


class Tables:
    """The six tables that frames need, each a dict from token to record.

    Args:
        root: the data set's folder, which holds `samples` and the folder of tables.
        version: name of the folder of tables, as `v1.0-mini`; found by itself when there is only one.

    Raises:
        DatasetError: a folder or a table is missing or is not valid; the message names it.
    """

    def __init__(self, root: str | Path, version: str | None = None) -> None:
        self.root = Path(root)
        self.version = version or _only_version(self.root)
        folder = self.root / self.version
        if not folder.is_dir():
            raise DatasetError(f"{folder} is not there: {_versions_there(self.root)}")
        self._tables = {name: _load(folder / f"{name}.json") for name in _NEEDED}

    def __getitem__(self, table: str) -> dict[str, Record]:
        return self._tables[table]

    def get(self, table: str, token: str) -> Record:
        """One record.

        Raises:
            DatasetError: there is no such token in the table.
        """
        try:
            return self._tables[table][token]
        except KeyError:
            raise DatasetError(f"{self.root / self.version / table}.json has no record {token!r}") from None

    def file(self, record: Record) -> Path:
        """The file of a record of `sample_data`.

        Raises:
            DatasetError: its name is absolute or leads out of the data set's folder.
        """
        name = record["filename"]
        parts = parts_inside(name)
        if parts is None or PureWindowsPath(name).anchor:
            raise DatasetError(
                f"sample_data {record['token']} names the file {name!r}: expected one inside of {self.root}, as "
                "samples/CAM_FRONT/NAME.jpg"
            )
        return self.root.joinpath(*parts)


def _versions_there(root: Path) -> str:
    found = sorted(p.name for p in root.glob("v1.0-*") if p.is_dir())
    return f"there is {', '.join(found)}" if found else f"{root} holds no folder v1.0-*; is it the nuScenes folder?"


def _only_version(root: Path) -> str:
    found = sorted(p.name for p in root.glob("v1.0-*") if p.is_dir())
    if len(found) != 1:
        raise DatasetError(f"cannot choose the tables of {root}: {_versions_there(root)}; name one as `version`")
    return found[0]


def _load(path: Path) -> dict[str, Record]:
    try:
        records: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DatasetError(f"the table {path} is missing: unpack the nuScenes metadata archive there") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DatasetError(f"cannot read the table {path}: {error}") from error
    if not isinstance(records, list) or not all(isinstance(r, dict) and "token" in r for r in cast(list[Any], records)):
        raise DatasetError(f"the table {path} is not a list of records that each have a token")
    return {record["token"]: record for record in cast(list[Record], records)}
