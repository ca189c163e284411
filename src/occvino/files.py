"""Writing files so that a failure leaves what was there: under a temporary name first, then renamed.

Temporary names say whose they are, `.NAME.occvino-PID-xxxxxxxx`: what a process that was killed left behind is removed
by the next one that writes to the same folder, and nothing else ever is.
"""

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import secrets
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from occvino.errors import OccvinoError

_ANOTHER = "or choose another output"
_REASONS = {
    "ENOSPC": ("the disk is full", f"free some space, {_ANOTHER}"),
    "EDQUOT": ("your disk quota is used up", f"delete something of yours, {_ANOTHER}"),
    "EFBIG": ("the file would be larger than is allowed there", "raise the limit (ulimit -f), " + _ANOTHER),
    "EROFS": ("the file system is read-only", "choose an output on another one"),
    "EACCES": ("permission denied", f"change the rights of that folder, {_ANOTHER}"),
    "EPERM": ("permission denied", f"change the rights of that folder, {_ANOTHER}"),
    "EIO": ("the disk does not work (input/output error)", "choose an output on another one"),
}
"""What went wrong and how to mend it, by the system's name of the error; not every system has all of them."""
_TOLD = {getattr(errno, name): told for name, told in _REASONS.items() if hasattr(errno, name)}
_RIGHTS = (errno.EACCES, errno.EPERM)
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.occvino-(?P<pid>\d+)-(?P<old>old-)?[0-9a-f]{8}(\.[^.]*)?")
_LONGEST_STEM = 40
"""Of a temporary name: the longest name of a file leaves no room for more letters."""

_under_way: set[Path] = set()
_swept: set[Path] = set()
_moving = threading.Lock()
"""Held while a file or folder is put in its place. Who takes it for good is the last to move anything."""


class OutputError(OccvinoError, OSError):
    """An output that cannot be written, or that would overwrite something that is not ours."""


def cannot_write(path: str | Path, error: OSError, why: str = "") -> OutputError:
    """The error that names a path, the reason and the fix; `why` are words of the library that failed."""
    reason, fix = _TOLD.get(error.errno or 0, (str(error.strerror or error), ""))
    return OutputError(": ".join(part for part in (f"cannot write {path}", reason, fix, why) if part))


def of_the_disk(error: OSError) -> bool:
    """Whether an error says that a disk is full, read-only or broken, and not that a caller asked for nonsense."""
    return error.errno in _TOLD and error.errno not in _RIGHTS


