"""Long renders that keep finished frames as the output will have them, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers import decoding
from tests.helpers.clips import Clips
from tests.helpers.renders import Watch, quick_settings, run, state_folder
from vidstyle import evaluate
from vidstyle.config.settings import RenderConfig
from vidstyle.errors import Interrupted, OutputError, SettingsChangedError
from vidstyle.events import Encoding, Event, Note
from vidstyle.rendering import pipeline
from vidstyle.video import ffmpeg, packed_frames
from vidstyle.video.probe import probe
from vidstyle.video.scan import scan

BLOCK = 5
COUNT = 12

Make = Callable[..., RenderConfig]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_frames, "BLOCK_FRAMES", BLOCK)


@pytest.fixture
def make(film: Path, painting: Path, tmp_path: Path) -> Make:
    """Makes the settings of a render of 12 frames that keeps them as encoded."""

    def settings(name: str = "out.mp4", **changes: Any) -> RenderConfig:
        given = {"keep": "final", "per_frame": True, **changes}
        return quick_settings(given.pop("input", film), painting, tmp_path / name, **given)

    return settings


def output_of(built: RenderConfig) -> Path:
    assert built.output is not None
    return built.output


def encoding_stopped(built: RenderConfig) -> Watch:
    """Render, and stop as soon as frames are encoded."""
    watch = Watch(COUNT)
    with pytest.raises(Interrupted, match="encoding"):
        pipeline.render(built, watch, watch.stop)
    return watch


def describe(path: Path) -> dict[str, Any]:
    """Read what must not depend on how frames were kept."""
    source = probe(path)
    timeline = scan(source).timeline
    seconds = [float(pts * timeline.time_base) for pts in timeline.pts]
    last = float(timeline.last_duration * timeline.time_base)
    lines = ffmpeg.run(["-i", str(path), "-c", "copy", "-f", "null", "-"], "read", level="info")[1]
    streams = [line.split("),")[0] for line in lines.splitlines() if "Stream #0" in line]
    sound = ffmpeg.run(["-i", str(path), "-map", "0:a?", "-f", "md5", "-"], "sound")
    return {
        "times": [round(time, 4) for time in [*seconds, last]],
        "rate": round(float(source.nominal_rate), 1),
        "streams": streams[:2],
        "sound": sound[0] if any("Audio" in line for line in streams) else b"",
    }


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("out.mp4", {}),
        ("out.mkv", {"codec": "hevc"}),
        ("out.mp4", {"codec": "hevc", "crf": 12}),
        ("out.webm", {}),
        ("out.mkv", {"codec": "av1"}),
        ("out.mov", {"size": 47}),
        ("out.ts", {}),
    ],
    ids=lambda value: str(value).replace("{}", ""),
)
def test_the_output_is_as_with_lossless_frames_and_goes_on_after_stops(
    make: Make, name: str, changes: dict[str, Any], samples: Path
) -> None:
    film = samples / "cut.mp4"
    length = {"duration": 0.5, "size": 64}
    lossless = make(f"lossless.{name}", input=film, keep="lossless", **length | changes)
    run(lossless)
    whole = make(f"whole.{name}", input=film, **length | changes)
    count = len(run(whole).frames)
    assert count > 2 * BLOCK
    assert describe(output_of(whole)) == describe(output_of(lossless))
    given, got = (decoding.frames_of(output_of(one)) for one in (lossless, whole))
    for a, b in zip(given, got, strict=True):
        assert np.abs(a.astype(int) - b.astype(int)).mean() < 10
    cut = make(f"cut.{name}", input=film, **length | changes)
    for limit in (3, 5):
        with pytest.raises(Interrupted):
            run(cut, limit)
    assert {p.suffix for p in (state_folder(output_of(cut)) / "packed").iterdir()} == {
        ".mp4",
        ".json",
    }
    run(cut)
    assert output_of(cut).read_bytes() == output_of(whole).read_bytes()
    assert not state_folder(output_of(cut)).exists()


@pytest.mark.parametrize("rate", ["24000/1001", "60000/1001"])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("is_variable", [False, True])
def test_times_are_those_of_the_film(
    make: Make, tmp_path: Path, rate: str, late: bool, is_variable: bool
) -> None:
    filters = "setpts=N*(1+N/9)/TB/20" if is_variable else "null"
    offset = ["-output_ts_offset", "0.7"] if late else []
    args = ["-vf", filters, "-fps_mode", "vfr" if is_variable else "cfr", *offset]
    film = Clips(tmp_path).pattern("in.mp4", *args, rate=rate, frames=COUNT)
    for name in ("out.mp4", "out.mkv"):
        seen = []
        for keep in ("lossless", "final"):
            built = make(f"{keep}.{name}", input=film, keep=keep)
            run(built)
            seen.append(describe(output_of(built)))
            if is_variable:
                # Of changing times it is somebody's guess.
                del seen[-1]["rate"], seen[-1]["streams"]
        assert seen[0] == seen[1]


@pytest.mark.parametrize("first", [0, 5])
@pytest.mark.parametrize("per_frame", [False, True])
def test_a_block_that_is_damaged_is_painted_again_to_the_same_bytes(
    make: Make, first: int, per_frame: bool
) -> None:
    whole = make("whole.mp4", per_frame=per_frame)
    run(whole)
    built = make("out.mp4", per_frame=per_frame)
    encoding_stopped(built)
    path = state_folder(output_of(built)) / "packed" / f"{first:06d}.mp4"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    watch = run(built)
    assert set(watch.frames) == set(range(first, first + BLOCK)) - {0, 4, 5, 9, 10}
    assert output_of(built).read_bytes() == output_of(whole).read_bytes()
    assert any("made again" in e.text for e in watch.events if isinstance(e, Note))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"crf": 30}, "crf"),
        ({"codec": "hevc"}, "codec"),
        ({"keep": "lossless"}, "keep"),
        ({"opacity": 0.5}, "composition"),
    ],
)
def test_another_encoding_afterwards_is_refused_and_costs_nothing(
    make: Make, changes: dict[str, Any], word: str
) -> None:
    built = make("out.mp4")
    encoding_stopped(built)
    with pytest.raises(SettingsChangedError, match=word) as refused:
        run(make("out.mp4", **changes))
    assert "--restart" in refused.value.hint
    assert run(built).frames == []
    again = make("out.mp4", **changes, restart=True, overwrite=True)
    assert len(run(again).frames) == COUNT


def test_another_container_costs_no_painting(make: Make) -> None:
    encoding_stopped(make("out.mp4"))
    run(built := make("out.mp4"))
    wanted = make("other.mkv")
    run(wanted)
    pictures = [decoding.frames_of(output_of(one)) for one in (built, wanted)]
    for a, b in zip(*pictures, strict=True):
        assert np.array_equal(a, b)


def test_a_render_whose_disk_becomes_too_small_may_go_on_so(make: Make) -> None:
    with pytest.raises(Interrupted):
        run(make("out.mp4", keep="lossless"), 8)
    built = make("out.mp4")
    files: list[set[str]] = []

    def report(event: Event) -> None:
        if isinstance(event, Encoding):
            files.append({p.stem for p in (state_folder(output_of(built)) / "frames").iterdir()})

    pipeline.render(built, report)
    # Of a block that was unpacked, those at its ends alone are files again.
    assert files[-1] == {f"{index:06d}" for index in (0, 4, 5, 9, 10)}
    assert len(decoding.frames_of(output_of(built))) == COUNT


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("out.avi", {}),
        ("out.mkv", {"codec": "ffv1"}),
        ("out.mov", {"codec": "prores"}),
        ("out.gif", {}),
    ],
)
def test_what_is_not_put_together_from_blocks_is_refused_at_once(
    make: Make, name: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(OutputError) as refused:
        pipeline.render(make(name, **changes))
    assert "--keep" in refused.value.hint


def test_kept_frames_take_the_disk_of_the_output(make: Make) -> None:
    built = make("out.mp4")
    encoding_stopped(built)
    kept = sum(p.stat().st_size for p in (state_folder(output_of(built)) / "packed").glob("*.mp4"))
    run(built)
    # Each block has a header of its own, of about 900 bytes.
    assert kept - 3 * 1000 < 1.2 * output_of(built).stat().st_size


def test_the_score_card_reads_encoded_blocks(make: Make, film: Path) -> None:
    kept, encoded = make("kept.mp4", keep="lossless", keep_frames=True), make("out.mp4")
    run(kept)
    encoding_stopped(encoded)
    cards = [
        evaluate(state_folder(output_of(one)), film, flow="dis", features="lite", device="cpu")
        for one in (kept, encoded)
    ]
    means = [card.result.means() for card in cards]
    for name, value in means[0].items():
        assert means[1][name] == (value if value is None else pytest.approx(value, abs=0.1))
