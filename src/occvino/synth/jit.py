"""How the synthetic world is compiled. The only module that imports numba, which the `synth` extra brings."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from occvino import voxel_walk
from occvino.errors import OccvinoError


class ExtraMissingError(OccvinoError, ImportError):
    """A part of occvino whose optional dependencies are not installed."""


try:
    import numba
except ImportError as error:
    raise ExtraMissingError(
        f'synthetic scenes need numba, which is not installed ({error}): pip install "occvino[synth]"'
    ) from error

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile at the first call and keep the result beside the source; other threads run meanwhile.

    Division by zero gives infinity as in numpy, which saves a branch at every division.
    """
    return cast(_Function, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


first_border, nearest = compiled(voxel_walk.first_border), compiled(voxel_walk.nearest)
"""The walk that the metrics take in NumPy, for one ray at a time."""
