"""Measurements, and the pages that tell them."""

import occvino  # noqa: F401  before OpenVINO, which reports its import
