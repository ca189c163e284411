"""Operators: what an exporter, a frontend or a device does not take, and what it turns into something slow."""

from __future__ import annotations

from occvino.doctor.blame import Obstacle, inside, obstacles
from occvino.doctor.case import Case, is_reached
from occvino.doctor.findings import Finding, Fix, Severity
from occvino.doctor.places import Place
from occvino.doctor.recipe_functions import function_recipe
from occvino.doctor.routes import Route
from occvino.doctor.scatter import SIZE_READ, SNIPPET
from occvino.doctor.watch import Event

_SNIPPETS = {
    "embedding_bag": "bev = occvino.bev_pool.bev_pool_torch(depth, feat, ranks_depth, ranks_feat, interval_starts)",
    "index_add": "out.scatter_add(0, index[:, None].expand_as(values), values)   # exported by every route",
    "index_put": "out.scatter_add(0, index[:, None].expand_as(values), values)   # exported by every route",
    "cdist": "(a.unsqueeze(-2) - b.unsqueeze(-3)).norm(dim=-1)",
    "_upsample_bicubic2d_aa": "F.interpolate(x, size, mode='bicubic', antialias=False)",
}
_UNKNOWN = "# write the step with operators that the routes above take, or move it out of the module"


def check(case: Case) -> list[Finding]:
    """Custom functions and operators that were called, and loops in the exported graphs."""
    return [*_functions(case), *_scatters(case), *_custom(case), *_loops(case)]


def add_failures(case: Case, found: list[Finding]) -> list[Finding]:
    """Each reason for which an export failed becomes evidence of the finding on its line, or a finding of its own."""
    failed = [attempt for attempt in case.attempts() if attempt.failure]
    for attempt in failed:
        case.verdicts[attempt.route] = f"fails: {attempt.failure}"
    unclaimed: list[Obstacle] = []
    for obstacle in [obstacle for attempt in failed for obstacle in obstacles(case, attempt)]:
        at = next((i for i, finding in enumerate(found) if _same_line(finding.place, obstacle.place)), None)
        if at is None:
            unclaimed.append(obstacle)
        else:
            found[at] = found[at].with_evidence(f"{obstacle.route.value} fails here: {obstacle.said}")
    return found + _untranslated(case, unclaimed)


def _functions(case: Case) -> list[Finding]:
    found: list[Finding] = []
    events = {(event.name, event.place): event for event in case.base.of("function")}
    for event in events.values():
        recipe = function_recipe(event, case.base)
        symbolic = any(
            "symbolic" in vars(cls) for cls in event.value.__mro__ if not cls.__module__.startswith("torch.")
        )
        if recipe is not None and recipe.kind == "pooler":
            found.append(_finding("pooler", Severity.ERROR, event, recipe.said, Fix(recipe.snippet)))
        elif recipe is not None and _tuples_fail(case):
            severity = Severity.NOTE if case.reaches_openvino() else Severity.ERROR
            found.append(_finding("function", severity, event, recipe.said, Fix(recipe.snippet)))
        elif symbolic:
            said = (
                "the legacy exporter writes what `symbolic` says, dynamo=True ignores it and traces `forward`: "
                "two different graphs of one module"
            )
            found.append(_finding("ignored-symbolic", Severity.WARNING, event, said, Fix(_UNKNOWN)))
        elif event.trouble or _fails_inside(case, event):
            said = "a custom autograd.Function whose inside no exporter sees: a constant, or the export stops"
            fix = Fix("def pool(x): ...      # the same in torch operators; PyTorch derives the gradient by itself")
            found.append(_finding("function", Severity.ERROR, event, said, fix))
    return found


