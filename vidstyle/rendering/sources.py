"""The source frames of a render, each with what links it to those before it, and the state that it
starts from.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING

from vidstyle.frames import Frame, Motion
from vidstyle.motion.correspondence import link_earlier_frames
from vidstyle.motion.static import StaticTracker
from vidstyle.rendering import streams
from vidstyle.rendering.label_maps import masks_beside
from vidstyle.rendering.prefetch import ahead
from vidstyle.stylize.engine import State
from vidstyle.video import read

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from vidstyle.motion.flow import Flow
    from vidstyle.rendering.pipeline import Job
    from vidstyle.storage.checkpoint import Checkpoint


def moving_frames(
    job: Job, flow: Flow, wanted: list[int], device: torch.device
) -> Generator[tuple[Frame, Motion | None], None, None]:
    """The source frames of the wanted indices with what links each to those before it, None where
    it starts afresh; both on the device if that is CUDA, else on the CPU.
    """
    fresh = set(wanted) if job.config.per_frame else job.shots
    distances, begin = job.config.distances, min(wanted)
    shot = max((t for t in fresh if t <= begin), default=0)
    hold = job.config.rest == "hold" and not job.config.per_frame
    needed = shot if hold else max(shot, begin - distances[-1])
    register = StaticTracker(job.config.frames_until_static)
    recent: deque[Tensor] = deque(maxlen=distances[-1])  # source frames, the last one first
    todo = set(wanted)
    # Left, it closes the decoder, which must be gone when the render is.
    span = job.first + needed, job.first + max(wanted) + 1
    with (
        ahead(read.read(job.source, job.size, *span), 1) as frames,
        masks_beside(job.regions, *span) as regions,
    ):
        for frame, masks in zip(frames, regions, strict=False):
            index = frame.index - job.first
            if index in fresh:
                recent.clear()
                register.start_shot()
            image = streams.brought(frame.image, device)
            resting = register.track(image) if hold else None
            if index in todo:
                motion = (
                    link_earlier_frames(image, recent, flow, distances, job.config.mask, resting)
                    if recent
                    else None
                )
                del resting  # its reference is held no longer than it is looked at
                if motion is not None and job.restyled(index):
                    motion = replace(motion, static=None)
                yield job.frame(index, image, masks and masks()), motion
            recent.appendleft(image)


def recall(state: State, at: int, index: int, motion: Motion | None, store: Checkpoint) -> State:
    """The state that frame `index` starts from, when `state` is that after frame `at`: what an
    earlier run has rendered since, or before, comes from its checkpoints.
    """
    if motion is None:
        return State()
    at_hand = {j + index - at - 1: image for j, image in state.images.items()}
    for j in (1, *motion.farther):
        if j not in at_hand:
            at_hand[j] = store.load(index - j)
    return State(at_hand.pop(1), at_hand)
