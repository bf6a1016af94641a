from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vidstyle.errors import InputError
from vidstyle.video import ffmpeg
from vidstyle.video.probe import probe
from vidstyle.video.scan import Scan, ScanLog, find_clock_restart, scan

if TYPE_CHECKING:
    from tests.helpers.clips import Clips

# Before version 8 ffmpeg puts a guess from the mean rate in the place of what the file says of a
# packet's duration.
KNOWS_DURATIONS = re.match(r"n?[5-7]\.", ffmpeg.find().version) is None
NTSC = Fraction(30000, 1001)

SHARED = {
    # name: (frames, first pts, last pts, last duration, constant rate)
    "alpha.webm": (150, 0, 447030, 3000, Fraction(30)),
    "av1_640x360.mkv": (125, 0, 446400, 3600, Fraction(25)),
    "bedroom_960x540.mp4": (92, 0, 276000, 3000, None),  # a frame is left out of it
    "bikes_640x272_six_shots.mp4": (250, 0, 896400, 3600, Fraction(25)),
    "bt2020_pq_10bit_320x240.mp4": (60, 0, 177000, 3000, Fraction(30)),
    "bt709_full_range_1280x720.mp4": (30, 0, 87000, 3000, Fraction(30)),
    "bunny_1280x720_1s_audio.webm": (24, 0, 86220, 3750, Fraction(24)),
    "carphone_176x144_sar128-117.mp4": (120, 0, 357357, 3003, NTSC),
    "cups_1280x720_audio.mp4": (122, 0, 372372, 3003, None),  # three frames are left out of it
    "edit_list_start_5s_320x240.mp4": (100, 0, 891000, 9000, Fraction(10)),
    "nasa_320x180_two_video_streams_audio.mp4": (325, 0, 1166400, 3600, Fraction(25)),
    "nasa_rotated90_480x270.mp4": (17, 0, 48048, 3003, NTSC),
    "odd_321x241_444.mp4": (25, 0, 86400, 3600, Fraction(25)),
    "odd_321x241_vp9.mp4": (25, 0, 86400, 3600, Fraction(25)),
    "start_at_8s_200x112.mp4": (12, 0, 33000, 3000, Fraction(30)),
    "wolf_512x512.mp4": (40, 0, 175500, 4500, Fraction(20)),
}


@pytest.mark.parametrize("name", SHARED)
def test_real_clips_have_the_right_times_and_are_sound(name: str, shared: Path) -> None:
    source = probe(shared / "clips" / name)
    thumbnails: list[tuple[int, ...]] = []
    found = scan(source, lambda thumbnail: thumbnails.append(thumbnail.shape))
    times = found.timeline
    frames, *expected = SHARED[name]
    assert [times.pts[0], times.pts[-1], times.last_duration, times.rate] == expected
    assert len(times) == len(thumbnails) == frames
    assert found.missing == 0
    height, width, _ = thumbnails[0]
    assert max(height, width) == 160
    assert width / height == pytest.approx(source.width / source.height, rel=0.01)


def test_the_times_of_a_variable_rate_are_exact(clips: Clips) -> None:
    path = clips.timed("variable.mp4", "3000*N+100*N*N", last=4321)
    found = scan(probe(path)).timeline
    assert found.pts == tuple(3000 * n + 100 * n * n for n in range(10))
    assert found.rate is None
    if KNOWS_DURATIONS:
        assert found.last_duration == 4321


def test_a_variable_rate_in_milliseconds_is_within_half_a_millisecond(clips: Clips) -> None:
    path = clips.timed("variable.mkv", "3000*N+100*N*N", "-c:v", "ffv1")
    truth = np.array([3000 * n + 100 * n * n for n in range(10)])
    assert np.abs(np.array(scan(probe(path)).timeline.pts) - truth).max() <= 45


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.ts", "a.mov", "a.avi", "a.flv"])
@pytest.mark.parametrize("rate", ["30000/1001", "24000/1001", "60000/1001", "30"])
def test_a_constant_rate_is_recognised_in_every_container(
    name: str, rate: str, clips: Clips
) -> None:
    found = scan(probe(clips.pattern(name, rate=rate, frames=40))).timeline
    assert found.rate == found.nominal_rate == Fraction(rate)
    assert len(found) == 40
    assert found.last_duration == round(90000 / Fraction(rate))


@pytest.mark.parametrize(
    "expression",
    ["3000*N+if(gte(N\\,20)\\,3000\\,0)", "3000*N+if(gte(N\\,20)\\,200\\,0)", "3004*N"],
)
def test_a_gap_a_jump_or_a_drift_is_not_a_constant_rate_of_thirty(
    expression: str, clips: Clips
) -> None:
    path = clips.timed("a.mp4", expression, frames=40)
    assert scan(probe(path)).timeline.rate != 30


