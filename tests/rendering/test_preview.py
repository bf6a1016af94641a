"""A preview shows a part next to its source, tells what the whole takes, and disturbs nothing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Collection
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import vidstyle
from tests.helpers.decoding import frames_of
from tests.helpers.features import TinyFeatures
from tests.stylize.optimising import build_stylizer
from vidstyle.config.settings import RenderConfig
from vidstyle.errors import DiskSpaceError, Interrupted, OutputError
from vidstyle.events import Event, FrameDone, silent
from vidstyle.frames import Timeline
from vidstyle.machine import disk
from vidstyle.rendering import layer_render, pipeline
from vidstyle.rendering.engines import optimiser_settings
from vidstyle.rendering.estimate import (
    LinkedFrames,
    count_work,
    measure_costs,
    sample_frames,
    total_seconds,
)
from vidstyle.rendering.job import Job
from vidstyle.rendering.layer_files import LayerFiles
from vidstyle.rendering.layer_render import render_layer
from vidstyle.rendering.loop import FrameCounter
from vidstyle.rendering.models import RenderTools
from vidstyle.rendering.prepare import inspect, prepare
from vidstyle.rendering.preview import Preview, choose_seconds, preview, reduce_job, refuse_foreign
from vidstyle.rendering.schedule import plan_layer
from vidstyle.rendering.sources import read_style_images
from vidstyle.storage.checkpoint import Checkpoint, lock_output
from vidstyle.stylize.resample import CANVAS_MARGIN
from vidstyle.video import ffmpeg

CUT = 6
"""The first frame of the second shot of the fixture `film`."""

Settings = Callable[..., RenderConfig]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def difference(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, film: Path, painting: Path) -> Preview:
    folder = tmp_path_factory.mktemp("preview")
    shutil.copy(film, folder / "in.mp4")
    given: dict[str, Any] = {
        "input": folder / "in.mp4",
        "style": painting,
        "device": "cpu",
        "size": 64,
    }
    return preview(RenderConfig(**given, first_iterations=11, first_scales=1, iterations=2))


def test_it_leaves_the_clip_and_the_contact_sheet_and_nothing_else(made: Preview) -> None:
    assert (made.output.name, made.sheet.name) == ("in.preview.mp4", "in.preview.png")
    assert {p.name for p in made.output.parent.iterdir()} == {
        "in.mp4",
        "in.preview.mp4",
        "in.preview.png",
    }


def test_the_clip_shows_source_and_result_side_by_side(made: Preview, film: Path) -> None:
    frames, sources = frames_of(made.output), frames_of(film)
    assert made.frames == len(frames) == len(sources) == 12
    for frame, source in zip(frames, sources, strict=True):
        assert frame.shape == (42, 128, 3)
        large = cv2.resize(source, (64, 42), interpolation=cv2.INTER_CUBIC)
        assert difference(frame[:, :64], large) < 12 < difference(frame[:, 64:], large)


def test_the_sheet_shows_the_painting_the_sources_and_the_results(
    made: Preview, film: Path
) -> None:
    sheet = cv2.imread(str(made.sheet), cv2.IMREAD_COLOR)
    assert sheet is not None
    gap, width, height = 8, 64, 42
    painted = round(48 * (2 * height + gap) / 40)
    assert sheet.shape == (2 * height + 3 * gap, painted + 2 * gap + 4 * (width + gap), 3)
    clip = frames_of(made.output)
    for column, index in enumerate((0, 4, 7, 11)):
        x = painted + 2 * gap + column * (width + gap)
        assert difference(sheet[gap : gap + 42, x : x + width], clip[index][:, :64]) < 12
        assert (
            difference(
                sheet[2 * gap + height : 2 * gap + height + 42, x : x + width], clip[index][:, 64:]
            )
            < 12
        )
    assert (sheet[:gap] == 255).all()


def test_it_tells_what_the_whole_will_take(made: Preview) -> None:
    assert made.full_frames == 12
    assert made.full_bytes == disk.needed_bytes((64, 42), 12, 12)
    assert made.seconds_per_frame > 0
    assert 0 < made.full_seconds < 60
    for words in (
        f"{made.seconds_per_frame:.2f} s each",
        "12 frames, ",
        "B of disk, about 0:",
        str(made.sheet),
    ):
        assert words in made.text()


def test_another_preview_replaces_the_first(made: Preview, painting: Path) -> None:
    before = made.output.read_bytes(), made.sheet.read_bytes()
    given: dict[str, Any] = {
        "input": made.output.with_name("in.mp4"),
        "style": painting,
        "device": "cpu",
    }
    again = preview(
        RenderConfig(**given, size=32, first_iterations=2, iterations=2, start=0.3, duration=0.2)
    )
    assert (again.output, again.frames, again.full_frames) == (made.output, 2, 12)
    assert len(frames_of(made.output)) == 2
    made.output.write_bytes(before[0])
    made.sheet.write_bytes(before[1])


@pytest.mark.parametrize("foreign", ["out.preview.mp4", "out.preview.png"])
def test_a_file_that_is_no_preview_is_not_replaced(
    foreign: str, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / foreign).write_text("precious")
    with pytest.raises(OutputError, match="would be replaced"):
        preview(settings())
    assert contents(tmp_path) == {foreign: b"precious"}
    refuse_foreign(tmp_path / "out.preview.mp4", tmp_path / "out.preview.png", overwrite=True)


def test_the_full_render_is_not_disturbed(settings: Settings, tmp_path: Path) -> None:
    vidstyle.render(settings(keep_frames=True))
    before = contents(tmp_path)
    assert len(before) > 12
    preview(settings(duration=0.2))
    after = contents(tmp_path)
    assert after.keys() - before.keys() == {"out.preview.mp4", "out.preview.png"}
    assert {name: after[name] for name in before} == before


def test_an_interrupted_preview_continues(settings: Settings, tmp_path: Path) -> None:
    events: list[Event] = []

    def frames() -> list[int]:
        return [e.frame for e in events if isinstance(e, FrameDone)]

    with pytest.raises(Interrupted):
        preview(settings(duration=0.5), events.append, lambda: len(frames()) >= 3)
    assert frames() == [0, 1, 2]
    events.clear()
    preview(settings(duration=0.5), events.append)
    assert frames() == [3, 4]
    assert not (tmp_path / "out.preview.mp4.vidstyle").exists()
    assert len(frames_of(tmp_path / "out.preview.mp4")) == 5


def test_a_still_gets_a_sheet_and_no_clip(
    settings: Settings, painting: Path, tmp_path: Path
) -> None:
    shutil.copy(painting, tmp_path / "photo.png")
    made = preview(settings(input=tmp_path / "photo.png", output=None))
    assert made.output == made.sheet == tmp_path / "photo.preview.png"
    assert (made.frames, made.full_frames) == (1, 1)
    assert {p.name for p in tmp_path.iterdir()} == {"photo.png", "photo.preview.png"}
    assert made.full_bytes == disk.needed_bytes((48, 40), 1, 1)


def test_it_polishes_its_share(settings: Settings, small_vgg19: Path) -> None:
    built = settings(polish=3, iterations=6, weights_dir=small_vgg19, duration=0.2)
    polished = [built.model_copy(update={"polish": n}) for n in (0, 1, 2, 5)]
    assert [one.reduce_for_preview()["polish"] for one in polished] == [0, 1, 1, 3]
    assert preview(built).full_seconds is not None


class Clock:
    """Seconds that pass only where a test says so."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


