"""Labels of frames as files, one a frame: `<scene>/<token>/labels.npz`, or `occ3d/<token>.npz` to be submitted.

What is there is found again by looking at it: a file is of a frame if it says so, and whole if its check sums fit.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
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

    def keep(self, wanted: Mapping[str, str], looked: Callable[[], Any]) -> Iterator[tuple[str, Kept]]:
        """Which of these frames have their labels already, by name; the value is the mark that they must have.

        What is damaged, or of something else, is cleared away as far as it would be in the way. `looked` is called
        once a frame.
        """
        ...

    def put(self, entry: Entry, result: Result) -> Iterable[tuple[str, Kept]]:
        """Store the labels of a frame; gives it, and others whose place changed by that, once they are on disk.

        Raises:
            OutputError: the disk is full, or the folder cannot be written to.
        """
        ...

    def close(self) -> Iterable[tuple[str, Kept]]:
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
    """

    def __init__(self, stored: Stored, form: Form) -> None:
        self._stored, self._form = stored, form

    def keep(self, wanted: Mapping[str, str], looked: Callable[[], Any]) -> Iterator[tuple[str, Kept]]:
        """See `Store.keep`."""
        with ThreadPoolExecutor(usual_workers()) as pool:
            for name, kept in zip(wanted, pool.map(self._look, wanted, wanted.values()), strict=True):
                looked()
                if kept is not None:
                    yield name, kept

    def put(self, entry: Entry, result: Result) -> Iterable[tuple[str, Kept]]:
        """See `Store.put`."""
        file = file_of(self._form, entry.frame)
        with atomic_file(self._stored.folder / file) as temporary:
            temporary.write_bytes(result.payload)
        return [(entry.frame, Kept(file, result.sha256, len(result.payload)))]

    def close(self) -> Iterable[tuple[str, Kept]]:
        """See `Store.close`."""
        return ()

    def _look(self, name: str, mark: str) -> Kept | None:
        file = file_of(self._form, name)
        path = self._stored.folder / file
        if not mark or not path.exists() or not self._stored.keeps(name, path, mark):
            return None
        try:
            return Kept(file, load(path, self._form).sha256, path.stat().st_size)
        except OutputError:
            return None


def file_of(form: Form, name: str) -> str:
    """File of the frame `<scene>/<token>` under the folder."""
    return f"occ3d/{name.partition('/')[2]}.npz" if form == "occ3d" else f"{name}/labels.npz"


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
