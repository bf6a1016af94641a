"""Several passes: where each goes, what it is made from, and that nothing on the way changes the
result.
"""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from torch import Tensor

from tests.helpers.renders import Watch, frames_of, run
from vidstyle.config.settings import RenderConfig
from vidstyle.errors import Interrupted, SettingsChangedError
from vidstyle.evaluation import clips
from vidstyle.events import Event, FrameDone, Note, Started
from vidstyle.frames import Frame
from vidstyle.machine import disk
from vidstyle.motion import flow
from vidstyle.rendering import pipeline
from vidstyle.rendering.layer_files import LayerFiles
from vidstyle.rendering.layer_render import render_layer
from vidstyle.rendering.layers import FrameRange, Layer
from vidstyle.rendering.loop import FrameCounter
from vidstyle.rendering.models import Models, RenderTools, build_tools
from vidstyle.rendering.prepare import inspect, prepare
from vidstyle.rendering.schedule import neighbour_of, plan_layer
from vidstyle.rendering.space import disk_needed
from vidstyle.storage import record
from vidstyle.storage.checkpoint import Checkpoint, lock_output
from vidstyle.storage.frame_store import FrameStore
from vidstyle.storage.record import state_folder
from vidstyle.stylize.engine import MultiPassStylizer, State, Step
from vidstyle.video import read

COUNT = 5
"""Frames of `brief`."""
SHOT = 3
"""The first frame of its second shot."""
PASSES = 3
TOTAL = PASSES * COUNT

Settings = Callable[..., RenderConfig]


@pytest.fixture
def brief(settings: Settings, noisy_film: Path) -> Callable[..., RenderConfig]:
    """Three passes over five frames of `noisy_film`, three of one shot and two of the next."""

    def make(**changes: Any) -> RenderConfig:
        return settings(
            **{
                "input": noisy_film,
                "start": 0.3,
                "duration": 0.5,
                "passes": PASSES,
                "keep_frames": True,
                **changes,
            }
        )

    return make


@dataclass(frozen=True)
class Whole:
    frames: dict[str, bytes]
    film: bytes


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, noisy_film: Path, painting: Path) -> Whole:
    """The render of `brief()` in one go."""
    output = tmp_path_factory.mktemp("whole") / "out.mp4"
    quick = {
        "first_iterations": 3,
        "first_scales": 1,
        "iterations": 1,
        "device": "cpu",
        "keep_frames": True,
    }
    given = {
        "input": noisy_film,
        "style": painting,
        "output": output,
        "start": 0.3,
        "duration": 0.5,
        "passes": PASSES,
    }
    pipeline.render(RenderConfig(**given, **quick))  # type: ignore[arg-type]
    return Whole(frames_of(output), output.read_bytes())


def folders(built: RenderConfig) -> set[str]:
    assert built.output is not None
    return {p.name for p in state_folder(built.output).iterdir() if p.is_dir() and any(p.iterdir())}


ORDERS = [
    [0, 1, 2],
    [2, 1, 0],
    [0, 1, 2],
    [3, 4],
    [4, 3],
    [3, 4],
]
"""In which the frames of `brief` are made: shot after shot, pass after pass."""


# Where a pass goes


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1, [None] * 7),
        (2, [1, 2, None, 4, 5, 6, None]),
        (3, [None, 0, 1, None, 3, 4, 5]),
        (4, [1, 2, None, 4, 5, 6, None]),
    ],
)
def test_after_the_first_one_passes_go_back_and_forth_within_each_shot(
    number: int, expected: list[int | None]
) -> None:
    layers = [Layer(FrameRange(0, 3), 0), Layer(FrameRange(3, 7), 3)]
    assert [neighbour_of(i, number, one) for one in layers for i in one.frames.indices] == expected


