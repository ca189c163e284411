"""A recording under way: the entities of its frames, and the layout that shows what they have."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from occvino.viz.frame import ViewFrame
from occvino.viz.rerun.layout import Layout
from occvino.viz.rerun.scene import Scene
from occvino.viz.rerun.sdk import rr
from occvino.viz.rerun.sinks import Sink

_APPLICATION = "occvino"


class Recording:
    """Gets one frame after the other. Made by `to`."""

    def __init__(self, stream: Any) -> None:
        stream.set_log_time_enabled(False)  # when a frame was drawn tells nothing
        stream.set_log_tick_enabled(False)
        self._stream, self._scene, self._layout = stream, Scene(stream), Layout()

    @classmethod
    @contextmanager
    def to(cls, sink: Sink) -> Generator["Recording"]:
        """A new one, closed at the end; errors are those of the sink."""
        stream = rr.RecordingStream(_APPLICATION)
        with sink.attached(stream):
            yield cls(stream)

    @property
    def frames(self) -> int:
        """How many there are so far."""
        return self._scene.frames

    def add(self, frame: ViewFrame) -> None:
        """Write a frame; raises `PictureError` if it cannot be shown."""
        layout = self._layout.with_frame(frame)
        if layout != self._layout:
            self._layout = layout
            self._stream.send_blueprint(layout.blueprint())
        self._scene.add(frame)

    def note(self, words: str) -> None:
        """A line in the log, at the time of the last frame."""
        self._scene.note(words)
