"""A job crosses processes, and its shots are rendered apart to the same bytes."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.helpers.renders import frames_of, run
from vidstyle.config.settings import RenderConfig
from vidstyle.errors import LockedError
from vidstyle.events import Event, FrameDone, Started
from vidstyle.rendering import layer_render
from vidstyle.rendering.layers import FrameRange
from vidstyle.rendering.pipeline import render, render_layers
from vidstyle.rendering.prepare import inspect, prepare
from vidstyle.storage.lock import lock_shot
from vidstyle.storage.record import state_folder

COUNT = 12
CUT = 6
"""Of the fixture `film`."""

Settings = Callable[..., RenderConfig]


def test_a_job_knows_its_shots_counted_from_its_first_frame(settings: Settings) -> None:
    for changes, expected in (
        ({}, [(0, CUT), (CUT, COUNT)]),
        ({"start": 0.4, "duration": 0.5}, [(0, 2), (2, 5)]),
        ({"start": 0.6}, [(0, 6)]),
        ({"duration": 0.3}, [(0, 3)]),
    ):
        job = prepare(inspect(settings(**changes)))
        assert job.shots == tuple(FrameRange(first, stop) for first, stop in expected)
        assert sum(map(len, job.shots)) == job.frame_count == len(job.rendered_timeline)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"passes": 2},
        {"long_term": 2, "rest": "follow"},
        {"start": 0.2, "duration": 0.8},
        {"keep_colors": "match", "style_terms": "gram,w2"},
    ],
    ids=str,
)
def test_a_job_that_was_pickled_renders_a_single_shot_to_the_same_bytes(
    settings: Settings, changes: dict[str, object]
) -> None:
    whole = settings(**changes, keep_frames=True)
    render(whole)
    expected = frames_of(whole.output)
    apart = whole.model_copy(update={"output": whole.output.with_name("apart.mp4")})
    job = pickle.loads(pickle.dumps(prepare(inspect(apart))))
    last = job.layers[-1]
    events: list[Event] = []
    render_layers(job, [last], events.append)
    names = [f"{i:06d}.png" for i in last.frames.indices]
    assert frames_of(apart.output) == {name: expected[name] for name in names}
    assert {e.frame for e in events if isinstance(e, FrameDone)} == set(last.frames.indices)
    events.clear()
    render(apart, events.append)  # the plain command finds them there
    assert not {e.frame for e in events if isinstance(e, FrameDone)} & set(last.frames.indices)
    assert frames_of(apart.output) == expected
    assert apart.output.read_bytes() == whole.output.read_bytes()


def test_a_shot_that_another_process_renders_is_refused_and_the_others_are_not(
    settings: Settings,
) -> None:
    job = prepare(inspect(settings()))
    first, second = job.layers
    render_layers(job, [second])
    with lock_shot(state_folder(job.delivery.path), first.anchor), pytest.raises(LockedError):
        render_layers(job, [first])
    assert len(frames_of(job.delivery.path)) == len(second.frames)
    render_layers(job, [first])
    assert len(frames_of(job.delivery.path)) == COUNT


def test_restart_does_not_throw_the_other_shots_away(settings: Settings) -> None:
    """Every process that renders shots of a job has the same settings."""
    render(settings(keep_frames=True))
    job = prepare(inspect(settings(restart=True, overwrite=True, iterations=2)))
    for layer in job.layers:
        render_layers(job, [layer])
    assert len(frames_of(job.delivery.path)) == COUNT


def test_what_another_process_has_made_since_is_not_made_again(settings: Settings) -> None:
    job = prepare(inspect(settings(passes=3)))
    events: list[Event] = []

    def report(event: Event) -> None:
        events.append(event)
        if isinstance(event, Started) and not rendered:
            rendered.append(True)
            render_layers(job, [job.layers[1]])

    rendered: list[bool] = []
    render_layers(job, job.layers, report)
    done = [e for e in events if isinstance(e, FrameDone)]
    assert {e.frame for e in done} == set(job.shots[0].indices)
    assert (done[-1].done, done[-1].total) == (3 * len(job.shots[0]), 3 * COUNT)
    assert len(frames_of(job.delivery.path)) == COUNT


def test_processes_that_begin_at_the_same_time_wait_for_each_other(settings: Settings) -> None:
    built = settings(passes=2)
    job = prepare(inspect(built))
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        for done in [pool.submit(render_layers, job, [layer]) for layer in job.layers]:
            done.result()
    assert len(frames_of(job.delivery.path)) == COUNT
    assert run(built).frames == []


def test_the_time_of_frames_begins_when_the_models_are_there(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[object] = []
    build_tools = layer_render.build_tools
    monkeypatch.setattr(
        layer_render, "build_tools", lambda *args: happened.append("built") or build_tools(*args)
    )
    render(settings(duration=0.1), lambda event: happened.append(type(event)))
    assert happened.count("built") == happened.count(Started) == 1
    assert happened.index("built") < happened.index(Started)
