"""What links frames, made beside the optimiser or in turn with it, as the device has it."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from vidstyle.rendering.prefetch import ahead

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from vidstyle.frames import Motion

T = TypeVar("T")


@contextlib.contextmanager
def beside(items: Generator[T, None, None], device: torch.device) -> Iterator[Iterable[T]]:
    """`items`, made by a thread that runs ahead of the optimiser, where that has a GPU. On the CPU
    in turn with it: on the same cores neither would be done sooner, and their memory would add up.
    """
    if device.type == "cpu":
        with contextlib.closing(items):
            yield items
    else:
        with ahead(on_a_stream(items, device)) as made:
            yield made


def on_a_stream(items: Generator[T, None, None], device: torch.device) -> Generator[T, None, None]:
    """`items`, each finished when it comes; on CUDA what makes them runs on a stream of its own, so
    that flow and masks do not wait for the optimiser's kernels, nor these for them.
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


def brought(image: Tensor, device: torch.device) -> Tensor:
    """A source image on a CUDA device, by way of pinned memory, so that the copy runs beside
    everything else; the image itself for other devices, where the CPU follows the flow.
    """
    return image.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else image


def taken_over(image: Tensor, motion: Motion | None) -> None:
    """For the thread that uses what `beside` made: memory of another stream must not be given away
    again while this one still reads it.
    """
    if not image.is_cuda:
        return
    import torch

    stream = torch.cuda.current_stream(image.device)
    links = () if motion is None else (motion, *motion.farther.values())
    parts = (tensor for link in links for tensor in (link.flow_t_to_prev, link.mask, link.static))
    for tensor in (image, *parts):
        if tensor is not None and tensor.is_cuda:
            tensor.record_stream(stream)
