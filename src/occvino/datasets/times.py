"""Whether time stamps can be the microseconds that nuScenes has."""

from collections.abc import Iterable, Sequence

import numpy as np

from occvino.datasets.fields import DatasetError
from occvino.errors import warn

_SHORTEST, _LONGEST = 1e-3, 10.0
"""Seconds from a key frame to the next; nuScenes has 0.5."""
_LATEST = 10**17
"""Microseconds: over 3,000 years."""


def check_times(scenes: Iterable[tuple[str, Sequence[int]]], source: str) -> None:
    """Judge the time stamps of each scene, which are given with its name.

    Streams tell dropped frames by them. Warns where frames are more than 10 s apart.

    Raises:
        DatasetError: they do not rise, or cannot be microseconds.
    """
    steps: list[float] = []
    for name, times in scenes:
        if max(times) > _LATEST:
            raise DatasetError(
                f"{source}: a timestamp of {name} is {max(times)}, expected microseconds since 1970: are these "
                "nanoseconds? Divide by 1000"
            )
        moved = np.diff(times)
        if (moved <= 0).any():
            place = int((moved <= 0).argmax())
            raise DatasetError(
                f"{source}: timestamps of {name} do not rise: {times[place]} is followed by {times[place + 1]}; "
                "expected microseconds, in order"
            )
        steps += (moved / 1e6).tolist()
    step = float(np.median(steps)) if steps else 0.5
    if step < _SHORTEST:
        raise DatasetError(
            f"{source}: timestamps rise by {step * 1e6:g} from frame to frame, expected microseconds (nuScenes: "
            "500000): are these seconds or milliseconds? Multiply them"
        )
    if step > _LONGEST:
        warn(
            f"{source}: timestamps rise by {step * 1e6:g} from frame to frame, which is {step:g} s in microseconds: if "
            "they are nanoseconds, divide by 1000"
        )
