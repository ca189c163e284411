"""Metrics of occupancy: mIoU, RayIoU and RayPQ. Each has update, compute and reset, and a plain twin in `reference`."""

from occvino.metrics.miou import MIoU
from occvino.metrics.ray import RayIoU
from occvino.metrics.ray_pq import RayPQ

__all__ = ["MIoU", "RayIoU", "RayPQ"]
