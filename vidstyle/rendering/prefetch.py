"""Work that runs ahead of the optimiser or behind it, in a thread, with a bounded queue between."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

END = object()

PATIENCE = 10.0
"""Seconds."""


@contextlib.contextmanager
def ahead(items: Generator[T, None, None], depth: int = 2) -> Iterator[Iterable[T]]:
    """`items`, computed up to `depth` in advance by another thread; its errors are raised here, in
    order.

    When the block is left early the generator is closed, in its own thread, before this returns,
    unless what it is at takes longer than `PATIENCE`: the user who stops should not have to wait
    for it.
    """
    waiting: queue.Queue[tuple[object, BaseException | None]] = queue.Queue(maxsize=depth)
    left = threading.Event()

    def put(item: object, error: BaseException | None = None) -> bool:
        while not left.is_set():
            try:
                waiting.put((item, error), timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            with contextlib.closing(items):
                for item in items:
                    if not put(item):
                        return
            put(END)
        except BaseException as error:
            put(END, error)

    def take() -> Iterator[T]:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is END:
                return
            yield item  # type: ignore[misc]

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        yield take()
    finally:
        left.set()
        thread.join(PATIENCE)


class Behind:
    """Calls run one after the other in another thread, at most `depth` of them waiting; an error is
    raised at the next call or at the end. Leaving the block waits for the rest."""

    def __init__(self, depth: int = 2) -> None:
        self.pool, self.depth = ThreadPoolExecutor(1, thread_name_prefix="behind"), depth
        self.pending: list[Future[None]] = []

    def __enter__(self) -> Behind:
        return self

    def submit(self, work: Callable[[], None]) -> None:
        while len(self.pending) >= self.depth:
            self.pending.pop(0).result()
        self.pending.append(self.pool.submit(work))

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.pool.shutdown(wait=True)
        failures = [f.exception() for f in self.pending]
        if kind is None:
            for failure in failures:
                if failure is not None:
                    raise failure
