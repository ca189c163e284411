"""Copies of frames for another thread, in memory that is used again: new memory takes longer than the copying."""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from occvino.viz.frame import Viewable, ViewFrame

_ROWS = 450
"""Of an array that is an image: as many rows as a viewer shows of it beside five others."""

_Item = TypeVar("_Item", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Copied:
    """A frame that stays as it is, whatever its owner does with the arrays, until its memory is given back."""

    frame: ViewFrame
    memory: tuple[NDArray[np.uint8], ...]


@dataclass(eq=False)
class Copies:
    """Makes copies in one thread; another gives their memory back."""

    _spare: defaultdict[int, list[NDArray[np.uint8]]] = field(
        default_factory=lambda: defaultdict[int, list[NDArray[np.uint8]]](list)
    )

    def of(self, frame: ViewFrame) -> Copied:
        """Copy what may change: arrays and Pillow images. Of large images every second pixel or fewer."""
        memory: list[NDArray[np.uint8]] = []
        kept = replace(
            frame,
            labels=self._copy(frame.labels, memory),
            truth=None if frame.truth is None else self._copy(frame.truth, memory),
            mask=None if frame.mask is None else self._copy(frame.mask, memory),
            instances=None if frame.instances is None else self._copy(frame.instances, memory),
            images={name: self._image(image, memory) for name, image in frame.images.items()},
            features={name: self._copy(image, memory) for name, image in frame.features.items()},
        )
        return Copied(kept, tuple(memory))

    def give_back(self, copied: Copied) -> None:
        """Use its memory for other frames."""
        for memory in copied.memory:
            self._spare[memory.nbytes].append(memory)

    def _image(self, image: Viewable, memory: list[NDArray[np.uint8]]) -> Viewable:
        if isinstance(image, np.ndarray) and image.ndim == 3:
            return self._copy(image, memory, max(1, len(image) // _ROWS))
        return image.copy() if isinstance(image, Image.Image) else image

    def _copy(self, array: NDArray[_Item], memory: list[NDArray[np.uint8]], step: int = 1) -> NDArray[_Item]:
        """Every `step`-th row and column of [H, W, ...]."""
        if not array.size:
            return array
        rows = np.ascontiguousarray(array).reshape(len(array), -1).view(np.uint8)[::step]
        free = self._spare[rows.size]
        taken = free.pop() if free else np.empty(rows.size, np.uint8)
        # One item a row: with over 500 items NumPy would let the other thread run, and wait until that gives way again,
        # which takes 5 ms and more for each array.
        item = np.dtype((np.void, rows.shape[1]))
        taken.view(item)[:] = rows.view(item)[:, 0]
        memory.append(taken)
        kept = taken.view(array.dtype).reshape(-1, *array.shape[1:])
        return kept[:, ::step]  # the columns are left out later, by the thread
