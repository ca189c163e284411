"""Parity module by module: what each submodule gives in PyTorch, in ONNX Runtime and in OpenVINO, in one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from occvino.doctor.agreement import is_label
from occvino.doctor.calls import clone, compared
from occvino.doctor.case import Case
from occvino.doctor.findings import TOLERANCE, ModuleParity, ParityTable
from occvino.doctor.flatten import FlatModule, as_tuple
from occvino.doctor.memory import give_back
from occvino.doctor.parity import cause_of
from occvino.doctor.routes import Attempt, Route, attempt, quiet, summary
from occvino.doctor.state import state_kept
from occvino.doctor.taps import OUTPUT, ModuleTaps, Tap

_COLUMNS = {
    "ONNX Runtime": (Route.LEGACY, Route.DYNAMO),
    "OpenVINO": (Route.OPENVINO, Route.VIA_ONNX, Route.VIA_LEGACY, Route.EXPORTED),
}
"""Routes to each engine, first those by tracing."""
_LARGE = 256 * 2**20
"""Bytes of everything that is sampled: above, the routes that do not trace are taken first."""


def table(case: Case) -> ParityTable | None:
    """The comparison on the example call, by the first route to each engine that exported the module.

    The module is exported once more for each, with samples of what its submodules give as the outputs. None when it
    has no submodule that gives a tensor, or no route came through.
    """
    if not _routes(case, large=False):
        return None
    give_back()
    tapped = ModuleTaps(case.module)
    with state_kept(case.module), tapped.hooked():
        flat = FlatModule(tapped, case.args, case.kwargs, case.flat.lifted)
        with torch.no_grad(), case.timed("parity"), tapped.planning():
            expected = as_tuple(flat(*clone(flat.example)))
        if all(tap.module == OUTPUT for tap in tapped.taps):
            return None
        routes = _routes(case, large=sum(tap.size for tap in tapped.taps) > _LARGE)
        errors: dict[str, list[float]] = {}
        refused = {engine: "no route came through" for engine in _COLUMNS if engine not in routes}
        file: Any = None
        wrote: Route | None = None
        for engine, route in routes.items():
            with case.timed(f"export {route.value}, every module"):
                made = attempt(route, flat, file=file if route.reads is wrote else None, sampled=True)
            give_back()
            file, wrote = (None, None) if route.is_openvino else (made.graph, route)
            with case.timed("parity"):
                result = _errors(made, flat.example, expected)
            if isinstance(result, str):
                refused[engine] = result
            else:
                errors[engine] = result
            del made  # or the engine lives beside the next one
    return _told(case, routes, tapped.taps, errors, refused)


def _routes(case: Case, large: bool) -> dict[str, Route]:
    """By which route each engine gets the module. Tracers are quick, and keep all that is sampled while they trace."""
    return {
        engine: route
        for engine, among in _COLUMNS.items()
        if (route := _first(case, _preferred(case, among, large))) is not None
    }


def _preferred(case: Case, among: Sequence[Route], large: bool) -> list[Route]:
    """The route that agrees before all others: the table is to explain what the user will run."""
    order = list(among[1::-1] if large else among[:2]) + list(among[2:])
    return sorted(order, key=lambda route: route is not case.reached)


def _first(case: Case, among: Sequence[Route]) -> Route | None:
    """The route to try: one whose graph was made and runs."""
    return next((route for route in among if route in case.routes and not case.attempt(route).failure), None)


def _errors(made: Attempt, inputs: Sequence[Tensor], expected: Sequence[Tensor]) -> list[float] | str:
    """An error for each tap, or why there is none."""
    if made.run is None:
        return made.failure
    try:
        with quiet():
            got = made.run(inputs)
    except Exception as failure:  # an engine may raise anything
        return summary(failure)
    if len(got) != len(expected):
        return f"the graph gives {len(got)} values and the module {len(expected)}"
    return [error(a, b) for a, b in zip(got, expected, strict=True)]


def error(actual: Tensor, expected: Tensor) -> float:
    """Largest difference in standard deviations of the expected tensor, or in its largest value if it is constant.

    Of integers and booleans, the share that differs. Infinite when the shapes differ.
    """
    if actual.shape != expected.shape:
        return float("inf")
    if not expected.numel():
        return 0.0
    if is_label(expected):
        return int((actual != expected).sum()) / expected.numel()
    gap, largest = compared(actual, expected)
    finite = expected[expected.isfinite()].double()
    deviation = float(finite.std()) if finite.numel() > 1 else 0.0
    return gap / (deviation or largest or 1.0)


def _told(
    case: Case, routes: dict[str, Route], taps: list[Tap], errors: dict[str, list[float]], refused: dict[str, str]
) -> ParityTable:
    rows = [
        ModuleParity(tap.module, tap.kind, {engine: of_it[at] for engine, of_it in errors.items()})
        for at, tap in enumerate(taps if errors else [])
    ]
    first = next((at for at, row in enumerate(rows) if any(e > TOLERANCE for e in row.errors.values())), None)
    said = ""
    if first is not None:
        engine, worst = max(rows[first].errors.items(), key=lambda item: item[1])
        said = f"{rows[first].module} ({rows[first].kind}) is the first beyond {TOLERANCE:g}: {worst:.2g} in {engine}"
        likely = cause_of(taps[first].steps, case, routes[engine])
        said += f"; likely: {likely}" if likely else ""
    return ParityTable(tuple(rows), {engine: route.value for engine, route in routes.items()}, refused, said)
