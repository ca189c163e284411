"""Frozen values: what an exported graph ignores although the module does not. No error, no warning: a wrong constant.

All inputs are changed at once first. A graph that still agrees with the module has frozen nothing, and that is the end
of it; only when one disagrees is each input changed alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from occvino.doctor.agreement import agrees, worst
from occvino.doctor.calls import clone, tensors_out
from occvino.doctor.case import Case, Varied, is_reached
from occvino.doctor.findings import Finding, Fix, Severity
from occvino.doctor.leaving import differ
from occvino.doctor.places import Place
from occvino.doctor.routes import Attempt, Route, quiet, summary
from occvino.doctor.watch import Event, observe

_UNMOVED = 1e-3
"""Share of the module's own change by which a graph moves when it takes no notice of an input at all."""
_SLIGHT = 0.05
"""Share of the change that may be missed and still be rounding, bin borders and ties."""
_LEAVES = ("item", "number", "index", "bool", "len", "tolist", "numpy")
_SNIPPET = "# keep the value a tensor from the input to the output; see the finding on the same line"


@dataclass(frozen=True)
class _Miss:
    """What one route makes of one changed input."""

    route: Route
    varied: Varied
    share: float  # of the module's change that the graph does not follow
    gap: float  # of the largest value
    moved: float  # what the module itself moved by
    whole: bool = False  # the graph takes no notice of the input
    stopped: str = ""  # why there is nothing to compare: it does not run, or gives another shape


def check(case: Case) -> list[Finding]:
    """One finding for each input that some route freezes, wholly or in part; and for each variation of shape."""
    misses: dict[int, list[_Miss]] = {}
    for route in case.routes:
        if (route.is_spare or case.quick) and case.reached is not None:
            case.skip(route)
            continue
        for index, miss in _misses(case, route):
            misses.setdefault(index, []).append(miss)
        case.release(route)
    return [*_findings(case, misses), *_held(case), *_variations(case, case.routes)]


def _held(case: Case) -> list[Finding]:
    """Calibration in metadata that no flat module can take as an input."""
    return [
        Finding(
            "frozen/metadata",
            Severity.ERROR,
            held.place or case.forward_place(),
            held.path,
            f"the outputs depend on {held.path}, which is no tensor: every graph holds the example's value for ever",
            (f"as an input of the flat module: {held.reason}",),
            Fix("def forward(self, x, lidar2img): ...   # a tensor, computed with torch from here on"),
        )
        for held in case.metadata.held
    ]


def reach(case: Case) -> Route | None:
    """The first route to an OpenVINO model that agrees on changed inputs; the others are not tried."""
    for route in [route for route in case.routes if route.is_openvino]:
        _misses(case, route)
        case.release(route)
        if case.reached is not None and not _variations(case, [route]):
            for other in case.routes:
                if other is not route:
                    case.skip(other)
            return route
    return None


def _misses(case: Case, route: Route) -> list[tuple[int, _Miss]]:
    """What a route makes of each input. Nothing here outlives the call that holds what runs the graph."""
    attempt = case.attempt(route)
    if attempt.run is None or _settled(case, attempt):
        return []
    missed = [(index, _miss(case, attempt, varied)) for index, varied in case.alone.items()]
    found = [(index, miss) for index, miss in missed if miss is not None and miss.share > _SLIGHT]
    if found or case.varied is None:
        return found
    together = _miss(case, attempt, case.varied)  # as a branch on two inputs, which none of them takes alone
    if together is None or together.share <= _SLIGHT:
        case.verdicts[route] = "agrees but for rounding and ties on other inputs"
        return []
    return [(index, together) for index in sorted(case.varied.changed)]


def _settled(case: Case, attempt: Attempt) -> bool:
    """The graph agrees on changed inputs - or disagrees on the example already, which is for the parity check."""
    varied, missed = case.varied, ""
    if varied is not None:
        got = _run(attempt, varied.inputs)
        if isinstance(got, str):
            missed = f"on other inputs it does not run: {got}"
        elif (verdict := case.judged(got, varied)).same:
            other_side = _other_side(case, attempt)
            but = f" {verdict.how}," if verdict.how else ","
            case.verdicts[attempt.route] = other_side or f"agrees{but} error {verdict.gap:.1g} on other inputs"
            return True
        else:
            missed = f"error {verdict.gap:.2g}"
    base = _run(attempt, case.flat.example)
    if isinstance(base, str):  # a finding of the operators check
        case.fail(attempt.route, f"the graph was made and does not run: {base}")
        return True
    gap = worst(base, case.outputs)
    if not case.judged(base, case.example).same:
        case.verdicts[attempt.route] = f"differs from PyTorch by {gap:.2g} on the example"
        return True
    if varied is None:
        case.verdicts[attempt.route] = f"agrees, error {gap:.1g} on the example; no other inputs were accepted"
        return True
    case.verdicts[attempt.route] = f"freezes values: agrees on the example only ({missed})"
    return False


