"""Occupancy in Rerun: recordings of frames, and a logger that a running stream hardly feels.

```python
from occvino.viz.rerun import Logger, ToBrowser, ToFile, record

record(frames, ToFile(Path("drive.rrd")))

with Logger(ToBrowser(hold=False)) as logger:
    for frame, occ in zip(frames, pipe.stream(frames)):
        logger.log(occ, frame)
```

Viewers that are started here listen on this machine only, and are told to send no usage data to the makers of Rerun.
The page in the browser is theirs too, and has a setting of its own. What is logged goes to the viewer alone.
"""

from collections.abc import Iterable

from occvino.viz.frame import ViewFrame
from occvino.viz.rerun.logger import DroppedFramesWarning, Logger
from occvino.viz.rerun.recording import Recording
from occvino.viz.rerun.sdk import RerunMissingError, ViewerError
from occvino.viz.rerun.sinks import NewViewer, Sink, ToBrowser, ToFile, ToViewer

__all__ = [
    "DroppedFramesWarning",
    "Logger",
    "NewViewer",
    "RerunMissingError",
    "Sink",
    "ToBrowser",
    "ToFile",
    "ToViewer",
    "ViewerError",
    "record",
]


def record(frames: Iterable[ViewFrame], sink: Sink) -> int:
    """Write frames to a file or show them in a viewer, as `scene` lays them out; gives their number.

    Frames are asked for one by one, and one at a time is kept. Instances, truth, images, rig, mIoU and seconds are
    shown where a frame has them.

    Raises:
        ViewerError: there is no frame, or the viewer cannot be started or reached.
        PictureError: labels or an image that cannot be shown.
        OutputError: the file cannot be written; nothing is left of it, as with every other error.
    """
    with Recording.to(sink) as recording:
        for frame in frames:
            recording.add(frame)
        if not recording.frames:
            raise ViewerError("there is no frame to record: give at least one")
    return recording.frames
