"""The containers, each with the video codecs that it takes and the way in which the other streams
of the source come along.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vidstyle.video.probe import Stream

_PCM = frozenset(
    {"pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_u8", "pcm_alaw", "pcm_mulaw"}
)
_PCM_BE = frozenset({"pcm_s16be", "pcm_s24be", "pcm_s32be", "pcm_f32be"})
_TEXT_SUBTITLES = frozenset({"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text"})
"""Subtitles that are text; the others are pictures and cannot be converted into text."""

_COVERS = frozenset({"mjpeg", "png"})
"""Pictures that every container with covers takes."""


@dataclass(frozen=True)
class Container:
    """A kind of file.

    Args:
        muxer: ffmpeg's name.
        codecs: video codecs it takes, the default first.
        audio: codecs that are copied; others are converted to `audio_encoder`.
        subtitles: codecs that are copied; other text is converted to `text_encoder` (None: left
            out).
        options: of the muxer.
        covers: whether it takes a picture about the film.
        keeps: what of a film's description it takes: "any" metadata, "known" keys alone, or "" for
            hardly any; a film's time code goes with it.
    """

    muxer: str
    codecs: tuple[str, ...]
    audio: frozenset[str]
    audio_encoder: str
    subtitles: frozenset[str]
    text_encoder: str | None
    attachments: bool = False
    options: tuple[str, ...] = ()
    covers: bool = False
    keeps: Literal["any", "known", ""] = ""


# No time code track: it would count frames of a rate that is not the picture's when only a part is
# rendered.
_MOV_OPTIONS = ("-movflags", "+faststart", "-write_tmcd", "0")
_MP4 = Container(
    "mp4",
    ("h264", "hevc", "vp9", "av1"),
    frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "opus", "flac", "alac", "dts"}),
    "aac",
    frozenset({"mov_text"}),
    "mov_text",
    options=_MOV_OPTIONS,
    covers=True,
    keeps="known",
)
_MATROSKA_AUDIO = _PCM | {
    *(
        "aac",
        "mp3",
        "mp2",
        "ac3",
        "eac3",
        "dts",
        "truehd",
        "mlp",
        "flac",
        "alac",
        "opus",
        "vorbis",
        "wavpack",
        "tta",
    ),
}

CONTAINERS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": Container(
        "mov",
        ("h264", "hevc", "prores"),
        _PCM | _PCM_BE | {"aac", "mp3", "ac3", "eac3", "alac"},
        "aac",
        frozenset({"mov_text"}),
        "mov_text",
        options=_MOV_OPTIONS,
        keeps="known",
    ),
    ".mkv": Container(
        "matroska",
        ("h264", "hevc", "vp9", "av1", "prores", "ffv1"),
        _MATROSKA_AUDIO,
        "aac",
        frozenset(
            {
                "subrip",
                "srt",
                "ass",
                "ssa",
                "webvtt",
                "hdmv_pgs_subtitle",
                "dvd_subtitle",
                "dvb_subtitle",
            }
        ),
        "subrip",
        attachments=True,
        covers=True,
        keeps="any",
    ),
    ".webm": Container(
        "webm",
        ("vp9", "av1"),
        frozenset({"opus", "vorbis"}),
        "libopus",
        frozenset({"webvtt"}),
        "webvtt",
        keeps="any",
    ),
    # AVI keeps no times: the silence that AAC, Opus and Vorbis begin with would delay the sound, so
    # those become PCM.
    ".avi": Container(
        "avi",
        ("h264", "ffv1"),
        frozenset({"mp3", "mp2", "ac3", "pcm_s16le", "pcm_u8", "pcm_s24le"}),
        "pcm_s16le",
        frozenset(),
        None,
    ),
    ".ts": Container(
        "mpegts",
        ("h264", "hevc"),
        frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "dts", "opus"}),
        "aac",
        frozenset({"dvb_subtitle"}),
        None,
        options=("-muxdelay", "0", "-muxpreload", "0"),
    ),
}
"""By extension."""


@dataclass(frozen=True)
class Track:
    """A stream of the source that goes into the output: copied, or converted by `encoder`.

    Args:
        filters: of converted sound.
    """

    index: int
    kind: str
    encoder: str = "copy"
    filters: tuple[str, ...] = ()


SoundWish = Literal["copy", "convert", "none"]
"""The way in which sound comes along: as it is where the container takes it, always converted, or
not at all."""


def plan_tracks(
    streams: tuple[Stream, ...], extension: str, sound: SoundWish = "copy"
) -> tuple[tuple[Track, ...], tuple[str, ...]]:
    """Plan the sound, subtitles and attachments of the output, with a line for each that is not
    simply copied.

    Video streams and data (time codes, telemetry) never come along.
    """
    container = CONTAINERS[extension]
    name = extension[1:]
    tracks = []
    notes = []
    for stream in streams:
        if stream.kind == "audio" and sound == "none":
            notes.append(f"{label_stream(stream)} is left out, as --audio none wants it")
            continue
        encoder = _choose_encoder(stream, container)
        if stream.kind == "audio" and encoder == "copy" and sound == "convert":
            tracks.append(Track(stream.index, "audio", container.audio_encoder))
            continue
        if encoder:
            tracks.append(Track(stream.index, stream.kind, encoder))
        if encoder and encoder != "copy":
            to = encoder.removeprefix("lib")
            notes.append(
                f"{label_stream(stream)} is converted to {to}: {name} does not take it as it is"
            )
        elif not encoder and stream.kind not in ("video", "data"):
            notes.append(f"{label_stream(stream)} is left out: {name} does not take it")
    return tuple(tracks), tuple(notes)


def label_stream(stream: Stream) -> str:
    """Name a stream for the user."""
    return f"{stream.kind} stream {stream.index} ({stream.codec})"


def _choose_encoder(stream: Stream, container: Container) -> str | None:
    """Return "copy", an encoder, or None when the stream cannot come along."""
    if stream.kind == "audio" and stream.codec not in ("none", "unknown"):
        return "copy" if stream.codec in container.audio else container.audio_encoder
    if stream.kind == "subtitle":
        if stream.codec in container.subtitles:
            return "copy"
        return container.text_encoder if stream.codec in _TEXT_SUBTITLES else None
    if stream.kind == "cover" and container.covers and stream.codec in _COVERS:
        return "copy"
    if stream.kind == "attachment" and container.attachments:
        return "copy"
    return None
