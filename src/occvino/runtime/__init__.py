"""Run an artifact. Needs openvino, numpy and pillow; imports neither torch nor onnx."""

from occvino.runtime.memory import DroppedFrameWarning, History, Limits, SceneCutWarning
from occvino.runtime.occupancy import Occupancy
from occvino.runtime.pipeline import Pipeline
from occvino.runtime.shot import Shot
from occvino.runtime.stream import Failure

__all__ = [
    "DroppedFrameWarning",
    "Failure",
    "History",
    "Limits",
    "Occupancy",
    "Pipeline",
    "SceneCutWarning",
    "Shot",
]
