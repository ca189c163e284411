"""What a reader of another project's calibration gives: the rig, and in which convention it was read."""

from dataclasses import dataclass

from occvino.geometry.rig import Rig


@dataclass(frozen=True, eq=False)
class Reading:
    """A rig that was read from another format.

    Attributes:
        rig: the cameras, in the order of the file.
        notes: sentences for a person: which convention was read, what was turned, left out or taken for granted.
    """

    rig: Rig
    notes: tuple[str, ...]
