from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from vidstyle.errors import DiskFullError, EncodeError, FFmpegError, ToolError
from vidstyle.video import ffmpeg

PICTURES = ("-f", "lavfi", "-i", "testsrc=size=320x240:rate=100")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    ffmpeg.find.cache_clear()
    yield
    ffmpeg.find.cache_clear()


def pretend(
    folder: Path,
    version: str,
    encoders: str = "libx264",
    filters: str = "zscale",
    name: str = "ffmpeg",
) -> Path:
    """A program that answers like an ffmpeg of that version."""
    path = folder / name
    path.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        f'*-version*) echo "ffmpeg version {version} Copyright (c) the FFmpeg developers";;\n'
        f'*-encoders*) echo " V....D {encoders}  an encoder";;\n'
        f'*-filters*) echo " .S. {filters}  V->V  a filter";;\nesac\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.parametrize(
    ("version", "accepted"),
    [
        ("5.1", True),
        ("5.1.6-0+deb12u1", True),
        ("n9.0.2-17-g2a571b6068-20260930", True),
        ("10", True),
        ("7.1.1_1", True),
        ("N-118193-g5f38c82536", True),
        ("2026-05-01-git-6cdd2cbe32-full_build", True),
        ("5.0.3", False),
        ("4.4.2-0ubuntu0.22.04.1", False),
        ("n4.2", False),
    ],
)
def test_the_ffmpeg_asked_for_is_taken_if_it_is_new_enough(
    version: str, accepted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = pretend(tmp_path, version)
    monkeypatch.setenv("VIDSTYLE_FFMPEG", str(asked))
    tool = ffmpeg.find()
    assert (tool.path == str(asked)) is accepted
    if accepted:
        assert tool.version == version
    else:
        assert f"version {version} is older than 5.1" in tool.why


@pytest.mark.parametrize("lacking", ["encoders", "filters"])
def test_an_ffmpeg_without_x264_or_zscale_is_passed_over_and_the_reason_told(
    lacking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(tmp_path, "7.1", **{lacking: "other"})
    monkeypatch.delenv("VIDSTYLE_FFMPEG", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    tool = ffmpeg.find()
    assert tool.path != str(tmp_path / "ffmpeg")
    assert "PATH: 7.1 lacks " + {"encoders": "libx264", "filters": "zscale"}[lacking] in tool.why


@pytest.mark.parametrize("asked", ["/nowhere/ffmpeg", "/bin/true"])
def test_an_unusable_ffmpeg_in_the_environment_is_named_and_the_next_one_taken(
    asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDSTYLE_FFMPEG", asked)
    tool = ffmpeg.find()
    assert tool.path != asked
    assert f"VIDSTYLE_FFMPEG={asked}: " in tool.why


def test_path_comes_before_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIDSTYLE_FFMPEG", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    path = pretend(tmp_path, "8.0")
    assert ffmpeg.find() == ffmpeg.Tool(str(path), "8.0", "PATH")


def test_without_any_ffmpeg_the_error_lists_what_was_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VIDSTYLE_FFMPEG", "/nowhere/ffmpeg")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(pretend(tmp_path, "4.0", name="old")))
    with pytest.raises(ToolError) as caught:
        ffmpeg.find()
    assert caught.value.why.count(";") == 2
    assert "PATH: not found" in caught.value.why


def test_the_encoders_are_listed() -> None:
    assert {"libx264", "ffv1", "rawvideo"} <= ffmpeg.encoders()


@pytest.mark.parametrize("how", ["exception", "closed generator", "left"])
def test_a_child_is_gone_whatever_way_its_block_is_left(how: str) -> None:
    def frames() -> Iterator[int]:
        with ffmpeg.running([*PICTURES, "-f", "rawvideo", "pipe:1"], stdout=True) as child:
            child.stdout.read(10)
            yield child.pid
            if how == "exception":
                raise KeyError

    running = frames()
    pid = next(running)
    if how == "exception":
        with pytest.raises(KeyError):
            next(running)
    elif how == "left":
        assert list(running) == []
    else:
        running.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_child_has_its_own_session_so_that_ctrl_c_does_not_reach_it() -> None:
    with ffmpeg.running([*PICTURES, "-f", "rawvideo", "pipe:1"], stdout=True) as child:
        assert os.getsid(child.pid) == child.pid != os.getsid(0)


def test_a_child_that_writes_much_to_stderr_does_not_block() -> None:
    _, text = ffmpeg.run(
        [*PICTURES, "-t", "3", "-vf", "showinfo", "-f", "null", "-"], "cannot count", level="info"
    )
    assert len(text) > 65536 * 1.2  # more than a pipe holds


def test_a_failure_carries_the_end_of_stderr_in_one_line() -> None:
    with pytest.raises(FFmpegError) as caught:
        ffmpeg.run(["-i", "file:/nowhere/at all.mp4", "-f", "null", "-"], "cannot look")
    assert caught.value.what == "cannot look"
    assert "No such file or directory" in caught.value.why
    assert "\n" not in caught.value.why
    assert "0x" not in caught.value.why


def test_the_caller_chooses_the_error() -> None:
    with pytest.raises(EncodeError), ffmpeg.running(["-i", "file:/nowhere"]) as child:
        child.finish("cannot encode", EncodeError)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_has_an_error_of_its_own() -> None:
    with pytest.raises(DiskFullError) as caught:
        ffmpeg.run(
            [*PICTURES, "-t", "1", "-y", "-f", "rawvideo", "file:/dev/full"],
            "cannot write",
            EncodeError,
        )
    assert "No space left on device" in caught.value.why


def test_arguments_keep_filter_values_with_special_characters_apart() -> None:
    args = ffmpeg.decode_arguments(
        Path("-a b.mp4"), 2, [("drawtext", {"text": "a:b,c'd"}), ("null", {})], f="null"
    )
    assert args[: args.index("-i")] == ["-protocol_whitelist", "file,pipe"]
    graph = args[args.index("-filter_complex") + 1]
    assert graph.startswith("[0:2]drawtext=")
    assert graph.count(",") == graph.count("\\,")


@pytest.mark.parametrize("name", ["-dash.mp4", "a:b.mp4", "100%.mp4", "it's.mp4"])
def test_local_names_are_absolute_urls(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ffmpeg.local(Path(name)) == f"file:{tmp_path}/{name}"
