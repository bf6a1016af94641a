"""Work that runs ahead of the optimiser, in a thread, with a bounded queue between."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from vidstyle.frames import Frame, Motion

T = TypeVar("T")

END = object()

LONGEST_WAIT = 10.0
"""Seconds that a user who stops waits for a thread that is still busy."""


@contextlib.contextmanager
def prefetch(items: Generator[T, None, None], depth: int = 2) -> Iterator[Iterable[T]]:
    """Compute `items` up to `depth` in advance in another thread; its errors are raised here, in
    order.

    When the block is left early the generator is closed, in its own thread, before this returns,
    unless the item in progress takes longer than `LONGEST_WAIT`.
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

    def produce() -> None:
        try:
            with contextlib.closing(items):
                for item in items:
                    if not put(item):
                        return
            put(END)
        except BaseException as error:
            put(END, error)

    def consume() -> Iterator[T]:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is END:
                return
            yield item  # type: ignore[misc]

    thread = threading.Thread(target=produce, name="prefetch", daemon=True)
    thread.start()
    try:
        yield consume()
    finally:
        left.set()
        thread.join(LONGEST_WAIT)


@contextlib.contextmanager
def prefetch_for(device: torch.device, items: Generator[T, None, None]) -> Iterator[Iterable[T]]:
    """Compute `items` ahead of the optimiser where that has a GPU. On the CPU they take turns: on
    the same cores neither would be done sooner, and their memory would add up.
    """
    if device.type == "cpu":
        with contextlib.closing(items):
            yield items
    else:
        with prefetch(on_own_stream(items, device)) as computed:
            yield computed


def on_own_stream(
    items: Generator[T, None, None], device: torch.device
) -> Generator[T, None, None]:
    """Give every item once it is finished; on CUDA, compute them on a stream of their own, so that
    flow and masks do not wait for the optimiser's kernels, nor these for them.
    """
    with contextlib.closing(items):
        if device.type != "cuda":
            yield from items
            return
        import torch

        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        while True:
            with torch.cuda.stream(stream):
                item = next(items, None)
            if item is None:
                return
            stream.synchronize()  # this thread waits, not the optimiser's
            yield item


def upload_image(image: Tensor, device: torch.device) -> Tensor:
    """Bring a source image to a CUDA device through pinned memory, so that the copy runs alongside
    everything else. For other devices it stays where it is: there the CPU computes the flow.
    """
    if device.type != "cuda":
        return image
    return image.pin_memory().to(device, non_blocking=True)


def hand_over(frame: Frame, motion: Motion | None) -> None:
    """Tell CUDA that this thread uses what another stream has made: its memory must not be given
    away while this stream still reads it.
    """
    if not frame.image.is_cuda:
        return
    import torch

    stream = torch.cuda.current_stream(frame.image.device)
    links = () if motion is None else (motion, *motion.farther.values())
    parts = (
        tensor
        for link in links
        for tensor in (link.flow_t_to_prev, link.mask, link.static, link.hold)
    )
    for tensor in (frame.image, frame.regions, frame.detail, *parts):
        if tensor is not None and tensor.is_cuda:
            tensor.record_stream(stream)
