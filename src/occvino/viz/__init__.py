"""Pictures of occupancy, with NumPy and Pillow only."""

from occvino.viz.bev import bev_picture
from occvino.viz.figure import camera_strip, compose, save_picture
from occvino.viz.palette import PictureError

__all__ = ["PictureError", "bev_picture", "camera_strip", "compose", "save_picture"]