@pytest.mark.skipif(not KNOWS_DURATIONS, reason="needs ffmpeg >= 8")
def test_a_last_frame_that_stays_keeps_its_duration(clips: Clips) -> None:
    found = scan(probe(clips.timed("stays.mp4", "3000*N", last=90_000))).timeline
    assert (found.rate, found.last_duration) == (30, 90_000)


def test_times_count_from_the_earliest_stream(clips: Clips) -> None:
    options = ("-c:v", "ffv1", "-c:a", "flac")
    late = clips.pattern("late.mkv", *options, before=("-itsoffset", "0.5"), audio=1.0)
    shifted = clips.make(
        "shifted.mkv", "-i", ffmpeg.local(late), "-c", "copy", "-output_ts_offset", "3"
    )
    for path in (late, shifted):
        pts = scan(probe(path)).timeline.pts
        assert pts[0] == 45_000
        assert pts[9] == 45_000 + 9 * 9000


def test_times_count_from_the_earliest_stream_in_a_transport_stream_too(clips: Clips) -> None:
    late = clips.pattern("late.ts", before=("-itsoffset", "0.5"), audio=1.0)
    packets, _ = ffmpeg.run(
        ["-copyts", "-i", ffmpeg.local(late), "-map", "0", "-c", "copy", "-f", "framecrc", "-"],
        "cannot list",
    )
    seconds: dict[int, list[Fraction]] = {}
    units = {
        int(line.split()[1][:-1]): Fraction(line.split()[2])
        for line in packets.decode().splitlines()
        if line.startswith("#tb")
    }
    for line in packets.decode().splitlines():
        if not line.startswith("#"):
            stream, _, pts, *_ = line.split(",")
            seconds.setdefault(int(stream), []).append(int(pts) * units[int(stream)])
    offset = min(seconds[0]) - min(min(times) for times in seconds.values())
    assert offset > Fraction(2, 5)
    assert scan(probe(late)).timeline.pts[0] == pytest.approx(float(offset * 90_000), abs=1)


def test_frames_with_equal_times_are_kept_one_tick_apart(clips: Clips) -> None:
    path = clips.timed("twice.nut", "3000*floor(N/2)", "-c:v", "ffv1")
    pts = scan(probe(path)).timeline.pts
    assert len(pts) == 10
    assert all(later > earlier for earlier, later in itertools.pairwise(pts))


def test_a_gif_has_its_own_frame_times(clips: Clips) -> None:
    path = clips.timed("a.gif", "9000*N+900*N*N")
    found = scan(probe(path)).timeline
    assert found.pts == tuple(9000 * n + 900 * n * n for n in range(10))


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_still_is_one_frame(name: str, clips: Clips) -> None:
    thumbnails: list[Any] = []
    found = scan(probe(clips.pattern(name, frames=1, size=(320, 200))), thumbnails.append)
    assert found.timeline.pts == (0,)
    assert found.timeline.last_duration > 0
    assert [thumbnail.shape for thumbnail in thumbnails] == [(100, 160, 3)]


def test_thumbnails_show_the_frames_in_order_and_colour(clips: Clips) -> None:
    colours = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]])
    path = clips.patches(
        "a.mkv", colours, "bt709", False, "-c:v", "ffv1", "-vf", "negate=enable=eq(n\\,1)"
    )
    seen: list[NDArray[np.uint8]] = []
    scan(probe(path), lambda thumbnail: seen.append(thumbnail.copy()))
    middle = np.stack([thumbnail[16, 16::32] for thumbnail in seen])
    assert np.abs(middle[0].astype(int) - colours * 255).max() < 40
    assert np.abs(middle[1].astype(int) - (1 - colours) * 255).max() < 40


def cut(path: Path, share: float) -> Path:
    whole = path.read_bytes()
    short = path.with_name("short" + path.suffix)
    short.write_bytes(whole[: int(len(whole) * share)])
    return short


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("audio", [0.0, 10.0])
@pytest.mark.parametrize("share", [0.4, 0.8])
def test_a_file_that_is_cut_short_misses_frames(
    name: str, audio: float, share: float, clips: Clips
) -> None:
    options = ["-movflags", "+faststart"] if name == "a.mp4" else []
    path = clips.pattern(name, *options, "-g", "5", audio=audio, frames=100, size=(160, 120))
    assert scan(probe(path)).missing == 0
    found = scan(probe(cut(path, share)))
    # Around the cut some packets are whole and yet do not decode, more or fewer with the version.
    assert len(found.timeline) + found.missing == pytest.approx(100, abs=3)
    assert found.missing > 5
    assert found.complaint


