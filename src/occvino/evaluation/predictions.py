"""Labels of a whole set on disk, laid out as Occ3D lays out its ground truth.

    OUT/<scene>/<sample token>/labels.npz   semantics uint8 [200, 200, 16]; instances uint16 of a panoptic model
    OUT/eval.json                           what made them; another artifact or device must not add to them

A frame that has its labels is not run again, so an interrupted evaluation goes on where it stopped (see `stored`).
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from occvino.datasets.nuscenes import NuScenes
from occvino.datasets.occ3d import SHAPE
from occvino.datasets.sample import Sample
from occvino.errors import OccvinoError
from occvino.evaluation.engines import Labeller, label_all
from occvino.files import OutputError, atomic_file
from occvino.geometry.rig import Rig
from occvino.images.identity import identity
from occvino.labelling.frames import frames_of
from occvino.labelling.stored import Stored, frame_mark, mark, marked
from occvino.npz import NpzError, Shape, read_npz
from occvino.runtime import Occupancy

STAMP = "eval.json"


class LabelsOf(Protocol):
    """Labels of frames, whatever wrote them: `SavedLabels`, or what `occvino batch` wrote."""

    folder: Path

    def load(self, frame: Sample) -> NDArray[np.uint8]:
        """Labels of a frame, [200, 200, 16]."""
        ...

    def load_instances(self, frame: Sample) -> NDArray[np.uint16] | None:
        """Instance ids of a frame, [200, 200, 16]; None if the model finds none."""
        ...

    def mark(self, frame: Sample) -> str:
        """Which frame they are of (`labelling.stored.frame_mark`); "" if they do not say so."""
        ...


class SavedLabels:
    """Labels that `eval` wrote to a folder, whatever made them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, frame: Sample) -> Path:
        """File of a frame's labels."""
        return self.folder / frame.scene / frame.token / "labels.npz"

    def load(self, frame: Sample) -> NDArray[np.uint8]:
        """Labels of a frame, [200, 200, 16].

        Raises:
            OutputError: they are missing or damaged.
        """
        return load_labels(self.path(frame))

    def load_instances(self, frame: Sample) -> NDArray[np.uint16] | None:
        """Instance ids of a frame, [200, 200, 16] (see `runtime.panoptic`); None if the model finds none.

        Raises:
            OutputError: the file is missing or damaged.
        """
        return _read(self.path(frame))[1]

    def mark(self, frame: Sample) -> str:
        """Which frame they are of; "" if the file does not say so, or is not there."""
        return marked(self.path(frame)) or ""


class Predictions(Stored, SavedLabels):
    """The labels in one folder.

    Args:
        folder: new, empty, or of an earlier run of the same.
        made_by: plain values that say what makes the labels; the folder remembers them (see `stored`).

    Raises:
        OutputError: the folder holds something else, or labels that something else made; or `eval.json` is damaged.
    """

    def __init__(self, folder: str | Path, made_by: Mapping[str, Any]) -> None:
        super().__init__(folder, made_by, stamp=STAMP, alone=True)

    def fill(
        self,
        dataset: NuScenes,
        indices: Iterable[int],
        label: Labeller,
        *,
        rig: Rig | None = None,
        takes: int = 1,
        contents: bool = False,
    ) -> Iterator[Sample]:
        """Label the frames that have no right labels yet; yields each frame once its labels are on disk.

        Args:
            dataset: holds the frames and their past frames.
            indices: of the frames to label.
            label: what labels a frame.
            rig: to use for all of them instead of their own, for an artifact whose calibration is baked in.
            takes: how many frames the network takes, the current one among them.
            contents: know images by what is in them, not by size and time.

        A stream is given the frames in order. Past frames that an earlier run labelled are run again first, so that a
        resumed run gives the same labels as one without a break. Warns of frames that changed since they were labelled.

        Raises:
            OccvinoError: a frame cannot be read, or the labels are not on Occ3D's grid.
        """
        indices = list(indices)
        marks = self._marks(dataset, indices, takes, contents)
        missing = [index for index in indices if not self._has(dataset[index], marks[index])]
        self.tell()
        remembers = getattr(label, "memory", None) is not None
        frames = frames_of(dataset, missing, rig=rig, takes=takes, remembers=remembers)
        to_do = set(missing)
        with contextlib.closing(label_all(label, frames)) as results:
            for index in indices:
                if index in to_do:
                    self._write(self.path(dataset[index]), next(results), marks[index])
                yield dataset[index]

    def _has(self, frame: Sample, wanted: str) -> bool:
        return self.keeps(f"{frame.scene}/{frame.token}", self.path(frame), wanted)

    def _marks(self, dataset: NuScenes, indices: Iterable[int], takes: int, contents: bool) -> dict[int, str]:
        """What the labels of each frame are to be of."""
        known: dict[str, str] = {}

        def own(frame: Sample) -> str:
            place = frame.token, frame.scene, frame.timestamp
            if frame.token not in known:
                known[frame.token] = identity(frame.image_files(), frame.rig, *place, contents=contents)
            return known[frame.token]

        return {i: frame_mark(own(dataset[i]), map(own, dataset.previous(i, takes - 1))) for i in indices}

    def _write(self, path: Path, found: Occupancy, frame: str) -> None:
        if found.labels.shape != SHAPE:
            raise OccvinoError(f"the labels have shape {found.labels.shape}, Occ3D's ground truth has {SHAPE}")
        arrays: dict[str, NDArray[np.generic]] = {"semantics": found.labels}
        if found.instances is not None:
            arrays["instances"] = found.instances
        with atomic_file(path) as temporary:
            with temporary.open("wb") as stream:
                np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # see Occupancy.save
            mark(temporary, frame)


def load_labels(path: Path) -> NDArray[np.uint8]:
    """Labels [200, 200, 16] of one file that `Predictions.fill` wrote.

    Raises:
        OutputError: it is missing or damaged.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint16] | None]:
    try:
        found = read_npz(path, _wanted)
        return found["semantics"], found.get("instances")
    except (OSError, NpzError, KeyError) as error:
        raise OutputError(f"{path} is not a file of labels ({error}): delete it and evaluate again") from error


def _wanted(name: str, shape: Shape, dtype: np.dtype[Any]) -> bool:
    expected = {"semantics": np.uint8, "instances": np.uint16}.get(name)
    if expected and (shape != SHAPE or dtype != expected):
        raise NpzError(f"{name} is {dtype} {shape}")
    return expected is not None
