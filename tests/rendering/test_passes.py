"""Several passes: where each goes, what it is made from, and that nothing on the way changes the
result.
"""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from torch import Tensor

from tests.system.test_resume import Watch, frames_of, run
from vidstyle.config.settings import RenderConfig
from vidstyle.errors import Interrupted, SettingsChangedError
from vidstyle.evaluation import clips
from vidstyle.events import Event, FrameDone, Note, Started
from vidstyle.frames import Frame
from vidstyle.machine import disk
from vidstyle.motion import flow
from vidstyle.rendering import pipeline
from vidstyle.rendering.passes import neighbour
from vidstyle.storage import record
from vidstyle.storage.frame_store import FrameStore
from vidstyle.storage.record import state_folder
from vidstyle.stylize.optimise.stylizer import OptimisingStylizer as Stylizer
from vidstyle.video import read

COUNT, SHOT = 5, 3
"""Frames of `brief`, and the first frame of its second shot."""
PASSES = 3
TOTAL = PASSES * COUNT

Settings = Callable[..., RenderConfig]


@pytest.fixture
def brief(settings: Settings) -> Callable[..., RenderConfig]:
    """Three passes over five frames of `film`, three of one shot and two of the next."""

    def make(**changes: Any) -> RenderConfig:
        return settings(
            **{"start": 0.3, "duration": 0.5, "passes": PASSES, "keep_frames": True, **changes}
        )

    return make


@dataclass(frozen=True)
class Whole:
    frames: dict[str, bytes]
    film: bytes


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, film: Path, painting: Path) -> Whole:
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
        "input": film,
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
    assert [neighbour(i, number, {0, 3}, 7) for i in range(7)] == expected


@pytest.mark.parametrize(
    ("changes", "held_from"),
    [({}, 2), ({"passes": 4}, 3), ({"temporal_from_pass": 3}, 3), ({"passes": 2}, 2)],
)
def test_every_frame_of_a_pass_is_made_from_its_last_image_and_the_neighbour_just_made(
    brief: Settings, monkeypatch: pytest.MonkeyPatch, changes: dict[str, int], held_from: int
) -> None:
    images: list[list[Tensor]] = []  # of each pass, in the order in which they were made
    order: list[list[int]] = []
    real_step, real_revise = Stylizer.step, Stylizer.revise

    def step(self: Stylizer, state: Any, frame: Frame, motion: Any, observer: Any = None) -> Any:
        assert (state.image, motion) == (None, None)
        made = real_step(self, state, frame, motion, observer)
        images[-1].append(made.image)
        return made

    def revise(
        self: Stylizer,
        state: Any,
        frame: Frame,
        motion: Any,
        image: Tensor,
        *,
        temporal_loss: bool,
    ) -> Any:
        beside = state.image
        number, index = len(images), order[-1][len(images[-1])]
        before = dict(zip(order[-2], images[-2], strict=True))
        assert bool((image == before[index]).all())
        assert temporal_loss == (number >= held_from)
        other = neighbour(index, number, {0, SHOT}, COUNT)
        assert (beside is None) == (motion is None) == (other is None)
        if other is not None:
            assert order[-1][len(images[-1]) - 1] == other
            assert beside is images[-1][-1]
        made = real_revise(self, state, frame, motion, image, temporal_loss=temporal_loss)
        images[-1].append(made.image)
        return made

    def report(event: Event) -> None:
        if isinstance(event, Note) and event.text.startswith("pass "):
            number = len(order) + 1
            images.append([])
            order.append(sorted(range(COUNT), reverse=number % 2 == 0))

    monkeypatch.setattr(Stylizer, "step", step)
    monkeypatch.setattr(Stylizer, "revise", revise)
    built = brief(**changes)
    pipeline.render(built, report)
    assert [len(made) for made in images] == [COUNT] * built.passes


