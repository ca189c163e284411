"""Protobuf messages as dictionaries, by the descriptions that an MCAP file holds: no code is generated or run.

Source of the format: protobuf.dev, "Encoding", and the field numbers of `google/protobuf/descriptor.proto`.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from occvino.datasets.bags.messages import BagError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_REPEATED, _MESSAGE, _STRING, _BYTE_STRING = 3, 11, 9, 12
_FIXED: dict[int, str] = {1: "<d", 2: "<f", 6: "<Q", 7: "<I", 15: "<i", 16: "<q"}
"""Layouts of the types that have a fixed width, by the type's number."""
_SIGNED, _ZIGZAG, _BOOL = (3, 5, 14), (17, 18), 8


@dataclass(frozen=True)
class _Field:
    name: str
    type: int
    repeated: bool
    message: str


class Decoder:
    """Decodes one type of message.

    Args:
        name: of the type, as `foxglove.CompressedImage`.
        descriptors: a serialised `FileDescriptorSet`.

    Raises:
        BagError: the description is damaged, or does not tell of the type.
    """

    def __init__(self, name: str, descriptors: bytes) -> None:
        self._name = name
        self._types: dict[str, dict[int, _Field]] = {}
        try:
            for number, file in _fields(descriptors):
                if number == 1:
                    self._read_file(file)
        except (ValueError, IndexError, struct.error) as error:
            raise BagError(f"the description of {name} is damaged: {error}") from error
        if name not in self._types:
            told = ", ".join(self._types) or "nothing"
            raise BagError(f"the description of {name} does not tell of it, but of {told}")

    def __call__(self, data: bytes) -> dict[str, Any]:
        """The fields of a message by name; those that are left out have their default, zero or empty.

        Raises:
            BagError: the data is damaged.
        """
        try:
            return self._decode(self._name, data)
        except (ValueError, IndexError, KeyError, struct.error) as error:
            raise BagError(f"a message of {self._name} is damaged: {error}") from error

    def _read_file(self, data: bytes) -> None:
        package = next((text.decode() for number, text in _fields(data) if number == 2), "")
        for number, message in _fields(data):
            if number == 4:
                self._read_type(package, message)

    def _read_type(self, scope: str, data: bytes) -> None:
        parts = list(_fields(data))
        name = ".".join(filter(None, (scope, next(text.decode() for number, text in parts if number == 1))))
        self._types[name] = dict(_field_of(each) for number, each in parts if number == 2)
        for number, nested in parts:
            if number == 3:
                self._read_type(name, nested)

    def _decode(self, name: str, data: bytes) -> dict[str, Any]:
        known = self._types[name]
        found = {field.name: self._default(field) for field in known.values()}
        for number, value in _fields(data):
            field = known.get(number)
            if field is None:
                continue
            if field.repeated:
                found[field.name] += self._several(field, value)
            else:
                found[field.name] = self._one(field, value)
        return found

    def _default(self, field: _Field) -> Any:
        if field.repeated:
            return []
        if field.type == _MESSAGE:
            return self._decode(field.message, b"")
        return {_STRING: "", _BYTE_STRING: b""}.get(field.type, 0)

    def _several(self, field: _Field, value: Any) -> list[Any]:
        """Numbers may be packed, all in one; others come one by one."""
        if field.type in (_MESSAGE, _STRING, _BYTE_STRING) or not isinstance(value, bytes):
            return [self._one(field, value)]
        layout = _FIXED.get(field.type)
        if layout:
            return [each[0] for each in struct.iter_unpack(layout, value)]
        return [self._one(field, each) for each in _varints(value)]

    def _one(self, field: _Field, value: Any) -> Any:
        if field.type == _MESSAGE:
            return self._decode(field.message, value)
        if field.type == _STRING:
            return value.decode()
        if field.type in _FIXED:
            return struct.unpack(_FIXED[field.type], value)[0]
        return _NUMBERS.get(field.type, lambda number: number)(value)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


_NUMBERS: Mapping[int, Callable[[int], Any]] = {
    **dict.fromkeys(_SIGNED, _signed),
    **dict.fromkeys(_ZIGZAG, lambda value: (value >> 1) ^ -(value & 1)),
    _BOOL: bool,
}


def _field_of(data: bytes) -> tuple[int, _Field]:
    """Number and description of a field: name 1, number 3, label 4, type 5, type_name 6."""
    parts = dict(_fields(data))
    message = parts.get(6, b"").decode().lstrip(".")
    return parts[3], _Field(parts[1].decode(), parts[5], parts.get(4) == _REPEATED, message)


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field: a whole number, or bytes."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        kind = tag & 7
        if kind == _VARINT:
            value, place = _varint(data, place)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            size, place = _varint(data, place)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind} at byte {place}")
        if place + size > len(data):
            raise ValueError(f"a field of {size} bytes at byte {place} of {len(data)}")
        yield tag >> 3, data[place : place + size]
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def _varints(data: bytes) -> Iterator[int]:
    place = 0
    while place < len(data):
        value, place = _varint(data, place)
        yield value
