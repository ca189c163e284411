"""NumPy archives (`.npz`), read in bounded memory and without running what is in them.

`np.load` believes a header: a file of some kilobytes may claim, and through zip even hold, gigabytes. Here each header
is judged before its array is unpacked, and pickled arrays are refused.
"""

import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from occvino.errors import OccvinoError

LIMIT = 1 << 32
"""Bytes that all arrays of a file may take together."""

Shape: TypeAlias = tuple[int, ...]


class NpzError(OccvinoError, ValueError):
    """An archive that is damaged, or claims what no file of ours holds."""


def read_npz(
    path: str | Path, wanted: Callable[[str, Shape, np.dtype[Any]], bool] = lambda name, shape, dtype: True
) -> dict[str, NDArray[Any]]:
    """Arrays of an archive by name.

    Args:
        path: the file.
        wanted: asked of each array by its header, before it is unpacked; what it raises ends the reading.

    Raises:
        FileNotFoundError: there is no such file.
        NpzError: it is damaged, holds objects, or its arrays would take over 4 GiB; says why, without the path.
    """
    try:
        return _read(Path(path), wanted)
    except (OccvinoError, FileNotFoundError):
        raise
    except Exception as error:  # damaged bytes meet zipfile, zlib and NumPy with any exception there is
        raise NpzError(f"it is damaged or no .npz file: {error}") from error


def _read(path: Path, wanted: Callable[[str, Shape, np.dtype[Any]], bool]) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    left = LIMIT
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            if name == entry.filename:
                continue
            with archive.open(entry) as stream:
                shape, fortran, dtype = _header(name, stream)
                if not wanted(name, shape, dtype):
                    continue
                if dtype.hasobject:
                    raise NpzError(f"array {name!r} holds pickled objects, which are not read: save plain numbers")
                size = math.prod(shape) * dtype.itemsize
                if min(shape, default=0) < 0 or size > left:
                    raise NpzError(f"array {name!r} claims to be {dtype} {shape}: over {LIMIT >> 30} GiB are not read")
                left -= size
                found[name] = _values(name, stream, size, dtype).reshape(shape, order="F" if fortran else "C")
    return found


def _header(name: str, stream: IO[bytes]) -> tuple[Shape, bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream)
    raise NpzError(f"array {name!r} is in format {version}: save it with numpy.savez again, as plain numbers")


def _values(name: str, stream: IO[bytes], size: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    data = stream.read(size)
    # at the end of an entry zipfile checks its sum
    if len(data) != size or stream.read(1):
        raise NpzError(f"array {name!r} is not as long as its header says")
    return np.frombuffer(bytearray(data), dtype) if size else np.empty(0, dtype)
