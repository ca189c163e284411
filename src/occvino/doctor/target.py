"""The module that `occvino doctor package.module:factory` is asked to examine."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from occvino.doctor.findings import DoctorError

if TYPE_CHECKING:
    from torch import nn

    from occvino.doctor.watch import Call


def load(target: str) -> tuple[nn.Module, tuple[Any, ...], dict[str, Any], Sequence[Call]]:
    """Import `package.module:factory`, also from the current folder, and call the factory.

    It returns (module, args, kwargs), or with a fourth value a list of other calls that the module must take, each
    as (args, kwargs): another batch, another number of cameras.

    Raises:
        DoctorError: the target is misspelt, does not import, or returns something else.
    """
    name, separator, attribute = target.partition(":")
    if not separator or not name or not attribute:
        raise DoctorError(f"'{target}' is not package.module:factory, such as my_project.export:example")
    sys.path.insert(0, str(Path.cwd()))
    try:
        home = importlib.import_module(name)
        made: Any = getattr(home, attribute)()
    except Exception as failure:  # the user's code may raise anything
        raise DoctorError(f"'{target}' could not be called: {type(failure).__name__}: {failure}") from failure
    finally:
        sys.path.remove(str(Path.cwd()))
    if not (isinstance(made, Sequence) and len(made) in (3, 4) and isinstance(made[2], dict)):
        raise DoctorError(
            f"'{target}' returned {type(made).__name__}; it must return (module, args, kwargs), or also a list of "
            "other calls: (module, args, kwargs, [(args, kwargs), ...])"
        )
    variations = made[3] if len(made) == 4 else []
    if not all(isinstance(call, Sequence) and len(call) == 2 and isinstance(call[1], dict) for call in variations):
        raise DoctorError(f"'{target}': the fourth value must be a list of calls, each (args, kwargs)")
    return made[0], tuple(made[1]), made[2], [(tuple(args), kwargs) for args, kwargs in variations]
