"""The links of the frames of a layer, made in the order in which the frames are painted."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from vidstyle.motion.coarse import enlarge_motion, notice_small_changes, shrink_frame
from vidstyle.motion.correspondence import link_earlier_frames
from vidstyle.motion.hold import HoldTracker, record_source
from vidstyle.motion.static import StaticRegions, StaticTracker
from vidstyle.rendering.landmarks import LANDMARK_FRAMES, Landmarks
from vidstyle.rendering.sources import style_of
from vidstyle.stylize.detail import DetailTracker

if TYPE_CHECKING:
    from torch import Tensor

    from vidstyle.frames import Motion
    from vidstyle.motion.flow import Flow
    from vidstyle.rendering.job import Job
    from vidstyle.storage.frame_store import FrameStore
    from vidstyle.stylize.detail import FigureSearch

KEPT_RECORDS = 8
"""Records that are kept beyond those that the next frame needs: frames may be on their way."""


class FrameLinker:
    """Links the frames of a layer, in the order in which they are painted, each to those before it.

    Args:
        records: keeps what the last frames were painted from, and what was observed of them.
        search: finds figures; None where no detail map is asked for.
    """

    def __init__(
        self, job: Job, flow: Flow, records: FrameStore, search: FigureSearch | None = None
    ) -> None:
        config = job.config
        self.job = job
        self.flow = flow
        self.records = records
        self.distances = config.distances
        self.reach = config.distances[-1]
        self.needs_motion = job.engine.needs_motion
        self.longest = job.engine.motion_side
        self.track_static = config.rest == "hold" and self.needs_motion
        self.static = StaticTracker(config.frames_until_static)
        self.landmarks = Landmarks(records.path, records.label)
        self.landmark: tuple[int, dict[str, Tensor]] | None = None
        """The frame up to which nothing has to be tracked, and the state of the tracker there."""
        self.hold = HoldTracker(self.reach)
        self.detail = None if search is None else DetailTracker(search)
        self.before: Tensor | None = None
        """The last source frame, (3, H, W)."""
        self.earlier: deque[Tensor] = deque(maxlen=self.reach)
        """The last source frames, at the size at which motion is seen, the last one first."""
        self.known: set[int] = set()
        """Frames whose records are on the disk, so that their links are not needed."""

    def first_needed(self, order: Sequence[int], position: int) -> int:
        """Choose the position in the painting order from which frames must be looked at for the one
        at `position` to be linked.
        """
        if not self.needs_motion:
            return max(0, position - 1)
        before = list(order[max(0, position - self.reach) : position])
        if before and not self.records.missing_frames(before):
            self.known = set(order[:position])
            if self.track_static:
                return self.find_landmark(order, position)
            return max(0, position - self.reach)
        return 0

    def find_landmark(self, order: Sequence[int], position: int) -> int:
        """Choose the position from which frames must be looked at for what is static in the one at
        `position`, which depends on the whole layer before it.
        """
        last = (position - 1) // LANDMARK_FRAMES
        for at in range(last * LANDMARK_FRAMES, 0, -LANDMARK_FRAMES):
            if at < self.reach or not self.landmarks.path_of(order[at]).exists():
                continue
            state = self.landmarks.load(order[at])
            if state is not None:
                self.landmark = (order[at], state)
                return at - self.reach + 1
        return 0

    def start(self, index: int, image: Tensor) -> None:
        """Take the first frame."""
        self.before = image
        seen = shrink_frame(image, self.longest)
        if self.track_static:
            self.static.track(seen)
        self.earlier.appendleft(seen)
        if self.detail is not None:
            self.detail.start(image)
        if self.needs_motion:
            self.hold.start(record_source(seen))
            self.keep(index, 0)

    def link(
        self, index: int, image: Tensor, direction: int, step: int
    ) -> tuple[Motion | None, bool]:
        """Link the next frame to those before it; return the link, and whether the frame repeats
        the one before. There is no link to frames whose links are not needed.

        Args:
            step: how many frames it is from the first one.
        """
        before = self.before
        is_repeat = repeats(self.job, index, image, before, direction)
        self.before = image
        seen = shrink_frame(image, self.longest)
        motion = None
        regions = self.track(index, seen, is_repeat=is_repeat)
        if index in self.known:
            if not self.records.missing_frames([index]):
                self.resume(self.records.load(index).to(image))
        elif is_repeat and self.needs_motion:
            self.hold.start(self.hold.records[0])
            if self.detail is not None:
                self.detail.revisit(image, step)
            self.keep(index, direction)
        elif self.needs_motion:
            config = self.job.config
            motion = link_earlier_frames(
                seen, self.earlier, self.flow, self.distances, config.mask, regions, self.hold
            )
            if seen is not image:
                motion = enlarge_motion(motion, (int(image.shape[1]), int(image.shape[2])))
                if before is not None:
                    motion = notice_small_changes(motion, image, before)
            if self.detail is not None:
                self.detail.advance(image, motion, step)
            self.keep(index, direction)
        elif self.detail is not None:
            self.detail.start(image)
        self.earlier.appendleft(seen)
        if self.track_static and index not in self.known and step % LANDMARK_FRAMES == 0:
            self.landmarks.save(index, self.static.state(), direction)
        return motion, is_repeat

    def track(self, index: int, seen: Tensor, *, is_repeat: bool) -> StaticRegions | None:
        """Find what is static in a frame (3, H, W); None where that is not needed."""
        if not self.track_static:
            return None
        if self.landmark is None:
            return None if is_repeat else self.static.track(seen)
        at, state = self.landmark
        if index == at:
            self.static.restore({name: x.to(seen.device) for name, x in state.items()})
            self.landmark = None
        return None

    @property
    def detail_map(self) -> Tensor | None:
        """The detail map of the last frame, (1, h, w); None where none is asked for."""
        return None if self.detail is None else self.detail.map

    def resume(self, record: Tensor) -> None:
        """Go on from the record of a frame (3, h, w)."""
        if self.detail is not None:
            record, observed = record.chunk(2, 1)
            self.detail.resume(observed)
        self.hold.start(record)

    def keep(self, index: int, direction: int) -> None:
        """Write the record of the frame, and remove one that is needed no longer."""
        self.records.open()
        record = self.hold.records[0]
        if self.detail is not None:
            assert self.detail.observed is not None
            record = torch.cat([record, self.detail.observed], 1)
        self.records.save(index, record)
        if direction:
            self.records.delete_frames([index - direction * (self.reach + KEPT_RECORDS)])


def repeats(job: Job, index: int, image: Tensor, before: Tensor | None, direction: int) -> bool:
    """Tell whether a frame (3, H, W) is the one before it once more, to be painted in the same
    style.

    Args:
        before: (3, H, W), the source frame `index` - `direction`.
    """
    if before is None or (job.label_maps is not None and job.label_maps.fixed is None):
        return False
    if image is not before and not torch.equal(image, before):
        return False
    style = style_of(job, index)
    # What comes before the last frame of a loop, backward, is the first one.
    other = (index - direction) % job.frame_count
    return not style.transition and style == style_of(job, other)
