"""Which run of the clock a time stamp belongs to: a simulation or a recording that starts again sets it back."""

from dataclasses import dataclass, field

from occvino.datasets.bags.poses import Key

_BACK = 3 * 10**8
"""Nanoseconds by which one source must go back; less is a message out of order."""
_GRACE = 3 * 10**9
"""Nanoseconds of the recorder's time in which messages of both runs may come mixed."""


@dataclass
class Clock:
    """Gives each time stamp the number of jumps before it.

    A source that goes back by more than 0.3 s starts a new run. For a while after that, a stamp of a source that was
    not seen in it counts to the run whose newest stamp is nearer.
    """

    runs: list[int] = field(default_factory=lambda: [0])
    """The newest stamp of each run, nanoseconds."""
    jumps: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """Where it went back: from which stamp to which."""
    _last: dict[str, Key] = field(default_factory=dict[str, Key])
    _jumped: int | None = None

    def key(self, source: str, stamp: int, log: int) -> Key:
        """The key of a stamp.

        Args:
            source: what sent it, as a topic.
            stamp: nanoseconds.
            log: when it was recorded, nanoseconds.
        """
        run = len(self.runs) - 1
        last = self._last.get(source)
        if self._jumped is not None and log - self._jumped < _GRACE and (last is None or last[0] < run):
            run = min((run, run - 1), key=lambda each: abs(stamp - self.runs[each]))
        if last is not None and last[0] == run == len(self.runs) - 1 and stamp < last[1] - _BACK:
            self.jumps.append((last[1], stamp))
            self._jumped = log
            self.runs.append(stamp)
            run += 1
        self.runs[run] = max(self.runs[run], stamp)
        self._last[source] = max(self._last.get(source, (run, stamp)), (run, stamp))
        return run, stamp
