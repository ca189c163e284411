"""Applications of custom `autograd.Function`s, seen from Python's profiling hook.

`Function.apply` ends in a builtin of PyTorch's that belongs to the class (since PyTorch 2.14 it is nothing else), so a
name that had `apply` bound long before is seen too. What it was given and gave is that of `forward`, which it calls.
"""

from __future__ import annotations

import inspect
from types import BuiltinMethodType, CodeType, FrameType
from typing import Any

import torch

from occvino.doctor.observation import Applied, Event, Observation
from occvino.doctor.places import Place, user_place

Function: Any = torch.autograd.Function


class Applications:
    """Fills `seen.events`, `seen.applied` and `seen.tuples`.

    Attributes:
        depth: how many applications are open: the inside of one is one opaque step.
    """

    def __init__(self, seen: Observation) -> None:
        self._seen = seen
        self._open: list[tuple[Any, CodeType | None, Place | None]] = []
        self._args: tuple[Any, ...] = ()
        self._result: Applied | None = None

    @property
    def depth(self) -> int:
        """Open applications."""
        return len(self._open)

    def hook(self, frame: FrameType, event: str, value: Any) -> None:
        """One event, as `sys.setprofile` gives it."""
        if event in ("call", "return"):
            if len(self._open) == 1 and frame.f_code is self._open[0][1]:
                if event == "call":  # later its names may stand for something else
                    self._args = _given(frame, self._open[0][0])
                else:
                    self._result = Applied(self._args, value)
        elif event.startswith("c_") and type(value) is BuiltinMethodType and value.__name__ == "apply":
            cls: Any = value.__self__
            if isinstance(cls, type) and issubclass(cls, Function):
                self._begin(cls) if event == "c_call" else self._end()

    def _begin(self, cls: Any) -> None:
        place = user_place()
        if not self._open:
            self._result = None
            if place is not None:
                self._seen.events.append(Event("function", cls.__name__, place, cls.__qualname__, cls))
        self._open.append((cls, getattr(cls.forward, "__code__", None), place))

    def _end(self) -> None:
        cls, _, place = self._open.pop()
        if self._open or self._result is None:
            return
        self._seen.applied.setdefault(cls, self._result)
        if place is not None and isinstance(self._result.output, tuple):
            self._seen.tuples.append(place)


def _given(frame: FrameType, cls: Any) -> tuple[Any, ...]:
    """What `apply` was given: the arguments of `forward` without its context, if it takes one."""
    code, held = frame.f_code, frame.f_locals
    values = [held[name] for name in code.co_varnames[: code.co_argcount]]
    if code.co_flags & inspect.CO_VARARGS:
        values += held[code.co_varnames[code.co_argcount + code.co_kwonlyargcount]]
    separate = cls.setup_context is not Function.setup_context
    return tuple(values if separate else values[1:])
