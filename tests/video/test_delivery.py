"""What the output will be, and what is refused before anything is rendered."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from vidstyle.errors import OutputError
from vidstyle.frames import Timeline
from vidstyle.video import delivery, ffmpeg
from vidstyle.video.containers import CONTAINERS
from vidstyle.video.delivery import CODECS, Delivery, DeliveryRequest, plan_delivery
from vidstyle.video.probe import Source, Stream

STYLE = Path("paintings/munch.jpg")
DEMUXERS = {
    ".mp4": "mov,mp4,m4a,3gp,3g2,mj2",
    ".webm": "matroska,webm",
    ".mkv": "matroska,webm",
    ".avi": "avi",
}


def source(
    path: Path, kind: str = "video", container: str | None = None, *streams: Stream
) -> Source:
    return Source(
        path=path,
        kind=kind,  # type: ignore[arg-type]
        container=DEMUXERS.get(path.suffix.lower(), "gif") if container is None else container,
        video_stream=0,
        width=64,
        height=48,
        sar=Fraction(1),
        start=Fraction(0),
        duration=Fraction(1),
        nominal_rate=Fraction(25),
        bits=8,
        matrix="bt709",
        color_range="tv",
        transfer="bt709",
        primaries="bt709",
        rgb=False,
        has_alpha=False,
        hdr=False,
        streams=streams or (Stream(0, "video", "h264"),),
        warnings=(),
    )


def plan(
    film: Source,
    output: Path | None,
    style: Path,
    codec: str | None,
    crf: int | None,
    size: tuple[int, int] | None = None,
    timeline: Timeline | None = None,
    made_from: Sequence[Path] = (),
) -> Delivery:
    request = DeliveryRequest(style, output, codec, crf, made_from)
    return plan_delivery(film, request, size, timeline)


@pytest.mark.parametrize(
    ("name", "kind", "codec", "expected", "chosen"),
    [
        ("in.mp4", "video", None, "in.munch.mp4", "h264"),
        ("in.MP4", "video", None, "in.munch.mp4", "h264"),
        ("in.webm", "video", None, "in.munch.webm", "vp9"),
        ("in.avi", "video", None, "in.munch.avi", "h264"),
        ("in.webm", "video", "h264", "in.munch.mp4", "h264"),
        ("in.mp4", "video", "prores", "in.munch.mov", "prores"),
        ("in.mp4", "video", "ffv1", "in.munch.mkv", "ffv1"),
        ("in.gif", "animation", None, "in.munch.gif", "gif"),
        ("in.gif", "animation", "hevc", "in.munch.mp4", "hevc"),
        ("in.jpg", "image", None, "in.munch.jpg", "jpeg"),
        ("in.bmp", "image", None, "in.munch.png", "png"),
    ],
)
def test_the_default_output_lies_beside_the_input(
    tmp_path: Path, name: str, kind: str, codec: str | None, expected: str, chosen: str
) -> None:
    found = plan(source(tmp_path / name, kind), None, STYLE, codec, None)
    assert found.path == tmp_path / expected
    assert found.codec == chosen


@pytest.mark.parametrize(
    ("name", "container", "codec", "expected", "reason"),
    [
        ("in.webm", "matroska,webm", "h264", ".mp4", "webm does not take h264"),
        ("in.wmv", "asf", None, ".mp4", ".wmv files are not written"),
        ("in", "mov,mp4,m4a,3gp,3g2,mj2", None, ".mp4", None),
        ("in", "matroska,webm", None, ".mkv", None),
        ("in", "flv", None, ".mp4", "the input files are not written"),
        ("in.mp4", "matroska,webm", None, ".mkv", None),
    ],
)
def test_another_container_than_the_sources_is_said(
    tmp_path: Path, name: str, container: str, codec: str | None, expected: str, reason: str | None
) -> None:
    found = plan(source(tmp_path / name, "video", container), None, STYLE, codec, None)
    assert found.path.suffix == expected
    assert [note for note in found.notes if "the output is" in note] == (
        [f"the output is {expected[1:]}: {reason}"] if reason else []
    )


def occupied(folder: Path) -> None:
    """A folder with what a refusal needs."""
    (folder / "in.mp4").write_bytes(b"film")
    (folder / "in.png").write_bytes(b"image")
    (folder / "style.jpg").write_bytes(b"painting")
    (folder / "link.mp4").symlink_to("in.mp4")
    os.link(folder / "in.mp4", folder / "hard.mp4")
    (folder / "folder.mp4").mkdir()
    os.mkfifo(folder / "pipe.mp4")


@pytest.mark.parametrize(
    ("name", "output", "codec", "crf", "why"),
    [
        ("in.mp4", "out.xyz", None, None, "the extension .xyz is not known"),
        ("in.mp4", "out", None, None, "(none)"),
        ("in.mp4", "in.mp4", None, None, "it is the input itself"),
        ("in.mp4", "link.mp4", None, None, "it is the input itself"),
        ("in.mp4", "hard.mp4", None, None, "it is the input itself"),
        ("in.mp4", "folder.mp4", None, None, "it is a directory"),
        ("in.mp4", "pipe.mp4", None, None, "it is a device or a pipe"),
        ("in.mp4", "missing/out.mp4", None, None, "there is no directory"),
        ("in.mp4", "in.png/out.mp4", None, None, "there is no directory"),
        ("in.mp4", "/proc/out.mp4", None, None, "/proc: "),
        ("in.mp4", "a\nb.mp4", None, None, "line break"),
        ("in.mp4", "x" * 220 + ".mp4", None, None, "longer than"),
        ("in.mp4", "out.png", None, None, "holds one picture"),
        ("in.png", "out.mp4", None, None, "still image"),
        ("in.png", "out.gif", None, None, "still image"),
        ("in.png", "style.jpg", None, None, "is what the render is made from"),
        ("in.png", "out.png", "h264", None, "no choice of video codecs"),
        ("in.mp4", "out.gif", "h264", None, "no choice of video codecs"),
        ("in.mp4", "out.webm", "h264", None, "webm takes vp9, av1"),
        ("in.mp4", "out.mp4", "prores", None, "mp4 takes h264"),
        ("in.mp4", "out.mp4", None, 52, "0 (best) to 51"),
    ],
)
def test_what_cannot_be_written_is_refused_with_its_reason(
    tmp_path: Path, name: str, output: str, codec: str | None, crf: int | None, why: str
) -> None:
    occupied(tmp_path)
    kind = "image" if name.endswith("png") else "video"
    style = tmp_path / "style.jpg"
    with pytest.raises(OutputError) as caught:
        plan(source(tmp_path / name, kind), tmp_path / output, style, codec, crf, made_from=[style])
    assert why in caught.value.why
    assert "\n" not in caught.value.what + caught.value.why + caught.value.hint
    assert caught.value.hint


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_fits_some_container_and_its_default_quality_its_scale(
    tmp_path: Path, codec: str
) -> None:
    found = plan(source(tmp_path / "in.mp4"), None, STYLE, codec, None)
    assert found.codec == codec
    assert found.crf is None or 0 < found.crf <= CODECS[codec].worst
    assert plan(source(tmp_path / "in.mp4"), None, STYLE, codec, 9).crf == (
        None if found.crf is None else 9
    )


@pytest.mark.parametrize(
    ("codec", "size", "pix_fmt", "said"),
    [
        ("h264", (64, 48), "yuv420p", False),
        ("h264", (63, 48), "yuv444p", True),
        ("hevc", (64, 47), "yuv444p", True),
        ("vp9", (63, 47), "yuv420p", False),
        ("prores", (63, 47), "yuv422p10le", False),
    ],
)
def test_an_odd_size_is_kept_by_full_chroma_where_the_codec_would_cut_it(
    tmp_path: Path, codec: str, size: tuple[int, int], pix_fmt: str, said: bool
) -> None:
    found = plan(source(tmp_path / "in.mkv"), None, STYLE, codec, None, size)
    assert found.pix_fmt == pix_fmt
    assert any("4:4:4" in note for note in found.notes) == said


def test_av1_falls_back_and_a_missing_encoder_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ffmpeg, "encoders", lambda: frozenset({"libx264", "libaom-av1"}))
    assert plan(source(tmp_path / "in.mp4"), None, STYLE, "av1", None).encoder == "libaom-av1"
    with pytest.raises(OutputError, match="VIDSTYLE_FFMPEG"):
        plan(source(tmp_path / "in.mp4"), None, STYLE, "vp9", None)
    sound = (Stream(0, "video", "h264"), Stream(1, "audio", "wmav2"))
    with pytest.raises(OutputError, match="no encoder aac"):
        plan(replace(source(tmp_path / "in.mp4"), streams=sound), None, STYLE, None, None)


def test_avi_is_refused_for_a_late_video(tmp_path: Path) -> None:
    film = source(tmp_path / "in.mp4")
    late = Timeline((1890, 5490), 3600, Fraction(25), Fraction(25))
    with pytest.raises(OutputError, match=r"begins 0\.021 s after the sound"):
        plan(film, tmp_path / "out.avi", STYLE, None, None, timeline=late)
    assert plan(
        film, tmp_path / "out.avi", STYLE, None, None, timeline=replace(late, pts=(0, 3600))
    )


def test_nothing_is_left_in_the_folder_by_looking(tmp_path: Path) -> None:
    plan(source(tmp_path / "in.mp4"), tmp_path / "out.mp4", STYLE, None, None)
    assert list(tmp_path.iterdir()) == []
    assert delivery.IMAGES.keys().isdisjoint(CONTAINERS)
