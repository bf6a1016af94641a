"""A film that is decoded in the background, and what is certain of it so far."""

from __future__ import annotations

import copy
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from vidstyle.events import silent
from vidstyle.motion.recent_frames import RecentFrames
from vidstyle.rendering.survey import Survey, ThumbnailCollector
from vidstyle.video.scan import Scan, ScanLog, scan

if TYPE_CHECKING:
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

    from vidstyle.motion.edit import Edit
    from vidstyle.video.probe import Source
    from vidstyle.video.seek import SeekIndex

SETTLING_FRAMES = RecentFrames.CAPACITY
"""Frames after which hardly anything new is found out about the frames before: as far as the finder
of transitions looks back."""


REST_RATIO = 2.0
"""Of the rest after a thumbnail to the time that it took. Without, a film of 64x36, of which 5,000
frames a second are decoded, took 0.38 s a frame to paint, and not 0.04."""


class ScanCancelledError(Exception):
    """Ends the scan of a render that has ended."""


@dataclass(frozen=True)
class PartialSurvey:
    """What is known of the first frames of a film.

    Args:
        edit: as if the film ended with the frames seen so far.
        settled: frames whose shots and transitions will hardly change any more.
        may_have_bars: whether thumbnails look as if there were some.
        seek: the index that the packets told, with the checksums of the frames seen so far.
    """

    edit: Edit
    settled: int
    may_have_bars: bool
    seek: SeekIndex


class BackgroundScan:
    """Decodes a film in a thread of its own while something else is done."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.log = ScanLog()
        self.thumbnails = ThumbnailCollector(needs_colours=False, promised=0, report=silent)
        self.lock = threading.Lock()
        self.is_cancelled = False
        self.scanned: Scan | None = None
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="scan", daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.is_cancelled = True
        self.thread.join()

    def _run(self) -> None:
        """Decode the film. What goes wrong is raised by `wait`."""
        try:
            self.scanned = scan(self.source, self._add, self.log, is_background=True)
        except BaseException as error:
            self.error = error

    def _add(self, thumbnail: NDArray[np.uint8]) -> None:
        """Take the next thumbnail."""
        if self.is_cancelled:
            raise ScanCancelledError
        begun = time.perf_counter()
        with self.lock:
            self.thumbnails.add(thumbnail)
        # One thread at a time runs Python, and painting needs it between any two operations.
        time.sleep(REST_RATIO * (time.perf_counter() - begun))

    @property
    def frames_seen(self) -> int:
        """The frames that have been looked at."""
        return self.thumbnails.done

    def wait(self, seconds: float) -> Survey | None:
        """Wait for the end of the scan, at most so long; None where it goes on.

        Raises what the scan has raised.
        """
        self.thread.join(seconds)
        if self.thread.is_alive():
            return None
        if self.error is not None:
            raise self.error
        assert self.scanned is not None
        edit = self.thumbnails.detector.finish()
        return Survey(self.scanned, edit, self.thumbnails.bars.may_have_bars)

    def look(self, seek: SeekIndex) -> PartialSurvey:
        """Tell what is certain by now.

        Args:
            seek: as the packets tell it.
        """
        with self.lock:
            detector = copy.deepcopy(self.thumbnails.detector)
            may_have_bars = self.thumbnails.bars.may_have_bars
        seen = len(detector.fine)
        checksums = list(seek.checksums)
        # The lines of a frame and its thumbnail come in any order.
        told = list(zip(self.log.pts, self.log.checksums, strict=False))[: len(checksums)]
        for at, (pts, checksum) in enumerate(told):
            if abs(pts - seek.times[at]) > 1:
                seen = min(seen, at)
                break
            checksums[at] = checksum
        settled = max(0, min(seen, len(told)) - SETTLING_FRAMES)
        seek = replace(seek, checksums=tuple(checksums))
        return PartialSurvey(detector.finish(), settled, may_have_bars, seek)
