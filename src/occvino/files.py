"""Writing files so that a failure leaves what was there: under a temporary name first, then renamed."""

import contextlib
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from occvino.errors import OccvinoError


class OutputError(OccvinoError, OSError):
    """An output that cannot be written, or that would overwrite something that is not ours."""


@contextlib.contextmanager
def atomic_file(path: str | Path) -> Generator[Path]:
    """Give a temporary path beside `path`; move it there when the block ends well, remove it when it does not.

    Raises:
        OutputError: the folder is missing or cannot be written to.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        _move(temporary.replace, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: str | Path, *, may_replace: Callable[[Path], bool]) -> Generator[Path]:
    """Give a temporary folder beside `path`; put it there when the block ends well, remove it when it does not.

    Raises:
        OutputError: the parent cannot be written to, or `path` exists, is not empty and `may_replace` says no.
    """
    target = Path(path).resolve()
    if target.exists() and not (target.is_dir() and (not any(target.iterdir()) or may_replace(target))):
        raise OutputError(f"{target} exists and holds other things than an artifact of occvino: choose another output")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        _swap_in(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _swap_in(temporary: Path, target: Path) -> None:
    """Put `temporary` where `target` is. What was there goes last, so that at no time both are gone."""
    if not target.exists():
        _move(temporary.rename, target)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
    try:
        _move(target.rename, aside / "old")
        try:
            _move(temporary.rename, target)
        except OutputError:
            (aside / "old").rename(target)
            raise
    finally:
        if target.exists():  # if not even the old one could be put back, it stays where it is
            shutil.rmtree(aside, ignore_errors=True)


def _move(rename: Callable[[Path], Any], target: Path) -> None:
    try:
        rename(target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: str | Path, text: str) -> None:
    """Write a text file atomically.

    Raises:
        OutputError: the folder is missing or cannot be written to.
    """
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def to_json(value: Any, indent: int | None = 1) -> str:
    """JSON that every reader takes: a number that is not finite, which JSON has no word for, is null."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in cast(Mapping[Any, Any], value).items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in cast(Sequence[Any], value)]
    return value


def sha256(path: str | Path) -> str:
    """Hexadecimal digest of a file's bytes."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
