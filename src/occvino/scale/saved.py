"""What a batch wrote, to be read again: by the manifest, in any form."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from occvino.datasets.sample import Sample
from occvino.files import OutputError
from occvino.scale.forms import Form
from occvino.scale.manifest import read_manifest
from occvino.scale.shards import Group, index_of
from occvino.scale.store import Labels, load


@dataclass(frozen=True)
class Holes:
    """Frames without labels, by name: they failed, wait for another run, or are not in the manifest at all."""

    failed: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.failed or self.pending or self.unknown)

    def __str__(self) -> str:
        kinds = {"failed": self.failed, "were not run": self.pending, "are not in the manifest": self.unknown}
        return ", ".join(f"{len(names)} {kind} (first: {names[0]})" for kind, names in kinds.items() if names)


class SavedBatch:
    """Labels that `occvino batch` wrote to a folder.

    Raises:
        OutputError: it holds no manifest, or a damaged one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._entries = read_manifest(folder)
        self._last: tuple[Sample, Labels] | None = None
        self._places: dict[Path, dict[str, tuple[int, int]]] = {}
        self._group: Group | None = None

    def holes(self, frames: Iterable[Sample]) -> Holes:
        """Which of these frames have no labels."""
        names = [f"{frame.scene}/{frame.token}" for frame in frames]
        states = {name: self._entries[name].state if name in self._entries else "unknown" for name in names}

        def those(state: str) -> tuple[str, ...]:
            return tuple(name for name in names if states[name] == state)

        return Holes(those("failed"), those("pending"), those("unknown"))

    def load(self, frame: Sample) -> NDArray[np.uint8]:
        """Labels of a frame, [200, 200, 16].

        Raises:
            OutputError: there are none, or they are damaged, or not those that the manifest tells of.
        """
        return self._labels(frame).semantics

    def load_instances(self, frame: Sample) -> NDArray[np.uint16] | None:
        """Instance ids of a frame, [200, 200, 16]; None where the model or the form has none.

        Raises:
            OutputError: as `load`.
        """
        return self._labels(frame).instances

    def mark(self, frame: Sample) -> str:
        """Which frame the labels are of (`labelling.stored.frame_mark`)."""
        return self._entries[f"{frame.scene}/{frame.token}"].of or ""

    def _labels(self, frame: Sample) -> Labels:
        if self._last is None or self._last[0] is not frame:
            self._last = frame, self._read(frame)
        return self._last[1]

    def _read(self, frame: Sample) -> Labels:
        name = f"{frame.scene}/{frame.token}"
        entry = self._entries.get(name)
        if entry is None or entry.file is None:
            raise OutputError(f"{self.folder} has no labels of {name}: run the batch again, which goes on there")
        path = self.folder / entry.file
        if self.folder.resolve() not in path.resolve().parents:
            raise OutputError(f"the manifest of {self.folder} has a file elsewhere: {entry.file}")
        form: Form = "occ3d" if entry.file.startswith("occ3d/") else "npz"
        found = self._of_shard(path, frame) if path.suffix == ".parquet" else load(path, form)
        if found.sha256 != entry.sha256:
            raise OutputError(f"the labels of {name} in {path} are not those that the manifest tells of: run it again")
        return found

    def _of_shard(self, path: Path, frame: Sample) -> Labels:
        """Labels in a shard, of which one group of rows is held in memory."""
        if path not in self._places:
            self._places[path] = index_of(path)
        if frame.token not in self._places[path]:
            raise OutputError(f"{path} has no labels of {frame.token}, which the manifest tells of: run it again")
        number, row = self._places[path][frame.token]
        if self._group is None or (self._group.path, self._group.number) != (path, number):
            self._group = Group.read(path, number)
        return self._group.labels(row)
