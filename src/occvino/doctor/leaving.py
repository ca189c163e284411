"""Leaving tensor land: where a tensor becomes a Python number, a NumPy array, a branch - or state that stays behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils import _pytree as pytree

from occvino.doctor.agreement import TOLERANCE, worst
from occvino.doctor.calls import clone, leaves, tensors_out
from occvino.doctor.case import Case
from occvino.doctor.findings import Finding, Fix, Severity
from occvino.doctor.places import Place
from occvino.doctor.watch import Event, observe, output_after


@dataclass(frozen=True)
class Advice:
    """What happens, and what to write instead."""

    message: str
    snippet: str


_NUMBER = "the tracing exporters store the number of the example call; torch.export stops where it is used"
ADVICE = {
    "item": Advice(f"a tensor becomes a Python number: {_NUMBER}", "scale = x.max()          # keep the 0-d tensor"),
    "number": Advice(
        f"int() or float() of a tensor: {_NUMBER}",
        "# a fixed size: compute it once, in __init__, as a Python int\nself.depth = int(grid_size[2])",
    ),
    "bool": Advice(
        "Python decides on a tensor's value: the graph holds only the branch that the example call took",
        "y = torch.where(condition, a, b)   # both branches are in the graph",
    ),
    "len": Advice(
        "len() of a tensor is a Python number: the graph holds the length of the example call",
        "# after a boolean mask a length depends on the data; keep every row and weight the dropped ones with 0\n"
        "weights = torch.where(kept, weights, 0)",
    ),
    "size": Advice(
        "a size made of the module's own tensors: torch.export and OpenVINO take Python numbers there",
        "# in __init__, once:\nself.size = [int(n) for n in grid_size]",
    ),
    "tolist": Advice(
        "a tensor becomes a Python list: the graph holds the values of the example call",
        "picked = torch.index_select(x, 0, index)   # index with the tensor itself",
    ),
    "numpy": Advice(
        "a tensor becomes a NumPy array, which no graph contains: all that is computed from it is stored as a constant",
        "labels = scores.argmax(-1).to(torch.uint8)   # NumPy's functions exist in torch; convert outside the module",
    ),
    "buffer": Advice(
        "forward writes into a buffer: an exported graph has no memory, so the write is lost",
        "def forward(self, x, memory):        # state in, state out\n    memory = 0.9 * memory + 0.1 * x\n"
        "    return y, memory",
    ),
    "state": Advice(
        "forward keeps a tensor on the module and the next call reads it: the graph holds the first one for ever",
        "# compute it in every call, or give it as an input\ndef forward(self, x, plan): ...",
    ),
    "random": Advice(
        "forward draws random numbers: PyTorch and the graph cannot agree",
        "def forward(self, x, noise): ...     # draw outside the module",
    ),
    "training": Advice(
        "the module is in training mode: dropout and batch statistics would be exported; examined in evaluation mode",
        "module.eval()",
    ),
    "output": Advice(
        "an exported graph returns tensors only",
        "return labels                        # a tensor; .numpy() belongs to the caller",
    ),
}
_SIZE = Advice(
    "len() of a tensor whose length is a size: right as a constant, as long as the shapes are those of the example",
    "count = x.shape[0]                   # follows where the axis is dynamic",
)
CHANGES = "the value changes with the inputs"
_PER_EVENT = ("item", "number", "size", "bool", "len", "tolist", "numpy", "buffer")
_STATIC = Advice(
    "len() of a mask is how many elements it has, not how many it keeps: this is the same for every input",
    "if not bool(kept.any()): ...         # what was meant; better, keep every row and weight the dropped ones with 0\n"
    "count = kept.sum()                   # a 0-d tensor, which stays in the graph",
)


def check(case: Case) -> list[Finding]:
    """One finding for each line and kind; a value that follows the inputs is an error, a constant one a warning."""
    groups: dict[tuple[str, Place], list[Event]] = {}
    for event in [*case.base.of(*_PER_EVENT), *_random(case)]:
        groups.setdefault((event.kind, event.place), []).append(event)
    found = [_finding(case, kind, place, events) for (kind, place), events in groups.items()]
    return found + _state(case) + _outputs(case)


def differ(events: list[Event], others: tuple[Event, ...]) -> bool:
    """Whether another run took other values, or another number of them, at the line and of the kind of `events`."""
    first = events[0]
    again = [event.value for event in others if (event.kind, event.place) == (first.kind, first.place)]
    return again != [event.value for event in events]


def _finding(case: Case, kind: str, place: Place, events: list[Event]) -> Finding:
    advice, first = ADVICE[kind], events[0]
    moved = case.varied is not None and differ(events, case.varied.events)
    if all(event.static for event in events) and not moved:
        if not first.subject.startswith("bool ["):
            return Finding("leaving/len", Severity.NOTE, place, first.subject, _SIZE.message, (), Fix(_SIZE.snippet))
        advice = _STATIC
    snippet = advice.snippet
    evidence = [f"{first.name} of {first.subject}, {len(events)}x in one call"]
    severity = Severity.ERROR
    if kind not in ("buffer", "random"):
        if isinstance(first.value, bool | int | float):
            evidence.append("gave " + ", ".join(f"{event.value:g}" for event in events[:4]))
        if all(event.constant for event in events):
            evidence.append("made of the module's own tensors only: right as a constant, but torch.export cannot know")
            severity = Severity.WARNING
        else:
            severity, said = _of_the_inputs(case, events)
            evidence.append(said)
            if kind == "number":  # not a size that __init__ could compute
                snippet = ADVICE["item"].snippet
    return Finding(f"leaving/{kind}", severity, place, first.subject, advice.message, tuple(evidence), Fix(snippet))


def _of_the_inputs(case: Case, events: list[Event]) -> tuple[Severity, str]:
    """How bad it is that a value which is not the module's own left tensor land, and whether it follows the inputs."""
    if case.varied is None:
        return Severity.ERROR, "the module takes no other inputs than the example: not known whether it follows them"
    if differ(events, case.varied.events):
        return Severity.ERROR, CHANGES
    return Severity.WARNING, "the value was the same for the other inputs that were tried"


