"""What decoding a film once has told of it, kept in the user's cache: the next command that names
the file, unchanged, finds it there.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import zlib
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import torch
from pydantic import TypeAdapter, ValidationError

from vidstyle.events import Report, Scanning, silent
from vidstyle.motion.bars import BarPrecheck
from vidstyle.motion.edit import Edit
from vidstyle.motion.recent_frames import RecentFrames
from vidstyle.motion.shots import ContentDifference
from vidstyle.motion.transitions import EditDetector
from vidstyle.rendering.layers import FrameRange
from vidstyle.storage.atomic import write_atomically
from vidstyle.stylize import oklab
from vidstyle.video import ffmpeg
from vidstyle.video.glance import glance
from vidstyle.video.scan import Scan, scan, scan_part
from vidstyle.weights.locate import cache_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vidstyle.video.probe import Source
    from vidstyle.video.seek import SeekIndex

SURVEY_FORMAT = 1
"""Raised where the same file is seen differently: its times, shots, transitions or bars."""

SAMPLED_BYTES = 2**20
"""Bytes at the head, in the middle and at the tail of a file that tell it from others."""

MOST_CACHED_BYTES = 256 * 10**6
"""Of all surveys together; those that were not asked for longest go first."""

LONG_FILM_PIXELS = 10**9
"""Pixels of all frames of a film from which on it takes seconds to decode: a thousand frames of
1280x720."""

FRAME_PIXELS = 10_000
"""Pixels that take as long to decode as what every frame takes besides its own."""

SAMPLED_KEY_FRAMES = 24
"""Of a long film, from which the place of its preview is chosen."""

MIN_CUT_SCORE = 15.0
"""The content difference from which on two frames are of two shots, see `shots.find_cuts`."""

MARGIN_FRAMES = RecentFrames.CAPACITY
"""Frames before and after a part that are looked at with it: as far as the finder of transitions
looks back.
"""

REPORTED_FRAMES = 25
"""Frames from one report of the scan to the next."""

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Survey:
    """What decoding a film once has told.

    Args:
        may_have_bars: whether thumbnails look as if there were some.
        colours: mean and covariance of all its pixels in OKLab, row after row; None: nobody asked.
        is_exact: False where it was not decoded, so that nothing but its times is known.
        part: first frame and end of what was decoded; None: all of it.
    """

    scanned: Scan
    edit: Edit
    may_have_bars: bool
    colours: tuple[Numbers, Numbers] | None = None
    is_exact: bool = True
    part: tuple[int, int] | None = None

    @property
    def statistics(self) -> oklab.ColourStatistics | None:
        """The colours as tensors."""
        if self.colours is None:
            return None
        mean, covariance = (torch.tensor(values).double() for values in self.colours)
        return oklab.ColourStatistics(mean, covariance.view(3, 3))


def survey_film(
    source: Source,
    *,
    needs_colours: bool = False,
    is_cached: bool = True,
    report: Report = silent,
) -> Survey:
    """Decode a film once, or recall what that told.

    Args:
        is_cached: what is kept is looked at, and what is found is kept.

    Raises InputError where no frame decodes.
    """
    if source.kind == "image" or not is_cached:
        return look_at_film(source, needs_colours=needs_colours, report=report)
    path = survey_path(source)
    known = load_survey(path)
    if known is not None and (known.colours is not None or not needs_colours):
        return known
    seen = look_at_film(source, needs_colours=needs_colours, report=report)
    keep_survey(path, seen)
    return seen


def glance_at_film(source: Source, *, is_cached: bool = True) -> Survey | None:
    """Recall what decoding a film has told, or where it is long read its times off its packets
    alone; None where it is short, or that is not to be trusted.
    """
    if source.kind == "image":
        return None
    known = load_survey(survey_path(source)) if is_cached else None
    if known is not None:
        return known
    return glance_at_long_film(source)


def promised_frames(source: Source) -> int:
    """Return about how many frames a film has."""
    return round(float(source.duration or 0) * float(source.nominal_rate))


def is_long_film(source: Source) -> bool:
    """Tell whether it takes seconds to decode a film."""
    pixels = promised_frames(source) * (source.width * source.height + FRAME_PIXELS)
    return source.kind == "video" and pixels >= LONG_FILM_PIXELS


def glance_at_long_film(source: Source) -> Survey | None:
    """Read the times of a long film off its packets; None where it is short, or that is not to be
    trusted.
    """
    seen = glance(source) if is_long_film(source) else None
    if seen is None:
        return None
    return Survey(
        Scan(seen.timeline, 0, "", seen.seek), Edit((0,)), may_have_bars=False, is_exact=False
    )


def survey_part(
    source: Source,
    known: Survey,
    part: FrameRange,
    report: Report = silent,
) -> Survey | None:
    """Decode a part of a film, with some frames around it, and find its shots and transitions; None
    where that is not to be had without decoding the film from its beginning.

    Args:
        known: what its packets tell.
    """
    count = len(known.scanned.timeline)
    around = FrameRange(max(0, part.first - MARGIN_FRAMES), min(count, part.stop + MARGIN_FRAMES))
    thumbnails = ThumbnailCollector(needs_colours=False, promised=len(around), report=report)
    index = scan_part(source, known.scanned.seek_index, around.first, around.stop, thumbnails.add)
    if index is None:
        return None
    edit = shift_edit(thumbnails.detector.finish(), around.first)
    scanned = replace(known.scanned, seek_index=index)
    return Survey(scanned, edit, thumbnails.bars.may_have_bars, part=(around.first, around.stop))


def shift_edit(edit: Edit, by: int) -> Edit:
    """Count the frames of an edit from another one. What lies before them belongs to the first
    shot.
    """
    return Edit(
        tuple(sorted({0, *(cut + by for cut in edit.cuts if cut)})),
        tuple(replace(one, first=one.first + by, stop=one.stop + by) for one in edit.dissolves),
        tuple(replace(one, first=one.first + by, stop=one.stop + by) for one in edit.fades),
        tuple(replace(one, first=one.first + by, stop=one.stop + by) for one in edit.flashes),
    )


def sample_cuts(source: Source, known: Survey) -> tuple[int, ...]:
    """Guess the first frames of a film's shots from key frames spread over it: where two in a row
    are unlike each other, the later one is of another shot.

    Args:
        known: what its packets tell.
    """
    index = known.scanned.seek_index
    keys = index.key_frames or (0,)
    count = min(SAMPLED_KEY_FRAMES, len(keys))
    difference = ContentDifference()
    cuts = {0}
    for at in sorted({keys[(2 * i + 1) * len(keys) // (2 * count)] for i in range(count)}):
        seen: list[NDArray[np.uint8]] = []
        if scan_part(source, index, at, at + 1, seen.append) is None:
            continue
        difference.add(seen[0])
        if difference.scores[-1] >= MIN_CUT_SCORE:
            cuts.add(at)
    return tuple(sorted(cuts))


class ThumbnailCollector:
    """Looks at the thumbnails of a film, one after the other.

    Args:
        promised: about how many there will be.
    """

    def __init__(self, *, needs_colours: bool, promised: int, report: Report) -> None:
        self.detector = EditDetector()
        self.bars = BarPrecheck()
        self.collector = oklab.StatisticsCollector() if needs_colours else None
        self.promised = promised
        self.report = report
        self.done = 0

    def add(self, thumbnail: NDArray[np.uint8]) -> None:
        """Take the next one, (h, w, 3)."""
        self.detector.add(thumbnail)
        self.bars.add(thumbnail)
        if self.collector is not None:
            self.collector.add(torch.tensor(thumbnail).permute(2, 0, 1) / 255)
        self.done += 1
        if self.done % REPORTED_FRAMES == 0:
            self.report(Scanning(self.done, max(self.done, self.promised)))

    @property
    def colours(self) -> tuple[Numbers, Numbers] | None:
        """Those of `Survey`."""
        if self.collector is None:
            return None
        statistics = self.collector.statistics()
        return list_numbers(statistics.mean), list_numbers(statistics.covariance)


def look_at_film(source: Source, *, needs_colours: bool, report: Report) -> Survey:
    """Decode a film once."""
    promised = promised_frames(source)
    thumbnails = ThumbnailCollector(needs_colours=needs_colours, promised=promised, report=report)
    scanned = scan(source, thumbnails.add)
    is_still = source.kind == "image"
    edit = Edit((0,)) if is_still else thumbnails.detector.finish()
    return Survey(scanned, edit, not is_still and thumbnails.bars.may_have_bars, thumbnails.colours)


def recognise_frames(source: Source, index: SeekIndex, frames: Sequence[int]) -> SeekIndex | None:
    """Return an index that only has times with the checksums of these frames; None where decoding
    does not arrive at them.
    """
    for at in frames:
        found = scan_part(source, index, at, at + 1, ignore_thumbnail)
        if found is None:
            return None
        index = found
    return index


def ignore_thumbnail(thumbnail: NDArray[np.uint8]) -> None:
    """Do nothing with a thumbnail."""


def list_numbers(values: torch.Tensor) -> Numbers:
    """List the numbers of a tensor."""
    return tuple(values.flatten().tolist())


def survey_path(source: Source) -> Path:
    """Name the file of a film's survey: by its size, the time of its change and some of its bytes,
    and by what decodes it.
    """
    stat = source.path.stat()
    digest = hashlib.sha256()
    with source.path.open("rb") as file:
        for at in (0, stat.st_size // 2, stat.st_size - SAMPLED_BYTES):
            file.seek(max(0, at))
            digest.update(file.read(SAMPLED_BYTES))
    facts = {**asdict(source), "path": None}
    words = [SURVEY_FORMAT, stat.st_size, stat.st_mtime_ns, ffmpeg.find().version, facts]
    digest.update(json.dumps(words, sort_keys=True, default=str).encode())
    return cache_folder() / "films" / f"{digest.hexdigest()[:32]}.json.gz"


def load_survey(path: Path) -> Survey | None:
    """Read a survey; None where there is none, or it is damaged."""
    try:
        survey = TypeAdapter(Survey).validate_json(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, ValidationError, ValueError, zlib.error):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return survey


def keep_survey(path: Path, survey: Survey) -> None:
    """Write a survey, and remove old ones; a cache that cannot be written stops nothing. That of a
    damaged film is not kept: what is missing may have been a disk that did not answer.
    """
    if survey.scanned.missing:
        return
    data = gzip.compress(TypeAdapter(Survey).dump_json(survey), 1, mtime=0)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
        kept = sorted(path.parent.glob("*.json.gz"), key=lambda one: -one.stat().st_mtime_ns)
        total = 0
        for one in kept:
            total += one.stat().st_size
            if total > MOST_CACHED_BYTES:
                one.unlink(missing_ok=True)
