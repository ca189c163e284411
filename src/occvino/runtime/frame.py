"""A frame: what the caller gives, what the host prepares, and what the network gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occvino.geometry.rig import Rig
from occvino.images.find import Images
from occvino.images.inputs import ImagesAndRig
from occvino.renamed import renamed_keywords
from occvino.runtime.memory import History


@dataclass(frozen=True, eq=False)
class Frame:
    """The images of all cameras at one time, with the rig that took them.

    Args:
        images: one per camera: a folder, a mapping from camera names, or a sequence in the rig's order.
            Files, arrays u8 [H, W, 3] in RGB order, or Pillow images.
        rig: that took them. May be left out only when the calibration was baked in.
        past: images and rigs of past frames, newest first, for a network that takes several frames. The current
            frame stands in for missing ones. A stream remembers past frames itself: if it is given some, it forgets
            its own and runs these first.
        scene: name of the scene that the frame belongs to; a stream starts anew where it changes.
        time: of the frame, seconds on any clock; a stream notices missing frames by it.
    """

    images: Images
    rig: Rig | None = None
    past: Sequence[ImagesAndRig] = ()
    scene: str | None = None
    time: float | None = None


# the keyword that `images` was before, for one release
Frame.__init__ = renamed_keywords(frames="images")(Frame.__init__)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A frame made ready on the host: every input of the network, by name.

    The pooling plan of a stream depends on past frames, so its `inputs` are the images alone. `rig` has its cameras in
    the network's order; `past` are the frames to run first, oldest first.
    """

    frame: Frame
    inputs: dict[str, NDArray[np.generic]]
    rig: Rig
    past: "tuple[Prepared, ...]" = ()


@dataclass(frozen=True, eq=False)
class Inferred:
    """What the network gave: copies of its outputs by name, and, for a stream, which past frames it used.

    `seconds` tells how long the device took, by the name of the stage; all of it is under "" where nothing was split.
    """

    outputs: dict[str, NDArray[Any]]
    history: History | None = None
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
