"""Finished frames of long renders: packed block by block, and everything as without."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers import decoding
from tests.helpers.clips import Clips
from tests.helpers.renders import Watch, frames_of, quick_settings, run, state_folder
from vidstyle import evaluate
from vidstyle.config.settings import RenderConfig
from vidstyle.errors import DiskFullError, Interrupted, RenderError
from vidstyle.events import Composing, Encoding, Event, FrameDone, Note
from vidstyle.machine import disk
from vidstyle.rendering import packing, pipeline
from vidstyle.video import packed_frames
from vidstyle.video.packed_frames import PackedFrames
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
    """Makes the settings of a render of 12 frames."""

    def settings(name: str = "out.mkv", **changes: Any) -> RenderConfig:
        given = {"codec": "ffv1", **changes}
        return quick_settings(given.pop("input", film), painting, tmp_path / name, **given)

    return settings


def encoding_stopped(built: RenderConfig) -> Watch:
    """Render, and stop as soon as frames are encoded."""
    watch = Watch(COUNT)
    with pytest.raises(Interrupted, match="encoding"):
        pipeline.render(built, watch, watch.stop)
    return watch


def output_of(built: RenderConfig) -> Path:
    assert built.output is not None
    return built.output


def files_in(built: RenderConfig, name: str) -> list[str]:
    return sorted(path.name for path in (state_folder(output_of(built)) / name).iterdir())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"codec": "ffv1"},
        {"engine": "fast", "learn": 0},
        {"per_frame": True},
        {"passes": 2},
        {"long_term": 2},
        {"opacity": 0.5},
    ],
)
def test_a_packed_render_is_that_of_the_files_and_goes_on_after_every_stop(
    make: Make, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if changes.get("engine"):
        changes = {**{name: RenderConfig.model_fields[name].default for name in QUICK}, **changes}
    changes = {"codec": "h264", **changes}
    whole = make("whole.mkv", **changes)
    run(whole)
    for limit in (3, 6, 9):
        cut = make(f"cut{limit}.mkv", **changes)
        with pytest.raises(Interrupted):
            run(cut, limit)
        run(cut)
        assert output_of(cut).read_bytes() == output_of(whole).read_bytes()
        assert not state_folder(output_of(cut)).exists()
    monkeypatch.setattr(packed_frames, "BLOCK_FRAMES", 100)
    plain = make("plain.mkv", **changes)
    run(plain)
    pairs = zip(*(decoding.frames_of(output_of(one)) for one in (whole, plain)), strict=True)
    for packed, unpacked in pairs:
        difference = np.abs(packed.astype(int) - unpacked.astype(int))
        if changes["codec"] == "ffv1":
            assert difference.max() == 0
        else:
            assert difference.mean() < 3


QUICK = ("first_iterations", "first_scales", "iterations")


def test_blocks_are_packed_on_the_way_and_few_files_stay(make: Make) -> None:
    built = make("out.mp4", codec=None)
    with pytest.raises(Interrupted):
        run(built, 11)
    assert files_in(built, "packed") == [
        f"{first:06d}.{kind}" for first in (0, 5) for kind in ("json", "mkv")
    ]
    kept = [0, 4, 5, 9, 10]
    assert files_in(built, "frames") == [f"{index:06d}.png" for index in kept]
    assert run(built).frames == [11]


@pytest.mark.parametrize("codecs", [("h264", "hevc"), ("h264", "prores"), ("prores", "h264")])
def test_another_codec_costs_no_painting(make: Make, codecs: tuple[str, str]) -> None:
    stopped = make("out.mkv", codec=codecs[0])
    assert len(encoding_stopped(stopped).frames) == COUNT
    assert run(make("out.mkv", codec=codecs[1])).frames == []
    assert len(decoding.frames_of(output_of(stopped))) == COUNT


@pytest.mark.parametrize("rate", ["24000/1001", "30", "60000/1001"])
@pytest.mark.parametrize("name", ["out.mkv", "out.mp4", "out.mov"])
def test_a_packed_film_has_the_times_and_the_rate_of_any(
    make: Make, tmp_path: Path, name: str, rate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = Clips(tmp_path).pattern("in.mp4", rate=rate, frames=11)
    seen = []
    for frames in (BLOCK, 100):
        monkeypatch.setattr(packed_frames, "BLOCK_FRAMES", frames)
        built = make(f"{frames}{name}", input=film, per_frame=True, codec=None)
        run(built)
        source = probe(output_of(built))
        seen.append((scan(source).timeline, source.nominal_rate))
    assert seen[0] == seen[1]
    assert abs(seen[0][1] - Fraction(rate)) < Fraction(1, 10)


def test_a_packed_film_of_a_variable_rate_keeps_its_times(make: Make, tmp_path: Path) -> None:
    film = Clips(tmp_path).pattern(
        "in.mp4", "-vf", "setpts=N*(1+N/9)/TB/20", "-fps_mode", "vfr", frames=13
    )
    built = make("out.mkv", input=film, per_frame=True, codec=None)
    run(built)
    given, got = (scan(probe(path)).timeline for path in (film, output_of(built)))
    assert np.abs(np.array(given.pts) - np.array(got.pts)).max() <= 45


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def remove(path: Path) -> None:
    path.unlink()


def damage_card(path: Path) -> None:
    path.with_suffix(".json").write_text("{")


def take_foreign(path: Path) -> None:
    card = json.loads(path.with_suffix(".json").read_text())
    card["labels"] = ["f" * 64] * len(card["labels"])
    path.with_suffix(".json").write_text(json.dumps(card))


@pytest.mark.parametrize("harm", [flip, remove, damage_card, take_foreign])
@pytest.mark.parametrize("first", [0, 5])
def test_a_block_that_is_damaged_is_painted_again_alone(
    make: Make, harm: Callable[[Path], None], first: int
) -> None:
    whole = make("whole.mkv")
    run(whole)
    built = make("out.mkv")
    encoding_stopped(built)
    harm(state_folder(output_of(built)) / "packed" / f"{first:06d}.mkv")
    watch = run(built)
    # Those at the ends of blocks have files of their own.
    again = set(range(first, first + BLOCK)) - {0, 4, 5, 9, 10}
    assert set(watch.frames) == again
    assert output_of(built).read_bytes() == output_of(whole).read_bytes()
    if harm is flip:
        [note] = [e for e in watch.events if isinstance(e, Note) and e.warning]
        assert f"frames {first} to {first + BLOCK - 1} are made again" in note.text


def test_what_is_done_with_painted_frames_may_change_afterwards(make: Make) -> None:
    encoding_stopped(make("out.mkv"))
    half = make("out.mkv", opacity=0.5)
    assert run(half).frames == []
    wanted = make("half.mkv", opacity=0.5)
    run(wanted)
    pairs = zip(*(decoding.frames_of(output_of(one)) for one in (half, wanted)), strict=True)
    for got, expected in pairs:
        assert np.abs(got.astype(int) - expected.astype(int)).max() <= 1


def test_frames_that_are_kept_are_never_packed(make: Make) -> None:
    built = make("out.mkv", keep_frames=True)
    run(built)
    assert len(frames_of(output_of(built))) == COUNT
    assert not (state_folder(output_of(built)) / "packed").exists()


def test_a_render_that_shall_keep_its_frames_goes_on_with_packed_ones(make: Make) -> None:
    with pytest.raises(Interrupted):
        run(make("out.mkv"), 8)
    built = make("out.mkv", keep_frames=True)
    assert len(run(built).frames) == COUNT - 8
    assert len(decoding.frames_of(output_of(built))) == COUNT
    assert len(frames_of(output_of(built))) == COUNT
    assert not (state_folder(output_of(built)) / "packed").exists()


@pytest.mark.parametrize("changes", [{"keep_frames": True}, {"opacity": 0.5}])
def test_damage_is_noticed_before_packed_frames_are_used(
    make: Make, changes: dict[str, Any]
) -> None:
    built = make("out.mkv")
    encoding_stopped(built)
    flip(state_folder(output_of(built)) / "packed" / "000005.mkv")
    with pytest.raises(RenderError, match="made again"):
        run(make("out.mkv", **changes))
    assert set(run(make("out.mkv", **changes)).frames) == {6, 7, 8}
    assert len(decoding.frames_of(output_of(built))) == COUNT


def test_a_block_that_is_damaged_again_and_again_ends_the_render(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_frames.PackedFrames, "is_whole", lambda blocks, first: False)
    with pytest.raises(RenderError, match="damaged again"):
        run(make("out.mkv"))


def test_a_shot_list_of_many_cuts_is_packed_as_well(make: Make, samples: Path) -> None:
    whole, cut = (make(name, input=samples / "cut.mp4", size=48) for name in ("a.mkv", "b.mkv"))
    run(whole)
    with pytest.raises(Interrupted):
        run(cut, 31)
    seen = state_folder(output_of(cut))
    assert (seen / "packed" / "000015.mkv").exists()
    shutil.rmtree(seen / "packed")
    run(cut)
    assert output_of(cut).read_bytes() == output_of(whole).read_bytes()


def test_events_are_those_of_every_render(make: Make) -> None:
    events: list[Event] = []
    pipeline.render(make("out.mkv"), events.append)
    assert [e.done for e in events if isinstance(e, FrameDone)] == list(range(1, COUNT + 1))
    assert [e.total for e in events if isinstance(e, Encoding)][-1:] == [COUNT]


def test_the_score_card_reads_packed_frames_as_it_reads_files(make: Make, film: Path) -> None:
    kept, packed = make("kept.mkv", keep_frames=True), make("packed.mkv")
    run(kept)
    encoding_stopped(packed)
    cards = [
        evaluate(state_folder(output_of(one)), film, flow="dis", features="lite", device="cpu")
        for one in (kept, packed)
    ]
    means = [card.result.means() for card in cards]
    for name, value in means[0].items():
        assert means[1][name] == (value if value is None else pytest.approx(value, abs=0.02))


def test_a_film_takes_a_quarter_of_the_disk_that_its_files_would(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    count, size = 36_722, (1280, 720)
    files = 206e9
    deep = packing.count_deep_frames(make(), count)
    result = disk.needed_bytes(size, count, 0)
    assert disk.needed_bytes(size, count, deep, packed=count) < 0.25 * files
    assert disk.needed_bytes(size, count, deep, packed=count, bits=None) < 2 * result + 3.2e9
    assert packing.count_deep_frames(make(), 100) == 100


def fill(folder: Path) -> Path:
    """Take all that is left of a small disk."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(1 << 12)):
            pass
    return filler


