"""The one plain answer: OpenVINO by this route with these lines, or the first obstacle and where it is."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from occvino.doctor import devices, frozen
from occvino.doctor.blame import Obstacle, obstacles
from occvino.doctor.case import Case
from occvino.doctor.findings import Answer, Finding, Severity
from occvino.doctor.routes import Route
from occvino.doctor.words import where

_CONVERT = {
    Route.OPENVINO: "model = openvino.convert_model(flat, example_input=flat.example, input=flat.shapes)",
    Route.VIA_ONNX: (
        "torch.onnx.export(flat, flat.example, 'model.onnx', dynamo=True, input_names=list(flat.input_names))\n"
        "model = openvino.convert_model('model.onnx')"
    ),
    Route.VIA_LEGACY: (
        "torch.onnx.export(flat, flat.example, 'model.onnx', dynamo=False, input_names=list(flat.input_names))\n"
        "model = openvino.convert_model('model.onnx')"
    ),
    Route.EXPORTED: "model = openvino.convert_model(torch.export.export(flat, flat.example))",
}
_FLATTEN = "flat = occvino.doctor.flatten(module, args, kwargs)"
_PATCH = "module = occvino.doctor.patch(module, args, kwargs)"
_ROUTES = "routes of the patched module"
_DEVICE, _METADATA = "operators/device", "frozen/metadata"
"""Errors that no agreeing graph makes good: it would run nowhere, or hold the example's calibration."""
_BLOCKING = ("operators/", "parity/diverges", "frozen/", "leaving/", "signature/", "solver/")
"""Findings that stand between a module and OpenVINO, the surest first."""


def answer(case: Case, found: Sequence[Finding], patched: nn.Module | None) -> Answer | None:
    """How `case.module` becomes an OpenVINO model; as it is, or else as `patch` hands it out.

    None when no route to OpenVINO was asked for.
    """
    asked = [route for route in case.routes if route.is_openvino]
    if not asked:
        return None
    errors = {f.code for f in found if f.severity is Severity.ERROR}
    if case.reached is not None and not errors & {_DEVICE, _METADATA}:
        return _by(case.reached, case, "")
    if patched is not None and _DEVICE not in errors:
        with case.timed(_ROUTES):
            again = Case(
                patched, case.args, case.kwargs, devices=case.devices, variations=case.variations, routes=asked
            )
            again.judge_by(case)
            route = frozen.reach(again)
            refused = route is not None and any(f.severity is Severity.ERROR for f in devices.check(again))
        _tell_exports(again, case)
        if not refused and not again.metadata.held:
            return _none_patched(again, asked) if route is None else _by(route, again, f"{_PATCH}\n")
    return _none(case, asked, found)


def _tell_exports(again: Case, case: Case) -> None:
    """Exports of the patched module are told as exports, not as time of ours."""
    for step, seconds in again.seconds.items():
        if step.startswith("export"):
            case.seconds[f"{step}, patched"] = seconds
            case.seconds[_ROUTES] -= seconds


def _by(route: Route, case: Case, before: str) -> Answer:
    after = ", patched," if before else ""
    said = f"OpenVINO{after} by route {route.value}: {case.verdicts[route]}"
    return Answer(route.value, said, f"{before}{_FLATTEN}\n{_converted(route, case)}")


def _converted(route: Route, case: Case) -> str:
    """The line that was run: with the lengths open that the variations change, where there are such."""
    axes = case.axes
    if not axes:
        return _CONVERT[route]
    if route is Route.OPENVINO:
        return _CONVERT[route].replace("flat.shapes", str(case.flat.shapes_with(axes)))
    given = f"dynamic_shapes=flat.dynamic_shapes({axes})"
    if route is Route.VIA_LEGACY:
        given = f"dynamic_axes={ {name: sorted(which) for name, which in axes.items()} }"
    last = "flat.input_names)" if route.reads else "flat.example"  # of what the exporter is given
    return _CONVERT[route].replace(last, f"{last}, {given}")


def _none_patched(case: Case, asked: Sequence[Route]) -> Answer:
    """What still stands in the way of the patched module."""
    met: list[Obstacle] = []
    told: list[str] = []
    for attempt in map(case.attempt, asked):
        of_it = list(obstacles(case, attempt)) if attempt.failure else []
        met += of_it
        said = "; ".join(dict.fromkeys(one.said for one in of_it)) or case.verdicts.get(attempt.route, "")
        told.append(f"patched, {attempt.route.value}: {said}")
    if not met:
        return Answer("", "no route to OpenVINO, neither as it is nor patched", evidence=tuple(told))
    first = next((one for one in met if one.place), met[0])
    at = f"at {where(first.place)}" if first.place else "place unknown"
    said = f"no route to OpenVINO; patched, the first obstacle is {first.operator or first.said}, {at}: {first.said}"
    return Answer("", said, "", first.place, tuple(told))


def _none(case: Case, asked: Sequence[Route], found: Sequence[Finding]) -> Answer:
    partly = [r for r in asked if case.verdicts.get(r, "").startswith("agrees")]
    errors = [f for f in found if f.severity is Severity.ERROR]
    ranked = sorted(errors, key=lambda f: next(i for i, code in enumerate(_BLOCKING) if f.code.startswith(code)))
    if partly and not errors:
        said = f"no route is proved: {partly[0].value} {case.verdicts[partly[0]]}; give other calls (variations)"
        return Answer("", said, place=None)
    if not ranked:
        return Answer("", f"no route to OpenVINO: {asked[0].value} {case.verdicts.get(asked[0], 'was not tried')}")
    first = ranked[0]
    at = f"at {where(first.place)}" if first.place else "place unknown"
    return Answer(
        "", f"no route to OpenVINO; the first obstacle is {first.subject}, {at}: {first.message}", "", first.place
    )
