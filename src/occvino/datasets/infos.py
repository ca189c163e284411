"""Info files of BEVDet and FlashOCC (`bevdetv2-nuscenes_infos_*.pkl`), read without running what is in them.

A pickle names functions and calls them. This reader knows a few names and stands its own inert objects in for them: an
array or number of plain dtype can be described, nothing else can be called.
"""

import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from occvino.datasets.tables import DatasetError

_PLAIN_DTYPE = re.compile(r"[<>|=]?[?biufcSU][0-9]*")
_Shape = tuple[int, ...]


class _Dtype:
    """Stands in for `numpy.dtype(text, align, copy)` and its state."""

    def __init__(self, text: str, *_: object) -> None:
        if not _PLAIN_DTYPE.fullmatch(text):
            raise pickle.UnpicklingError(f"an array of dtype {text!r}: only numbers, truth values and text are read")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        # (version, byte order, subarray, names, fields, size, alignment, flags): names and fields make records.
        if any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError("an array of records: only plain dtypes are read")
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Stands in for an array that a pickle builds in two steps."""

    value: NDArray[Any]

    def __setstate__(self, state: tuple[int, _Shape, _Dtype, bool, bytes]) -> None:
        _, shape, dtype, fortran, data = state
        self.value = _array(data, dtype, shape, "F" if fortran else "C")


def _array(data: object, dtype: object, shape: _Shape, order: str) -> NDArray[Any]:
    if not isinstance(dtype, _Dtype) or not isinstance(data, bytes | bytearray):
        raise pickle.UnpicklingError("an array that is not plain bytes of a plain dtype")
    return np.frombuffer(bytes(data), dtype.dtype).reshape(shape, order="F" if order == "F" else "C")


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _scalar(dtype: _Dtype, data: bytes) -> Any:
    return _array(data, dtype, (), "C")[()]


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """How protocol 2 writes bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in {encoding!r}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How protocol 2 writes bytes when there are none."""
    return b""


class _Known:
    """A name that pickles may call. Its attributes cannot be set from a pickle, as a function's could."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, _: object) -> None:
        raise pickle.UnpicklingError("it tries to change how arrays are read")


def _not_called(*_: object) -> None:
    raise pickle.UnpicklingError("it makes an array in an unknown way")


_FUNCTIONS: dict[tuple[str, str], Callable[..., Any]] = {
    ("__builtin__", "bytes"): _no_bytes,
    ("_codecs", "encode"): _latin1,
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _not_called,  # named as an argument of `_reconstruct`
}
for _module in ("numpy.core", "numpy._core"):
    _FUNCTIONS[f"{_module}.multiarray", "_reconstruct"] = _reconstruct
    _FUNCTIONS[f"{_module}.multiarray", "scalar"] = _scalar
    _FUNCTIONS[f"{_module}.numeric", "_frombuffer"] = _array


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        try:
            return _Known(_FUNCTIONS[module, name])
        except KeyError:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}; only plain containers and numpy arrays are read"
            ) from None


def _plain(value: Any) -> Any:
    """The same containers with stand-ins replaced by arrays."""
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, dict):
        return {_plain(k): _plain(v) for k, v in cast(dict[Any, Any], value).items()}
    if isinstance(value, list | tuple):
        items = cast(list[Any], value)
        return type(items)(_plain(item) for item in items)
    if value is None or isinstance(value, str | bytes | bytearray | bool | int | float | np.generic | np.ndarray):
        return cast(Any, value)
    raise pickle.UnpicklingError(f"it holds a {type(value).__name__}; only plain containers and numpy arrays are read")


def safe_unpickle(stream: BinaryIO) -> Any:
    """Read a pickle of plain containers and numpy arrays.

    Raises:
        pickle.UnpicklingError: it holds or calls anything else, or is damaged.
    """
    try:
        return _plain(_Unpickler(stream).load())
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise pickle.UnpicklingError(f"it is damaged: {error}") from error


def load_infos(path: str | Path) -> list[dict[str, Any]]:
    """The frames of an info file in the order of time, as `info["cams"][camera]` and so on.

    Raises:
        DatasetError: the file is missing, damaged, or holds anything but plain containers and numpy arrays.
    """
    try:
        with Path(path).open("rb") as stream:
            document = safe_unpickle(stream)
    except (OSError, pickle.UnpicklingError) as error:
        raise DatasetError(f"cannot read the info file {path}: {error}") from error
    infos: Any = cast(dict[str, Any], document).get("infos") if isinstance(document, dict) else None
    if not isinstance(infos, list) or not infos or not all(isinstance(i, dict) for i in cast(list[Any], infos)):
        raise DatasetError(f"{path} holds no list of frames under 'infos': is it an info file of BEVDet or FlashOCC?")
    frames = cast(list[dict[str, Any]], infos)
    for key in ("token", "timestamp", "cams", "lidar2ego_translation", "ego2global_translation", "occ_path"):
        if key not in frames[0]:
            raise DatasetError(f"the frames of {path} have no {key!r}: make it with FlashOCC's create_data_bevdet.py")
    return sorted(frames, key=lambda info: info["timestamp"])
