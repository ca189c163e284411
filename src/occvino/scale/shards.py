"""Labels of frames as Parquet, many frames a file: `shards/part-00000.parquet`, `shards/part-00001.parquet`, ...

    token, scene     of the frame                     time        of the frame: microseconds, UTC
    labels           u8 in C order, of one size       instances   u16, little-endian, likewise, of a panoptic model
    model            sha256 of the artifact's files   sha256      of the labels (`scale.forms.digest`)
    of               the frame's mark (`labelling.stored.frame_mark`)

Shape, class names and grid are in the metadata of the schema, under "occvino", as JSON. Columns are compressed by zstd
and have check sums. A frame that is done is a file in `open/` until there are enough for a shard, which is written
whole and once: nothing that was done waits in memory.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from occvino.errors import warn
from occvino.files import OutputError, atomic_file, writing
from occvino.labelling.stored import Stored
from occvino.runtime import Occupancy
from occvino.scale.extra import needed
from occvino.scale.forms import encode
from occvino.scale.manifest import Entry
from occvino.scale.store import Files, Kept, Labels, load
from occvino.scale.work import Result
from occvino.variant import Variant

FOLDER, OPEN = "shards", "open"
GROUP = 16
"""Frames a row group, which is what a reader unpacks to see one of them: 10 MB of labels."""
LEVEL = 3
"""Of zstd: higher ones take several times as long for a few percent."""


class Shards:
    """Parquet files, and what waits for the next one.

    Args:
        stored: the folder, and what makes the labels in it.
        variant: whose labels they are.
        model: sha256 of the artifact's files.
        size: frames a shard.

    Raises:
        OccvinoError: pyarrow is not installed.
    """

    def __init__(self, stored: Stored, variant: Variant, model: str, size: int) -> None:
        self._pq = needed("pyarrow.parquet", "--format parquet")
        self._stored, self._variant, self._model, self._size = stored, variant, model, size
        self._folder = stored.folder / FOLDER
        self._files = Files(stored, "npz", OPEN)
        self._open: dict[str, Entry] = {}
        """Frames that wait for a shard."""

    def keep(
        self, wanted: Mapping[str, str], entries: Mapping[str, Entry], looked: Callable[[], Any]
    ) -> Iterator[tuple[str, Kept]]:
        """See `Store.keep`."""
        there: dict[str, Kept] = {}
        for path in sorted(self._folder.glob("part-*.parquet")):
            for name, kept in self._of_shard(path, wanted, there, looked):
                there[name] = kept
                self._files.remove(name)
        yield from there.items()
        rest = {name: mark for name, mark in wanted.items() if name not in there}
        for name, kept in self._files.keep(rest, entries, looked):
            self._open[name] = replace(entries[name], of=wanted[name])
            yield name, kept

    def put(self, entry: Entry, result: Result) -> Iterator[list[tuple[str, Kept]]]:
        """See `Store.put`."""
        yield from self._files.put(entry, result)
        self._open[entry.frame] = replace(entry, of=result.mark)
        if len(self._open) >= self._size:
            yield from self.close()

    def close(self) -> Iterator[list[tuple[str, Kept]]]:
        """See `Store.close`: what is open becomes a shard."""
        while self._open:
            names = sorted(self._open, key=lambda name: (self._open[name].scene, self._open[name].time))[: self._size]
            yield self._write([self._open[name] for name in names])
            for name in names:
                del self._open[name]
                self._files.remove(name)

    def _write(self, entries: Sequence[Entry]) -> list[tuple[str, Kept]]:
        """A shard of these frames."""
        path = self._next()
        file, found = str(path.relative_to(self._stored.folder)), list[tuple[str, Kept]]()
        schema = _schema(self._variant)
        with atomic_file(path) as temporary, self._writer(temporary, schema) as writer:
            for start in range(0, len(entries), GROUP):
                rows: list[dict[str, Any]] = []
                for entry in entries[start : start + GROUP]:
                    labels = load(self._files.path(entry.frame), "npz")
                    rows.append(self._row(entry, labels))
                    found.append((entry.frame, Kept(file, rows[-1]["sha256"], None)))
                writer.write_table(needed("pyarrow", FOLDER).Table.from_pylist(rows, schema))
        return found

    def _writer(self, path: Path, schema: Any) -> Any:
        told = ["token", "scene", "time"]
        return self._pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            compression_level=LEVEL,
            use_dictionary=["scene", "model"],
            write_statistics=told,
            write_page_checksum=True,
        )

    def _row(self, entry: Entry, labels: Labels) -> dict[str, Any]:
        more = {} if labels.instances is None else {"instances": labels.instances.astype("<u2").tobytes()}
        return {
            "token": entry.token,
            "scene": entry.scene,
            "time": round(entry.time * 1e6),
            "labels": labels.semantics.tobytes(),
            "model": self._model,
            "sha256": labels.sha256,
            "of": entry.of,
            **more,
        }

    def _next(self) -> Path:
        taken = {path.name[:10] for path in self._folder.glob("part-*")}
        name = next(name for number in count() if (name := f"part-{number:05d}") not in taken)
        return self._folder / f"{name}.parquet"

    def _of_shard(
        self, path: Path, wanted: Mapping[str, str], there: Mapping[str, Kept], looked: Callable[[], Any]
    ) -> list[tuple[str, Kept]]:
        """Frames of a shard that are right. Where some are not, the others are taken out of it and it goes.

        A shard that cannot be read is moved aside.
        """
        file, right, wrong = str(path.relative_to(self._stored.folder)), list[tuple[str, str]](), False
        try:
            for row in rows_of(path):
                looked()
                name = f"{row['scene']}/{row['token']}"
                mark = wanted.get(name, row["of"])
                if mark != row["of"]:
                    self._stored.changed.append(name)
                if mark == row["of"] and name not in there:
                    right.append((name, row["sha256"]))
                else:
                    wrong = True
        except OutputError as error:
            aside = path.with_name(f"{path.name}.damaged")
            warn(f"{error}; it is moved to {aside.name}, and its frames are labelled anew")
            with writing(path):
                path.replace(aside)
            return []
        if not wrong:
            return [(name, Kept(file, sha256, None)) for name, sha256 in right]
        self._unpack(path, {name for name, _ in right})
        return []

    def _unpack(self, path: Path, names: set[str]) -> None:
        """Put frames of a shard back among the open ones, and remove it."""
        for row in rows_of(path):
            name = f"{row['scene']}/{row['token']}"
            if name in names:
                labels = labels_of(row, self._variant.occupancy_grid.shape)
                extras: dict[str, Any] = {} if labels.instances is None else {"instances": labels.instances}
                grid, classes = self._variant.occupancy_grid, self._variant.class_names
                found = Occupancy(labels.semantics, classes, grid, extras)
                payload = encode("npz", found, row["of"])
                list(self._files.put(_named(name), Result(name, row["of"], payload, row["sha256"])))
        with writing(path):
            path.unlink()


def _named(name: str) -> Entry:
    scene, _, token = name.partition("/")
    return Entry(name, token, scene, 0.0)


def _schema(variant: Variant) -> Any:
    """Of the table, with shape, classes and grid in its metadata."""
    pa, shape, grid = needed("pyarrow", FOLDER), variant.occupancy_grid.shape, variant.occupancy_grid
    voxels = int(np.prod(shape))
    fields = [
        pa.field("token", pa.string()),
        pa.field("scene", pa.string()),
        pa.field("time", pa.timestamp("us", "UTC")),
    ]
    fields += [pa.field("labels", pa.binary(voxels))]
    fields += [pa.field("instances", pa.binary(2 * voxels))] if variant.panoptic else []
    fields += [pa.field(name, pa.string()) for name in ("model", "sha256", "of")]
    axes = [[axis.lower, axis.upper, axis.step] for axis in (grid.x, grid.y, grid.z)]
    told = {"shape": shape, "class_names": variant.class_names, "grid": axes}
    return pa.schema(fields, metadata={"occvino": json.dumps(told)})


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a shard, each once its labels were found to fit their hash.

    Raises:
        OutputError: the file is damaged, or none of ours.
    """
    for number in range(_asked(path, lambda file: file.num_row_groups)):
        group = Group.read(path, number)
        for place, row in enumerate(group.rows):
            if group.labels(place).sha256 != row["sha256"]:
                raise OutputError(f"{path} is damaged: the labels of {row['token']} do not fit their hash")
            yield row


