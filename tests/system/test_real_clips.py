"""Real clips of every kind, from the file to the stylised file, checked with ffmpeg alone."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import vidstyle
from vidstyle.video import ffmpeg

CLIPS = {
    "alpha.webm": (150, 1.0),
    "av1_640x360.mkv": (125, 16 / 9),
    "bedroom_960x540.mp4": (92, 16 / 9),
    "bikes_640x272_six_shots.mp4": (250, 640 / 272),
    "bt2020_pq_10bit_320x240.mp4": (60, 4 / 3),
    "bt709_full_range_1280x720.mp4": (30, 16 / 9),
    "bunny_1280x720_1s_audio.webm": (24, 16 / 9),
    "carphone_176x144_sar128-117.mp4": (120, 176 / 144 * 128 / 117),
    "cups_1280x720_audio.mp4": (122, 16 / 9),
    "edit_list_start_5s_320x240.mp4": (100, 4 / 3),
    "nasa_320x180_two_video_streams_audio.mp4": (325, 16 / 9),
    "nasa_rotated90_480x270.mp4": (17, 9 / 16),
    "odd_321x241_444.mp4": (25, 321 / 241),
    "odd_321x241_vp9.mp4": (25, 321 / 241),
    "start_at_8s_200x112.mp4": (12, 200 / 112 * 224 / 225),
    "wolf_512x512.mp4": (40, 1.0),
}
"""Frames of the first video stream, and width : height as it is to be seen."""

WHOLE = {"cups_1280x720_audio.mp4", *(name for name, (frames, _) in CLIPS.items() if frames <= 40)}
"""Rendered to the end; of the others one second."""

OLD_ENCODER = "edit_list_start_5s_320x240.mp4"
"""Its 4:4:4 was made by an x264 with a known fault; without its build number decoders show
rubbish.
"""

DARK = "alpha.webm"
"""Under its transparency it is all but black."""

TICKS = 90_000


def ask(*args: str) -> bytes:
    return subprocess.run(
        [ffmpeg.find().path, "-v", "error", *args], capture_output=True, check=True
    ).stdout


def header(path: Path) -> str:
    """What ffmpeg says of a file."""
    args = [ffmpeg.find().path, "-hide_banner", "-i", ffmpeg.local(path)]
    return subprocess.run(
        args, capture_output=True, check=False, text=True, errors="replace"
    ).stderr


def times(path: Path) -> list[float]:
    """When each frame of the first video stream is shown, in seconds from the file's first
    timestamp.
    """
    exact = ("-fps_mode", "passthrough", "-enc_time_base", f"1/{TICKS}")
    rows = ask(
        "-copyts", "-i", ffmpeg.local(path), "-map", "0:V:0", *exact, "-f", "framecrc", "-"
    ).decode()
    found = re.search(r"start: (-?[\d.]+)", header(path))
    begin = float(found.group(1)) if found else 0.0
    return [
        int(row.split(",")[2]) / TICKS - begin
        for row in rows.splitlines()
        if not row.startswith("#")
    ]


def grey(path: Path, count: int) -> NDArray[Any]:
    """The first frames as a player shows them, (count, 64, 64) luma."""
    shape = (
        "-vf",
        "scale=64:64:flags=area,format=gray",
        "-fps_mode",
        "passthrough",
        "-frames:v",
        str(count),
    )
    before = ("-x264_build", "150") if path.name == OLD_ENCODER else ()
    raw = ask(*before, "-i", ffmpeg.local(path), "-map", "0:V:0", *shape, "-f", "rawvideo", "-")
    return np.frombuffer(raw, np.uint8).reshape(-1, 64, 64).astype(float)


def sound(path: Path) -> list[str]:
    """Checksums of the packets of the first audio stream."""
    rows = ask(
        "-i", ffmpeg.local(path), "-map", "0:a:0", "-c", "copy", "-f", "framecrc", "-"
    ).decode()
    return [row.split(",")[5].strip() for row in rows.splitlines() if not row.startswith("#")]


def aspect(path: Path) -> float:
    """Width : height as it is to be seen, from the stored size and the shape of a pixel."""
    found = re.search(r"Video:.*?, (\d+)x(\d+)(?: \[SAR (\d+):(\d+))?", header(path))
    assert found
    width, height, a, b = (int(x or 1) for x in found.groups())
    return width * a / (height * b)


def test_the_table_names_every_clip(shared: Path) -> None:
    assert {p.name for p in (shared / "clips").iterdir()} == set(CLIPS)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_keeps_its_frames_times_orientation_and_aspect(
    name: str, shared: Path, painting: Path, tmp_path: Path
) -> None:
    source = shared / "clips" / name
    count, shape = CLIPS[name]
    output = tmp_path / f"out{source.suffix}"
    quick: dict[str, Any] = {
        "size": 96,
        "first_iterations": 1,
        "first_scales": 1,
        "iterations": 1,
        "learning_rate": 1e-3,
    }
    part = {} if name in WHOLE else {"duration": 1.0}
    config = vidstyle.RenderConfig(input=source, style=painting, output=output, **quick, **part)
    result = vidstyle.render(config)

    expected = times(source)
    assert len(expected) == count
    if part:
        expected = [t - expected[0] for t in expected if t - expected[0] < 1.0 - 1 / TICKS]
    shown = times(output)
    assert result.frames == len(shown) == len(expected)
    np.testing.assert_allclose(shown, expected, rtol=0, atol=0.001)

    assert aspect(output) == pytest.approx(shape, rel=0.02)  # 96 pixels round it
    before, after = grey(source, len(shown)), grey(output, len(shown))
    for i in (0, len(shown) - 1):  # one small step leaves the picture what it was
        assert np.corrcoef(before[i].ravel(), after[i].ravel())[0, 1] > (
            0.75 if name == DARK else 0.9
        )
    if "audio" in name and name in WHOLE:
        assert sound(output) == sound(source)
