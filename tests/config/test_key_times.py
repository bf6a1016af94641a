"""Key times: a time lies between two of them, and numbers are written so that they come back."""

from __future__ import annotations

from fractions import Fraction

import pytest

from vidstyle.config.key_times import Interval, find_interval, format_number


@pytest.mark.parametrize(
    ("time", "interval"),
    [
        (0, Interval(1, 1, 0)),
        (1, Interval(1, 3, 0)),
        (Fraction(3, 2), Interval(1, 3, 0.25)),
        (3, Interval(3, 7, 0)),
        (7, Interval(7, 7, 0)),
        (99, Interval(7, 7, 0)),
    ],
)
def test_a_time_lies_between_two_key_times_or_at_the_end_of_them(
    time: Fraction, interval: Interval
) -> None:
    assert find_interval([7, 1, 3], Fraction(time)) == interval


def test_without_key_times_there_is_no_interval() -> None:
    with pytest.raises(ValueError, match="no key times"):
        find_interval([], Fraction(1))


def test_what_is_the_same_at_both_ends_does_not_move_between_them() -> None:
    for value in (0.1, 0.7, 1 / 3):
        found = {Interval(0, 7, i / 700).interpolate(value, value) for i in range(700)}
        assert found == {value}


@pytest.mark.parametrize(
    ("number", "text"),
    [(3.0, "3"), (0.0, "0"), (0.6, "0.6"), (1e-7, "1e-07"), (1 / 3, repr(1 / 3))],
)
def test_a_number_is_written_briefly_and_comes_back(number: float, text: str) -> None:
    assert format_number(number) == text
    assert float(text) == number
