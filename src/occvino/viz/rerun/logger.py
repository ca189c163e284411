"""Results of a stream to Rerun while it runs: in a thread of its own, with a short queue, and late frames left out."""

import contextlib
import queue
import threading
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from occvino.errors import warn
from occvino.geometry.rig import Rig
from occvino.images.find import by_camera
from occvino.variant import Grid
from occvino.viz.frame import ViewFrame
from occvino.viz.rerun.copies import Copied, Copies
from occvino.viz.rerun.recording import Recording
from occvino.viz.rerun.sdk import ViewerError
from occvino.viz.rerun.sinks import Sink

_WAITING = 2
"""Frames in the queue by default: one that is drawn next, and one for a hiccup."""


class DroppedFramesWarning(UserWarning):
    """Frames came faster than they could be logged, and some are not in the recording."""


class Result(Protocol):
    """What is taken of an `occvino.runtime.Occupancy`."""

    @property
    def labels(self) -> NDArray[np.uint8]:
        """u8 [Dx, Dy, Dz]."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """The last one is "free"."""
        ...

    @property
    def grid(self) -> Grid:
        """Where the voxels are."""
        ...

    @property
    def instances(self) -> NDArray[np.uint16] | None:
        """u16 [Dx, Dy, Dz]."""
        ...


class Given(Protocol):
    """What is taken of an `occvino.runtime.Frame`."""

    @property
    def images(self) -> Any:
        """Of all cameras, in any form that a pipeline takes."""
        ...

    @property
    def rig(self) -> Rig | None:
        """That took them."""
        ...

    @property
    def scene(self) -> str | None:
        """Its name."""
        ...

    @property
    def time(self) -> float | None:
        """Seconds."""
        ...


class Logger:
    """Logs frames from a loop that must not wait: `log` copies what may change, and a thread does the rest.

    A frame that finds the queue full is left out, and counted. At the end the count is told by a
    `DroppedFramesWarning` and in the log of the recording.

    Args:
        sink: where the frames go.
        waiting: the most frames in the queue.

    Raises:
        ViewerError: the viewer cannot be started or reached, or fewer than 1 may wait.
        OutputError: the file cannot be written.
    """

    def __init__(self, sink: Sink, *, waiting: int = _WAITING) -> None:
        if waiting < 1:
            raise ViewerError(f"waiting is {waiting}, expected 1 or more")
        self._queue: queue.Queue[Copied | None] = queue.Queue(waiting)
        self._copies = Copies()
        self._opened = threading.Event()
        self._error: Exception | None = None
        self._given = self._dropped = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, args=(sink,), name="occvino-rerun", daemon=True)
        self._thread.start()
        self._opened.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error

    @property
    def dropped(self) -> int:
        """How many frames were left out so far."""
        return self._dropped

    def log(self, occ: Result | ViewFrame, frame: Given | None = None) -> bool:
        """Log one result, of a stream or made ready; gives whether there was room for it.

        Args:
            occ: a `ViewFrame`, or the occupancy of a frame.
            frame: that the occupancy was made of; without it there are voxels only.

        Raises:
            Exception: what went wrong with a frame before this one, such as `PictureError`.
            ViewerError: the logger is closed.
        """
        if self._error is not None:
            raise self._error
        if self._closed:
            raise ViewerError("the logger is closed: make a new one")
        self._given += 1
        if self._queue.full():  # before anything is copied
            self._dropped += 1
            return False
        view = occ if isinstance(occ, ViewFrame) else _view(occ, frame, str(self._given - 1))
        try:
            self._queue.put_nowait(self._copies.of(view))
        except queue.Full:  # several threads log
            self._dropped += 1
            return False
        return True

    def close(self) -> None:
        """Log what waits, and tell how many frames were left out; raises what went wrong with one."""
        if self._closed:
            return
        self._closed = True
        while self._thread.is_alive():  # it may end by an error, and leave a full queue behind
            with contextlib.suppress(queue.Full):
                self._queue.put(None, timeout=0.1)
                break
        self._thread.join()
        if self._dropped:
            warn(self._told(), DroppedFramesWarning)
        if self._error is not None:
            raise self._error

    def __enter__(self) -> "Logger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except Exception:
            if error is None:  # else the loop's own error is the one to tell
                raise

    def _told(self) -> str:
        return (
            f"{self._dropped} of {self._given} frames are not in the recording: they came faster than they could be "
            "logged"
        )

    def _run(self, sink: Sink) -> None:
        """In the thread."""
        try:
            with Recording.to(sink) as recording:
                self._opened.set()
                while (copied := self._queue.get()) is not None:
                    recording.add(copied.frame)
                    self._copies.give_back(copied)
                if self._dropped:
                    recording.note(self._told())
        except Exception as error:
            self._error = error
        finally:
            self._opened.set()


def _view(occ: Result, frame: Given | None, name: str) -> ViewFrame:
    view = ViewFrame(name, occ.grid, occ.class_names, occ.labels, instances=occ.instances)
    if frame is None:
        return view
    images = by_camera(frame.images, frame.rig) if frame.rig else frame.images
    if not isinstance(images, Mapping):  # a baked calibration: no rig gives the cameras' names
        images = {}
    return replace(view, images=images, rig=frame.rig, scene=frame.scene, time=frame.time)
