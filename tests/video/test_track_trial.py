"""Tracks are tried before the first frame: what works comes along, and the rest is told."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.helpers.clips import Clips
from tests.helpers.writing import STYLE, packets, pictures
from vidstyle.video import ffmpeg, write
from vidstyle.video.delivery import Delivery, DeliveryRequest, plan_delivery
from vidstyle.video.probe import Source, probe
from vidstyle.video.scan import scan
from vidstyle.video.track_trial import try_delivery

PICTURE = ["-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=1"]


def tried(path: Path, extension: str, sound: str = "copy") -> tuple[Source, Delivery]:
    source = probe(path)
    output = path.with_name(f"out{extension}")
    request = DeliveryRequest(STYLE, output, sound=sound)  # type: ignore[arg-type]
    return source, try_delivery(plan_delivery(source, request), source)


def delivered(source: Source, delivery: Delivery, folder: Path) -> Path:
    timeline = scan(source).timeline
    size = (source.width, source.height)
    frames = pictures(folder / "frames", len(timeline), size)
    film = write.FinishedFilm(frames, timeline, delivery, source)
    return write.encode_film(film, folder, lambda pid, path: None).replace(delivery.path)


def tried_copy(original: Path, extension: str, folder: Path) -> tuple[Source, Delivery]:
    copy = folder / original.name
    copy.write_bytes(original.read_bytes())
    return tried(copy, extension)


def many_channels(clips: Clips, count: int) -> Path:
    tones = "|".join(f"sin({110 * (i + 1)}*2*PI*t)/4" for i in range(count))
    sound = ["-f", "lavfi", "-i", f"aevalsrc={tones}:d=1:s=48000"]
    return clips.make("many.mkv", *PICTURE, *sound, "-c:a", "pcm_s16le")


def test_sound_that_the_container_refuses_is_converted(clips: Clips, tmp_path: Path) -> None:
    sound = ["-f", "lavfi", "-i", "sine=d=1:r=11025"]
    clip = clips.make("low.mkv", *PICTURE, *sound, "-c:a", "libmp3lame", "-ar", "11025")
    source, delivery = tried(clip, ".mp4")
    assert [track.encoder for track in delivery.tracks] == ["aac"]
    assert delivery.warnings == ()
    assert delivery.notes == (
        "audio stream 1 (mp3) is converted to aac: mp4 does not take it as it is",
    )
    output = delivered(source, delivery, tmp_path)
    seconds = sum(one[1] for one in packets(output, "a", decode=True)) / 90_000
    assert seconds == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("extension", [".mp4", ".mov", ".ts"])
def test_sixteen_channels_are_mixed_down_where_they_do_not_fit(
    clips: Clips, tmp_path: Path, extension: str
) -> None:
    source, delivery = tried(many_channels(clips, 16), extension)
    if extension == ".mov":
        assert [track.encoder for track in delivery.tracks] == ["copy"]
        return
    assert delivery.notes == ()
    assert delivery.warnings == (
        "audio stream 1 (pcm_s16le) is mixed down to stereo, as aac: it has 16 channels",
    )
    assert len(packets(delivered(source, delivery, tmp_path), "a", decode=True)) > 40


def test_channels_without_names_are_mixed_left_and_right(clips: Clips, tmp_path: Path) -> None:
    source, delivery = tried(many_channels(clips, 11), ".mp4")
    assert "mixed down to stereo" in delivery.warnings[0]
    assert len(packets(delivered(source, delivery, tmp_path), "a", decode=True)) > 40


def test_opus_takes_eight_channels_and_that_is_told(clips: Clips) -> None:
    _, delivery = tried(many_channels(clips, 16), ".webm")
    assert delivery.notes == ()
    assert "mixed down to 8 channels, as opus" in delivery.warnings[0]


def test_ordinary_tracks_come_along_as_planned(clips: Clips) -> None:
    source = probe(clips.pattern("plain.mp4", audio=1.0))
    planned = plan_delivery(source, DeliveryRequest(STYLE, clips.folder / "out.mp4"))
    assert try_delivery(planned, source) == planned
    assert [track.encoder for track in planned.tracks] == ["copy"]


def test_sound_is_converted_or_left_out_where_that_is_asked_for(clips: Clips) -> None:
    clip = clips.pattern("plain.mp4", audio=1.0)
    _, converted = tried(clip, ".mp4", "convert")
    assert [track.encoder for track in converted.tracks] == ["aac"]
    _, silent = tried(clip, ".mp4", "none")
    assert silent.tracks == ()
    assert "--audio none" in silent.notes[0]


def test_sound_that_is_declared_and_never_comes_is_left_out(shared: Path, tmp_path: Path) -> None:
    original = shared / "inputs/ts_declared_audio_without_packets.ts"
    source, delivery = tried_copy(original, ".ts", tmp_path)
    assert delivery.tracks == ()
    assert "no sound of it comes" in delivery.warnings[0]
    assert delivered(source, delivery, tmp_path).exists()


def test_sound_that_nothing_decodes_is_left_out_and_the_rest_kept(
    shared: Path, tmp_path: Path
) -> None:
    original = shared / "inputs/iphone16_two_audio_apac.mov"
    source, delivery = tried_copy(original, ".mov", tmp_path)
    assert [(track.index, track.encoder) for track in delivery.tracks] == [(1, "copy")]
    assert "stream 2" in delivery.warnings[0]
    output = delivered(source, delivery, tmp_path)
    before = packets(source.path, "a:0", decode=False)
    assert [one[2] for one in packets(output, "a", decode=False)] == [one[2] for one in before]


def test_a_track_that_comes_late_takes_no_longer_than_a_second(clips: Clips) -> None:
    late = clips.folder / "late.srt"
    late.write_text("1\n01:30:00,000 --> 01:30:01,000\nat last\n")
    still = ["-f", "lavfi", "-i", "color=s=16x16:r=1:d=5500", "-i", ffmpeg.local(late)]
    clip = clips.make("late.mkv", *still, "-c:v", "mpeg4", "-c:s", "srt")
    source = probe(clip)
    planned = plan_delivery(source, DeliveryRequest(STYLE, clips.folder / "out.mkv"))
    begun = time.perf_counter()
    settled = try_delivery(planned, source)
    assert time.perf_counter() - begun < 1
    assert settled == planned