def _random(case: Case) -> list[Event]:
    """Draws that reach the outputs: attention kernels are marked as random and draw nothing without dropout."""
    events = case.base.of("random")
    if not events:
        return []
    again = observe(case.module, clone(case.args), clone(case.kwargs))
    gap = worst(tuple(tensors_out(again.output).values()), case.outputs)
    return events if gap > TOLERANCE else []


def _state(case: Case) -> list[Finding]:
    """A tensor that is stored is a trap only if the next call gives something else because of it."""
    events = case.base.of("state")
    if not events or case.varied is None:
        return []
    other = case.flat.call_of(clone(case.varied.inputs))
    after = output_after(case.module, (clone(case.args), clone(case.kwargs)), other)
    gap = worst(tuple(tensors_out(after).values()), case.varied.outputs)
    if gap <= TOLERANCE:
        return []
    advice, last = ADVICE["state"], {event.subject.split(",")[0]: event for event in events}
    evidence = (
        f"a second call with other inputs differs by {gap:.2g} of the largest value from the same call made first"
    )
    return [
        Finding(
            "leaving/state",
            Severity.ERROR,
            event.place,
            event.subject,
            advice.message,
            (evidence,),
            Fix(advice.snippet),
        )
        for event in last.values()
    ]


def _outputs(case: Case) -> list[Finding]:
    """NumPy arrays, text and objects among the outputs. None is left out by every exporter and is no trap."""
    advice, found = ADVICE["output"], list[Finding]()
    kinds: dict[str, list[str]] = {}
    for path, leaf in leaves(case.base.output, "output"):
        if leaf is None or isinstance(leaf, Tensor) or type(leaf) in pytree.SUPPORTED_NODES:
            continue
        kinds.setdefault(_kind_of(leaf), []).append(path)
    for kind, paths in kinds.items():
        found.append(
            Finding(
                "leaving/output",
                Severity.ERROR,
                _place(case, kind),
                ", ".join(paths[:4]),
                f"{kind} among the outputs: {advice.message}",
                (f"{len(paths)} of {len(leaves(case.base.output))} outputs",),
                Fix(advice.snippet),
            )
        )
    return found


def _place(case: Case, kind: str) -> Place | None:
    """Of an array, where it was made: `forward` may return what another method made."""
    arrays = case.base.of("numpy")
    return arrays[-1].place if arrays and "NumPy" in kind else case.base.returned_at


def _kind_of(leaf: Any) -> str:
    if isinstance(leaf, np.ndarray):
        return f"a NumPy array of {leaf.dtype}"
    return {str: "text", bool: "a Python bool", int: "a Python int", float: "a Python float"}.get(
        type(leaf), f"a {type(leaf).__name__} object"
    )
