"""What the doctor says: findings, and the container that counts, orders and serialises them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from typing import Any

from occvino.doctor.places import Place
from occvino.errors import OccvinoError
from occvino.files import to_json

TOLERANCE = 0.01
"""Largest error of a module's output, in standard deviations of it; of integers the share that differs."""


class DoctorError(OccvinoError, RuntimeError):
    """The doctor could not examine the module: the example call fails, a recipe is not exact, a target is unknown."""


class Severity(Enum):
    """How bad it is. Only errors and warnings make the command exit with 1."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class Fix:
    """What to write instead.

    Args:
        snippet: a few lines of Python for the user to adapt, with the imports that they need. Never executed by a
            report.
        tried: the doctor applied it to this very module and call.
        worked: it did, and the outputs were equal.
        proof: the numbers behind `worked`; empty when not tried.
    """

    snippet: str
    tried: bool = False
    worked: bool = False
    proof: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "snippet", _with_imports(self.snippet))


_IMPORTS = {
    "occvino": "import occvino",
    "openvino": "import openvino",
    "torch": "import torch",
    "F": "import torch.nn.functional as F",
}


def _with_imports(snippet: str) -> str:
    """The modules that the lines name, imported above them, each once."""
    lines = [line for line in snippet.splitlines() if line not in _IMPORTS.values()]
    code = "\n".join(line.partition("#")[0] for line in lines)
    needed = [line for name, line in _IMPORTS.items() if re.search(rf"(?<![\w.]){name}\.", code)]
    return "\n".join([*needed, *lines])


@dataclass(frozen=True)
class Finding:
    """One thing that breaks between PyTorch, ONNX and OpenVINO.

    Args:
        code: `pitfall/kind`, as `leaving/item`: stable, for scripts.
        place: where in the user's source; None when the finding is about the call as a whole.
        subject: the tensor, input or operator concerned.
        message: what happens, in one sentence.
        evidence: what was seen while running, numbers included.
    """

    code: str
    severity: Severity
    place: Place | None
    subject: str
    message: str
    evidence: tuple[str, ...] = ()
    fix: Fix = field(default_factory=lambda: Fix(""))

    def with_evidence(self, *lines: str) -> Finding:
        """The same finding with more evidence; lines already there are not repeated."""
        return replace(self, evidence=(*self.evidence, *(line for line in lines if line not in self.evidence)))


@dataclass(frozen=True)
class ModuleParity:
    """One row: what a submodule gives, compared with PyTorch.

    Args:
        module: its path, `(output)` for the module itself.
        kind: its class.
        errors: of each engine, the largest difference in standard deviations of what PyTorch gives.
    """

    module: str
    kind: str
    errors: dict[str, float]

    def error_text(self, engine: str) -> str:
        """An error with two digits; empty where the engine could not be compared."""
        return f"{self.errors[engine]:.2g}" if engine in self.errors else ""


@dataclass(frozen=True)
class ParityTable:
    """The comparison module by module, on the example call.

    Args:
        rows: in the order in which the submodules finish.
        routes: by which way out of PyTorch each engine got the module.
        refused: engines that could not be compared, and why.
        first: the first module that is beyond the tolerance, and a likely cause; empty when none is.
    """

    rows: tuple[ModuleParity, ...]
    routes: dict[str, str]
    refused: dict[str, str]
    first: str

    @property
    def summary(self) -> str:
        """One line for under the table."""
        if not self.rows:
            return "no engine could be compared"
        return self.first or f"no module differs beyond {TOLERANCE:g} of its own deviation"

    @property
    def notes(self) -> list[str]:
        """What belongs under the table."""
        return [self.summary, *(f"{engine} is not compared: {why}" for engine, why in self.refused.items())]

    def to_dict(self) -> dict[str, Any]:
        """Plain values; JSON knows no infinity, which is what another shape gets."""
        rows = [asdict(row) for row in self.rows]
        for row in rows:
            row["errors"] = {k: e if math.isfinite(e) else "infinite" for k, e in row["errors"].items()}
        return {"rows": rows, "routes": self.routes, "refused": self.refused, "first": self.first}


@dataclass(frozen=True)
class Answer:
    """What heads the report: is there a way to OpenVINO, and by which lines.

    Args:
        route: the one that agrees on changed inputs; empty when none does.
        said: one sentence.
        snippet: the lines that make the model; empty when no route does.
        place: of the first obstacle, when no route does.
        evidence: what became of the routes of the patched module, when those were tried in vain.
    """

    route: str
    said: str
    snippet: str = ""
    place: Place | None = None
    evidence: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "snippet", _with_imports(self.snippet))


@dataclass(frozen=True)
class Findings(Sequence[Finding]):
    """The doctor's report on one module: a sequence of `Finding`, worst first within each pitfall.

    Args:
        module: the class of the examined module.
        items: the findings.
        routes: what became of each way out of PyTorch, as {"legacy": "agrees, error 2e-07"}.
        seconds: wall time of each step.
        parity: what each submodule gives in PyTorch, ONNX Runtime and OpenVINO; None when no route came through.
        answer: whether there is a way to OpenVINO; None when no route to it was asked for.
    """

    module: str
    items: tuple[Finding, ...]
    routes: dict[str, str]
    seconds: dict[str, float]
    parity: ParityTable | None = None
    answer: Answer | None = None

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.items)

    @property
    def clean(self) -> bool:
        """No error, no warning, and a route to OpenVINO where one was asked for. Notes do not count."""
        reached = self.answer is None or bool(self.answer.route)
        return reached and all(finding.severity is Severity.NOTE for finding in self.items)

    def at(self, line: int) -> list[Finding]:
        """Findings on a line of the source, of whatever file."""
        return [finding for finding in self.items if finding.place and finding.place.line == line]

    def codes(self) -> list[str]:
        """The codes in order of appearance, each once."""
        return list(dict.fromkeys(finding.code for finding in self.items))

    def to_dict(self) -> dict[str, Any]:
        """Plain values only."""
        rows = [{**asdict(finding), "severity": finding.severity.value} for finding in self.items]
        return {
            "module": self.module,
            "clean": self.clean,
            "answer": asdict(self.answer) if self.answer else None,
            "findings": rows,
            "routes": dict(self.routes),
            "parity": self.parity.to_dict() if self.parity else None,
            "seconds": {step: round(seconds, 3) for step, seconds in self.seconds.items()},
        }

    def to_json(self) -> str:
        """`to_dict` as JSON text."""
        return to_json(self.to_dict(), indent=2)


PITFALLS = ("signature", "leaving", "frozen", "operators", "solver", "parity")
"""The order in which the findings are told: the order in which people meet them."""


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By pitfall, then severity, then place."""

    def key(finding: Finding) -> tuple[Any, ...]:
        where = (finding.place.file, finding.place.line) if finding.place else ("", 0)
        return (PITFALLS.index(finding.code.split("/")[0]), finding.severity.rank, where, finding.code, finding.subject)

    return tuple(sorted(findings, key=key))
