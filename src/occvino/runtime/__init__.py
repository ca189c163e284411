"""Run an artifact. Needs openvino, numpy and pillow; imports neither torch nor onnx."""

from occvino.runtime.frame import Frame
from occvino.runtime.memory import DroppedFrameWarning, History, Limits, SceneCutWarning
from occvino.runtime.occupancy import Occupancy
from occvino.runtime.pipeline import Pipeline
from occvino.runtime.stream import Failure

__all__ = [
    "DroppedFrameWarning",
    "Failure",
    "Frame",
    "History",
    "Limits",
    "Occupancy",
    "Pipeline",
    "SceneCutWarning",
]
