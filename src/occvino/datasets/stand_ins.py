"""What stands in for the NumPy functions that pickles of arrays name: inert, and for arrays of plain dtype only."""

import pickle
import re
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

_PLAIN_DTYPE = re.compile(r"[<>|=]?[?biufcSU][0-9]{0,9}")


class Dtype:
    """Stands in for `numpy.dtype(text, align, copy)` and its state."""

    def __init__(self, text: str, *_: object) -> None:
        if not _PLAIN_DTYPE.fullmatch(text):
            raise pickle.UnpicklingError(f"an array of dtype {text!r}: only numbers, truth values and text are read")
        self.dtype = np.dtype(text)

    def set_state(self, state: tuple[Any, ...]) -> None:
        """Byte order, as a pickle gives it apart."""
        # (version, byte order, subarray, names, fields, size, alignment, flags): names and fields make records.
        if any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError("an array of records: only plain dtypes are read")
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class Array:
    """Stands in for an array that a pickle builds in two steps; `memoised`: where the pickle remembers it."""

    def __init__(self, *_: object) -> None:
        self.memoised: list[int] = []


class Known:
    """A name that pickles may call."""

    __slots__ = ("call",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self.call = function


def array_of(state: object) -> NDArray[Any]:
    """The array of a state (version, shape, dtype, whether by columns, bytes)."""
    _, shape, dtype, fortran, data = cast(tuple[Any, ...], state)
    return _array(data, dtype, shape, "F" if fortran else "C")


def _array(data: object, dtype: object, shape: tuple[int, ...], order: str) -> NDArray[Any]:
    if not isinstance(dtype, Dtype) or not isinstance(data, bytes | bytearray):
        raise pickle.UnpicklingError("an array that is not plain bytes of a plain dtype")
    return np.frombuffer(data, dtype.dtype).reshape(shape, order="F" if order == "F" else "C")


def _scalar(dtype: Dtype, data: bytes) -> Any:
    return _array(data, dtype, (), "C")[()]


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """How protocol 2 writes bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in {encoding!r}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How protocol 2 writes bytes when there are none."""
    return b""


def _not_called(*_: object) -> None:
    raise pickle.UnpicklingError("it makes an array in an unknown way")


FUNCTIONS: dict[tuple[str, str], Known] = {
    ("__builtin__", "bytes"): Known(_no_bytes),
    ("_codecs", "encode"): Known(_latin1),
    ("numpy", "dtype"): Known(Dtype),
    ("numpy", "ndarray"): Known(_not_called),  # named as an argument of `_reconstruct`
}
for _module in ("numpy.core", "numpy._core"):
    FUNCTIONS[f"{_module}.multiarray", "_reconstruct"] = Known(Array)
    FUNCTIONS[f"{_module}.multiarray", "scalar"] = Known(_scalar)
    FUNCTIONS[f"{_module}.numeric", "_frombuffer"] = Known(_array)
