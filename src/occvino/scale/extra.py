"""The libraries of the extra `scale`, imported where they are used."""

from importlib import import_module
from typing import Any

from occvino.errors import OccvinoError


def needed(module: str, what: str) -> Any:
    """A module of the extra.

    Raises:
        OccvinoError: it is not installed; says what needs it and the fix.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise OccvinoError(
            f"{module.partition('.')[0]} is not installed, and {what} needs it: pip install 'occvino[scale]'"
        ) from error