def _other_side(case: Case, attempt: Attempt) -> str:
    """How the graph fails where a number that decides goes the other way; empty when it does not."""
    for crossing in case.crossings:
        if crossing.call is None:
            continue
        got = _run(attempt, crossing.call.inputs)
        where = f"where '{crossing.text}' at line {crossing.place.line} goes the other way"
        if isinstance(got, str):
            return f"freezes a branch: does not run {where}: {got}"
        verdict = case.judged(got, crossing.call)
        if not verdict.same:
            return f"freezes a branch: error {verdict.gap:.2g} {where}"
    return ""


def _run(attempt: Attempt, inputs: Sequence[Tensor]) -> list[Tensor] | str:
    """What the graph gives, or why it does not run."""
    assert attempt.run is not None
    try:
        with quiet():
            return attempt.run(inputs)
    except Exception as failure:  # an engine may raise anything
        return summary(failure)


def _miss(case: Case, attempt: Attempt, varied: Varied) -> _Miss | None:
    got, moved = _run(attempt, varied.inputs), worst(case.outputs, varied.outputs)
    if isinstance(got, str):
        return _Miss(attempt.route, varied, 1.0, float("inf"), moved, stopped=f"does not run: {got}")
    if case.judged(got, varied).same:
        return None
    shapes = [[list(t.shape) for t in three] for three in zip(got, varied.outputs, case.outputs, strict=True)]
    odd = next((f"gives {g} where the module gives {e}" for g, e, b in shapes if g not in (e, b)), "")
    shares = [_share(g, e, b) for g, e, b in zip(got, varied.outputs, case.outputs, strict=True)]
    still = all(_share(g, b, e) <= _UNMOVED for g, e, b in zip(got, varied.outputs, case.outputs, strict=True))
    return _Miss(attempt.route, varied, max(shares), worst(got, varied.outputs), moved, still, odd)


def _share(got: Tensor, expected: Tensor, before: Tensor) -> float:
    """How far the graph is from what was expected, of the module's own change."""
    if got.shape != expected.shape:
        return 1.0
    gap = _gap_norm(got, expected)
    if before.shape != expected.shape:
        return 1.0 if gap else 0.0
    change = _gap_norm(expected, before)
    return gap / change if change else 0.0


def _gap_norm(one: Tensor, other: Tensor) -> float:
    return float((one.double() - other.double()).norm())


def _findings(case: Case, misses: dict[int, list[_Miss]]) -> list[Finding]:
    """Inputs that are lost at the same step are one finding."""
    groups: dict[tuple[bool, Place | None], list[int]] = {}
    for index, missed in misses.items():
        whole = any(miss.whole for miss in missed)
        groups.setdefault((whole, _place(case, missed)), []).append(index)
    return [_finding(case, whole, place, {i: misses[i] for i in indices}) for (whole, place), indices in groups.items()]


def _finding(case: Case, whole: bool, place: Place | None, misses: dict[int, list[_Miss]]) -> Finding:
    names = [case.flat.input_paths[index] for index in misses]
    culprits = _culprits(case, next(iter(misses.values())))
    evidence = [f"it left tensor land here: {culprits[0].name} of {culprits[0].subject}"] if culprits else []
    for index, missed in misses.items():
        evidence += [_told(case.flat.input_paths[index], miss) for miss in missed]
    evidence += [
        f"{route.value}: {verdict}" for route, verdict in case.verdicts.items() if verdict.startswith("agrees")
    ]
    evidence += [f"then at line {e.place.line}: {e.name} of {e.subject}" for e in culprits[1:4]]
    kind, said = ("input", "ignores") if whole else ("partial", "follows only in part")
    return Finding(
        f"frozen/{kind}",
        Severity.ERROR,
        place,
        ", ".join(names),
        f"the outputs depend on {_listed(names)}, which the exported graph {said}: a value became a constant",
        tuple(evidence),
        Fix(_SNIPPET),
    )


