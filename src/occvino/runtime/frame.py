"""A frame: what is given for it, what the host makes of it, and what the network gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occvino.geometry.rig import Rig
from occvino.images.find import Images
from occvino.images.inputs import ImagesAndRig
from occvino.runtime.memory import History


@dataclass(frozen=True, eq=False)
class Frame:
    """The images of all cameras at one time, with the rig that took them.

    Args:
        images: one per camera: a folder, a mapping from camera names, or a sequence in the rig's order.
            Files, arrays u8 [H, W, 3] in RGB order, or Pillow images.
        rig: that took them. May be left out only when the calibration was baked in.
        past: images and rigs of the frames before, newest first, for a network that takes more than one frame.
            The current one stands in for those that are missing. A stream remembers them itself: one that is given
            them forgets what it knew and runs them first.
        scene: the name of the scene that it belongs to; for a stream, which starts anew where it changes.
        time: of the frame, seconds on any clock; for a stream, which tells from it that frames are missing.
    """

    images: Images
    rig: Rig | None = None
    past: Sequence[ImagesAndRig] = ()
    scene: str | None = None
    time: float | None = None


@dataclass(frozen=True, eq=False)
class Prepared:
    """A frame made ready on the host: every input of the network, by name.

    A stream's pooling plan depends on the frames before, so that its `inputs` are the images alone; `rig` has its
    cameras in the network's order, and `past` are the frames to run first, oldest first.
    """

    frame: Frame
    inputs: dict[str, NDArray[np.generic]]
    rig: Rig
    past: "tuple[Prepared, ...]" = ()


@dataclass(frozen=True, eq=False)
class Inferred:
    """What the network gave: copies of its outputs by name, and, for a stream, what it had of the past.

    `seconds` tells how long the device took, by the name of the stage; all of it is under "" where nothing was split.
    """

    outputs: dict[str, NDArray[Any]]
    history: History | None = None
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
