"""What to measure: an artifact, how it is to run, and the pictures to run it on."""

import itertools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from occvino.artifact import Artifact
from occvino.datasets.shipped import moments_for
from occvino.errors import OccvinoError
from occvino.geometry.rig import Rig, turned
from occvino.images.inputs import Frames, Moment
from occvino.runtime import Pipeline, Shot

DRIVE = "the drive that ships inside"
STEP = 0.002
"""Degrees by which a moving rig turns from one call to the next: each has a pooling plan of its own."""


@dataclass(frozen=True)
class Request:
    """All plain values, so that another process can be given it.

    Args:
        artifact: folder made by `convert`.
        options: those of `Pipeline`, by name.
        images: folder of pictures, with `rig`; the drive that ships inside when left out.
        rig: JSON file. May be left out where the calibration is baked in.

    Raises:
        OccvinoError: a rig without pictures.
    """

    artifact: str
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    images: str | None = None
    rig: str | None = None

    def __post_init__(self) -> None:
        if self.rig is not None and self.images is None:
            raise OccvinoError("--rig goes with --images: give both, or neither for the drive that ships inside")

    def open(self, **options: Any) -> Pipeline:
        """The pipeline, with some options replaced.

        Raises:
            OccvinoError: as `Pipeline`.
        """
        return Pipeline(self.artifact, **{**self.options, **options})

    def scene(self) -> "Scene":
        """What it is called with.

        Raises:
            OccvinoError: pictures without a rig, or none that fit the artifact.
        """
        opened = Artifact.open(self.artifact)
        seen = 1 if opened.manifest.temporal != "batch" else opened.variant.frames
        moments = (moments_for(self.artifact) if self.images is None else [self._moment(opened)])[:seen]
        if len(moments) < seen:
            warnings.warn(
                f"{opened.manifest.variant} takes {seen} moments a call and {len(moments)} are at hand: the newest "
                "stands in for the others and is read once, so that reading pictures takes longer in use than here",
                stacklevel=2,
            )
        (frames, rig), *past = moments
        takes = opened.manifest.image_input
        name = self.images or DRIVE + (f", made {takes}" if takes else "")
        return Scene(name, frames, rig, tuple(past), movable=not opened.manifest.baked_calibration)

    def _moment(self, opened: Artifact) -> Moment:
        """The given one."""
        rig = Rig.load(self.rig) if self.rig else opened.baked_rig
        if rig is None:
            raise OccvinoError(f"--images {self.images} needs --rig: the calibration is an input of {self.artifact}")
        return Path(str(self.images)), rig


@dataclass(frozen=True, eq=False)
class Scene:
    """One moment, over and over: times depend on the sizes of pictures and not on what is in them.

    `name` says where the pictures are from. A rig that is not `movable` is baked in.
    """

    name: str
    frames: Frames
    rig: Rig
    past: tuple[Moment, ...] = ()
    movable: bool = True

    def still(self) -> Iterator[Shot]:
        """Endless; the vehicle and its cameras stand, so that one pooling plan serves all."""
        return itertools.repeat(Shot(self.frames, self.rig, self.past))

    def moving(self) -> Iterator[Shot]:
        """Endless; before each shot all rigs turn a little, so that each shot needs a plan of its own."""
        for number in itertools.count(1):
            past = [(frames, turned(rig, STEP * number)) for frames, rig in self.past]
            yield Shot(self.frames, turned(self.rig, STEP * number), past)
