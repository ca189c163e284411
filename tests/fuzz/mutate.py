"""Changes to a good file: bytes, numbers in its headers, and, for JSON, values and keys."""

import copy
import json
import string
from typing import Any

import numpy as np

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**60, 2**63 - 1, 2**64 - 1)
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**70, -0.0, 1e-320, 1e308, float("nan"), float("inf"), -float("inf"),
    "", "a", "../../etc/passwd", "/", "\0", "é\u2028", "9" * 400, [], [[]], {}, [1, 2, 3, 4], ["x"] * 50, {"a": {}},
)  # fmt: skip


def mutated_bytes(rng: np.random.Generator, good: bytes, *, other: bytes = b"") -> bytes:
    """One to eight changes: flipped bits, cut, repeated, moved or spliced parts, extreme integers of 1 to 8 bytes."""
    data = bytearray(good)
    for _ in range(int(rng.integers(1, 9))):
        if not data:
            break
        at, kind = int(rng.integers(len(data))), int(rng.integers(8))
        # headers matter more than what comes far behind them
        at = at if rng.random() < 0.5 else at % min(len(data), 256)
        length = int(rng.integers(1, 65))
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[at] = int(rng.integers(256))
        elif kind == 2:
            del data[at : at + length]
        elif kind == 3:
            data[at:at] = data[at : at + length] * int(rng.integers(1, 5))
        elif kind == 4:
            del data[at:]
        elif kind == 5:
            size = int(rng.choice([1, 2, 4, 8]))
            value = EXTREMES[int(rng.integers(len(EXTREMES)))] % 2 ** (8 * size)
            data[at : at + size] = value.to_bytes(size, "little" if rng.random() < 0.5 else "big")
        elif kind == 6 and other:
            start = int(rng.integers(len(other)))
            data[at : at + length] = other[start : start + length]
        else:
            data[at:at] = rng.bytes(length)
    return bytes(data)


def mutated_json(rng: np.random.Generator, good: Any) -> bytes:
    """One to four values or keys replaced, removed, doubled or nested, then written; now and then bytes changed too."""
    document = json.loads(json.dumps(good))
    for _ in range(int(rng.integers(1, 5))):
        document = _changed(rng, document)
    text = json.dumps(document).encode()
    return mutated_bytes(rng, text) if rng.random() < 0.1 else text


def _changed(rng: np.random.Generator, value: Any) -> Any:
    """The document with one place in it changed."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        keys = list(value)
        key = keys[int(rng.integers(len(keys)))]
        kind = int(rng.integers(6))
        if kind == 0:
            del value[key]
        elif kind == 1:
            value[_name(rng, key)] = value.pop(key)
        elif kind == 2:
            value[_name(rng, key)] = copy.deepcopy(value[key])
        else:
            value[key] = _changed(rng, value[key])
        return value
    if isinstance(value, list) and value and rng.random() < 0.9:
        index = int(rng.integers(len(value)))
        kind = int(rng.integers(6))
        if kind == 0:
            del value[index]
        elif kind == 1:
            value.append(copy.deepcopy(value[index]))
        else:
            value[index] = _changed(rng, value[index])
        return value
    if isinstance(value, float | int) and not isinstance(value, bool) and rng.random() < 0.5:
        return value * float(rng.choice([-1, 0, 1e-6, 1e6, 1e300, 1.001]))
    return copy.deepcopy(VALUES[int(rng.integers(len(VALUES)))])


def _name(rng: np.random.Generator, name: str) -> str:
    at = int(rng.integers(len(name) + 1))
    return name[:at] + str(rng.choice(list(string.printable))) + name[at + int(rng.integers(2)) :]
