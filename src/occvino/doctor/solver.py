"""Solver calls: `torch.inverse` and its kin need MAGMA or cuSOLVER on CUDA, and no exporter takes all of them."""

from __future__ import annotations

import torch

from occvino.doctor.case import Case
from occvino.doctor.findings import Finding, Fix, Severity
from occvino.doctor.places import Place
from occvino.doctor.watch import Event

INVERSES = frozenset({"torch.inverse", "torch.inv", "torch.linalg.inv", "torch.inv_ex", "torch.linalg.inv_ex"})
_CLOSED = (
    "# rigid transform: rotation.mT and -rotation.mT @ translation; 3x3: cross products of the columns over det\n"
    "inverse = occvino.doctor.recipes.closed_form_inverse(matrix)"
)
_HOST = (
    "# compute it outside the module, in float64 on the host, and give the result as an input\n"
    "def forward(self, x, inverse): ..."
)

_EXPORT = "both ONNX exporters refuse it (aten::linalg_inv has no translation); openvino.convert_model takes it"


def check(case: Case) -> list[Finding]:
    """One finding for each line that calls a solver."""
    groups: dict[tuple[str, Place], list[Event]] = {}
    for event in case.base.of("solver"):
        groups.setdefault((event.name, event.place), []).append(event)
    return [_finding(name, place, events) for (name, place), events in groups.items()]


def closed_form_exists(event: Event) -> bool:
    """An inverse of matrices no larger than 4x4."""
    return event.name in INVERSES and event.subject.rstrip("]").split(", ")[-1] in ("2", "3", "4")


def _finding(name: str, place: Place, events: list[Event]) -> Finding:
    troubles = [event.trouble for event in events if event.trouble]
    if troubles:
        evidence = f"on this machine: {troubles[0]}"
    elif torch.cuda.is_available():
        evidence = "ran on this machine without a warning"
    else:
        evidence = "no CUDA device here: the call is listed, not tried on one"
    subject = ", ".join(dict.fromkeys(event.subject for event in events))
    return Finding(
        "solver/linalg",
        Severity.ERROR if troubles else Severity.WARNING,
        place,
        subject,
        f"{name} calls a solver: on CUDA that is MAGMA or cuSOLVER, which fail to load or to initialise on many "
        "machines, and for a few small matrices a launch costs more than the sum",
        (f"{len(events)} call(s) on {subject}", evidence, *([_EXPORT] if name in INVERSES else [])),
        Fix(_CLOSED if all(map(closed_form_exists, events)) else _HOST),
    )
