"""The trial of a delivery: before anything is rendered, the first packets of every track that is to
come along are put into the container of the output, and decoded and encoded where the plan says so.

A header does not tell whether that works: sound may be of a kind that this ffmpeg cannot decode,
have a rate or loudspeakers that the container or its encoder refuses, or be declared and never
come.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from vidstyle.storage.atomic import mentions_full_disk
from vidstyle.video import ffmpeg
from vidstyle.video.containers import CONTAINERS, Track, label_stream
from vidstyle.video.delivery import Delivery
from vidstyle.video.probe import Source, Stream
from vidstyle.video.track_arguments import list_sound_filters

TRIAL_SECONDS = 0.8
"""Of all tracks together; what has not failed by then is taken for good. What fails does so in a
tenth of it: in the header, or with the first packets."""

SUBTITLE_SECONDS = 0.3
"""The same of a subtitle, which may come an hour into the film."""

TRIED_PACKETS = "8"

TRIALS_AT_ONCE = 4

STEREO_FILTER = "aformat=channel_layouts=stereo"


MOST_OPUS_CHANNELS = 8


@dataclass(frozen=True)
class Candidate:
    """A way in which a track may come along.

    Args:
        track: None: it is left out.
        change: of it, for the user; "" where the plan has said it already.
        is_loss: whether something of it is lost.
    """

    track: Track | None
    change: str = ""
    is_loss: bool = False


def try_delivery(delivery: Delivery, source: Source) -> Delivery:
    """Try every track of a delivery, and return the delivery with those that work: as planned, or
    converted, or mixed down to stereo. What cannot come along in any way is left out with a
    warning.
    """
    if delivery.kind != "video" or not delivery.tracks:
        return delivery
    streams = {stream.index: stream for stream in source.streams}
    deadline = time.monotonic() + TRIAL_SECONDS
    with tempfile.TemporaryDirectory(prefix="vidstyle-") as folder:

        def settle(track: Track) -> Candidate:
            if track.kind == "cover":
                # It is no track of its own.
                return Candidate(track)
            scratch = Path(folder) / str(track.index)
            return settle_track(streams[track.index], track, delivery, source, scratch, deadline)

        with ThreadPoolExecutor(TRIALS_AT_ONCE) as pool:
            settled = list(pool.map(settle, delivery.tracks))
    told = {True: list(delivery.warnings), False: list(delivery.notes)}
    for planned, chosen in zip(delivery.tracks, settled, strict=True):
        if chosen.change:
            label = label_stream(streams[planned.index])
            # What the plan has said of it does not hold any more.
            told[False] = [note for note in told[False] if not note.startswith(label)]
            told[chosen.is_loss].append(f"{label} {chosen.change}")
    return replace(
        delivery,
        tracks=tuple(one.track for one in settled if one.track is not None),
        notes=tuple(told[False]),
        warnings=tuple(told[True]),
    )


def settle_track(
    stream: Stream,
    track: Track,
    delivery: Delivery,
    source: Source,
    scratch: Path,
    deadline: float,
) -> Candidate:
    """Find the first way in which a track works."""
    complaints = []
    for candidate in list_candidates(stream, track, delivery.path.suffix.lower()):
        assert candidate.track is not None
        complaint = find_complaint(candidate.track, delivery, source, scratch, deadline)
        if complaint is None:
            return candidate
        complaints.append(complaint.rstrip("."))
    reason = complaints[0]
    if stream.kind == "audio" and stream.channels == 0:
        reason = "the file declares it, and no sound of it comes at the beginning"
    elif any("no decoder found" in complaint for complaint in complaints):
        reason = f"ffmpeg {ffmpeg.find().version} cannot decode it"
    return Candidate(None, f"is left out: {reason}", is_loss=True)


def list_candidates(stream: Stream, track: Track, extension: str) -> Iterator[Candidate]:
    """Yield the ways in which a track may come along, the best first."""
    if track.kind != "audio":
        yield Candidate(track)
        return
    encoder = CONTAINERS[extension].audio_encoder
    to = encoder.removeprefix("lib")
    has = f"it has {stream.channels} channels"
    if track.encoder == "libopus" and stream.channels > MOST_OPUS_CHANNELS:
        change = f"is mixed down to {MOST_OPUS_CHANNELS} channels, as opus: {has}"
        yield Candidate(track, change, is_loss=True)
    else:
        yield Candidate(track)
    if track.encoder == "copy":
        change = f"is converted to {to}: {extension[1:]} does not take it as it is"
        yield Candidate(Track(track.index, "audio", encoder), change)
    if stream.channels > 2:
        # Of loudspeakers without names, the odd ones go left and the even ones right.
        left = "+".join(f"c{i}" for i in range(0, stream.channels, 2))
        right = "+".join(f"c{i}" for i in range(1, stream.channels, 2))
        for mix in (STEREO_FILTER, f"pan=stereo|c0<{left}|c1<{right}"):
            mixed = Track(track.index, "audio", encoder, (mix,))
            yield Candidate(mixed, f"is mixed down to stereo, as {to}: {has}", is_loss=True)


def find_complaint(
    track: Track, delivery: Delivery, source: Source, scratch: Path, deadline: float
) -> str | None:
    """Return ffmpeg's complaint about the first packets of a track; None where it has none in
    time.
    """
    args = ["-y", *ffmpeg.ONLY_LOCAL]
    args += [word for name, value in source.input_options for word in (f"-{name}", value)]
    args += ["-i", ffmpeg.local(source.path), "-map", f"0:{track.index}", "-c", track.encoder]
    if filters := list_sound_filters(track, delivery.container, is_part=False):
        args += ["-filter:0", ",".join(filters)]
    args += ["-frames:0", TRIED_PACKETS] if track.kind == "audio" else []
    args += ["-f", delivery.container, ffmpeg.local(scratch)]
    left = max(0.0, deadline - time.monotonic())
    with ffmpeg.running(args) as child:
        try:
            child.process.wait(min(left, SUBTITLE_SECONDS) if track.kind == "subtitle" else left)
        except subprocess.TimeoutExpired:
            return None
        code, text = child.wait()
    # A full disk, or an ffmpeg that was killed, tells nothing about the track.
    if code <= 0 or mentions_full_disk(text):
        return None
    return ffmpeg.last_complaint(text, lines=1) or f"ffmpeg ended with code {code}"
