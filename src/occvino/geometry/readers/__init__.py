"""Readers of other projects' calibrations: one file a format, each gives a rig and says how it was read."""

from occvino.geometry.readers.argoverse2 import read_argoverse2
from occvino.geometry.readers.carla import read_carla
from occvino.geometry.readers.kalibr import read_kalibr
from occvino.geometry.readers.kitti360 import read_kitti360
from occvino.geometry.readers.opencv import read_opencv
from occvino.geometry.readers.reading import Reading

__all__ = ["Reading", "read_argoverse2", "read_carla", "read_kalibr", "read_kitti360", "read_opencv"]