class Timed(TinyFeatures):
    """Features whose every evaluation takes so many seconds at 32x48, and fewer at smaller
    sizes.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        super().__init__()
        self.clock, self.seconds = clock, seconds

    def __call__(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        height, width = (n - 2 * CANVAS_MARGIN for n in image.shape[2:])
        self.clock.now += self.seconds * height * width / (32 * 48)
        return super().__call__(image, layers)


class TickingFlow:
    """Sees no motion, and takes a quarter of a second for it."""

    digest = ""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        self.clock.now += 0.25
        return torch.zeros(2, *a.shape[1:])


class TickingSearch:
    """Finds no figures, and takes half a second for it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def __call__(self, image: Tensor) -> Tensor:
        self.clock.now += 0.5
        return torch.zeros(2, 4, 6)


def timed_tools(job: Job, clock: Clock, polish: int, coarsest: int = 64) -> RenderTools:
    """A stylizer, a flow and a finder of figures that only that clock times."""
    settings = optimiser_settings(job.config)
    pyramid = replace(settings.pyramid, coarsest_side=coarsest)
    stylizer = build_stylizer(
        replace(settings, pyramid=pyramid),
        Timed(clock, 1.0),
        read_style_images(job),
        (32, 48),
        refinement=Timed(clock, 16.0) if polish else None,
        clock=clock.perf_counter,
    )
    search = TickingSearch(clock) if job.uses_detail else None
    return RenderTools(stylizer, TickingFlow(clock), search)


