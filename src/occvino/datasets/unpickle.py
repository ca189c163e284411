"""Pickles of plain containers and NumPy arrays, read without calling anything that they name.

A pickle is a program: it names functions and calls them. This reader knows the instructions and the few names that
containers, numbers, text and arrays need, and refuses all others. What it makes is in proportion to the file's size:
lengths are checked against what is left of the file, and nothing is copied twice.
"""

import pickle
import pickletools
import struct
from collections.abc import Callable
from typing import Any, BinaryIO, TypeAlias, cast

from occvino.datasets.stand_ins import FUNCTIONS, Array, Dtype, Known, array_of

_KEY_LIMIT = 1 << 60
"""Of whole numbers that name entries: larger ones can be chosen so that a dictionary takes for ever."""
_LONGEST_NAME = 200


class _Mark:
    """Where a container's items begin on the stack."""


_MARK = _Mark()
_HELPERS = {_Mark, Dtype, Known}
_INERT = {*_HELPERS, Array}


class _Machine:
    """Runs the instructions of one pickle."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.open_arrays = 0
        self.encoded = 0

    def run(self) -> Any:
        data, do = self.data, _DO
        while (code := data[self.at]) != _STOP:
            self.at += 1
            do[code](self)
        (result,) = self.stack
        if self.open_arrays or type(result) in _INERT:
            raise pickle.UnpicklingError(f"it holds an unfinished {type(result).__name__.lower()}")
        return result

    def take(self, count: int) -> bytes:
        """The next bytes, `count` of them."""
        begin = self.at
        if count > len(self.data) - begin:
            raise pickle.UnpicklingError(f"it claims {count} bytes where {len(self.data) - begin} are left: truncated?")
        self.at = begin + count
        return self.data[begin : self.at]

    def refuse(self) -> None:
        code = chr(self.data[self.at - 1])
        name = next((known.name for known in pickletools.opcodes if known.code == code), repr(code))
        raise pickle.UnpicklingError(f"it has the instruction {name}; only plain containers and numpy arrays are read")

    def proto(self) -> None:
        if (version := self.take(1)[0]) not in range(2, 6):
            raise pickle.UnpicklingError(f"it is of protocol {version}; 2 to 5 are read")

    def frame(self) -> None:
        self.take(8)

    def push_text(self, count: int) -> None:
        self.stack.append(self.take(count).decode("utf-8", "surrogatepass"))

    def since_mark(self) -> list[Any]:
        stack = self.stack
        for index in range(len(stack) - 1, -1, -1):
            if stack[index] is _MARK:
                items = stack[index + 1 :]
                del stack[index:]
                return items
        raise pickle.UnpicklingError("it is damaged: items without a beginning")

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise pickle.UnpicklingError(f"it appends to a {type(target).__name__}")
        self.check_plain(items)
        cast(list[Any], target).extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise pickle.UnpicklingError(f"it sets entries of a {type(target).__name__}")
        for key in items[::2]:
            if type(key) is not str and not (type(key) is int and -_KEY_LIMIT < key < _KEY_LIMIT):
                raise pickle.UnpicklingError(f"it names an entry by a {type(key).__name__}: only text and numbers name")
        self.check_plain(items)
        cast(dict[Any, Any], target).update(zip(items[::2], items[1::2], strict=True))

    def check_plain(self, items: list[Any]) -> None:
        """Stand-ins are arguments, in tuples, and no content."""
        if not _HELPERS.isdisjoint(map(type, items)):
            raise pickle.UnpicklingError(
                "it holds a function or a dtype; only plain containers and numpy arrays are read"
            )

    def append_one(self) -> None:
        item = self.stack.pop()
        self.append([item])

    def set_one(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items([key, value])

    def tuple_of(self, count: int) -> None:
        items = self.stack[-count:]
        if len(items) < count:
            raise pickle.UnpicklingError("it is damaged: a tuple without items")
        self.stack[-count:] = [tuple(items)]

    def put(self, index: int) -> None:
        value = self.stack[-1]
        self.memo[index] = value
        if type(value) is Array:
            value.memoised.append(index)

    def memoise(self) -> None:
        self.put(len(self.memo))

    def get(self) -> None:
        self.stack.append(self.memo[self.data[self.at]])
        self.at += 1

    def short_text(self) -> None:
        self.at += 1
        self.push_text(self.data[self.at - 1])

    def name(self) -> None:
        words: list[str] = []
        for _ in range(2):
            end = self.data.find(b"\n", self.at, self.at + _LONGEST_NAME)
            if end < 0:
                raise pickle.UnpicklingError("it is damaged: a name without an end")
            words.append(self.take(end - self.at).decode("utf-8"))
            self.at += 1
        self.find(words[0], words[1])

    def stack_name(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.find(module, name)

    def find(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str) or (module, name) not in FUNCTIONS:
            raise pickle.UnpicklingError(
                f"it asks for {str(module)[:_LONGEST_NAME]}.{str(name)[:_LONGEST_NAME]}; only plain containers and "
                "numpy arrays are read"
            )
        self.stack.append(FUNCTIONS[module, name])

    def reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if type(function) is not Known or type(arguments) is not tuple:
            raise pickle.UnpicklingError(f"it calls a {type(function).__name__}")
        made = function.call(*cast(tuple[Any, ...], arguments))
        if type(made) is bytes:
            self.encoded += len(made)
            if self.encoded > len(self.data):  # the same text, made into bytes again and again
                raise pickle.UnpicklingError("it makes more bytes than it holds")
        self.open_arrays += type(made) is Array
        self.stack.append(made)

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if type(target) is not Array:
            if isinstance(target, Known):
                raise pickle.UnpicklingError("it tries to change how arrays are read")
            target.set_state(state)  # a dtype; anything else has no such method
            return
        array = array_of(state)
        self.stack[-1] = array
        self.memo.update(dict.fromkeys(target.memoised, array))
        self.open_arrays -= 1


_Do: TypeAlias = Callable[[_Machine], None]


def _number(form: str) -> Callable[[_Machine], Any]:
    count, unpack = struct.calcsize(form), struct.Struct(form).unpack_from

    def read(machine: _Machine) -> Any:
        begin = machine.at
        machine.at = begin + count
        return unpack(machine.data, begin)[0]

    return read


def _u1(machine: _Machine) -> int:
    machine.at += 1
    return machine.data[machine.at - 1]


_U4, _U8 = _number("<I"), _number("<Q")


def _push_number(form: str) -> _Do:
    """As `_push`, in one call: most of what is in a file are numbers."""
    count, unpack = struct.calcsize(form), struct.Struct(form).unpack_from

    def push(machine: _Machine) -> None:
        machine.stack.append(unpack(machine.data, machine.at)[0])
        machine.at += count

    return push


def _push(value: Callable[[_Machine], Any]) -> _Do:
    return lambda machine: machine.stack.append(value(machine))


_INSTRUCTIONS: dict[bytes, _Do] = {
    pickle.PROTO: _Machine.proto,
    pickle.FRAME: _Machine.frame,
    pickle.MARK: _push(lambda m: _MARK),
    pickle.POP: lambda m: m.stack.pop(),
    pickle.POP_MARK: lambda m: m.since_mark().clear(),
    pickle.DUP: _push(lambda m: m.stack[-1]),
    pickle.NONE: _push(lambda m: None),
    pickle.NEWTRUE: _push(lambda m: True),
    pickle.NEWFALSE: _push(lambda m: False),
    pickle.BININT: _push_number("<i"),
    pickle.BININT1: _push_number("<B"),
    pickle.BININT2: _push_number("<H"),
    pickle.LONG1: _push(lambda m: int.from_bytes(m.take(_u1(m)), "little", signed=True)),
    pickle.BINFLOAT: _push_number(">d"),
    pickle.SHORT_BINUNICODE: _Machine.short_text,
    pickle.BINUNICODE: lambda m: m.push_text(_U4(m)),
    pickle.BINUNICODE8: lambda m: m.push_text(_U8(m)),
    pickle.SHORT_BINBYTES: _push(lambda m: m.take(_u1(m))),
    pickle.BINBYTES: _push(lambda m: m.take(_U4(m))),
    pickle.BINBYTES8: _push(lambda m: m.take(_U8(m))),
    pickle.BYTEARRAY8: _push(lambda m: bytearray(m.take(_U8(m)))),
    pickle.EMPTY_LIST: _push(lambda m: []),
    pickle.EMPTY_DICT: _push(lambda m: {}),
    pickle.EMPTY_TUPLE: _push(lambda m: ()),
    pickle.TUPLE: lambda m: m.stack.append(tuple(m.since_mark())),
    pickle.TUPLE1: lambda m: m.tuple_of(1),
    pickle.TUPLE2: lambda m: m.tuple_of(2),
    pickle.TUPLE3: lambda m: m.tuple_of(3),
    pickle.APPEND: _Machine.append_one,
    pickle.APPENDS: lambda m: m.append(m.since_mark()),
    pickle.SETITEM: _Machine.set_one,
    pickle.SETITEMS: lambda m: m.set_items(m.since_mark()),
    pickle.BINPUT: lambda m: m.put(_u1(m)),
    pickle.LONG_BINPUT: lambda m: m.put(_U4(m)),
    pickle.MEMOIZE: _Machine.memoise,
    pickle.BINGET: _Machine.get,
    pickle.LONG_BINGET: _push(lambda m: m.memo[_U4(m)]),
    pickle.GLOBAL: _Machine.name,
    pickle.STACK_GLOBAL: _Machine.stack_name,
    pickle.REDUCE: _Machine.reduce,
    pickle.BUILD: _Machine.build,
}
_STOP = pickle.STOP[0]
_DO: list[_Do] = [_INSTRUCTIONS.get(bytes([code]), _Machine.refuse) for code in range(256)]


def safe_unpickle(stream: BinaryIO) -> Any:
    """Read a pickle of plain containers and numpy arrays.

    Lists and dictionaries in it may hold themselves: walk no deeper than the format goes.

    Raises:
        pickle.UnpicklingError: it holds or calls anything else, or is damaged.
    """
    try:
        result = _Machine(stream.read()).run()
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise pickle.UnpicklingError(f"it is damaged: {error or type(error).__name__}") from error
    return result