@dataclass
class Spy:
    """Stands between the loop and a stylizer, and checks what each frame is made from."""

    stylizer: MultiPassStylizer
    temporal_from: int
    images: list[list[Tensor]] = field(default_factory=list)
    order: list[list[int]] = field(default_factory=list)

    @property
    def device(self) -> Any:
        return self.stylizer.device

    def begin(self) -> None:
        self.images.append([])
        self.order.append([])

    @property
    def number(self) -> int:
        return (len(self.order) - 1) % self.passes + 1

    passes: int = PASSES

    def step(self, state: State, frame: Frame, motion: Any, observer: Any = None) -> Step:
        assert (state.image, motion) == (None, None)
        assert self.number == 1
        return self.keep(frame, self.stylizer.step(state, frame, motion, observer))

    def revise(
        self, state: State, frame: Frame, motion: Any, image: Tensor, *, temporal_loss: bool
    ) -> Step:
        before = dict(zip(self.order[-2], self.images[-2], strict=True))
        assert bool((image == before[frame.index]).all())
        assert temporal_loss == (self.number >= self.temporal_from)
        shot = FrameRange(0, SHOT) if frame.index < SHOT else FrameRange(SHOT, COUNT)
        other = neighbour_of(frame.index, self.number, Layer(shot, shot.first))
        assert (state.image is None) == (motion is None) == (other is None)
        if other is not None:
            assert self.order[-1][-1] == other
            assert state.image is self.images[-1][-1]
        step = self.stylizer.revise(state, frame, motion, image, temporal_loss=temporal_loss)
        return self.keep(frame, step)

    def cost(self, *args: Any) -> Any:
        raise NotImplementedError

    def keep(self, frame: Frame, step: Step) -> Step:
        self.order[-1].append(frame.index)
        self.images[-1].append(step.image)
        return step


@pytest.mark.parametrize(
    ("changes", "temporal_from"),
    [({}, 2), ({"passes": 4}, 3), ({"temporal_from_pass": 3}, 3), ({"passes": 2}, 2)],
)
def test_every_frame_of_a_pass_is_made_from_its_last_image_and_the_neighbour_just_made(
    brief: Settings, changes: dict[str, int], temporal_from: int
) -> None:
    built = brief(**changes)
    job = prepare(inspect(built))
    models = Models()
    tools = build_tools(job, job.engine, models)
    assert isinstance(tools.stylizer, MultiPassStylizer)
    spy = Spy(tools.stylizer, temporal_from, passes=built.passes)

    def report(event: Event) -> None:
        if isinstance(event, Note) and "pass " in event.text:
            spy.begin()

    with lock_output(job.delivery.path):
        store = Checkpoint(job.delivery.path, {}, job.size, job.frame_count)
        store.begin({}, restart=False)
        works = [plan_layer(job, LayerFiles(job, layer, store)) for layer in job.layers]
        counter = FrameCounter(built.passes * COUNT, 0, report, lambda: False, built.passes)
        for work in works:
            render_layer(job, work, RenderTools(spy, tools.flow), store, counter)
    forward = [list(range(SHOT)), list(range(SHOT, COUNT))]
    expected = [
        shot if number % 2 else shot[::-1]
        for shot in forward
        for number in range(1, built.passes + 1)
    ]
    assert spy.order == expected


def test_the_source_of_a_shot_is_decoded_once_and_each_pass_links_what_it_must(
    brief: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, flows = [], []
    real_read, real_flow = read.read, flow.DIS.__call__
    monkeypatch.setattr(read, "read", lambda *args: reads.append(args[2:4]) or real_read(*args))
    monkeypatch.setattr(flow.DIS, "__call__", lambda *args: flows.append(1) or real_flow(*args))
    result = pipeline.render(brief())
    assert reads == [(3, 6), (6, 8)]
    assert len(flows) == 2 * (PASSES - 1) * (COUNT - 2)
    assert (result.frames, result.rendered) == (COUNT, TOTAL)


def test_a_still_image_is_only_optimised_further(settings: Settings, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), np.linspace(0, 255, 40 * 30 * 3).reshape(30, 40, 3).astype(np.uint8))
    result = pipeline.render(settings(input=photo, output=None, passes=PASSES))
    assert (result.frames, result.rendered) == (1, PASSES)
    assert {p.name for p in tmp_path.iterdir()} == {"photo.png", "photo.stripes.png"}


# What it tells


def test_progress_counts_the_frames_of_all_passes_and_names_each(brief: Settings) -> None:
    events = run(brief()).events
    assert [e for e in events if isinstance(e, Started)] == [Started(TOTAL, 0, 48, 32)]
    done = [e for e in events if isinstance(e, FrameDone)]
    assert [(e.done, e.total) for e in done] == [(i + 1, TOTAL) for i in range(TOTAL)]
    assert [e.frame for e in done] == [i for order in ORDERS for i in order]
    assert [e.text for e in events if isinstance(e, Note)][-7:] == [
        "3 passes over 5 frames: 15 to render in all",
        "frames 0 to 2: pass 1 of 3, every frame by itself",
        "frames 0 to 2: pass 2 of 3, backward",
        "frames 0 to 2: pass 3 of 3, forward",
        "frames 3 to 4: pass 1 of 3, every frame by itself",
        "frames 3 to 4: pass 2 of 3, backward",
        "frames 3 to 4: pass 3 of 3, forward",
    ]


