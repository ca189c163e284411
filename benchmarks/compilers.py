"""What the tables of Intel's GPU and NPU compilers share: records as they come, and models of random weights."""

import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from occvino.artifact import Artifact
from occvino.conversion import convert
from occvino.conversion.quantize import _Judge  # pyright: ignore[reportPrivateUsage]
from occvino.datasets.shipped import shipped_scene
from occvino.files import write_text
from occvino.variants import get_variant, variants


def stored(store: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in store.read_text().splitlines()] if store.exists() else []


def compile_missing(
    store: Path,
    key: str,
    names: Iterable[str],
    targets: Sequence[str],
    precision: str,
    device: str | None,
    compile_for: Callable[[Artifact, Sequence[str], dict[str, Any]], None],
) -> None:
    """Convert each model in its usual form, and compile it for those targets that the records do not have.

    `key`: under which a record has its target. `device`: that `convert` is told. `compile_for` adds the records.
    """
    for name in names:
        temporal = "exact" if get_variant(name).frames > 1 else "batch"
        asked = {"name": name, "temporal": temporal, "precision": precision}
        have = {row[key] for row in stored(store) if all(row[field] == value for field, value in asked.items())}
        missing = [target for target in targets if target not in have]
        if missing:
            with tempfile.TemporaryDirectory(prefix="occvino-compilers-") as folder:
                compile_for(_converted(name, temporal, precision, device, Path(folder) / "a"), missing, asked)


def _converted(name: str, temporal: Any, precision: Any, device: str | None, out: Path) -> Artifact:
    """Random weights: int8 is calibrated on a shipped frame, which is enough to see what it becomes."""
    options: dict[str, Any] = {"precision": precision, "temporal": temporal, "device": device}
    if precision == "int8":
        options |= {"dataset": shipped_scene(), "calibration_frames": 1, "accuracy_budget": 100}
    with patch.object(_Judge, "__call__", _unjudged):
        return convert(name, None, out, **options)


def _unjudged(judge: _Judge, compiled: Any, indices: Sequence[int]) -> tuple[float, list[float]]:
    """In the place of mIoU, which says nothing of random weights and takes the longest streams half an hour."""
    judge.first = 0.0
    return 0.0, [0.0 for _ in indices]


def by_model(found: list[dict[str, Any]]) -> Iterable[tuple[list[str], list[dict[str, Any]]]]:
    """The first two cells of a row, model and weights, and its records."""
    for name in variants():
        for precision in ("fp16", "int8"):
            of_model = [row for row in found if row["name"] == name and row["precision"] == precision]
            if of_model:
                form = ", exact stream" if of_model[0]["temporal"] == "exact" else ""
                yield [f"{name}{form}", precision], of_model


def put_between(page: Path, begin: str, end: str, tables: Iterable[str]) -> None:
    """Replace what a page has between two marks; empty parts are left out."""
    before, _, rest = page.read_text().partition(begin)
    write_text(page, "\n\n".join([f"{before}{begin}", *filter(None, tables), f"{end}{rest.partition(end)[2]}"]))
