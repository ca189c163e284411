"""Parity: the graph was made and runs, but gives something else. Where does it begin to differ, and why?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from occvino.doctor.agreement import LABEL_TOLERANCE, TOLERANCE, distance, is_label
from occvino.doctor.calls import clone, tensors_out
from occvino.doctor.case import Case
from occvino.doctor.findings import Finding, Fix, Severity
from occvino.doctor.flatten import FlatModule
from occvino.doctor.places import Place, user_place
from occvino.doctor.routes import Attempt, Route, attempt, quiet
from occvino.doctor.state import state_kept
from occvino.doctor.taps import sampled, step, stride_of
from occvino.doctor.watch import FP16_MAX, Event, describe

_CAUSES = {
    "index_put": "repeated indices: the route loses the accumulation",
    "index_add": "repeated indices: the route loses the accumulation",
    "interpolate": "resizing: align_corners, antialias and the rounding of a given scale differ between runtimes",
    "grid_sample": "sampling: align_corners and padding modes differ between runtimes",
    "embedding_bag": "bags that are empty or whose number is not fixed",
    "round": "halves: PyTorch rounds to even",
    "argsort": "ties: only a stable sort has one answer",
    "sort": "ties: only a stable sort has one answer",
    "topk": "ties: the order of equal values is not defined",
}
_SCATTER = Fix("out.scatter_add(0, index[:, None].expand_as(values), values)   # exported right by every route")
_FIXES = {
    "index_put": _SCATTER,
    "index_add": _SCATTER,
    "interpolate": Fix(
        "F.interpolate(x, size=size, mode='bilinear', align_corners=False)   # the plainest form, then ask again"
    ),
    "round": Fix("torch.floor(x + 0.5)"),
    "sort": Fix("torch.sort(x, stable=True)   # where the exporter takes it"),
}
_INSTEAD = Fix("# write this step with other operators, or move it out of the module; then ask again")
_NARROW = Fix("key = index % period          # keep integers below 2**31, in the steps between as well")


@dataclass(frozen=True)
class Tap:
    """One step of the module: `owner` is the path of the submodule that took it, empty for the module itself."""

    owner: str
    name: str
    place: Place | None
    subject: str


def check(case: Case) -> list[Finding]:
    """The first step that differs, for each route that disagrees on the example; and values too large for FP16."""
    diverging = [route for route, verdict in case.verdicts.items() if verdict.startswith("differs")]
    opaque = [event for event in case.base.of("function") if event.trouble]
    with case.timed("parity"):
        found = [_opaque(case, route, opaque[0]) if opaque else _divergence(case, route) for route in diverging]
    return [*_merged(found), *_overflow(case), *_ties(case)]


def _divergence(case: Case, route: Route) -> Finding:
    tapped = Tapped(case.module)
    flat = FlatModule(tapped, case.args, case.kwargs, case.flat.lifted)
    with torch.no_grad(), state_kept(case.module), tapped.hooked():
        expected = tuple(tensors_out(flat(*clone(flat.example))).values())
        taps = list(tapped.taps)
        made = attempt(route, flat)
    at = _first_difference(made, flat.example, expected)
    if at is None:
        return _somewhere(case, route, made)
    index, gap = at
    tap = taps[index]
    owner = f"module '{tap.owner}' ({type(case.module.get_submodule(tap.owner)).__name__})" if tap.owner else "forward"
    evidence = [f"{route.value}: the {index} steps before agree, this one differs by {gap:.2g} of its largest value"]
    cause = cause_of((tap.name.partition("(")[0],), case, route)  # the message tells its options
    if cause:
        evidence.append(f"likely: {cause}")
    fix = next((fix for name, fix in _FIXES.items() if name in tap.name), _INSTEAD)
    if _too_wide(case, route):
        fix = _NARROW
    said = f"the graph differs from PyTorch from here on: {tap.name} in {owner}"
    return Finding("parity/diverges", Severity.ERROR, tap.place, tap.subject, said, tuple(evidence), fix)


def cause_of(steps: Sequence[str], case: Case, route: Route) -> str:
    """Why a graph of this route may differ after these functions of PyTorch; empty when nothing is known of them."""
    wide = _too_wide(case, route)
    if wide is not None:
        return f"int64 values as large as {wide.value}: OpenVINO computes with 32-bit integers"
    known = ((taken, cause) for taken in steps for name, cause in _CAUSES.items() if name in taken)
    taken, cause = next(known, ("", ""))
    return f"{taken}, {cause}" if "(" in taken else cause


def _too_wide(case: Case, route: Route) -> Event | None:
    """An integer of more than 32 bits, in a graph of OpenVINO."""
    return case.base.wide if route.is_openvino else None


def _opaque(case: Case, route: Route, event: Event) -> Finding:
    """A function whose inside is not PyTorch's is not even asked for: its result cannot be in the graph."""
    return Finding(
        "parity/diverges",
        Severity.ERROR,
        event.place,
        event.subject,
        f"the graph differs from PyTorch from here on: {event.name} fills memory that no exporter sees",
        (f"{route.value}: {case.verdicts[route]}", f"seen: {event.trouble}"),
        Fix("def pool(x): ...      # the same in torch operators; PyTorch derives the gradient by itself"),
    )