def estimated(job: Job, tools: RenderTools, clock: Clock) -> float:
    frames = sample_frames(job, job.size, tools.figures)
    costs = measure_costs(frames, tools, job.config.mask, clock=clock.perf_counter)
    return total_seconds(count_work(job), costs, 1.0, torch.device("cpu"))


def seconds_of_render(job: Job, tools: RenderTools, clock: Clock) -> float:
    """The time of all frames, from the first to the last."""
    begun = clock.now
    with lock_output(job.delivery.path):
        store = Checkpoint(job.delivery.path, {}, job.size, job.frame_count)
        store.begin({}, restart=False)
        counter = FrameCounter(job.config.passes * 12, 0, silent, lambda: False)
        for layer in job.layers:
            work = plan_layer(job, LayerFiles(job, layer, store))
            render_layer(job, work, tools, store, counter)
    return clock.now - begun


@pytest.mark.parametrize("polish", [0, 1, 3, 9])
@pytest.mark.parametrize("coarsest", [16, 64])
@pytest.mark.parametrize(
    "linking", [{"detail": 0}, {"per_frame": True}, {"long_term": 4, "detail": 0}]
)
def test_the_estimate_is_what_the_render_takes(
    settings: Settings, noisy_film: Path, polish: int, coarsest: int, linking: dict[str, Any]
) -> None:
    """By a clock that only features, flow and the search for figures advance. Nothing moves here,
    and on still ground figures are looked for only in frames that are made by themselves.
    """
    clock = Clock()
    few = {"first_iterations": 9, "first_scales": 2, "iterations": 4, "polish": polish}
    job = prepare(inspect(settings(input=noisy_film, **few, rest="follow", **linking)))
    tools = timed_tools(job, clock, polish, coarsest)
    seconds = estimated(job, tools, clock)
    assert seconds == pytest.approx(seconds_of_render(job, tools, clock))
    assert seconds > 12


def test_the_estimate_takes_the_iterations_that_the_previews_frames_got(settings: Settings) -> None:
    job = prepare(inspect(settings(iterations=4)))
    passed: list[Event] = []
    linked = LinkedFrames(job, passed.append)
    for frame, iterations in ((0, 100), (1, 10), (2, 0), (3, 14), (CUT, 100)):
        linked(FrameDone(frame, frame + 1, 5, iterations, 1.0))
    assert len(passed) == 5
    assert linked.optimised_share == pytest.approx(2 / 3), "one of three frames was static"
    assert linked.mean_iterations(8) == 24
    assert LinkedFrames(job, silent).mean_iterations(8) is None
    for unmoved in ({"budget": "fixed"}, {"passes": 2}):
        config = job.config.model_copy(update=unmoved)
        other = LinkedFrames(replace(job, config=config), silent)
        other.iterations = linked.iterations
        assert other.mean_iterations(8) is None


@pytest.mark.parametrize("polish", [0, 3])
def test_the_estimate_counts_every_pass(settings: Settings, noisy_film: Path, polish: int) -> None:
    clock = Clock()
    few = {"first_iterations": 9, "first_scales": 2, "iterations": 4, "polish": polish}
    job = prepare(inspect(settings(input=noisy_film, **few, passes=3)))
    tools = timed_tools(job, clock, polish)
    seconds = estimated(job, tools, clock)
    assert seconds == pytest.approx(seconds_of_render(job, tools, clock))