@dataclass(frozen=True, eq=False)
class Group:
    """The rows of one row group of a shard, and the shape of their labels, [Dx, Dy, Dz]."""

    path: Path
    number: int
    rows: list[dict[str, Any]]
    shape: tuple[int, ...]

    @classmethod
    def read(cls, path: Path, number: int) -> "Group":
        """Read it.

        Raises:
            OutputError: the file is damaged, or none of ours.
        """
        rows, shape = _asked(path, lambda file: (file.read_row_group(number).to_pylist(), shape_of(file)))
        return cls(path, number, rows, shape)

    def labels(self, row: int) -> Labels:
        """Labels of a row."""
        return labels_of(self.rows[row], self.shape)


def index_of(path: Path) -> dict[str, tuple[int, int]]:
    """Row group and row of each token in a shard.

    Raises:
        OutputError: the file is damaged, or none of ours.
    """

    def tokens(file: Any) -> dict[str, tuple[int, int]]:
        groups = range(file.num_row_groups)
        found = (file.read_row_group(group, columns=["token"]).column("token").to_pylist() for group in groups)
        return {token: (group, row) for group, there in enumerate(found) for row, token in enumerate(there)}

    return _asked(path, tokens)


def _asked(path: Path, question: Callable[[Any], Any]) -> Any:
    """What a shard answers while it is open."""
    pq = needed("pyarrow.parquet", "Parquet")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return question(file)
    except Exception as error:  # damaged bytes meet Arrow's readers with any exception there is
        raise OutputError(f"{path} is not a shard of labels ({error})") from error


def shape_of(file: Any) -> tuple[int, ...]:
    """Of the labels of a shard that is open, [Dx, Dy, Dz]."""
    return tuple(json.loads(file.schema_arrow.metadata[b"occvino"])["shape"])


def labels_of(row: Mapping[str, Any], shape: tuple[int, ...]) -> Labels:
    """Labels of a row."""
    semantics = np.frombuffer(row["labels"], np.uint8).reshape(shape)
    instances = row.get("instances")
    return Labels(semantics, None if instances is None else np.frombuffer(instances, "<u2").reshape(shape))
