import pytest

from occvino.geometry.seconds import other_unit

NOW = 1_790_000_000.25
"""Seconds since 1970."""


@pytest.mark.parametrize("time", [0.0, -3.0, 12.5, 86400.0, NOW, 4e9])
def test_seconds_on_any_clock_are_right(time):
    assert other_unit(time) == ""


@pytest.mark.parametrize(("digits", "name"), [(3, "milliseconds"), (6, "microseconds"), (9, "nanoseconds")])
def test_other_units_are_named_with_the_divisor(digits, name):
    told = other_unit(NOW * 10**digits)
    assert told == f"seconds are expected, and these look like {name}: divide by 1e{digits}"