def test_a_preview_uses_the_memory_mode_of_the_render(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With tiles the allocator gives memory back at once."""
    modes: list[bool] = []
    monkeypatch.setattr(layer_render, "spare_memory", lambda *, sparing: modes.append(sparing))
    for tile, expected in ((None, False), (32, True)):
        preview(settings(duration=0.2, tile=tile))
        assert modes == [expected]
        modes.clear()


def test_a_preview_in_passes_tells_of_the_disk_for_all_of_them(
    settings: Settings, tmp_path: Path
) -> None:
    made = preview(settings(passes=3, duration=0.2))
    assert made.full_bytes == disk.needed_bytes((48, 32), 12, 12 + 2 * 6)
    assert made.frames == 2
    assert {p.name for p in tmp_path.iterdir()} == {"out.preview.mp4", "out.preview.png"}


def test_a_preview_needs_the_disk_for_its_own_frames_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda folder: 50_000)
    with pytest.raises(DiskSpaceError):
        pipeline.render(settings())
    assert preview(settings(duration=0.2)).frames == 2


def test_keyframes_are_those_of_the_part(settings: Settings, tmp_path: Path) -> None:
    given = tmp_path / "given.png"
    cv2.imwrite(str(given), np.full((32, 48, 3), 200, np.uint8))
    keyframes = [f"1={given}", f"5={given}", f"9={given}"]
    small = settings(keyframes=keyframes, start=0.4, duration=0.4)
    job, _ = reduce_job(small, tmp_path / "clip.mp4")
    assert (job.part.first, job.part.stop) == (4, 8)
    assert [one.index for one in job.keyframes] == [1]


def test_an_animation_gets_a_clip(settings: Settings, film: Path, tmp_path: Path) -> None:
    ffmpeg.run(
        ["-y", "-i", ffmpeg.local(film), ffmpeg.local(tmp_path / "in.gif")], "cannot make the GIF"
    )
    made = preview(settings(input=tmp_path / "in.gif", output=None, duration=0.4))
    assert made.output == tmp_path / "in.preview.mp4"
    assert [f.shape for f in frames_of(made.output)] == [(32, 96, 3)] * 4


@pytest.mark.parametrize(
    ("cuts", "asked", "expected"),
    [
        ((0,), {}, (5.0, 3.0)),
        ((0, 20, 90), {}, (5.5, 3.0)),
        ((0, 40), {"duration": 1.0}, (7.0, 1.0)),
        ((0, 80), {"duration": 8.0}, (2.0, 8.0)),  # earlier, so that all of it is there
        ((0,), {"duration": 60.0}, (0.0, 60.0)),
        ((0, 20), {"start": 1.5}, (1.5, 3.0)),
    ],
)
def test_it_starts_in_the_middle_of_the_longest_shot(
    cuts: tuple[int, ...], asked: dict[str, float], expected: tuple[float, float]
) -> None:
    ten = Timeline(tuple(range(0, 900_000, 9_000)), 9_000, Fraction(10), Fraction(10))  # 10 s
    assert choose_seconds(ten, cuts, asked.get("start"), asked.get("duration")) == expected


def test_the_command_prints_the_figures_and_the_clip(
    command: Callable[..., Any], film: Path, painting: Path, tmp_path: Path
) -> None:
    quick = ("--size", "48", "--first-iterations", "2", "--iterations", "2", "--duration", "0.2")
    got = command(film, "-s", painting, "-o", tmp_path / "out.mp4", "--preview", *quick)
    assert (got.code, got.out) == (0, f"{tmp_path / 'out.preview.mp4'}\n"), got.err
    assert re.search(r"preview: 2 frames, \d+\.\d\d s each", got.err)
    assert re.search(r"the full render: 12 frames, [\d.]+ [kM]B of disk, about 0:\d\d", got.err)
