"""What to measure: an artifact, how it is to run, and the images to run it on."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from occvino.artifact import Artifact
from occvino.datasets.shipped import frames_for
from occvino.errors import OccvinoError, warn
from occvino.geometry.rig import Rig, turned
from occvino.images.find import Images
from occvino.images.inputs import ImagesAndRig
from occvino.runtime import Frame, Pipeline

SCENE = "the scene that ships inside"
STEP = 0.002
"""Degrees by which a moving rig turns from one call to the next: each has a pooling plan of its own."""


@dataclass(frozen=True)
class Request:
    """All plain values, so that another process can be given it.

    Args:
        artifact: folder made by `convert`.
        options: those of `Pipeline`, by name.
        images: folder of images, with `rig`; the scene that ships inside when left out.
        rig: JSON file. May be left out where the calibration is baked in.

    Raises:
        OccvinoError: a rig without images.
    """

    artifact: str
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    images: str | None = None
    rig: str | None = None

    def __post_init__(self) -> None:
        if self.rig is not None and self.images is None:
            raise OccvinoError("--rig goes with --images: give both, or neither for the scene that ships inside")

    def open(self, **options: Any) -> Pipeline:
        """The pipeline, with some options replaced.

        Raises:
            OccvinoError: as `Pipeline`.
        """
        return Pipeline(self.artifact, **{**self.options, **options})

    def workload(self) -> "Workload":
        """What it is called with.

        Raises:
            OccvinoError: images without a rig, or none that fit the artifact.
        """
        opened = Artifact.open(self.artifact)
        seen = 1 if opened.manifest.temporal != "batch" else opened.variant.frames
        frames = (frames_for(self.artifact) if self.images is None else [self._frame(opened)])[:seen]
        if len(frames) < seen:
            warn(
                f"{opened.manifest.variant} takes {seen} frames a call and {len(frames)} are at hand: the newest "
                "stands in for the others and is read once, so reading images takes longer in use than here"
            )
        (images, rig), *past = frames
        takes = opened.manifest.image_input
        name = self.images or SCENE + (f", made {takes}" if takes else "")
        return Workload(name, images, rig, tuple(past), movable=not opened.manifest.baked_calibration)

    def _frame(self, opened: Artifact) -> ImagesAndRig:
        """The frame that the caller gave."""
        rig = Rig.load(self.rig) if self.rig else opened.baked_rig
        if rig is None:
            raise OccvinoError(f"--images {self.images} needs --rig: the calibration is an input of {self.artifact}")
        return Path(str(self.images)), rig


@dataclass(frozen=True, eq=False)
class Workload:
    """One frame, over and over: times depend on the size of the images and not on what is in them.

    `name` says where the images are from. A rig that is not `movable` is baked in.
    """

    name: str
    images: Images
    rig: Rig
    past: tuple[ImagesAndRig, ...] = ()
    movable: bool = True

    def still(self) -> Iterator[Frame]:
        """Endless; the vehicle and its cameras stand, so that one pooling plan serves all."""
        return itertools.repeat(Frame(self.images, self.rig, self.past))

    def moving(self) -> Iterator[Frame]:
        """Endless; before each frame all rigs turn a little, so that each frame needs a plan of its own."""
        for number in itertools.count(1):
            past = [(images, turned(rig, STEP * number)) for images, rig in self.past]
            yield Frame(self.images, turned(self.rig, STEP * number), past)
