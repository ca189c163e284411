"""What the commands of `occvino rig` say about doubts and likely mistakes."""

from collections.abc import Sequence
from typing import Any

from occvino.geometry.doubts import Doubt, told_doubts, told_mistakes
from occvino.geometry.mistakes import Mistake


def notes_of(found: Sequence[Doubt], likely: Sequence[Mistake]) -> list[str]:
    """A line for each doubt and each likely mistake; empty if there are none."""
    lines = f"{told_doubts(found)}\n{told_mistakes(likely)}".splitlines()
    return [line.strip() for line in lines if line.strip()]


def notes_as_json(found: Sequence[Doubt], likely: Sequence[Mistake]) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "doubts": [{"camera": doubt.camera, "kind": doubt.kind, "words": doubt.words} for doubt in found],
        "mistakes": [{"kind": each.kind, "words": each.words, "fix": each.fix} for each in likely],
    }
