"""A data set labelled into a folder, in one run or in several."""

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from occvino.artifact import Artifact
from occvino.datasets.sample import Sample
from occvino.errors import OccvinoError, warn
from occvino.files import OutputError
from occvino.labelling.stored import Stored
from occvino.scale.alone import alone_in
from occvino.scale.forms import Form
from occvino.scale.manifest import MANIFEST, Entry, Manifest, read_manifest
from occvino.scale.plan import marks_of, name_of, units_of
from occvino.scale.shards import Shards
from occvino.scale.source import Source
from occvino.scale.store import Files, Kept, Store
from occvino.scale.work import Result, Unit

STAMP = "batch.json"


@dataclass
class Tally:
    """How far a run is. `kept`: had their labels before; `done` and `failed`: in this run; `wanted`: asked for."""

    wanted: int = 0
    kept: int = 0
    done: int = 0
    failed: int = 0
    stopped: bool = False
    """More frames failed than was allowed."""
    failures: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    @property
    def left(self) -> int:
        """Frames that were asked for and are neither labelled nor failed."""
        return self.wanted - self.kept - self.done - self.failed


class Batch:
    """One folder of labels, open for one run.

    Args:
        source: the data set.
        artifact: the network.
        out: folder, new or of an earlier run of the same.
        made_by: plain values that say what makes the labels (`labelling.stored.made_by`); the folder remembers them.
        form: how labels are stored.
        shard: frames a file, of the form parquet.

    Raises:
        OutputError: the folder holds something else, or labels that something else made, or another run writes to it.
    """

    def __init__(
        self,
        source: Source,
        artifact: Artifact,
        out: Path,
        made_by: dict[str, Any],
        *,
        form: Form = "npz",
        shard: int = 1000,
    ) -> None:
        self.out, self.tally = out, Tally()
        self._source, self._artifact = source, artifact
        self._stored = Stored(out, {**made_by, "format of labels": form}, stamp=STAMP, alone=True)
        self._alone = alone_in(out / STAMP)
        self._store = _store(self._stored, artifact, str(made_by.get("artifact")), form, shard)
        self._manifest = Manifest(out)
        self._marks = marks_of(source, artifact)
        self._missing: list[str] = []

    def begin(self, chosen: Iterable[str] | None = None, looked: Callable[[], Any] = lambda: None) -> Tally:
        """Look at what is there and write the manifest; gives how far an earlier run came.

        Args:
            chosen: names of the frames to label; all when left out.
            looked: called for each frame that was looked at.

        Raises:
            OutputError: a file cannot be read or written, or one that occvino did not write is in the way.
        """
        known = self._known()
        entries = _pending(self._source.dataset)
        failed = {name: known[name] for name in entries if name in known and known[name].state == "failed"}
        entries |= {name: replace(entries[name], state="failed", error=failed[name].error) for name in failed}
        for name, kept in self._store.keep(self._marks, entries, looked):
            told = known[name].sha256 if name in known else None
            if told in (None, kept.sha256):
                entries[name] = _done(entries[name], kept, self._marks[name])
        self._stored.tell()
        self._manifest.begin(entries.values())
        wanted = list(entries if chosen is None else chosen)
        self._missing = [name for name in wanted if entries[name].state != "done"]
        self.tally = Tally(len(wanted), len(wanted) - len(self._missing))
        return self.tally

    def units(self, size: int | None = None) -> list[Unit]:
        """What is left to do, in units of so many frames (see `plan.units_of`)."""
        return list(units_of(self._source, self._artifact, self._missing, self._marks, size=size))

    def run(self, results: Generator[Result], max_failures: int | None = None) -> Iterator[Entry]:
        """Store what an engine gives; yields each frame once it is in the manifest.

        Args:
            results: of an engine; closed at the end.
            max_failures: stop once more frames than this failed.

        Raises:
            OutputError: the disk is full, or the folder cannot be written to. The manifest is true all the same.
            OccvinoError: a frame was labelled twice, and not alike.
        """
        entries, tally = self._manifest.entries, self.tally
        told = set[str]()
        with contextlib.closing(results):
            for result in results:
                for doubt in result.warnings:
                    if doubt not in told:
                        told.add(doubt)
                        warn(doubt)
                if (entry := entries[result.name]).state == "done":
                    _same(entry, result)
                    continue
                yield self._write(entry, result)
                if max_failures is not None and tally.failed > max_failures:
                    tally.stopped = True
                    break
        self._moved(self._store.close())
        self._manifest.end()

    def close(self) -> None:
        """Let another run write to the folder."""
        self._alone.close()

    def _write(self, entry: Entry, result: Result) -> Entry:
        if result.error is None:
            self._moved(self._store.put(entry, result))
            self.tally.done += 1
        else:
            self._manifest.add(replace(_blank(entry), state="failed", error=result.error))
            self.tally.failed += 1
            self.tally.failures.append((result.name, result.error))
        return self._manifest.entries[result.name]

    def _moved(self, places: Iterator[list[tuple[str, Kept]]]) -> None:
        entries = self._manifest.entries
        for moved in places:
            self._manifest.add(*(_done(entries[name], kept, self._marks[name]) for name, kept in moved))

    def _known(self) -> dict[str, Entry]:
        try:
            return read_manifest(self.out)
        except OutputError as error:
            if (self.out / MANIFEST).exists():
                warn(f"{error}; it is made anew from the labels themselves")
            return {}


def _store(stored: Stored, artifact: Artifact, model: str, form: Form, shard: int) -> Store:
    return Shards(stored, artifact.variant, model, shard) if form == "parquet" else Files(stored, form)


def _pending(frames: Iterable[Sample]) -> dict[str, Entry]:
    return {name_of(frame): Entry(name_of(frame), frame.token, frame.scene, frame.timestamp / 1e6) for frame in frames}


def _blank(entry: Entry) -> Entry:
    return Entry(entry.frame, entry.token, entry.scene, entry.time)


def _done(entry: Entry, kept: Kept, mark: str) -> Entry:
    return replace(_blank(entry), state="done", file=kept.file, sha256=kept.sha256, bytes=kept.bytes, of=mark)


def _same(entry: Entry, result: Result) -> None:
    """A worker that died may have given what another gives again."""
    if result.error is None and result.sha256 != entry.sha256:
        raise OccvinoError(
            f"{entry.frame} was labelled twice, with other labels the second time: are all workers of one kind? "
            "Choose what all of them compute in with --precision fp32"
        )
