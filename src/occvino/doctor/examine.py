"""The examination: six pitfalls in the order in which people meet them, and one report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from occvino.doctor import decisions, frozen, leaving, modules, operators, parity, recipe_check, signature, solver
from occvino.doctor import devices as device_check
from occvino.doctor.answer import answer
from occvino.doctor.case import Case, is_reached
from occvino.doctor.findings import Answer, DoctorError, Finding, Fix, Severity, ordered
from occvino.doctor.only import chosen
from occvino.doctor.patch import patch_as_seen, patches_of
from occvino.doctor.report import Report
from occvino.doctor.routes import ALL_ROUTES, Route
from occvino.doctor.watch import Call
from occvino.runtime.names import device_name


def diagnose(
    module: nn.Module,
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    *,
    devices: Sequence[str] = ("CPU",),
    variations: Sequence[Call] | None = None,
    routes: Sequence[Route] = ALL_ROUTES,
    compare_modules: bool = True,
    only: Sequence[str] = (),
    quick: bool = False,
    progress: Callable[[str], Any] = lambda step: None,
) -> Report:
    """What will break between PyTorch, ONNX and OpenVINO, where in the module's source, and what to write instead.

    The module is run and exported, never changed: buffers and attributes are put back, and it is examined in evaluation
    mode whatever mode it is in. Its parameters are not copied.

    Args:
        module: any module that runs here.
        args: positional arguments of a call that works.
        kwargs: keyword arguments of that call.
        devices: OpenVINO devices to ask. "NPU" without an NPU is judged by rules, and said so.
        variations: other calls `(args, kwargs)`, built like the first, that the graph must take: another batch,
            another number of cameras.
        routes: ways out of PyTorch to try; all of them unless time is short.
        compare_modules: compare what each submodule gives, which takes another export to each engine.
        only: names of pitfalls and of routes: nothing else is looked for or tried. Without a pitfall that looks at a
            graph (frozen, operators, parity) and without a route, nothing is exported.
        quick: only the routes to OpenVINO, and no further than the first that agrees; no comparison of modules. What is
            said of it is as true as without; what the ONNX exporters would say is not asked.
        progress: called with each step as it begins, as "export dynamo".

    Raises:
        DoctorError: the module fails on its own example, there is no tensor to compare, or `only` names what is
            neither a pitfall nor a route.
    """
    pitfalls, routes = chosen(only, routes)
    if quick:
        routes = tuple(route for route in routes if route.is_openvino)
    if not isinstance(module, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DoctorError(f"diagnose takes a torch.nn.Module, not a {type(module).__name__}")
    modes = {child: child.training for child in module.modules()}
    module.eval()
    try:
        asked = [device_name(device) for device in devices]
        case = Case(
            module, args, kwargs or {}, devices=asked, variations=variations or (), routes=routes, quick=quick,
            progress=progress,
        )  # fmt: skip
        examined, said = _examine(case)
        found = [f for f in (*_training(case, modes[module]), *examined) if f.code.split("/")[0] in pitfalls]
        table = modules.table(case) if compare_modules and not quick and not only else None
    finally:
        for child, training in modes.items():
            child.training = training
    verdicts = {route.value: case.verdicts[route] for route in case.routes}
    return Report(type(module).__name__, ordered(found), verdicts, case.seconds, table, said)


def _examine(case: Case) -> tuple[list[Finding], Answer | None]:
    found = [*signature.check(case), *leaving.check(case), *solver.check(case)]
    found += frozen.check(case)  # makes and compares the graphs that the checks below look at
    found += [*operators.check(case), *recipe_check.check(case), *device_check.check(case), *parity.check(case)]
    found = operators.add_failures(case, found)  # after all: most failures are at the line of a finding
    told, patched = _with_patch_tried(case, [_weighed(case, finding) for finding in found])
    return told, answer(case, told, patched)


def _weighed(case: Case, finding: Finding) -> Finding:
    """A value that left tensor land, while every graph followed: worth a note, if no side of a branch is unseen.

    Modules that take another way while they are exported, as those of transformers do, look like this.
    """
    pitfall, kind = finding.code.split("/")
    followed = bool(case.routes) and all(is_reached(case.verdicts[route]) for route in case.routes)
    if pitfall != "leaving":
        return finding
    frozen_branch = [f"{route.value} {said}" for route, said in case.verdicts.items() if said.startswith("freezes a b")]
    if frozen_branch and kind in decisions.KINDS:
        severity = Severity.ERROR if case.reached is None else finding.severity
        return replace(finding.with_evidence(*frozen_branch), severity=severity)
    if not followed:
        return finding
    crossing = next((c for c in case.crossings if (c.kind, c.place) == (kind, finding.place)), None)
    changed = leaving.CHANGES in finding.evidence or kind == "size"
    if crossing is None:
        seen = "yet every route agrees on those inputs" if changed else ""
    elif not crossing.settled:
        why = "no call that was tried takes" if crossing.known else "it is not known which calls take"
        told = (
            f"{why} the other side of '{crossing.text}': the graph holds one side only; give such a call as variations"
        )
        return replace(finding.with_evidence(told), severity=Severity.WARNING)
    else:
        seen = "yet every route agrees on both sides"
        if crossing.raised:
            seen = f"yet every route agrees: on the other side of '{crossing.text}' the module itself fails"
    return replace(finding.with_evidence(seen), severity=Severity.NOTE) if seen else finding


_CURABLE = (
    *("solver/linalg", "operators/pooler", "operators/function", "operators/replaceable", "parity/diverges"),
    *("leaving/number", "leaving/item", "leaving/len", "leaving/numpy"),
    *("leaving/bool", "leaving/size", "leaving/output"),
)


def _with_patch_tried(case: Case, found: list[Finding]) -> tuple[list[Finding], nn.Module | None]:
    """`patch` on this very call, if anything was found that it may cure; what became of it, each finding is told."""
    if not any(finding.code in _CURABLE for finding in found):
        return found, None
    try:
        with case.timed("patch"):
            patched = patch_as_seen(case)
    except DoctorError as failure:
        surely = ("solver/linalg", "operators/pooler")
        return [_tried(f, False, str(failure)) if f.code in surely else f for f in found], None
    patches = patches_of(patched)
    steps = {(place.file, place.line): said for place, said in patches.steps}
    refused = {(place.file, place.line): f"{said}: {why}" for place, said, why in patches.refused}
    told: list[Finding] = []
    for finding in found:
        line = (finding.place.file, finding.place.line) if finding.place else ("", 0)
        if finding.code in _CURABLE and line in steps:
            told.append(_tried(finding, True, f"{steps[line]}, by patch; error {patches.error:.1g}"))
        elif finding.code in _CURABLE and line in refused:
            told.append(_tried(finding, False, f"patch leaves it: {refused[line]}"))
        else:
            told.append(finding)
    return told, patched


def _tried(finding: Finding, worked: bool, proof: str) -> Finding:
    snippet = finding.fix.snippet
    if worked and _PATCH not in snippet:
        snippet = f"{_PATCH}      # or, by hand:\n{snippet}"
    return replace(finding, fix=Fix(snippet, True, worked, proof))


_PATCH = "module = occvino.doctor.patch(module)"


def _training(case: Case, training: bool) -> list[Finding]:
    """A module in training mode is a trap only if something in it behaves differently then."""
    if not training:
        return []
    changing = [name for name, child in case.module.named_modules() if isinstance(child, _DIFFERENT_IN_TRAINING)]
    if not changing:
        return []
    advice = leaving.ADVICE["training"]
    return [
        Finding(
            "leaving/training",
            Severity.WARNING,
            case.forward_place(),
            ", ".join(changing[:3]),
            advice.message,
            (f"{len(changing)} layers behave differently in training",),
            Fix(advice.snippet),
        )
    ]


_DIFFERENT_IN_TRAINING = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout),
)
