"""What a shell is offered when TAB is pressed, once `occvino --install-completion` was run.

Typer leaves out what does not begin with what was typed so far.
"""

from collections.abc import Callable
from pathlib import Path

from occvino.variants import variants


def complete_variant() -> list[str]:
    """Names of models."""
    return list(variants())


def complete_variant_or_folder(incomplete: str) -> list[str]:
    """Names of models, and folders: where a command completes by a function, the shell offers no files."""
    beside = Path(incomplete if incomplete.endswith("/") else Path(incomplete).parent)
    return [*variants(), *sorted(str(path) for path in beside.glob("[!.]*") if path.is_dir())]


def complete_device() -> list[str]:
    """Devices of this machine, and AUTO."""
    from openvino import Core

    return [*Core().available_devices, "AUTO"]


def complete_words(*words: str) -> Callable[[], list[str]]:
    """One of these."""
    return lambda: list(words)