def _listed(names: list[str]) -> str:
    return f"'{names[0]}'" if len(names) == 1 else f"{len(names)} inputs ('{names[0]}', ...)"


def _told(name: str, miss: _Miss) -> str:
    did = "did not move" if miss.whole else f"missed {miss.share:.0%} of it (error {miss.gap:.2g})"
    if miss.stopped:
        did = miss.stopped
    moved = f"moved by {miss.moved:.2g}" if math.isfinite(miss.moved) else "gives another shape"
    return f"{name}, {miss.route.value}: the module {moved}, the graph {did}"


def _place(case: Case, missed: list[_Miss]) -> Place | None:
    culprits = _culprits(case, missed)
    return culprits[0].place if culprits else _warned(case, missed) or case.forward_place()


def _culprits(case: Case, missed: list[_Miss]) -> list[Event]:
    """Steps out of tensor land that took another value on the inputs that were missed, in the order of the run."""
    groups: dict[tuple[str, Place], list[Event]] = {}
    for event in case.base.of(*_LEAVES):
        groups.setdefault((event.kind, event.place), []).append(event)
    return [events[0] for events in groups.values() if differ(events, missed[0].varied.events)]


def _warned(case: Case, missed: list[_Miss]) -> Place | None:
    places = [place for miss in missed for place in case.attempt(miss.route).warned]
    functions = [event.place for event in case.base.of("function", "scatter")]
    return next(iter([*functions, *places]), None)


# ---------------------------------------------------------------------------------------------------------------------
# Variations: calls that the user says the module must take, such as another batch or another number of cameras.


def _variations(case: Case, routes: Sequence[Route]) -> list[Finding]:
    """A route that refuses or misses a variation has not agreed, whatever it does on the example's shapes."""
    found: list[Finding] = []
    tried = [route for route in routes if route.reads is None or route is case.reached] if case.variations else []
    graphs = {route: case.attempt_dynamic(route) for route in tried}
    for args, kwargs in case.variations:
        tensors = case.flat.tensors_of(args, kwargs)
        with case.timed("vary"):
            seen = observe(case.module, clone(args), clone(kwargs))
        expected = tuple(tensors_out(seen.output).values())
        told = ", ".join(
            f"{name} {list(now.shape)}"
            for name, before, now in zip(case.flat.input_names, case.flat.example, tensors, strict=True)
            if now.shape != before.shape
        )
        misses = [(route, *miss) for route, graph in graphs.items() if (miss := _variation(graph, tensors, expected))]
        for route, _, said in misses:
            if is_reached(case.verdicts.get(route, "")):
                case.verdicts[route] = f"fits the shapes of the example only: {said}"
        if misses:
            places = [place for _, place, _ in misses if place is not None]
            evidence = [f"{route.value}: {said}" for route, _, said in misses]
            if not places:  # no exporter names a line: the lines that read a size are what there is
                places = case.base.sizes or [case.forward_place()]
                evidence += [f"a size is also read at line {p.line}: {p.code}" for p in case.base.sizes[1:4]]
            found.append(_shape_finding(told, places[0], tuple(evidence)))
    return found


def _variation(
    attempt: Attempt, tensors: Sequence[Tensor], expected: Sequence[Tensor]
) -> tuple[Place | None, str] | None:
    """Where and how a route fails on a variation; None when it agrees."""
    if attempt.run is None:
        return attempt.place, f"refuses: {attempt.failure}"
    place = attempt.warned[0] if attempt.warned else None
    got = _run(attempt, tensors)
    if isinstance(got, str):
        return place, f"the graph of the example call does not run: {got}"
    if agrees(got, expected):
        return None
    return place, f"error {worst(got, expected):.2g} of the largest value"


def _shape_finding(told: str, place: Place | None, evidence: tuple[str, ...]) -> Finding:
    return Finding(
        "frozen/shape",
        Severity.ERROR,
        place,
        told or "the variation's values",
        "a size was used as a Python number and stored: the graph is right for the example's shape only",
        evidence,
        Fix("y = y / x.shape[0]        # arithmetic on shapes, without int(), float() or math.*, stays in the graph"),
    )
