"""What to measure: an artifact, how it is to run, and the pictures to run it on."""

import io
import itertools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from occvino.artifact import Artifact
from occvino.cameras import Rig
from occvino.datasets.shipped import moments_for
from occvino.errors import OccvinoError
from occvino.geometry import turned
from occvino.image_input import ImageInput
from occvino.preprocess import Frames, Moment
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
        moments = (_shipped(opened) if self.images is None else [self._moment(opened)])[:seen]
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


def _shipped(opened: Artifact) -> list[Moment]:
    """Moments of the drive that ships inside, newest first, in the size that an IR takes which resizes itself.

    Raises:
        OccvinoError: the artifact takes other cameras, or pictures of another shape.
    """
    moments, takes = moments_for(opened.path), opened.manifest.image_input
    if takes is None:
        return list[Moment](moments)
    made: list[Moment] = []
    for frames, rig in moments:
        scaled = rig.scaled(takes.size[1] / rig.cameras[0].width)
        height, width = scaled.cameras[0].height, scaled.cameras[0].width
        if (height, width) != takes.size:
            raise OccvinoError(
                f"{opened.path} takes pictures of {takes}, and those of {DRIVE} would be {height}x{width}: give "
                "--images and --rig"
            )
        made.append(({name: _made(path, takes) for name, path in frames.items()}, scaled))
    return made


def _made(path: Path, takes: ImageInput) -> bytes | NDArray[np.uint8]:
    """A picture as a JPEG of that size; grey in memory where no file holds the layout."""
    if takes.layout == "nv12":
        return np.full(takes.shape, 128, np.uint8)
    with Image.open(path) as picture, io.BytesIO() as file:
        picture.resize(takes.size[::-1]).save(file, format="JPEG", quality=90)
        return file.getvalue()


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