def wipe(path: Path, frames: slice) -> None:
    """Overwrites the pictures of an MJPEG clip with zeros."""
    data = path.read_bytes()
    pictures = re.findall(rb"\xff\xd8\xff.*?\xff\xd9", data, re.DOTALL)
    for picture in pictures[frames]:
        data = data.replace(picture, bytes(len(picture)))
    path.write_bytes(data)


@pytest.mark.parametrize("audio", [0.0, 10.0])
def test_a_hole_in_the_middle_counts(audio: float, clips: Clips) -> None:
    path = clips.pattern("a.mkv", "-c:v", "mjpeg", frames=50, size=(160, 120), audio=audio)
    wipe(path, slice(20, 23))
    found = scan(probe(path))
    assert (len(found.timeline), found.missing) == (47, 3)


def test_audio_that_outlasts_the_video_is_no_damage(clips: Clips) -> None:
    silent = scan(probe(clips.pattern()))
    assert scan(probe(clips.pattern(audio=5.0))) == Scan(silent.timeline, 0, "", silent.seek_index)


@pytest.mark.parametrize("after", [0, 3])
def test_an_error_in_the_receiver_of_thumbnails_ends_the_decoder(after: int, clips: Clips) -> None:
    path = clips.pattern("long.mp4", frames=600, size=(160, 120), rate="60")
    left = [after]

    def stop(_: NDArray[np.uint8]) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(probe(path), stop)


def test_a_file_without_a_frame_that_decodes_is_refused(clips: Clips) -> None:
    path = clips.pattern("a.mkv", "-c:v", "mjpeg", frames=3)
    source = probe(path)
    wipe(path, slice(None))
    with pytest.raises(InputError, match="no frame of"):
        scan(source)


def test_a_playlist_that_turns_to_the_network_is_refused(clips: Clips) -> None:
    clips.pattern("a.ts")
    playlist = clips.folder / "list.m3u8"
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:9", "#EXTINF:1,", "a.ts"]
    playlist.write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    assert len(scan(probe(playlist)).timeline) == 10
    playlist.write_text(
        "\n".join([*lines, "#EXTINF:1,", "http://127.0.0.1:9/b.ts", "#EXT-X-ENDLIST", ""])
    )
    with pytest.raises(InputError, match="only local files are opened"):
        scan(probe(playlist))


@pytest.mark.parametrize("with_thumbnails", [True, False])
def test_many_large_frames_pass_without_blocking(with_thumbnails: bool, clips: Clips) -> None:
    path = clips.pattern("long.mp4", frames=2000, size=(160, 120), rate="100")
    count = [0]
    receive: Callable[[Any], None] | None = (
        (lambda _: count.__setitem__(0, count[0] + 1)) if with_thumbnails else None
    )
    assert len(scan(probe(path), receive).timeline) == 2000
    assert count == [2000 if with_thumbnails else 0]


class FailingLog(ScanLog):
    """A log that cannot read what it is told after a few lines."""

    def read_lines(self, lines: IO[bytes]) -> None:
        super().read_lines(io.BytesIO(b"".join(itertools.islice(lines, 12))))
        raise ValueError("a line that nobody understands")


def test_a_log_that_cannot_be_read_to_its_end_is_an_error(clips: Clips) -> None:
    source = probe(clips.pattern(frames=50))
    with pytest.raises(ValueError, match="nobody understands"):
        scan(source, log=FailingLog())
    with pytest.raises(ValueError, match="nobody understands"):
        scan(source, lambda thumbnail: None, log=FailingLog())


def test_a_clock_that_goes_back_is_found(clips: Clips) -> None:
    part = clips.pattern("part.ts", frames=20, rate="25")
    joined = clips.folder / "joined.ts"
    joined.write_bytes(part.read_bytes() * 2)
    assert scan(probe(part)).clock_restart is None
    scanned = scan(probe(joined))
    assert scanned.clock_restart == 19
    assert len(scanned.timeline) == 40


@pytest.mark.parametrize(
    ("pts", "frame"),
    [
        ([], None),
        ([0, 1, 1, 1, 1], None),
        ([0, 1, 1, 1, 1, 1], 1),
        ([0, 1, 1, 2, 2, 3, 3, 4], None),
        ([0, 10, 1, 0, 0, 5], None),
        ([0, 10, 9, 8, 7, 6, 15], 1),
    ],
)
def test_a_few_frames_without_a_time_are_no_new_clock(pts: list[int], frame: int | None) -> None:
    assert find_clock_restart(pts) == frame
