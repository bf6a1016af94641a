"""Streams other than the picture, and what each container does with them."""

from __future__ import annotations

import pytest

from vidstyle.video.containers import CONTAINERS, plan_tracks
from vidstyle.video.delivery import CODECS
from vidstyle.video.probe import Stream


@pytest.mark.parametrize(
    ("kind", "codec", "extension", "encoder"),
    [
        ("audio", "aac", ".mp4", "copy"),
        ("audio", "vorbis", ".mp4", "aac"),
        ("audio", "aac", ".webm", "libopus"),
        ("audio", "opus", ".webm", "copy"),
        ("audio", "pcm_s24le", ".mov", "copy"),
        ("audio", "dts", ".mkv", "copy"),
        ("audio", "aac", ".avi", "pcm_s16le"),
        ("audio", "wmav2", ".ts", "aac"),
        ("audio", "none", ".mkv", None),
        ("subtitle", "mov_text", ".mp4", "copy"),
        ("subtitle", "subrip", ".mp4", "mov_text"),
        ("subtitle", "ass", ".webm", "webvtt"),
        ("subtitle", "mov_text", ".mkv", "subrip"),
        ("subtitle", "hdmv_pgs_subtitle", ".mkv", "copy"),
        ("subtitle", "hdmv_pgs_subtitle", ".mp4", None),
        ("subtitle", "subrip", ".avi", None),
        ("attachment", "ttf", ".mkv", "copy"),
        ("attachment", "ttf", ".mp4", None),
    ],
)
def test_other_streams_are_copied_converted_or_left_out_and_said(
    kind: str, codec: str, extension: str, encoder: str | None
) -> None:
    tracks, notes = plan_tracks((Stream(0, "video", "h264"), Stream(3, kind, codec)), extension)
    assert [(track.index, track.encoder) for track in tracks] == ([(3, encoder)] if encoder else [])
    word = {"copy": None, None: "left out"}.get(encoder, "converted")
    assert [note for note in notes if "stream 3" in note and word and word in note] == list(notes)
    assert bool(notes) == (word is not None)


def test_data_and_further_video_streams_stay_behind_silently() -> None:
    streams = (Stream(0, "video", "h264"), Stream(1, "video", "mjpeg"), Stream(2, "data", "none"))
    for extension in CONTAINERS:
        assert plan_tracks(streams, extension) == ((), ())


def test_every_container_takes_known_codecs_and_converts_to_sound_that_it_takes() -> None:
    for extension, container in CONTAINERS.items():
        assert set(container.codecs) <= set(CODECS), extension
        encoder = container.audio_encoder.removeprefix("lib")
        assert encoder in container.audio, extension
