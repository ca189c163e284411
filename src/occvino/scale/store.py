"""Labels of frames as files, one a frame: `<scene>/<token>/labels.npz`, or `occ3d/<token>.npz` to be submitted.

What is there is found again by looking at it: a file is of a frame if it says so, and whole if its check sums fit.
"""

import contextlib
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from occvino.errors import ArtifactError
from occvino.files import OutputError, atomic_file
from occvino.labelling.stored import Stored
from occvino.npz import NpzError, Shape, read_npz
from occvino.runtime import Occupancy
from occvino.runtime.stream import usual_workers
from occvino.scale.forms import Form, digest
from occvino.scale.manifest import Entry
from occvino.scale.work import Result


@dataclass(frozen=True, eq=False)
class Labels:
    """Of one frame, [Dx, Dy, Dz]. `instances`: of a panoptic model, else None."""

    semantics: NDArray[np.uint8]
    instances: NDArray[np.uint16] | None = None

    @property
    def sha256(self) -> str:
        """See `forms.digest`."""
        return digest(self.semantics, self.instances)


@dataclass(frozen=True)
class Kept:
    """Where the labels of a frame are, and what they are. `bytes`: None in a shard."""

    file: str
    sha256: str
    bytes: int | None


class Store(Protocol):
    """Where labels go. One process writes."""

    def keep(
        self, wanted: Mapping[str, str], entries: Mapping[str, Entry], looked: Callable[[], Any]
    ) -> Iterator[tuple[str, Kept]]:
        """Which frames have their labels already, by name.

        What is damaged, or of something else, is cleared away as far as it would be in the way.

        Args:
            wanted: the mark that the labels of each frame must have, by its name.
            entries: of the same frames.
            looked: called once for each that was looked at.
        """
        ...

    def put(self, entry: Entry, result: Result) -> Iterator[list[tuple[str, Kept]]]:
        """Store the labels of a frame; gives it once it is on disk, then others whose place changed by that.

        Raises:
            OutputError: the disk is full, or the folder cannot be written to.
        """
        ...

    def close(self) -> Iterator[list[tuple[str, Kept]]]:
        """Finish what is open; gives frames whose place changed.

        Raises:
            OutputError: as `put`.
        """
        ...


class Files:
    """One file a frame.

    Args:
        stored: the folder, and what makes the labels in it.
        form: "npz" or "occ3d".
        under: a folder in the folder.
    """

    def __init__(self, stored: Stored, form: Form, under: str = "") -> None:
        self._stored, self._under = stored, under
        self._form: Form = form

    def path(self, name: str) -> Path:
        """File of a frame."""
        return self._stored.folder / self._file(name)

    def keep(
        self, wanted: Mapping[str, str], entries: Mapping[str, Entry], looked: Callable[[], Any]
    ) -> Iterator[tuple[str, Kept]]:
        """See `Store.keep`."""
        with ThreadPoolExecutor(usual_workers()) as pool:
            for name, kept in zip(wanted, pool.map(self._look, wanted, wanted.values()), strict=True):
                looked()
                if kept is not None:
                    yield name, kept

    def put(self, entry: Entry, result: Result) -> Iterator[list[tuple[str, Kept]]]:
        """See `Store.put`."""
        with atomic_file(self.path(entry.frame)) as temporary:
            temporary.write_bytes(result.payload)
        yield [(entry.frame, Kept(self._file(entry.frame), result.sha256, len(result.payload)))]

    def close(self) -> Iterator[list[tuple[str, Kept]]]:
        """See `Store.close`."""
        yield from ()

    def remove(self, name: str) -> None:
        """Remove the file of a frame, if there is one, and the folders that it leaves empty."""
        path = self.path(name)
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            for folder in path.relative_to(self._stored.folder).parents[:-1]:
                (self._stored.folder / folder).rmdir()

    def _file(self, name: str) -> str:
        inside = f"{name.partition('/')[2]}.npz" if self._form == "occ3d" else f"{name}/labels.npz"
        return "/".join(part for part in ("occ3d" * (self._form == "occ3d"), self._under, inside) if part)

    def _look(self, name: str, mark: str) -> Kept | None:
        file, path = self._file(name), self.path(name)
        if not mark or not path.exists() or not self._stored.keeps(name, path, mark):
            return None
        try:
            return Kept(file, load(path, self._form).sha256, path.stat().st_size)
        except OutputError:
            return None


def load(path: Path, form: Form) -> Labels:
    """Labels of one file.

    Raises:
        OutputError: it is missing or damaged.
    """
    try:
        if form == "npz":
            found = Occupancy.load(path)
            return Labels(found.labels, found.instances)
        return Labels(read_npz(path, _only_labels)["arr_0"])
    except (OSError, ArtifactError, NpzError, KeyError, zlib.error) as error:
        raise OutputError(f"{path} is not a file of labels ({error}): run the batch again") from error


def _only_labels(name: str, shape: Shape, dtype: np.dtype[Any]) -> bool:
    if name == "arr_0" and (dtype != np.uint8 or len(shape) != 3):
        raise NpzError(f"it holds {dtype} {shape}, expected uint8 [200, 200, 16]")
    return name == "arr_0"
