"""Run an artifact. Needs openvino, numpy and pillow; imports neither torch nor onnx."""

from occvino.runtime.memory import DroppedFrameWarning, SceneCutWarning
from occvino.runtime.occupancy import Occupancy
from occvino.runtime.pipeline import Pipeline

__all__ = ["DroppedFrameWarning", "Occupancy", "Pipeline", "SceneCutWarning"]
