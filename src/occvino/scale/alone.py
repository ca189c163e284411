"""One run at a time writes to a folder."""

from pathlib import Path
from typing import IO

from occvino.files import OutputError, writing

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None


def alone_in(path: Path) -> IO[bytes]:
    """Hold a file until what this gives is closed, or the process ends in whichever way.

    Raises:
        OutputError: another process holds it.
    """
    with writing(path):
        file = path.open("rb")
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                raise OutputError(
                    f"another `occvino batch` writes to {path.parent}: wait for it, or choose another folder"
                ) from None
            except OSError:  # a file system that knows no locks
                pass
        return file
