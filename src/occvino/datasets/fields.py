"""The fields of one record of a table or info file, each checked when it is asked for."""

import math
import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from occvino.errors import OccvinoError

_PLAIN_NAME = re.compile(r"(?![A-Za-z]:)[^/\\]{1,200}")
_RELATIVE = re.compile(r"(?![A-Za-z]:)[^/\\\0][^\\\0]*")


class DatasetError(OccvinoError, ValueError):
    """A data set that is incomplete, or a file of it that is not what the format says."""


class Fields:
    """One record.

    Args:
        where: file and record, for messages; called when there is one.
        values: as they were read. Nothing about them is believed.
        fix: how a record without faults is had.

    Its methods raise `DatasetError`, which names the record, the field, what was found and what was expected.
    """

    def __init__(self, where: Callable[[], str], values: Mapping[str, Any], fix: str) -> None:
        self._where, self.values, self.fix = where, values, fix

    @property
    def where(self) -> str:
        """File and record."""
        return self._where()

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) is not None

    def __getitem__(self, name: str) -> Any:
        if name not in self.values:
            raise DatasetError(f"{self.where} has no {name!r}: {self.fix}")
        return self.values[name]

    def wrong(self, name: str, expected: str) -> DatasetError:
        """The error to raise for a field that is there."""
        return DatasetError(f"{self.where}: {name!r} is {shown(self.values[name])}, expected {expected}: {self.fix}")

    def text(self, name: str) -> str:
        """Text that is not empty."""
        value = self[name]
        if not isinstance(value, str) or not value:
            raise self.wrong(name, "text")
        return value

    def label(self, name: str) -> str:
        """Text that can be the name of a folder, since results are filed under it."""
        value = self.text(name)
        if value in (".", "..") or not _PLAIN_NAME.fullmatch(value) or not value.isprintable():
            raise self.wrong(name, "a plain name: a folder is called by it")
        return value

    def whole(self, name: str, least: int, of: str) -> int:
        """A whole number, `least` or more; `of`: its unit."""
        value = self[name]
        number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value != int(value) or value < least:
            raise self.wrong(name, f"a whole number of {of}, {least} or more")
        return int(value)

    def flag(self, name: str) -> bool:
        """True or false; 1 and 0 pass."""
        value = self[name]
        if not isinstance(value, bool | int | np.bool_) or value not in (0, 1):
            raise self.wrong(name, "true or false")
        return bool(value)

    def numbers(self, name: str, *shape: int) -> NDArray[np.float64]:
        """Finite numbers of a shape."""
        value = self[name]
        expected = f"{' by '.join(map(str, shape))} finite numbers" if shape else "a finite number"
        if not _has_shape(value, shape):
            raise self.wrong(name, expected)
        try:
            found = np.asarray(value, np.float64)
        except OverflowError:
            raise self.wrong(name, expected) from None
        if not np.isfinite(found).all():
            raise self.wrong(name, expected)
        return found

    def record(self, name: str) -> "Fields":
        """A record within this one."""
        value = self[name]
        if not isinstance(value, dict):
            raise self.wrong(name, "a record")
        return Fields(lambda: f"{self.where}, {name!r}", cast(dict[str, Any], value), self.fix)

    def file(self, name: str, root: Path) -> Path:
        """A file under `root`, by its relative name with `/`; whether it is there is not looked at."""
        value = self.text(name)
        parts = PurePosixPath(value).parts
        if not _RELATIVE.fullmatch(value) or ".." in parts or not parts:
            raise self.wrong(name, 'a name within the data set\'s folder, with "/", as samples/CAM_FRONT/1.jpg')
        return root.joinpath(*parts)


def shown(value: object) -> str:
    """A value in a message: short, however large or deep it is."""
    try:
        return f"{_SHORT.repr(value)} ({type(value).__name__})"
    except ValueError:  # a whole number of thousands of digits
        return f"a {type(value).__name__}"


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 160


def _has_shape(value: Any, shape: Sequence[int]) -> bool:
    if isinstance(value, np.ndarray):
        return value.shape == tuple(shape) and value.dtype.kind in "iuf"
    if not shape:
        return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return (
        isinstance(value, list | tuple)
        and len(cast(list[Any], value)) == shape[0]
        and all(_has_shape(each, shape[1:]) for each in cast(list[Any], value))
    )
