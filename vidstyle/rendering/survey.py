"""What decoding a film once has told of it, kept in the user's cache: the next command that names
the file, unchanged, finds it there.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch
from pydantic import TypeAdapter, ValidationError

from vidstyle.events import Report, Scanning, silent
from vidstyle.motion.bars import BarPrecheck
from vidstyle.motion.edit import Edit
from vidstyle.motion.transitions import EditDetector
from vidstyle.storage.atomic import write_atomically
from vidstyle.stylize import oklab
from vidstyle.video import ffmpeg
from vidstyle.video.glance import glance
from vidstyle.video.scan import Scan, scan
from vidstyle.weights.locate import cache_folder

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vidstyle.video.probe import Source

SURVEY_FORMAT = 1
"""Raised where the same file is seen differently: its times, shots, transitions, bars or damage."""

SAMPLED_BYTES = 2**20
"""Bytes at the head, in the middle and at the tail of a file that tell it from others."""

MOST_CACHED_BYTES = 256 * 10**6
"""Of all surveys together; those that were not asked for longest go first."""

LONG_FILM_PIXELS = 10**9
"""Pixels of all frames of a film from which on it takes seconds to decode: a thousand frames of
1280x720."""

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
    """

    scanned: Scan
    edit: Edit
    may_have_bars: bool
    colours: tuple[Numbers, Numbers] | None = None
    is_exact: bool = True

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
    frames = float(source.duration or 0) * float(source.nominal_rate)
    if frames * source.width * source.height < LONG_FILM_PIXELS:
        return None
    timeline = glance(source)
    if timeline is None:
        return None
    return Survey(Scan(timeline, 0, ""), Edit((0,)), may_have_bars=False, is_exact=False)


def look_at_film(source: Source, *, needs_colours: bool, report: Report) -> Survey:
    """Decode a film once."""
    detector = EditDetector()
    bars = BarPrecheck()
    colours = oklab.StatisticsCollector()
    is_still = source.kind == "image"
    promised = round(float(source.duration or 0) * float(source.nominal_rate))
    done = 0

    def look(thumbnail: NDArray[np.uint8]) -> None:
        nonlocal done
        if not is_still:
            detector.add(thumbnail)
            bars.add(thumbnail)
        if needs_colours:
            colours.add(torch.tensor(thumbnail).permute(2, 0, 1) / 255)  # (h, w, 3) -> (3, h, w)
        done += 1
        if done % REPORTED_FRAMES == 0:
            report(Scanning(done, max(done, promised)))

    scanned = scan(source, look)
    statistics = colours.statistics() if needs_colours else None
    return Survey(
        scanned,
        Edit((0,)) if is_still else detector.finish(),
        bars.may_have_bars,
        None if statistics is None else (flat(statistics.mean), flat(statistics.covariance)),
    )


def flat(values: torch.Tensor) -> Numbers:
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
        os.utime(path)
    except (OSError, EOFError, ValidationError, ValueError):
        return None
    return survey


def keep_survey(path: Path, survey: Survey) -> None:
    """Write a survey, and remove old ones; a cache that cannot be written stops nothing."""
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
