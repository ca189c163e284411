"""Times in other units than seconds, recognised by their size: seconds since 1970 have ten digits."""

_UNITS = (("nanoseconds", 1e9, 1e17), ("microseconds", 1e6, 1e14), ("milliseconds", 1e3, 1e11))
"""Name, how many a second has, and the least that is no time in the next coarser unit before the year 5000."""


def other_unit(time: float) -> str:
    """What a time is in if it can hardly be seconds, with the fix; empty if it can be."""
    for name, in_a_second, least in _UNITS:
        if abs(time) >= least:
            return f"seconds are expected, and these look like {name}: divide by {in_a_second:.0e}".replace("e+0", "e")
    return ""
