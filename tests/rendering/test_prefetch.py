"""Work ahead of the optimiser: in order, bounded, and no error is lost."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from vidstyle.rendering.prefetch import prefetch

SOON = 10.0
"""Seconds after which a wait has failed; none of them is waited for in full."""


def test_items_arrive_in_order_and_complete() -> None:
    with prefetch((n for n in range(100)), depth=3) as items:
        assert list(items) == list(range(100))


def test_items_are_computed_in_another_thread_and_no_further_ahead_than_asked() -> None:
    made: list[int] = []
    third = threading.Event()
    threads = set()

    def numbers() -> Generator[int, None, None]:
        for n in range(50):
            threads.add(threading.current_thread())
            made.append(n)
            if len(made) == 4:
                third.set()
            yield n

    with prefetch(numbers(), depth=2) as items:
        taken = iter(items)
        assert next(taken) == 0
        assert third.wait(SOON)  # taken one, two waiting, one in hand: not a single one asked for
        for n in range(1, 40):
            assert next(taken) == n
            assert len(made) <= n + 1 + 2 + 1
    assert threading.main_thread() not in threads


def test_an_error_of_the_producer_is_raised_after_the_items_before_it() -> None:
    def numbers() -> Generator[int, None, None]:
        yield 1
        yield 2
        raise ValueError("broken at 3")

    got: list[int] = []
    with pytest.raises(ValueError, match="broken at 3"), ahead(numbers()) as items:
        got.extend(items)
    assert got == [1, 2]


@pytest.mark.parametrize("how", ["break", "error"])
def test_a_producer_that_is_left_early_is_closed_before_the_block_ends(how: str) -> None:
    closed: list[threading.Thread] = []

    def endless() -> Generator[int, None, None]:
        n = 0
        try:
            while True:
                yield (n := n + 1)
        finally:
            closed.append(threading.current_thread())

    def consume() -> None:
        with prefetch(endless()) as items:
            for n in items:
                if n == 3:
                    if how == "error":
                        raise KeyError(n)
                    break

    if how == "error":
        with pytest.raises(KeyError):
            consume()
    else:
        consume()
    assert len(closed) == 1
    assert (
        closed[0] is not threading.current_thread()
    )  # a generator may only be closed where it runs
    assert not [t for t in threading.enumerate() if t.name == "prefetch"]


def test_an_error_while_closing_an_abandoned_producer_hides_nothing_and_hangs_nothing() -> None:
    def stubborn() -> Generator[int, None, None]:
        try:
            yield from range(1000)
        finally:
            raise ValueError("while closing")

    def consume() -> None:
        with prefetch(stubborn()) as items:
            next(iter(items))
            raise KeyError

    with pytest.raises(KeyError):
        consume()