def no_room(folder: Path, size: int = 1 << 20) -> OSError | None:
    """Why `size` bytes cannot be written to a folder; None if they can."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(probe.fileno(), 0, max(1, size))
            elif shutil.disk_usage(folder).free < size:
                return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:  # any other error tells nothing: some file systems cannot reserve
        return error if error.errno in _TOLD else None
    return None


@contextlib.contextmanager
def atomic_file(path: str | Path) -> Generator[Path]:
    """Give a temporary path beside `path`; move it there when the block ends well, remove it when it does not.

    Raises:
        OutputError: the folder is missing or cannot be written to, or the disk is full.
    """
    target = Path(path)
    temporary = _temporary(target.parent, target.stem[:_LONGEST_STEM], target.suffix)
    with _told(target, temporary), _parents(target), _tracked(temporary):
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666))
        with _library_told(target, temporary):
            yield temporary
        with _moving:
            temporary.replace(target)


@contextlib.contextmanager
def atomic_folder(path: str | Path, *, may_replace: Callable[[Path], bool]) -> Generator[Path]:
    """Give a temporary folder beside `path`; put it there when the block ends well, remove it when it does not.

    Raises:
        OutputError: the parent cannot be written to, the disk is full, or `path` exists, is not empty and `may_replace`
            says no.
    """
    target = Path(path).resolve()
    temporary = _temporary(target.parent, target.name)
    with _told(target, temporary):
        if target.exists() and not (target.is_dir() and (not any(target.iterdir()) or may_replace(target))):
            raise OutputError(
                f"{target} exists and holds other things than an artifact of occvino: choose another output"
            )
    with _told(target, temporary), _parents(target), _tracked(temporary):
        temporary.mkdir()
        with _library_told(target, temporary):
            yield temporary
        _swap_in(temporary, target)


@contextlib.contextmanager
def folder_beside(path: str | Path) -> Generator[Path]:
    """A temporary folder on the file system of `path`, whose files can be moved there; removed at the end.

    Raises:
        OutputError: it cannot be made, or the disk is full.
    """
    target = Path(path)
    temporary = _temporary(target.parent, target.stem[:_LONGEST_STEM])
    with _told(target, temporary), _tracked(temporary):
        temporary.mkdir()
        with _library_told(target, temporary):
            yield temporary


def writing(path: str | Path) -> contextlib.AbstractContextManager[None]:
    """For what is written in place, such as a line added to a log: errors of the disk become `OutputError`."""
    return _told(Path(path), Path(path))


@contextlib.contextmanager
def scratch_folder() -> Generator[Path]:
    """A folder among the system's temporary files, removed at the end.

    Raises:
        OutputError: it cannot be made, or the disk is full.
    """
    try:
        folder = Path(tempfile.gettempdir()).resolve()
    except FileNotFoundError as error:  # it tries where it can write
        raise OutputError(f"{error.strerror}: free some space, or name another folder in TMPDIR") from error
    temporary = _temporary(folder, "scratch")
    with _told(temporary, temporary), _tracked(temporary):
        remove_stale(folder)
        temporary.mkdir(mode=0o700)
        with _library_told(temporary, temporary):
            yield temporary


def _temporary(folder: Path, name: str, suffix: str = "") -> Path:
    return folder / f".{name}.occvino-{os.getpid()}-{secrets.token_hex(4)}{suffix}"


@contextlib.contextmanager
def _tracked(temporary: Path) -> Generator[None]:
    """Remove a temporary file or folder at the end, if it is still there."""
    with _moving:
        _under_way.add(temporary)
    try:
        yield
    finally:
        _remove(temporary)
        _under_way.discard(temporary)


@contextlib.contextmanager
def _parents(target: Path) -> Generator[None]:
    """Make the folders above; those made here go again if the block fails, unless something else is in them."""
    made = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_stale(target.parent)
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            for folder in made:
                folder.rmdir()
        raise


@contextlib.contextmanager
def _told(target: Path, temporary: Path) -> Generator[None]:
    """Errors of the disk become errors of ours that name the target."""
    try:
        yield
    except OutputError as error:
        told = str(error)
        if str(temporary) not in told or temporary == target:
            raise
        raise OutputError(told.replace(str(temporary), str(target))) from error
    except OSError as error:
        named = [Path(name).absolute() for name in (error.filename, error.filename2) if isinstance(name, str)]
        where, folder = target.absolute(), temporary.absolute()
        ours = any(path in (where, *where.parents, folder) or folder in path.parents for path in named)
        if not ours and not of_the_disk(error):
            raise  # of something that the block reads
        raise cannot_write(named[0] if named and not ours else target, error) from error


@contextlib.contextmanager
def _library_told(target: Path, temporary: Path) -> Generator[None]:
    """Libraries tell a full disk in words of their own ("iostream error"): then say what it was."""
    try:
        yield
    except (OccvinoError, OSError):
        raise
    except Exception as error:
        # what did not fit may be gone again by now, and would have been about as large as what is there
        reason = no_room(target.parent, max(1 << 20, _size(temporary)))
        if reason is None:
            raise
        raise cannot_write(target, reason, str(error).partition("\n")[0]) from error


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        files = path.rglob("*") if path.is_dir() else (path,)
        return sum(file.stat().st_size for file in files if file.is_file())
    return 0


def _swap_in(temporary: Path, target: Path) -> None:
    """Put `temporary` where `target` is. What was there goes last, so that at no time both are gone."""
    aside = _temporary(target.parent, target.name)
    aside = aside.with_name(aside.name.replace(f"-{os.getpid()}-", f"-{os.getpid()}-old-"))
    with _moving:
        if not target.exists():
            temporary.rename(target)
            return
        aside.mkdir()
        try:
            target.rename(aside / "old")
            try:
                temporary.rename(target)
            except OSError:
                (aside / "old").rename(target)
                raise
        finally:
            if target.exists():  # if not even the old one could be put back, it stays where it is
                shutil.rmtree(aside, ignore_errors=True)


def remove_temporaries() -> None:
    """Remove what this process is about to write, and let it write nothing more; for one that ends at once."""
    _moving.acquire()
    for path in list(_under_way):
        _remove(path)


def remove_stale(folder: Path) -> None:
    """Remove what processes that were killed left in a folder. Looks once a process; temporary names of ours alone."""
    folder = folder.resolve()
    if folder in _swept:
        return
    _swept.add(folder)
    with contextlib.suppress(OSError):  # a folder that cannot be listed
        for path in list(folder.glob(".*.occvino-*")):
            found = _TEMPORARY.fullmatch(path.name)
            if found and path not in _under_way and _is_dead(int(found["pid"])):
                if found["old"] and not (folder / found["name"]).exists():  # killed in the middle of a swap
                    (path / "old").rename(folder / found["name"])
                _remove(path)


def _is_dead(pid: int) -> bool:
    if sys.platform == "win32":  # there, asking would end it
        return False
    if pid == os.getpid():  # in a container every run may have the same
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file atomically.

    Raises:
        OutputError: the folder is missing or cannot be written to, or the disk is full.
    """
    with atomic_file(path) as temporary:  # names of files may hold what UTF-8 cannot
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def parts_inside(name: str) -> tuple[str, ...] | None:
    """The parts of a name between its slashes, of either kind; None if it has none, or could lead out of a folder."""
    parts = tuple(part for part in re.split(r"[/\\]", name) if part not in ("", "."))
    return parts if parts and ".." not in parts and "\0" not in name else None


def to_json(value: Any, indent: int | None = 1) -> str:
    """JSON that every reader takes: a number that is not finite, which JSON has no word for, is null."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def from_json(text: str | bytes, **options: Any) -> Any:
    """What `json.loads` gives; what it refuses, nesting that is too deep included, is a `ValueError`."""
    try:
        return json.loads(text, **options)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


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
