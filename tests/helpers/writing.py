"""Writing outputs in tests, and reading what is in them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from vidstyle.frames import TIME_BASE, Timeline
from vidstyle.video import ffmpeg, write
from vidstyle.video.delivery import DeliveryRequest, plan_delivery
from vidstyle.video.probe import Source, probe
from vidstyle.video.scan import scan

if TYPE_CHECKING:
    from tests.helpers.clips import Clips

STYLE = Path("munch.jpg")
MILLISECOND = 90
TIMED = ["-fps_mode", "passthrough", "-enc_time_base", "1/90000"]
CLICKS = "aevalsrc='if(lt(mod(t,0.5),0.01),0.8*sin(2*PI*1000*t),0)':d=2.6:s=48000"


def pictures(folder: Path, count: int, size: tuple[int, int]) -> list[Path]:
    """Frames that differ from each other, as the checkpoint stores them."""
    folder.mkdir(exist_ok=True)
    paths = []
    for i in range(count):
        image = np.zeros((size[1], size[0], 3), np.uint16)
        image[..., 0] = np.linspace(0, 65535, size[0])
        image[..., 1] = 3000 * (i % 20)
        image[: size[1] // 2, i % size[0] :, 2] = 50_000
        paths.append(folder / f"{i:06d}.png")
        cv2.imwrite(os.fspath(paths[-1]), image)
    return paths


def render(
    clip: Path,
    output: Path,
    codec: str | None = None,
    *,
    size: tuple[int, int] | None = None,
    trim: tuple[Fraction, Fraction] | None = None,
    frames: Sequence[Path] | None = None,
    sar: Fraction | None = None,
    crf: int | None = None,
    **more: Any,
) -> tuple[Path, Source, Timeline]:
    """Everything but the styling: the clip's times and sound with frames of ours."""
    source = probe(clip)
    timeline = scan(source).timeline
    if trim:
        chosen = [i for i, pts in enumerate(timeline.pts) if trim[0] <= pts * TIME_BASE < sum(trim)]
        timeline = timeline.select(chosen[0], chosen[-1] + 1)
    size = size or (source.width, source.height)
    delivery = plan_delivery(source, DeliveryRequest(STYLE, output, codec, crf), size)
    if frames is None:
        frames = pictures(clip.parent / "frames", len(timeline), size)
    scratch = clip.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    more = {"on_start": lambda pid, path: None, **more}
    film = write.FinishedFilm(frames, timeline, delivery, source, sar or source.sar, trim)
    temporary = write.encode_film(film, scratch, **more)
    assert temporary.name == f".{output.name}.{os.getpid()}.tmp{output.suffix}"
    temporary.replace(output)
    return output, source, timeline


def packets(path: Path, stream: str, *, decode: bool) -> list[tuple[int, int, str]]:
    """(pts, duration, checksum) of every packet, or of every decoded frame in 1/90000 s, with the
    file's own times.
    """
    how = [*TIMED] if decode else ["-c", "copy"]
    args = [
        "-copyts",
        "-i",
        ffmpeg.local(path),
        "-map",
        f"0:{stream}",
        *how,
        "-f",
        "framecrc",
        "pipe:1",
    ]
    out, _ = ffmpeg.run(args, f"cannot read {path}")
    fields = [line.split(",") for line in out.decode().splitlines() if not line.startswith("#")]
    return [(int(field[2]), int(field[3]), field[5].strip()) for field in fields]


def report(path: Path) -> str:
    """What ffmpeg says about a file."""
    command = [ffmpeg.find().path, "-hide_banner", "-i", ffmpeg.local(path)]
    return subprocess.run(
        command, capture_output=True, stdin=subprocess.DEVNULL, check=False
    ).stderr.decode()


def start(path: Path) -> int:
    """First time of the file over all streams, in 1/90000 s."""
    found = re.search(r"start: (-?[\d.]+)", report(path))
    assert found
    return round(Fraction(found[1]) / TIME_BASE)


def sound_at(path: Path) -> list[float]:
    """Milliseconds at which clicks begin, counted from the file's zero."""
    args = [
        "-i",
        ffmpeg.local(path),
        "-map",
        "0:a",
        "-ac",
        "1",
        "-ar",
        "48000",
        "-f",
        "s16le",
        "pipe:1",
    ]
    samples = np.abs(np.frombuffer(ffmpeg.run(args, "no sound")[0], np.int16).astype(int))
    loud = np.flatnonzero(samples > 4000)
    first = loud[np.insert(np.diff(loud) > 4000, 0, True)]
    begin = packets(path, "a", decode=True)[0][0]
    return [float(sample / 48 + begin / MILLISECOND) for sample in first]


def variable(clips: Clips, name: str, late: int, *options: str) -> Path:
    """60 frames at uneven times that begin `late` (1/90000 s) after the sound."""
    times = f"settb=1/90000,setpts='{late}+N*3000+if(gt(mod(N,3),0),1501,0)+if(gt(N,20),9000,0)'"
    picture = ["-f", "lavfi", "-i", "testsrc=s=64x48:r=30:d=2", "-f", "lavfi", "-i", CLICKS]
    return clips.make(
        name, *picture, *(options or ["-map", "0:v", "-map", "1:a"]), "-vf", times, *TIMED
    )
