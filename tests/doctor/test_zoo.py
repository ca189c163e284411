"""Every trap is found at its line, and nothing is found in its twin."""

from collections import Counter

import pytest

from occvino.doctor import Findings, diagnose
from tests.doctor.zoo import PAIRS
from tests.doctor.zoo.pair import ALL_ROUTES, Pair, Specimen

every_pair = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)


def examined(specimen: Specimen, pair: Pair, routes: tuple = ()) -> Findings:
    """The comparison of modules finds nothing and takes two more exports: it comes with every route only."""
    module, args, kwargs = specimen()
    return diagnose(
        module,
        args,
        kwargs,
        variations=pair.variations,
        routes=routes or pair.routes,
        compare_modules=bool(routes),
    )


def test_there_are_thirty_pairs_and_every_pitfall_has_one():
    assert len(PAIRS) >= 30
    pitfalls = Counter(pair.code.split("/")[0] for pair in PAIRS)
    assert set(pitfalls) == {"signature", "leaving", "frozen", "operators", "solver", "parity"}


@every_pair
def test_the_trap_is_found_at_its_line_and_nothing_elsewhere(pair):
    findings = examined(pair.trap, pair)
    (marked,) = pair.marked_lines()
    places = {(f.place.file, f.place.line) for f in findings if f.place}
    assert pair.code in findings.codes()
    assert places == {marked}, [f"{f.code} at {f.place}" for f in findings]


@every_pair
def test_the_twin_is_clean(pair):
    findings = examined(pair.twin, pair)
    assert list(findings) == [], findings.to_json()


@pytest.mark.slow
@every_pair
def test_the_twin_is_clean_by_every_route(pair):
    findings = examined(pair.twin, pair, ALL_ROUTES)
    assert list(findings) == [], findings.to_json()
    assert findings.parity is None or findings.parity.first == ""


@pytest.mark.slow
@every_pair
def test_the_trap_is_found_by_every_route(pair):
    findings = examined(pair.trap, pair, ALL_ROUTES)
    (marked,) = pair.marked_lines()
    assert marked in {(f.place.file, f.place.line) for f in findings if f.code == pair.code and f.place}, (
        findings.to_json()
    )
