"""Blame by evidence: which of the user's lines made what an exporter or a frontend refuses."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass

from occvino.doctor.case import Case
from occvino.doctor.places import Place
from occvino.doctor.routes import Attempt, Route
from occvino.doctor.watch import Event

_NAMED = (
    re.compile(r"(?:aten|prims?|torchvision)(?:::|\.)_?(?P<name>\w+?)(?:_ex)?\b"),
    re.compile(r"export of operator '?(?P<name>\w+)"),
)
_RANK = re.compile(r"\b(?P<rank>\d)D\b")


@dataclass(frozen=True)
class Obstacle:
    """One reason for which a route failed.

    Args:
        operator: its name, without a namespace; empty where nobody named one.
        said: the exporter's own words.
        place: the user's line; None where the evidence names none.
        others: further lines that call the same operator.
    """

    route: Route
    operator: str
    said: str
    place: Place | None
    others: tuple[Place, ...] = ()


def obstacles(case: Case, attempt: Attempt) -> Iterator[Obstacle]:
    """Every reason that a failed route gave, each with its line."""
    if attempt.refusals:
        for refusal in attempt.refusals:
            first, *others = [*_calls_of(case, refusal.name, refusal.reason), None]
            yield Obstacle(attempt.route, refusal.name, str(refusal), first, tuple(filter(None, others)))
        return
    operator = _operator(attempt.failure)
    for event in case.base.of("function"):
        if inside(attempt.place, event):
            yield Obstacle(attempt.route, operator, attempt.failure, event.place)
            return
    if not operator:  # a name that only the run of the module gives a meaning
        ran = {name.split("::")[-1].strip("_") for name in case.base.operators}
        operator = next((word for word in re.findall(r"\w{5,}", attempt.failure) if word.strip("_") in ran), "")
    calls = _calls_of(case, operator, attempt.failure) if operator else []
    place = attempt.place or next(iter(calls), None) or _opaque(case, attempt.failure)
    yield Obstacle(attempt.route, operator, attempt.failure, place, tuple(calls[1:]) if attempt.place is None else ())


def inside(place: Place | None, event: Event) -> bool:
    """The place is in the body of the function's own `forward`."""
    code = event.value.forward.__code__
    if place is None or place.file != code.co_filename:
        return False
    lines, first = inspect.getsourcelines(code)
    return first <= place.line < first + len(lines)


def _operator(failure: str) -> str:
    matches = (pattern.search(failure) for pattern in _NAMED)
    return next((match["name"] for match in matches if match), "")


def _calls_of(case: Case, operator: str, reason: str) -> list[Place]:
    """Lines that called the operator, in order; where the reason names a rank, those with another one first."""
    if operator == "TupleUnpack":  # no operator of the user's: what gives several tensors in one value
        return case.base.tuples
    wanted = _letters(operator)
    names = [name for name in case.base.operators if wanted and wanted in _letters(name.split("::")[-1])]
    exact = [name for name in names if _letters(name.split("::")[-1]) == wanted]
    found = [(name, place) for name in exact or names for place in case.base.operators[name]]
    rank = _RANK.search(reason)
    if rank is not None:
        odd = [(n, p) for n, p in found if case.base.ranks.get((n, p), int(rank["rank"])) != int(rank["rank"])]
        same = [(n, p) for n, p in found if case.base.ranks.get((n, p)) == int(rank["rank"])]
        found = odd or same or found  # the reason names what is taken, or what is not
    return list(dict.fromkeys(place for _, place in found))


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _opaque(case: Case, failure: str) -> Place | None:
    """An operator of the user's own that is named, or else a function that was seen to leave tensor land."""
    for event in case.base.of("custom-op", "scatter"):
        if event.name.split(".")[-1] in failure:
            return event.place
    seen = [event for event in case.base.of("function", "scatter") if event.trouble]
    return seen[0].place if seen else None
