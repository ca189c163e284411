"""Which frames workers die of: a file that crashes a decoder must not do so for ever, nor take others with it.

Where the worker of a unit died, the next one takes its frames one at a time and tells which; a frame that was under way
at two deaths is given up. What dies of something else, as of SIGKILL, costs one repetition of the unit.
"""

from collections import Counter

DEATHS = 2
"""After so many, a frame that was under way at each of them is given up."""


class Watch:
    """What is known of the units of one batch. One for all workers."""

    def __init__(self) -> None:
        self._begun: Counter[int] = Counter()
        self._at: dict[int, str] = {}
        self._deaths: Counter[str] = Counter()

    def begin(self, unit: int) -> tuple[str, ...] | None:
        """A worker begins a unit. None if it is the first one to do so.

        Else the frames to be given up; and the worker has to tell which frame it is `at`.
        """
        self._begun[unit] += 1
        if (name := self._at.pop(unit, None)) is not None:
            self._deaths[name] += 1
        if self._begun[unit] == 1:
            return None
        return tuple(name for name, deaths in self._deaths.items() if deaths >= DEATHS)

    def at(self, unit: int, name: str) -> None:
        """A worker is about to run a frame."""
        self._at[unit] = name

    def end(self, unit: int) -> None:
        """A worker has done all of a unit."""
        self._at.pop(unit, None)
