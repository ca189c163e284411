"""The only module that imports Rerun, which the `viz` extra brings. It says so if Rerun is missing or too old."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from occvino.errors import OccvinoError

_FIX = 'pip install "occvino[viz]"'
_USED = (
    "AnnotationContext",
    "Clear",
    "EncodedImage",
    "LineStrips3D",
    "Pinhole",
    "RecordingStream",
    "Scalars",
    "SeriesLines",
    "TextLog",
    "Transform3D",
    "VoxelGridMap",
)


class ViewerError(OccvinoError):
    """A viewer that cannot be started or reached, or a recording that cannot be made."""


class RerunMissingError(ViewerError, ImportError):
    """Rerun is not installed, or lacks what is used of it."""


def found_version() -> str:
    """Of the installed rerun-sdk; "none" if there is none."""
    try:
        return version("rerun-sdk")
    except PackageNotFoundError:
        return "none"


try:  # untyped: Rerun's own types change from one version to the next
    rr: Any = import_module("rerun")
    rrb: Any = import_module("rerun.blueprint")
except ImportError as error:
    raise RerunMissingError(
        f"Rerun recordings need rerun-sdk 0.39 or newer; version found: {found_version()} ({error}): {_FIX}"
    ) from error

_missing = [name for name in _USED if not hasattr(rr, name)]
if _missing:
    raise RerunMissingError(
        f"Rerun recordings need rerun-sdk 0.39 or newer; version found: {found_version()}, which has no "
        f"{', '.join(_missing)}: {_FIX}"
    )

__all__ = ["RerunMissingError", "ViewerError", "found_version", "rr", "rrb"]