# What is kept


def test_two_passes_and_the_source_of_a_shot_are_on_the_disk_at_most_and_in_the_end_the_last_pass(
    brief: Settings,
) -> None:
    built, most = brief(), 0
    assert built.output is not None
    numbers = [
        n for shot in (SHOT, COUNT - SHOT) for n in range(1, PASSES + 1) for _ in range(shot)
    ]

    def look(event: Event) -> None:
        nonlocal most
        if isinstance(event, FrameDone):
            number = numbers[event.done - 1]
            suffix = f"{0 if event.frame < SHOT else SHOT:06d}"
            passes = {f"frames.{n}.{suffix}" for n in (number, number - 1)}
            allowed = {f"source.{suffix}", "frames", *passes}
            assert folders(built) <= allowed
            assert event.path is not None
            assert event.path.is_file()
            most = max(most, record.count_frame_files(built.output))  # type: ignore[arg-type]

    pipeline.render(built, look)
    assert 2 * SHOT < most <= disk.max_checkpoints(COUNT, PASSES, SHOT)
    assert folders(built) == {"frames"}
    assert clips.open_kept_frames(state_folder(built.output)).count == COUNT
    assert run(built).frames == []  # it is known to be finished
    pipeline.render(built.model_copy(update={"keep_frames": False}))
    assert not state_folder(built.output).exists()


def test_the_disk_for_all_of_it_is_asked_for(brief: Settings) -> None:
    job = prepare(inspect(brief()))
    once = prepare(inspect(brief(passes=1)))
    frame = disk.needed_bytes((48, 32), 0, 1)
    assert disk_needed(once, COUNT) == disk.needed_bytes((48, 32), COUNT, COUNT)
    assert disk_needed(job, COUNT) == pytest.approx(disk_needed(once, COUNT) + 2 * SHOT * frame, 1)
    with pytest.raises(Interrupted):
        run(brief(), limit=2 * SHOT + 2)  # source, pass 2 and two frames of pass 3 of a shot
    stored = record.count_frame_files(job.delivery.path)
    assert stored == 2 * SHOT + 2
    most = disk.max_checkpoints(COUNT, PASSES, SHOT)
    assert disk_needed(job, 3) == disk.needed_bytes((48, 32), COUNT, max(3, most - stored))
    assert disk_needed(job, 0) == disk.needed_bytes((48, 32), COUNT, 0)


# What happens on the way


@pytest.mark.parametrize("done", range(1, TOTAL))
def test_an_interrupted_render_continues_in_the_right_pass_to_the_same_bytes(
    brief: Settings, whole: Whole, done: int
) -> None:
    built = brief()
    with pytest.raises(
        Interrupted, match=f"{done} of {TOTAL} frames of 3 passes are done and kept"
    ):
        run(built, limit=done)
    watch = run(built)
    started = next(e for e in watch.events if isinstance(e, Started))
    assert (started.total, started.done, len(watch.frames)) == (TOTAL, done, TOTAL - done)
    assert not [e for e in watch.events if isinstance(e, Note) and e.warning]
    assert (frames_of(built.output), built.output.read_bytes()) == (whole.frames, whole.film)


def test_a_render_interrupted_after_every_frame_ends_in_the_same_bytes(
    brief: Settings, whole: Whole
) -> None:
    built = brief()
    for _ in range(TOTAL - 1):
        with pytest.raises(Interrupted):
            run(built, limit=1)
    run(built)
    assert (frames_of(built.output), built.output.read_bytes()) == (whole.frames, whole.film)


def test_a_kill_between_the_end_of_a_pass_and_the_removal_of_the_one_before_costs_nothing(
    brief: Settings, whole: Whole, tmp_path: Path
) -> None:
    built = brief()
    with pytest.raises(Interrupted):
        run(built, limit=SHOT)
    folder = state_folder(built.output)
    shutil.copytree(folder / "frames.1.000000", tmp_path / "first")
    with pytest.raises(Interrupted):
        run(built, limit=SHOT)
    assert folders(built) == {"frames.2.000000", "source.000000"}
    shutil.move(tmp_path / "first", folder / "frames.1.000000")
    watch = run(built)
    assert len(watch.frames) == TOTAL - 2 * SHOT
    assert not [e for e in watch.events if isinstance(e, Note) and e.warning]
    assert folders(built) == {"frames"}
    assert (frames_of(built.output), built.output.read_bytes()) == (whole.frames, whole.film)


