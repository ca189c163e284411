"""What every viewer is given: one frame with its images, labels and truth, as far as they are there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from occvino.geometry.rig import Rig
from occvino.variant import Grid

Viewable: TypeAlias = Path | bytes | NDArray[np.uint8] | Image.Image
"""A camera's image: a file, what a file holds, u8 [H, W, 3] RGB, or a Pillow image."""


def _nothing() -> dict[str, float]:
    return {}


EPOCH = 1e8
"""Seconds from which a time is taken as one since 1970 and shown as a date; below, as seconds since the start."""


@dataclass(frozen=True, eq=False)
class ViewFrame:
    """One frame to look at. Labels and truth are in the key ego frame (x forward, y left, z up, metres).

    Args:
        name: of the frame, such as its token.
        grid: where the voxels are.
        class_names: the last one is "free".
        labels: predicted, u8 [Dx, Dy, Dz].
        truth: the same of the ground truth; None where there is none.
        mask: where the truth counts, bool [Dx, Dy, Dz]; None for everywhere.
        instances: of the predicted voxels, u16 [Dx, Dy, Dz]; 0 for none.
        images: by camera name.
        rig: of this frame.
        scene: its name.
        time: seconds.
        miou: of this frame, 0..1, where there is truth.
        seconds: what each step took, by name.
        events: lines to log, such as what a stream says of its history.
        features: images of what the network made on its way, u8 [H, W, 3], by name (see `viz.features`).
    """

    name: str
    grid: Grid
    class_names: tuple[str, ...]
    labels: NDArray[np.uint8]
    truth: NDArray[np.uint8] | None = None
    mask: NDArray[np.bool_] | None = None
    instances: NDArray[np.uint16] | None = None
    images: Mapping[str, Viewable] = field(default_factory=dict[str, Viewable])
    rig: Rig | None = None
    scene: str | None = None
    time: float | None = None
    miou: float | None = None
    seconds: Mapping[str, float] = field(default_factory=_nothing)
    events: tuple[str, ...] = ()
    features: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict[str, NDArray[np.uint8]])
