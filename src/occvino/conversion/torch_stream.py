"""A streaming form of a network in PyTorch, with its memory: what `verify` holds a streaming artifact against."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from occvino.conversion.export import Deployable
from occvino.geometry.inputs import GeometryCache
from occvino.geometry.rig import Rig
from occvino.geometry.temporal import Temporal, state_slots
from occvino.networks import FlashOcc
from occvino.networks.flashocc import tap_names
from occvino.runtime.memory import Memory, Recalled


class TorchStream:
    """Frames in order in, taps and labels out. They are taken to follow one another; `memory.reset` starts anew.

    Args:
        model: of a temporal variant.
        temporal: "exact" or "fast".
        cameras: N.
    """

    def __init__(self, model: FlashOcc, temporal: Temporal, cameras: int) -> None:
        self.memory = Memory(model.variant, temporal, cameras)
        self._network = Deployable(model, temporal).eval()
        self._variant = model.variant
        self._geometry = GeometryCache(model.variant, temporal)
        self._temporal: Temporal = temporal

    def __call__(self, images: NDArray[np.uint8], rig: Rig) -> dict[str, NDArray[Any]]:
        """Taps and labels of one frame: images u8 [N, H, W, 3] and their rig."""
        recalled = self.memory.recall(rig, follows=True)
        inputs = {"images": images, **self._inputs(recalled)}
        with torch.inference_mode():
            outputs = self._network(*(torch.from_numpy(np.asarray(array)) for array in inputs.values()))
        names = (*tap_names(self._variant, self._temporal), "labels")
        found = {name: output.numpy() for name, output in zip(names, outputs, strict=True)}
        kept = state_slots(self._variant, self._temporal)
        self.memory.keep(recalled, {name: found[name] for name in kept})
        return found

    def inputs(self, rig: Rig) -> dict[str, NDArray[Any]]:
        """The inputs of the network for the next frame, except its images."""
        return self._inputs(self.memory.recall(rig, follows=True))

    def _inputs(self, recalled: Recalled) -> dict[str, NDArray[Any]]:
        return {**self._geometry(recalled.rigs).inputs, **recalled.inputs}