@pytest.mark.parametrize(
    ("done", "damaged", "more"),
    [
        (2, ["frames.1.000000/000001"], 1),
        (SHOT + 1, ["frames.1.000000/000001"], 1),
        (SHOT + 1, ["frames.1.000000/000002"], 0),  # pass 2 has made its frame of it already
        (SHOT + 2, ["frames.2.000000/000001"], 1),
        (
            2 * SHOT,
            ["frames.2.000000/000002"],
            2,
        ),  # the first pass is gone: it is made again in both
        (2 * SHOT + 1, ["frames.2.000000/000002"], 2),
        (2 * SHOT + 1, ["frames.2.000000/000000"], 0),
        (2 * SHOT + 2, ["frames/000001", "frames.2.000000/000001"], 3),
        (2 * SHOT + 2, ["source.000000/000001", "source.000000/000002"], 0),
        (3 * SHOT + 3, ["frames.1.000003/000003"], 1),
        (TOTAL - 1, ["frames.2.000003/000003", "frames.2.000003/000004"], 2),
    ],
)
def test_a_damaged_frame_of_any_pass_is_made_again_and_changes_nothing_in_the_end(
    brief: Settings, whole: Whole, done: int, damaged: list[str], more: int
) -> None:
    built = brief()
    with pytest.raises(Interrupted):
        run(built, limit=done)
    for name in damaged:
        path = state_folder(built.output) / f"{name}.png"
        path.write_bytes(path.read_bytes()[:-20])
    watch = run(built)
    assert len(watch.frames) == TOTAL - done + more
    assert (frames_of(built.output), built.output.read_bytes()) == (whole.frames, whole.film)
    assert folders(built) == {"frames"}


@pytest.mark.parametrize(
    ("torn", "again"),
    [
        (4, [4, 4, 4]),  # the second pass begins with it
        (0, [0, 1, 2, 2, 1, 0, 0]),  # where it needs 1, and that needs 2
    ],
)
def test_a_damaged_frame_of_a_finished_render_is_said_and_costs_what_its_shot_needs(
    brief: Settings, whole: Whole, torn: int, again: list[int]
) -> None:
    built = brief()
    run(built)
    built.output.unlink()
    (state_folder(built.output) / "frames" / f"{torn:06d}.png").write_bytes(b"torn")
    watch = run(built)
    assert watch.frames == again
    [warning] = [e.text for e in watch.events if isinstance(e, Note) and e.warning]
    assert warning.startswith(
        "frames of earlier passes are missing or damaged: it goes back to pass 1"
    )
    assert (frames_of(built.output), built.output.read_bytes()) == (whole.frames, whole.film)


def test_a_file_of_another_pass_or_of_the_source_is_none_of_this_one(
    brief: Settings, whole: Whole
) -> None:
    built = brief()
    with pytest.raises(Interrupted):
        run(built, limit=SHOT + 1)
    folder = state_folder(built.output)
    shutil.copy(folder / "frames.1.000000/000000.png", folder / "frames.2.000000/000000.png")
    shutil.copy(folder / "source.000000/000001.png", folder / "frames.2.000000/000001.png")
    shutil.copy(folder / "frames.1.000000/000002.png", folder / "frames/000002.png")
    assert len(run(built).frames) == TOTAL - SHOT - 1
    assert (frames_of(built.output), built.output.read_bytes()) == (whole.frames, whole.film)


def test_earlier_passes_are_work_that_other_settings_do_not_throw_away(
    brief: Settings, whole: Whole
) -> None:
    built = brief()
    with pytest.raises(Interrupted):
        run(built, limit=SHOT + 2)
    before = folders(built)
    with pytest.raises(SettingsChangedError) as caught:
        run(built.model_copy(update={"passes": 2, "blend": 0.25}))
    assert set(caught.value.differences) == {"passes", "blend"}
    assert folders(built) == before
    restarted: Watch = run(built.model_copy(update={"restart": True}))
    assert len(restarted.frames) == TOTAL
    assert (frames_of(built.output), built.output.read_bytes()) == (whole.frames, whole.film)


def test_no_more_than_a_few_frames_are_in_memory(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[weakref.ref[Tensor]] = []
    most = 0
    real = FrameStore.load

    def load(self: FrameStore, index: int) -> Tensor:
        nonlocal most
        image = real(self, index)
        held.append(weakref.ref(image))
        most = max(most, sum(ref() is not None for ref in held))
        return image

    monkeypatch.setattr(FrameStore, "load", load)
    run(settings(passes=2))
    # Of each frame the source in either pass, and the image of the first pass.
    assert len(held) == 3 * 12
    assert (
        most <= 12
    )  # two revisions that wait, one in the hands of either side, and the last source frame
