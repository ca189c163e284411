"""Labels of a whole set on disk, laid out as Occ3D lays out its ground truth.

    OUT/<scene>/<sample token>/labels.npz   semantics uint8 [200, 200, 16]; instances uint16 of a panoptic model
    OUT/eval.json                           what made them; another artifact or device must not add to them

A frame that has its file is not run again, so an interrupted evaluation goes on where it stopped.
"""

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from occvino.datasets.nuscenes import NuScenes
from occvino.datasets.occ3d import SHAPE
from occvino.datasets.sample import Sample
from occvino.errors import OccvinoError
from occvino.evaluation.engines import Labeller, label_all
from occvino.evaluation.frames import frames_of
from occvino.files import OutputError, atomic_file, to_json, write_text
from occvino.geometry.rig import Rig
from occvino.npz import NpzError, Shape, read_npz
from occvino.runtime import Occupancy

STAMP = "eval.json"


class Predictions:
    """The labels in one folder.

    Args:
        folder: new, empty, or of an earlier run of the same.
        made_by: plain values that say what makes the labels; the folder remembers them.

    Raises:
        OutputError: the folder holds something else, or labels that something else made.
    """

    def __init__(self, folder: str | Path, made_by: Mapping[str, Any]) -> None:
        self.folder = Path(folder)
        stamp = self.folder / STAMP
        if stamp.is_file():
            found = _stamp(stamp)
            if found != dict(made_by):
                differing = ", ".join(
                    f"{k}: {found.get(k)} there, {v} now" for k, v in made_by.items() if found.get(k) != v
                )
                raise OutputError(f"{folder} holds labels made otherwise ({differing}): choose another folder")
        elif self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise OutputError(f"{folder} exists and is not an evaluation: choose another folder")
        else:
            write_text(stamp, to_json(dict(made_by)) + "\n")

    def fill(
        self, dataset: NuScenes, indices: Iterable[int], label: Labeller, *, rig: Rig | None = None, takes: int = 1
    ) -> Iterator[Sample]:
        """Label the frames that have no file yet; yields each frame once its labels are on disk.

        Args:
            dataset: holds the frames and their past frames.
            indices: of the frames to label.
            label: what labels a frame.
            rig: to use for all of them instead of their own, for an artifact whose calibration is baked in.
            takes: how many frames the network takes, the current one among them.

        A stream is given the frames in order. Past frames that an earlier run labelled are run again first, so that a
        resumed run gives the same labels as one without a break.

        Raises:
            OccvinoError: a frame cannot be read, or the labels are not on Occ3D's grid.
        """
        indices = list(indices)
        missing = [index for index in indices if not self.path(dataset[index]).is_file()]
        remembers = getattr(label, "memory", None) is not None
        frames = frames_of(dataset, missing, rig=rig, takes=takes, remembers=remembers)
        to_do = set(missing)
        with contextlib.closing(label_all(label, frames)) as results:
            for index in indices:
                if index in to_do:
                    self._write(self.path(dataset[index]), next(results))
                yield dataset[index]

    def _write(self, path: Path, found: Occupancy) -> None:
        if found.labels.shape != SHAPE:
            raise OccvinoError(f"the labels have shape {found.labels.shape}, Occ3D's ground truth has {SHAPE}")
        arrays: dict[str, NDArray[np.generic]] = {"semantics": found.labels}
        if found.instances is not None:
            arrays["instances"] = found.instances
        with atomic_file(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # see Occupancy.save

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


def _stamp(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
        if isinstance(found, dict):
            return cast(dict[str, Any], found)
    except (OSError, ValueError, RecursionError) as error:
        raise OutputError(f"{path} is damaged ({error}): delete its folder, or choose another") from error
    raise OutputError(f"{path} is not of an evaluation: choose another folder")


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
