"""What can go wrong because of what was given to occvino. Each message names the thing, the value and the fix."""

import sys
import warnings
from pathlib import Path

_OURS = str(Path(__file__).parent)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn, naming the line of the caller's own code that led here, however deep in this package the doubt arose."""
    level, frame = 2, sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


class OccvinoError(Exception):
    """Base of every error that occvino raises on purpose; the command line prints it without a stack trace."""


class VariantError(OccvinoError, LookupError):
    """A variant name that there is not."""


class RigError(OccvinoError, ValueError):
    """A rig, camera or calibration value that cannot be right."""


class FrameError(OccvinoError, ValueError):
    """Images that are missing, unreadable or not those the rig describes."""


class CheckpointError(OccvinoError, ValueError):
    """A checkpoint that cannot be read safely or does not fit the variant."""


class ArtifactError(OccvinoError, ValueError):
    """An artifact folder that is incomplete, altered, or not what was asked for."""


class DeviceError(OccvinoError, RuntimeError):
    """A device, precision or OpenVINO release that was asked for and cannot be had."""
