"""Devices: what a plugin says of the converted graph. The NPU is judged by a list of rules where there is none."""

from __future__ import annotations

from typing import Any

from occvino.doctor.case import Case
from occvino.doctor.compilers import ELSEWHERE, ask, compiler_of, how_to_ask
from occvino.doctor.findings import Finding, Fix, Severity
from occvino.doctor.places import Place
from occvino.doctor.routes import quiet, summary
from occvino.runtime.npu_rules import COMPILER, MAX_RANK, check_npu_rules


def check(case: Case) -> list[Finding]:
    """`query_model`, then `compile_model`, for each device asked for; its compiler alone where it is not here."""
    graph = _graph(case)
    if graph is None:
        return []
    import openvino as ov

    present = ov.Core().available_devices
    found: list[Finding] = []
    for device in case.devices:
        kind = device.split(".")[0].split(":")[0]
        here = any(name.split(".")[0] == kind for name in present)
        if compiler_of(device) and ("." in device or not here):
            found += ask(case, graph, device, _place_of)
        elif not here:
            found += _by_rules(case, graph) if kind == "NPU" else [_absent(device, present)]
        else:
            found += _by_plugin(case, graph, device)
    return found


def _graph(case: Case) -> Any:
    """The OpenVINO graph that was made, by whichever route."""
    return next((a.graph for a in case.attempts() if a.route.is_openvino and a.graph is not None), None)


def _by_plugin(case: Case, graph: Any, device: str) -> list[Finding]:
    import openvino as ov

    core = ov.Core()
    with case.timed(f"query {device}"), quiet():
        taken = set(core.query_model(graph, device))
        refused = [op for op in graph.get_ordered_ops() if op.get_friendly_name() not in taken]
        if refused:
            return [_refused(case, device, op, "query_model leaves it out") for op in refused]
        if device == "CPU":  # the route has compiled and run it there
            return []
        try:
            core.compile_model(graph, device)
        except RuntimeError as failure:
            said = f"{device} takes every operator and does not compile the graph"
            return [
                Finding(
                    "operators/device",
                    Severity.ERROR,
                    None,
                    device,
                    said,
                    (summary(failure),),
                    Fix(ELSEWHERE.format(device=device)),
                )
            ]
    return []


_ASK_THERE = "# run the doctor on a machine that has the device"
_MASK = (
    "weights = torch.where(mask, weights, 0)   # instead of x[mask]: every row stays, and the shape is fixed\n"
    "mean = (x * mask.unsqueeze(-1)).sum(0) / mask.sum().clamp(min=1)   # of x[mask].mean(0), mask [points]"
)
_FOLD = "y = x.flatten(0, 1)   # fold axes that no step tells apart; outside, unflatten them"


def _refused(case: Case, device: str, op: Any, why: str) -> Finding:
    kind = str(op.get_type_name())
    said = f"the {device} plugin does not take {kind}"
    evidence = (f"{why}: {op.get_friendly_name()}",)
    place = _place_of(case, str(op.get_friendly_name()))
    return Finding(
        "operators/device", Severity.ERROR, place, kind, said, evidence, Fix(ELSEWHERE.format(device=device))
    )


def _by_rules(case: Case, graph: Any) -> list[Finding]:
    rules, elsewhere = check_npu_rules(graph), ELSEWHERE.format(device="NPU")
    told = [(words, f"the compiler of {COMPILER} refused the like", elsewhere) for words in rules.refused]
    if rules.unbounded:
        why = f"the compiler of {COMPILER} asks for fixed shapes, or bounds; {rules.unbounded[0]} has neither"
        told.append(("a shape without a bound", why, _MASK))
    told += [(words, f"inputs and outputs have at most rank {MAX_RANK}", _FOLD) for words in rules.rank]
    found = [
        _by_rule(Severity.WARNING, what, f"rule check for the NPU, nothing was run: {what} may not compile", why, fix)
        for what, why, fix in told
    ]
    if rules.untried:
        kinds = ", ".join(rules.untried)
        said = f"rule check for the NPU, nothing was run: nothing is known of {kinds}"
        why = f"the compiler of {COMPILER} was not asked about them"
        found.append(_by_rule(Severity.NOTE, kinds, said, why, elsewhere))
    return [finding.with_evidence(how_to_ask("NPU")) for finding in found]


def _by_rule(severity: Severity, what: str, said: str, why: str, fix: str) -> Finding:
    return Finding("operators/device", severity, None, what, said, (why,), Fix(fix))


def _absent(device: str, present: list[str]) -> Finding:
    said = f"{device} is not on this machine: nothing is known about it"
    told = tuple(line for line in (f"here: {', '.join(present)}", how_to_ask(device)) if line)
    return Finding("operators/device", Severity.NOTE, None, device, said, told, Fix(_ASK_THERE))


def _place_of(case: Case, friendly_name: str) -> Place | None:
    """Names of converted nodes begin with the PyTorch operator: `aten::inverse/Inverse`."""
    operator = friendly_name.split("/")[0].removeprefix("aten::")
    for name, places in case.base.operators.items():
        if operator and operator in name:
            return places[0]
    return None