def _first_difference(made: Attempt, inputs: Sequence[Tensor], expected: Sequence[Tensor]) -> tuple[int, float] | None:
    if made.run is None:
        return None
    with quiet():
        got = made.run(inputs)
    for index, (actual, wanted) in enumerate(zip(got, expected, strict=False)):
        gap = distance(actual, wanted)
        if gap > (LABEL_TOLERANCE if is_label(wanted) else TOLERANCE):
            return index, gap
    return None


def _somewhere(case: Case, route: Route, made: Attempt) -> Finding:
    """Looking inside changed the graph: say only that it differs."""
    why = made.failure or "with every step as an output, the graph agrees: fusing steps is what changes the result"
    return Finding(
        "parity/diverges",
        Severity.ERROR,
        case.forward_place(),
        "outputs",
        "the graph differs from PyTorch on the example call; the step could not be found",
        (f"{route.value}: {case.verdicts[route]}", why),
        _INSTEAD,
    )


def _ties(case: Case) -> list[Finding]:
    return [
        Finding(
            "parity/ties",
            Severity.NOTE,
            place,
            "order",
            "equal values come out in another order: nothing is frozen, and PyTorch promises none",
            ("with other orders of equal values PyTorch itself differs in the same elements and in no others",),
            Fix("torch.sort(x, stable=True)   # only if the order of equals matters to what follows"),
        )
        for place in case.ties[:1]
    ]


def _merged(found: list[Finding]) -> list[Finding]:
    """Routes that part from PyTorch at the same step are one finding."""
    first: dict[tuple[str, Place | None], Finding] = {}
    for finding in found:
        key = (finding.message, finding.place)
        first[key] = first[key].with_evidence(*finding.evidence) if key in first else finding
    return list(first.values())


def _overflow(case: Case) -> list[Finding]:
    event = case.base.overflow
    if event is None:
        return []
    return [
        Finding(
            "parity/fp16-overflow",
            Severity.WARNING,
            event.place,
            event.subject,
            f"{event.name} gives {event.value:.4g}: FP16, the default of GPU and NPU, ends at {FP16_MAX:g}",
            ("its arguments are inside the range; rule check, run here in FP32",),
            Fix(
                "openvino.compile_model(model, 'GPU', {'INFERENCE_PRECISION_HINT': 'f32'})   # or scale the value down"
            ),
        )
    ]


class Tapped(nn.Module):
    """A module that returns samples of every intermediate tensor instead of its outputs.

    Args:
        module: shared, not copied.

    Attributes:
        taps: what each output is, after a call.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.taps: list[Tap] = []
        self.owners: list[str] = [""]
        self.strides: list[int] = []
        self.train(module.training)

    def forward(self, *args: Any, **kwargs: Any) -> list[Tensor]:
        """Samples of each step's result, in the order of the run."""
        self.taps = []
        with _TapMode(self) as mode:
            self.module(*args, **kwargs)
        return mode.samples

    def hooked(self) -> _Owners:
        """Inside this context the taps know which submodule they belong to."""
        return _Owners(self)


class _Owners:
    def __init__(self, tapped: Tapped) -> None:
        self.tapped = tapped
        self.handles: list[Any] = []

    def __enter__(self) -> None:
        owners = self.tapped.owners
        for name, child in self.tapped.module.named_modules():
            if name:
                self.handles.append(child.register_forward_pre_hook(lambda m, i, n=name: owners.append(n)))
                self.handles.append(child.register_forward_hook(lambda m, i, o: owners.pop() and None))

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()


class _TapMode(TorchFunctionMode):
    def __init__(self, tapped: Tapped) -> None:
        super().__init__()
        self.tapped = tapped
        self.samples: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = step(func, kwargs)
        # An assignment returns nothing: what it changed is its first argument.
        value = args[0] if name == "__setitem__" else result
        if name != "__get__" and isinstance(value, Tensor) and not value.is_complex():
            self._keep(name, value)
        return result

    def _keep(self, name: str, value: Tensor) -> None:
        tapped, index = self.tapped, len(self.samples)
        if index == len(tapped.strides):  # the first run is PyTorch's own, where every size is a number
            tapped.strides.append(stride_of(value))
        self.samples.append(sampled(value, tapped.strides[index]))
        tapped.taps.append(Tap(tapped.owners[-1], name, user_place(), describe(value)))
