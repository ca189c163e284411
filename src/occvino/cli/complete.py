"""What a shell is offered when TAB is pressed, once `occvino --install-completion` was run."""

from collections.abc import Callable, Iterable
from pathlib import Path

from occvino.variants import variants


def complete_variant(incomplete: str) -> list[str]:
    """Names of models."""
    return _beginning(incomplete, variants())


def complete_variant_or_folder(incomplete: str) -> list[str]:
    """Names of models, and folders: where a command completes by a function, the shell offers no files."""
    before = incomplete.rpartition("/")[0]
    folders = [str(path) for path in sorted(Path(before or ".").glob("*")) if path.is_dir() and path.name[0] != "."]
    return complete_variant(incomplete) + _beginning(incomplete, folders)


def complete_device(incomplete: str) -> list[str]:
    """Devices of this machine, and AUTO."""
    from openvino import Core

    return _beginning(incomplete, (*Core().available_devices, "AUTO"))


def complete_words(*words: str) -> Callable[[str], list[str]]:
    """One of these."""

    def complete(incomplete: str) -> list[str]:
        return _beginning(incomplete, words)

    return complete


def _beginning(incomplete: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.lower().startswith(incomplete.lower())]