@pytest.mark.parametrize("moment", ["painting", "packing", "composing", "delivering"])
def test_a_disk_that_fills_up_loses_nothing_and_the_render_goes_on(
    make: Make, small_disk: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    changes = {"opacity": 0.5} if moment == "composing" else {}
    whole = make("whole.mkv", force=True, **changes)
    run(whole)
    built = make(output=small_disk / "out.mkv", force=True, **changes)
    filled: list[Path] = []
    if moment == "packing":
        write = PackedFrames.write

        def write_onto_full_disk(self: PackedFrames, first: int, *given: Any) -> None:
            if first == BLOCK and not filled:
                filled.append(fill(small_disk))
            write(self, first, *given)

        monkeypatch.setattr(PackedFrames, "write", write_onto_full_disk)
    watch = Watch()

    def report(event: Event) -> None:
        watch(event)
        at = {"painting": FrameDone, "composing": Composing, "delivering": Encoding}.get(moment)
        done = getattr(event, "done", 0) >= (0 if moment == "delivering" else 3)
        if at and isinstance(event, at) and done and not filled:
            filled.append(fill(small_disk))

    with pytest.raises(DiskFullError) as refused:
        pipeline.render(built, report)
    assert refused.value.hint
    painted = len(watch.frames)
    filled[0].unlink()
    assert len(run(built).frames) == COUNT - painted
    assert output_of(built).read_bytes() == output_of(whole).read_bytes()


@pytest.mark.parametrize("written", ["nothing", "video", "card"])
@pytest.mark.parametrize("first", [0, 5])
def test_a_kill_while_a_block_is_written_loses_nothing(
    make: Make, written: str, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block is written in three steps; a kill leaves what was done until then."""
    run(whole := make("whole.mkv"))
    built = make("out.mkv")
    write = PackedFrames.write

    def write_until_killed(self: PackedFrames, at: int, *given: Any) -> None:
        if at != first:
            write(self, at, *given)
            return
        if written != "nothing":
            write(self, at, *given)
        if written == "video":
            self.path(at).with_suffix(".json").unlink()
        self.folder.mkdir(exist_ok=True)
        self.path(at).with_suffix(".mkv.tmp").write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PackedFrames, "write", write_until_killed)
        with pytest.raises(KeyboardInterrupt):
            run(built)
    run(built)
    assert output_of(built).read_bytes() == output_of(whole).read_bytes()
    assert not state_folder(output_of(built)).exists()