def _scatters(case: Case) -> list[Finding]:
    """Calls of torch_scatter. Those of its functions that are PyTorch inside may well be taken by every route."""
    taken = bool(case.routes) and all(case.verdicts.get(route, "").endswith("on other inputs") for route in case.routes)
    events = {(event.name, event.place): event for event in case.base.of("scatter")}
    found: list[Finding] = []
    for event in events.values():
        said = (
            f"{event.name} is an extension that neither ONNX nor OpenVINO knows; operators of PyTorch's own do the same"
        )
        severity = Severity.ERROR
        if taken:  # on indices of the same range: a size that was read from them is stored all the same
            severity = Severity.WARNING if event.trouble == SIZE_READ else Severity.NOTE
        evidence = ["every route takes what it is made of in this version"] if taken else []
        evidence += [f"patch leaves it as it is: {event.trouble}"] if event.trouble else []
        found.append(
            Finding("operators/pooler", severity, event.place, event.subject, said, tuple(evidence), Fix(SNIPPET))
        )
    return found


def _finding(kind: str, severity: Severity, event: Event, said: str, fix: Fix) -> Finding:
    evidence = (f"seen: {event.trouble}",) if event.trouble else ()
    return Finding(f"operators/{kind}", severity, event.place, event.subject, said, evidence, fix)


def _custom(case: Case) -> list[Finding]:
    """Operators of a namespace of the user's: a finding unless every route took them and agreed."""
    if all(case.verdicts.get(route, "").startswith("agrees") for route in case.routes) and case.routes:
        return []
    events = {(event.name, event.place): event for event in case.base.of("custom-op")}
    said = "a custom operator: ONNX and OpenVINO know it only through an extension that every user must have"
    return [_finding("custom-op", Severity.ERROR, event, said, Fix(_UNKNOWN)) for event in events.values()]


def _loops(case: Case) -> list[Finding]:
    """`embedding_bag` as a loop over its bags."""
    looping = [a for a in case.attempts() if a.route in (Route.LEGACY, Route.DYNAMO) and "Loop" in a.nodes]
    places = [p for name, at in case.base.operators.items() if "embedding_bag" in name for p in at]
    if not looping:
        return []
    return [
        Finding(
            "operators/loop",
            Severity.WARNING,
            place,
            "embedding_bag",
            "both ONNX exporters turn embedding_bag into a Loop over the bags: right, and slow",
            tuple(f"{attempt.route.value}: the graph has a Loop" for attempt in looping),
            Fix(_SNIPPETS["embedding_bag"]),
        )
        for place in places
    ]


def _untranslated(case: Case, unclaimed: list[Obstacle]) -> list[Finding]:
    groups: dict[Place | str, list[Obstacle]] = {}
    for obstacle in unclaimed:
        groups.setdefault(obstacle.place or obstacle.operator, []).append(obstacle)
    working = [route.value for route, verdict in case.verdicts.items() if is_reached(verdict)]
    asked = any(route.is_openvino for route in case.routes)
    harmless = case.reached is not None if asked else bool(working)
    found: list[Finding] = []
    for met in groups.values():
        operator = next((one.operator for one in met if one.operator), "")
        failing = ", ".join(dict.fromkeys(one.route.value for one in met))
        takes = f"{', '.join(working)} takes it" if working else "no route takes it"
        if working and not harmless:
            takes += ", and none leads to OpenVINO"
        evidence = [f"{one.route.value}: {one.said}" for one in met]
        others = list(dict.fromkeys(place for one in met for place in one.others))
        evidence += [f"or its call at {place.file}:{place.line}: {place.code}" for place in others[:3]]
        evidence += [] if met[0].place else ["place unknown: no line of yours is known to have made it"]
        found.append(
            Finding(
                "operators/untranslated",
                Severity.NOTE if harmless else Severity.ERROR,
                met[0].place,
                operator or type(case.module).__name__,
                f"{failing} cannot export this; {takes}",
                tuple(dict.fromkeys(evidence)),
                Fix(_SNIPPETS.get(operator, _UNKNOWN)),
            )
        )
    return found


def _fails_inside(case: Case, event: Event) -> bool:
    return any(attempt.failure and inside(attempt.place, event) for attempt in case.attempts())


def _tuples_fail(case: Case) -> bool:
    return any("Tuples are not supported" in attempt.failure for attempt in case.attempts())


def _same_line(one: Place | None, other: Place | None) -> bool:
    return one is not None and other is not None and (one.file, one.line) == (other.file, other.line)
