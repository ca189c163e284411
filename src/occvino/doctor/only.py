"""What `--only` names: pitfalls to look for, and routes to try."""

from __future__ import annotations

from collections.abc import Sequence

from occvino.doctor.findings import PITFALLS, DoctorError
from occvino.doctor.routes import Route

_OF_GRAPHS = ("frozen", "operators", "parity")


def chosen(only: Sequence[str], routes: Sequence[Route]) -> tuple[tuple[str, ...], tuple[Route, ...]]:
    """The pitfalls and the routes that `only` leaves; everything where it is empty.

    Raises:
        DoctorError: a name is neither a pitfall nor a route.
    """
    values = {route.value: route for route in Route}
    for name in only:
        if name not in PITFALLS and name not in values:
            raise DoctorError(
                f"--only {name!r} is neither a pitfall ({', '.join(PITFALLS)}) nor a route ({', '.join(values)})"
            )
    pitfalls = tuple(name for name in PITFALLS if name in only) or PITFALLS
    named = tuple(values[name] for name in only if name in values)
    if named:
        return pitfalls, named
    return pitfalls, tuple(routes) if set(pitfalls) & set(_OF_GRAPHS) else ()
