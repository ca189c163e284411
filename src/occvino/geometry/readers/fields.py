"""Files of calibrations and their fields, each checked when it is asked for. Nothing in them is believed."""

import math
import reprlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from occvino.errors import RigError
from occvino.geometry.camera import rigid
from occvino.geometry.transforms import Matrix

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlist = _SHORT.maxtuple = 16
_LARGEST = 32 << 20
"""Bytes. Calibrations are a few thousand; a larger file is something else."""


@dataclass(frozen=True)
class Record:
    """Named values from a file.

    Attributes:
        where: file and place in it, for messages.
        values: as they were read.
        fix: how a file without faults is had.

    Its methods raise `RigError`, which names the place, the field, the value and what was expected.
    """

    where: str
    values: Mapping[str, Any]
    fix: str

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) is not None

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            given = ", ".join(map(str, self.values)) or "nothing"
            raise RigError(f"{self.where} has no {name!r}; it has {given[:200]}: {self.fix}")
        return self.values[name]

    def wrong(self, name: str, expected: str) -> RigError:
        """The error to raise for a field that is there."""
        return RigError(f"{self.where}: {name} is {shown(self.values.get(name))}, expected {expected}: {self.fix}")

    def text(self, name: str) -> str:
        """Text that is not empty."""
        value = self[name]
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(name, "text")
        return value.strip()

    def number(self, name: str) -> float:
        """A finite number; one in quotes passes."""
        found = _number(self[name])
        if found is None:
            raise self.wrong(name, "a finite number")
        return found

    def whole(self, name: str) -> int:
        """A whole number of pixels, 1 or more."""
        found = _number(self[name])
        if found is None or found < 1 or found != int(found):
            raise self.wrong(name, "a whole number of pixels, 1 or more")
        return int(found)

    def size(self, name: str) -> tuple[int, int]:
        """Width and height in one field."""
        values = self.any_numbers(name)
        if len(values) != 2 or not all(value >= 1 and value == int(value) for value in values):
            raise self.wrong(name, "width and height, two whole numbers of pixels")
        return int(values[0]), int(values[1])

    def numbers(self, name: str, *shape: int) -> Matrix:
        """Finite numbers of a shape, from nested lists or an array."""
        expected = f"{' by '.join(map(str, shape))} finite numbers"
        found = _numbers(self[name])
        if found is None or found.shape != shape:
            raise self.wrong(name, expected)
        return found

    def any_numbers(self, name: str) -> list[float]:
        """A flat list of finite numbers, as many as there are; a row or a column of a matrix is one."""
        value = self[name]
        found = np.zeros(0) if isinstance(value, list) and not value else _numbers(value)
        if found is None or found.ndim == 0 or (found.size and found.size != max(found.shape)):
            raise self.wrong(name, "a list of finite numbers")
        return found.reshape(-1).tolist()

    def pose(self, name: str) -> Matrix:
        """A rigid transform [4, 4]."""
        return rigid(self.where, name, self.numbers(name, 4, 4))

    def record(self, name: str) -> "Record":
        """A record within this one."""
        value = self[name]
        if not isinstance(value, Mapping):
            raise self.wrong(name, "named values")
        return Record(f"{self.where}, {name}", cast(Mapping[str, Any], value), self.fix)


@contextmanager
def told_at(where: str) -> Generator[None]:
    """Errors about a camera or its lens are told with the file and place that it came from."""
    try:
        yield
    except RigError as error:
        told = str(error)
        raise RigError(told if told.startswith(where) else f"{where}: {told}") from error


def read_text(path: Path, expected: str) -> str:
    """The text of a file that is not empty.

    Raises:
        RigError: it is missing, empty, too large, or no text; `expected` says what it should be.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise RigError(f"{path} has {path.stat().st_size} bytes, expected {expected}")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise RigError(f"cannot read {path}: {error}; expected {expected}") from error
    if not text.strip():
        raise RigError(f"{path} is empty, expected {expected}")
    return text


def intrinsics_of(fx: float, fy: float, cx: float, cy: float) -> Matrix:
    """Intrinsics [3, 3] of focal lengths and principal point, pixels."""
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def shown(value: object) -> str:
    """A value in a message: short, however large or deep it is."""
    try:
        return _SHORT.repr(value.tolist() if isinstance(value, np.ndarray) else value)
    except ValueError:  # a whole number of thousands of digits
        return f"a {type(value).__name__}"


def _number(value: Any) -> float | None:
    """A finite number, in quotes or not; YAML takes 1e-5, which has no dot, for text."""
    if not isinstance(value, int | float | str | np.integer | np.floating) or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _numbers(value: Any) -> Matrix | None:
    if isinstance(value, np.ndarray):
        array = cast(Matrix, value)
        return array.astype(np.float64) if array.dtype.kind in "iuf" and np.isfinite(array).all() else None
    if not isinstance(value, list | tuple):
        found = _number(value)
        return None if found is None else np.array(found)
    rows = [_numbers(each) for each in cast(list[Any], value)]
    if not rows or any(row is None or row.shape != cast(Matrix, rows[0]).shape for row in rows):
        return None
    return np.stack(cast(list[Matrix], rows))
