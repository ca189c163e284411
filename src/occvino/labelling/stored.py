"""Labels on disk that know what they were made of, so that a run that was interrupted goes on and mixes nothing.

    OUT/<stamp>               what makes the labels: artifact, device, precision, options. Others are refused
    OUT/<frame>/labels.npz    the frame that they are of is in the comment of the archive, which no reader minds

A frame whose images, rig or past frames changed since is labelled anew, and so is one whose file is damaged.
"""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from occvino import __version__
from occvino.artifact import Artifact, refuse_inside
from occvino.errors import warn
from occvino.files import OutputError, from_json, write_text, writing

STAMPS = ("eval.json", "run.json", "batch.json")
FORMAT = 2
"""Of the stamp. Format 1, which had no number, did not know which data its labels were of."""
_MARK = "occvino frame"
_OWN_FOLDERS = ("samples", "sweeps", "gts", "maps")
"""Of a nuScenes set, with Occ3D's labels; beside its tables, `v1.0-*`."""


def made_by(
    artifact: Artifact,
    computes: str,
    *,
    engine: str = "openvino",
    mapping: str = "official",
    contents: bool = False,
    exif: str = "warn",
    undistort: bool = False,
) -> dict[str, Any]:
    """What labels follow from, besides the frames, as plain values.

    Args:
        artifact: that is run.
        computes: the devices and what they compute in, in words.
        engine: what runs it.
        mapping: of a panoptic model's centres.
        contents: images are known by what is in them (see `images.identity`).
        exif: as for `Pipeline`; images that are turned give other labels.
        undistort: as for `Pipeline`.
    """
    files = json.dumps(dict(artifact.manifest.files), sort_keys=True)
    return {
        "artifact": hashlib.sha256(files.encode()).hexdigest(),
        "engine": engine,
        "computes": computes,
        "mapping": mapping,
        "images": "by content" if contents else "by size and time",
        "exif": "apply" if exif == "apply" else "as stored",
        "occvino": __version__,
        **({"undistort": True} if undistort else {}),
    }


def frame_mark(own: str, others: Iterable[str] = ()) -> str:
    """How labels name their frame: by its own identity, and by one with those of the past frames that they follow from.

    Args:
        own: `identity` of the frame.
        others: those of its past frames, in order.
    """
    return f"{_MARK} {own} {hashlib.sha256(' '.join((own, *others)).encode()).hexdigest()}"


def mark(file: Path | IO[bytes], frame: str) -> None:
    """Write into an `.npz` file which frame its labels are of; `frame` comes from `frame_mark`."""
    with zipfile.ZipFile(file, "a") as archive:
        archive.comment = frame.encode()


def marked(path: Path) -> str | None:
    """Which frame the labels of a file are of; "" if it does not say so. None if it is missing or damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.comment.decode("utf-8", "replace") if archive.testzip() is None else None
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError):
        return None


def _members(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def same_frame(first: str, second: str) -> bool:
    """Whether two marks of labels are of one frame, as far as they say so; past frames do not count."""
    told = [frame.removeprefix(_MARK).split()[:1] for frame in (first, second)]
    kinds = {own.partition("-")[0] for names in told for own in names}
    return told[0] == told[1] or [] in told or len(kinds) > 1


class Stored:
    """A folder of labels that remembers what made them.

    Args:
        folder: new, empty, or of an earlier run of the same.
        values: plain values that say what makes the labels (`made_by`); the folder remembers them.
        stamp: name of the file that remembers.
        alone: refuse a folder that holds other things.

    Raises:
        OutputError: the folder holds labels that something else made, or other things; or the stamp is damaged.
    """

    def __init__(self, folder: str | Path, values: Mapping[str, Any], *, stamp: str, alone: bool) -> None:
        self.folder = Path(folder)
        self.changed: list[str] = []
        """Frames with labels that were made of something else, by name, in the order in which they were asked for."""
        self.kept = 0
        """How many frames have the right labels already."""
        path, wanted = self.folder / stamp, {"format": FORMAT, **values}
        with writing(self.folder):
            if path.is_file():
                _check(self.folder, _read(path), wanted)
                return
            if self.folder.exists() and not self.folder.is_dir():
                raise OutputError(f"{folder} exists and is no folder: choose another one")
            if self.folder.exists() and alone and any(self.folder.iterdir()):
                raise OutputError(
                    f"{folder} exists and holds other things, and no {stamp} of an earlier run: choose another folder"
                )
        for other in STAMPS:
            if (self.folder / other).is_file():
                raise OutputError(f"{folder} holds labels of another command, which {other} tells of: choose another")
        write_text(path, json.dumps(wanted, indent=1) + "\n")

    def keeps(self, name: str, path: Path, frame: str) -> bool:
        """Whether a frame has the right labels already; takes note of one that has others.

        Args:
            name: of the frame.
            path: of its labels.
            frame: what they should be of, from `frame_mark`.

        Raises:
            OutputError: there is a file of that name which occvino did not write.
        """
        found = marked(path)
        if found is not None and not found.startswith(_MARK) and "labels.npy" not in _members(path):
            raise OutputError(f"{path} was not written by occvino and would be replaced: choose another folder")
        self.kept += found == frame
        if found is not None and found != frame:
            self.changed.append(name)
        return found == frame

    def tell(self) -> None:
        """Warn of the frames that `keeps` found changed."""
        if self.changed:
            warn(
                f"{len(self.changed)} frames are not what the labels in {self.folder} were made of (first: "
                f"{self.changed[0]}): their images, rigs or past frames have changed; these frames are labelled anew"
            )


def _read(stamp: Path) -> dict[str, Any]:
    try:
        found = from_json(stamp.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found  # pyright: ignore[reportUnknownVariableType]
        reason = "no JSON object"
    except ValueError as error:
        reason = str(error)
    raise OutputError(
        f"{stamp} is damaged ({reason}), so nothing says what made the labels beside it: delete {stamp.parent}, or "
        "choose another folder"
    )


def _check(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    if found == wanted:
        return
    if found.get("format") != FORMAT:
        raise OutputError(
            f"{folder} holds labels of another release of occvino, which keeps something else about the data that they "
            "are of: choose another folder"
        )
    keys = [key for key in {**wanted, **found} if found.get(key) != wanted.get(key)]
    differing = ", ".join(f"{key}: {_short(found.get(key))} there, {_short(wanted.get(key))} now" for key in keys)
    raise OutputError(f"{folder} holds labels made otherwise ({differing}): choose another folder")


def _short(value: object) -> str:
    text = str(value)
    return f"{text[:12]}..." if len(text) == 64 else text


def check_output(out: Path, *, dataset: Path | None = None, sequence: Path | None = None) -> None:
    """Refuse to put labels where an artifact or the data is.

    Args:
        out: the folder that labels are to be written to.
        dataset: nuScenes folder that is labelled.
        sequence: folder of frames that is labelled.

    Raises:
        OutputError: `out` is in an artifact, in a folder of the data set's own, or among the frames.
    """
    refuse_inside(out)
    where = out.resolve()
    if sequence is not None and sequence.resolve() in (where, *where.parents):
        raise OutputError(f"{out} is among the frames of {sequence}, and would count as one: choose another output")
    if dataset is not None and dataset.resolve() in (where, *where.parents):
        first: Sequence[str] = where.relative_to(dataset.resolve()).parts[:1]
        if not first or first[0] in _OWN_FOLDERS or first[0].startswith("v1.0-"):
            raise OutputError(f"{out} is a folder of the data set {dataset}: choose another output")
