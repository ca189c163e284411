"""Calls that have a recipe: told where a route that is known to refuse them did fail, or computed something else."""

from __future__ import annotations

from occvino.doctor.case import Case
from occvino.doctor.findings import Finding, Fix, Severity
from occvino.doctor.places import Place
from occvino.doctor.recipe_calls import EVERY, CallRecipe
from occvino.doctor.routes import Route
from occvino.doctor.watch import Event


def check(case: Case) -> list[Finding]:
    """One finding for each line and recipe. A call that every tried route takes is none."""
    groups: dict[tuple[Place, CallRecipe], list[Event]] = {}
    for event in case.base.of("call"):
        groups.setdefault((event.place, event.value), []).append(event)
    found = [_finding(case, place, recipe, events) for (place, recipe), events in groups.items()]
    return [finding for finding in found if finding is not None]


def _finding(case: Case, place: Place, recipe: CallRecipe, events: list[Event]) -> Finding | None:
    bad = [route for route in case.routes if _refuses(recipe, route) and not case.good(route)]
    if not bad or any(event.place == place for event in case.base.of("solver")):  # that line has a finding
        return None
    good = [route for route in case.routes if case.good(route)]
    taken = f"{', '.join(route.value for route in good)} takes the module" if good else "no route takes the module"
    return Finding(
        "operators/replaceable",
        Severity.NOTE if case.reaches_openvino() else Severity.ERROR,
        place,
        events[0].subject,
        f"{recipe.name}: {recipe.why}; {taken}",
        (f"{len(events)} call(s); these routes fail or disagree: {', '.join(route.value for route in bad)}",),
        Fix(recipe.snippet),
    )


def _refuses(recipe: CallRecipe, route: Route) -> bool:
    """Of a route that the table does not name, what happened here decides."""
    return route.value in recipe.refused or route.value not in EVERY
