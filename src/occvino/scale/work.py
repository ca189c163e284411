"""What a worker is given and what it gives back: plain values that may travel to another process or machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from occvino.runtime import Frame


@dataclass(frozen=True, eq=False)
class Task:
    """One frame to run.

    Attributes:
        name: `<scene>/<token>`.
        frame: images, rig, scene and time.
        mark: which frame its labels will say that they are of (`labelling.stored.frame_mark`); "" for one whose
            images could not be looked at, which will fail.
        wanted: give its labels; others are run only for what a network remembers of them.
    """

    name: str
    frame: Frame
    mark: str
    wanted: bool = True


@dataclass(frozen=True, eq=False)
class Unit:
    """What one worker does in one go: rows of frames, each to be run in order from an empty memory."""

    rows: tuple[tuple[Task, ...], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the frames whose labels are wanted."""
        return tuple(task.name for row in self.rows for task in row if task.wanted)


@dataclass(frozen=True)
class Result:
    """What became of one frame.

    Attributes:
        name: of the frame.
        mark: as in its task.
        payload: what is to be stored of its labels (`scale.forms`); empty if it failed.
        sha256: of the labels (`scale.forms.digest`); empty if it failed.
        error: why it failed.
        warnings: what was doubtful since the result before.
    """

    name: str
    mark: str
    payload: bytes = field(default=b"", repr=False)
    sha256: str = ""
    error: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setup:
    """How a worker opens the network.

    Attributes:
        artifact: folder made by `convert`.
        form: how labels are stored, one of `scale.forms.FORMS`.
        options: of `Pipeline`, as plain values.
        computes: what the devices must compute in, in words; None where nobody has asked before.
    """

    artifact: Path
    form: str
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    computes: str | None = None