def test_the_source_is_decoded_once_and_each_pass_links_what_it_must(
    brief: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, flows = [], []
    real_read, real_flow = read.read, flow.DIS.__call__
    monkeypatch.setattr(read, "read", lambda *args: reads.append(args[2:]) or real_read(*args))
    monkeypatch.setattr(flow.DIS, "__call__", lambda *args: flows.append(1) or real_flow(*args))
    result = pipeline.render(brief())
    assert reads == [(3, 8)]
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
    assert [e.frame for e in done] == [*range(COUNT), *reversed(range(COUNT)), *range(COUNT)]
    assert [e.text for e in events if isinstance(e, Note)][-4:] == [
        "3 passes over 5 frames: 15 to render in all",
        "pass 1 of 3, every frame by itself",
        "pass 2 of 3, backward",
        "pass 3 of 3, forward",
    ]


# What is kept


def test_two_passes_and_the_source_are_on_the_disk_at_most_and_in_the_end_the_last_pass(
    brief: Settings,
) -> None:
    built, most = brief(), 0
    assert built.output is not None

    def look(event: Event) -> None:
        nonlocal most
        if isinstance(event, FrameDone):
            number = (event.done - 1) // COUNT + 1
            allowed = {
                "source",
                "frames" if number == PASSES else f"frames.{number}",
                f"frames.{number - 1}",
            }
            assert folders(built) <= allowed
            most = max(most, record.written(built.output))  # type: ignore[arg-type]

    pipeline.render(built, look)
    assert 2 * COUNT < most <= disk.checkpoints(COUNT, PASSES)
    assert folders(built) == {"frames"}
    assert clips.kept(state_folder(built.output)).count == COUNT
    assert run(built).frames == []  # it is known to be finished
    pipeline.render(built.model_copy(update={"keep_frames": False}))
    assert not state_folder(built.output).exists()


def test_the_disk_for_all_of_it_is_asked_for(brief: Settings) -> None:
    job = pipeline.prepare(brief())
    once = pipeline.prepare(brief(passes=1))
    frame = disk.needed((48, 32), 0, 1)
    assert pipeline.disk_needed(once, COUNT) == disk.needed((48, 32), COUNT, COUNT)
    assert pipeline.disk_needed(job, COUNT) == pytest.approx(
        pipeline.disk_needed(once, COUNT) + 2 * COUNT * frame, 1
    )
    with pytest.raises(Interrupted):
        run(brief(), limit=2 * COUNT + 2)  # source, pass 2 and two frames of pass 3
    assert pipeline.disk_needed(job, 3) == disk.needed((48, 32), COUNT, 3)
    assert pipeline.disk_needed(job, 0) == disk.needed((48, 32), COUNT, 0)


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
        run(built, limit=COUNT)
    folder = state_folder(built.output)
    shutil.copytree(folder / "frames.1", tmp_path / "first")
    with pytest.raises(Interrupted):
        run(built, limit=COUNT)
    assert folders(built) == {"frames.2", "source"}
    shutil.move(tmp_path / "first", folder / "frames.1")
    watch = run(built)
    assert len(watch.frames) == COUNT
    assert not [e for e in watch.events if isinstance(e, Note) and e.warning]
    assert folders(built) == {"frames"}
    assert (frames_of(built.output), built.output.read_bytes()) == (whole.frames, whole.film)


@pytest.mark.parametrize(
    ("done", "damaged", "more"),
    [
        (3, ["frames.1/000001"], 1),
        (COUNT + 1, ["frames.1/000003"], 1),
        (COUNT + 1, ["frames.1/000004"], 0),  # pass 2 has made its frame of it already
        (COUNT + 3, ["frames.2/000003"], 1),
        (
            2 * COUNT,
            ["frames.2/000000"],
            2,
        ),  # the first pass is gone: once there, and once in the second
        (2 * COUNT + 1, ["frames.2/000004"], 2),
        (2 * COUNT + 1, ["frames.2/000000"], 0),
        (2 * COUNT + 2, ["frames/000001", "frames.2/000001"], 3),
        (2 * COUNT + 2, ["source/000001", "source/000003"], 0),
        (TOTAL - 1, [f"frames.2/{i:06d}" for i in range(COUNT)], 2),
    ],
)
def test_a_damaged_frame_of_any_pass_is_made_anew_and_changes_nothing_in_the_end(
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
        run(built, limit=COUNT + 2)
    folder = state_folder(built.output)
    shutil.copy(folder / "frames.1/000000.png", folder / "frames.2/000000.png")
    shutil.copy(folder / "source/000001.png", folder / "frames.2/000001.png")
    shutil.copy(folder / "frames.1/000002.png", folder / "frames/000002.png")
    assert len(run(built).frames) == TOTAL - COUNT - 2
    assert (frames_of(built.output), built.output.read_bytes()) == (whole.frames, whole.film)


def test_earlier_passes_are_work_that_other_settings_do_not_throw_away(
    brief: Settings, whole: Whole
) -> None:
    built = brief()
    with pytest.raises(Interrupted):
        run(built, limit=COUNT + 2)
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
    assert len(held) == 2 * 12  # of each frame the source and the image of the first pass
    assert (
        most <= 12
    )  # two revisions that wait, one in the hands of either side, and the last source frame
