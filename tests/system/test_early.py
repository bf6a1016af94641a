"""Long films: their first shots are painted while the rest is being looked through."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.edited_films import dissolving
from tests.helpers.films import texture, video
from tests.helpers.renders import Watch, quick_settings, run, state_folder
from vidstyle.config.settings import RenderConfig
from vidstyle.errors import DecodeError, InputError, Interrupted
from vidstyle.events import Event, FrameDone, Note
from vidstyle.motion.edit import Edit, Fade
from vidstyle.motion.transitions import EditDetector
from vidstyle.rendering import background_scan, early, pipeline, sources, survey
from vidstyle.rendering.background_scan import BackgroundScan, PartialSurvey
from vidstyle.video.scan import Scan, scan

COUNT = 12
HELD_FRAME = 10
"""The scan goes no further until something is painted."""

Make = Callable[..., RenderConfig]


class HeldScan:
    """A scan that waits before its end for the first painted frame, and reports that."""

    def __init__(self) -> None:
        self.painted = threading.Event()
        self.is_held = True
        self.painted_early: list[int] = []
        self.frames_needed = 1
        self.change: Callable[[Scan], Scan] = lambda scanned: scanned

    def __call__(self, source: Any, on_thumbnail: Any, *given: Any, **named: Any) -> Scan:
        seen = 0

        def add(thumbnail: Any) -> None:
            nonlocal seen
            seen += 1
            on_thumbnail(thumbnail)
            if seen == HELD_FRAME and self.is_held:
                assert self.painted.wait(30), "nothing was painted before the end of the scan"

        scanned = scan(source, add, *given, **named)
        self.is_held = False
        return self.change(scanned)

    def watch(self, watch: Watch) -> Callable[[Event], None]:
        """Pass events on, and let the scan go on once the first frame is painted."""

        def report(event: Event) -> None:
            watch(event)
            if isinstance(event, FrameDone):
                if self.is_held:
                    self.painted_early.append(event.frame)
                if len(self.painted_early) >= self.frames_needed:
                    self.painted.set()

        return report

    def run(self, built: RenderConfig, limit: int | None = None) -> Watch:
        """Render, or stop after `limit` frames."""
        watch = Watch(limit)
        pipeline.render(built, self.watch(watch), watch.stop)
        return watch


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> HeldScan:
    """Every film is a long one, and its scan takes long."""
    scan = HeldScan()
    monkeypatch.setattr(background_scan, "scan", scan)
    monkeypatch.setattr(background_scan, "SETTLING_FRAMES", 2)
    monkeypatch.setattr(survey, "LONG_FILM_PIXELS", 0)
    monkeypatch.setattr(sources, "SAMPLE_DISTANCE", 2)
    for module in (sources, early):
        monkeypatch.setattr(module, "FIRST_SAMPLE", 1)
    return scan


@pytest.fixture
def make(film: Path, painting: Path, tmp_path: Path) -> Make:
    """Makes the settings of a render of 12 frames, whose film nobody knows."""

    def settings(name: str = "out.mkv", **changes: Any) -> RenderConfig:
        given = {"codec": "ffv1", "no_cache": True, **changes}
        return quick_settings(given.pop("input", film), painting, tmp_path / name, **given)

    return settings


def painted_at_leisure(make: Make, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> bytes:
    """Return the bytes of a render whose film is looked through first."""
    with monkeypatch.context() as patch:
        patch.setattr(survey, "LONG_FILM_PIXELS", 10**9)
        run(built := make("whole.mkv", **changes))
    return output_of(built).read_bytes()


def output_of(built: RenderConfig) -> Path:
    assert built.output is not None
    return built.output


CASES: list[dict[str, Any]] = [
    {},
    {"per_frame": True},
    {"passes": 2},
    {"opacity": 0.5},
    {"engine": "fast", "learn": 0},
    {"restart": True},
]


@pytest.mark.parametrize("changes", CASES)
def test_what_is_painted_early_is_what_would_be_painted_later(
    make: Make, held: HeldScan, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "engine" in changes:
        quick = ("first_iterations", "first_scales", "iterations")
        changes = {**{name: RenderConfig.model_fields[name].default for name in quick}, **changes}
    wanted = painted_at_leisure(make, monkeypatch, **changes)
    watch = held.run(built := make(**changes))
    assert held.painted_early
    assert sorted(set(watch.frames)) == list(range(COUNT))
    assert len(watch.frames) == COUNT * changes.get("passes", 1)
    assert output_of(built).read_bytes() == wanted
    assert not state_folder(output_of(built)).exists()


@pytest.mark.parametrize("limit", [1, 3, 5])
def test_it_goes_on_after_it_was_stopped_in_the_middle(
    make: Make, held: HeldScan, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = painted_at_leisure(make, monkeypatch)
    built = make()
    with pytest.raises(Interrupted):
        held.run(built, limit)
    held.painted.clear()
    held.is_held = False
    watch = held.run(built)
    assert len(watch.frames) == COUNT - limit
    assert output_of(built).read_bytes() == wanted


def test_a_run_that_knows_less_than_the_one_before_throws_nothing_away(
    make: Make, held: HeldScan, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = painted_at_leisure(make, monkeypatch)
    built = make()
    with pytest.raises(Interrupted):
        held.run(built, 5)
    look = BackgroundScan.look
    looks: list[PartialSurvey] = []

    def know_little_at_first(self: BackgroundScan, seek: Any) -> PartialSurvey:
        looks.append(look(self, seek))
        if len(looks) == 1:
            return replace(looks[0], edit=Edit((0, 2)), settled=3)
        return looks[-1]

    monkeypatch.setattr(BackgroundScan, "look", know_little_at_first)
    held.painted.clear()
    held.is_held = True
    watch = held.run(built)
    assert len(looks) > 1
    assert len(watch.frames) == COUNT - 5
    assert output_of(built).read_bytes() == wanted


@pytest.mark.parametrize("changes", [{}, {"engine": "fast", "learn": 0}])
def test_a_shot_that_comes_in_by_a_dissolve_is_painted_in_parts(
    make: Make,
    held: HeldScan,
    changes: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    edited = dissolving(first=2, length=3, count=COUNT)
    film = video(tmp_path / "dissolving.mkv", edited.frames)
    monkeypatch.setattr(EditDetector, "finish", lambda detector: edited.edit)
    monkeypatch.setattr(early, "ROUND_FRAMES", 2)
    if "engine" in changes:
        quick = ("first_iterations", "first_scales", "iterations")
        changes = {**{name: RenderConfig.model_fields[name].default for name in quick}, **changes}
    wanted = painted_at_leisure(make, monkeypatch, input=film, **changes)
    held.frames_needed = 7
    held.run(built := make(input=film, **changes))
    assert len(held.painted_early) >= 7
    assert output_of(built).read_bytes() == wanted


def test_a_fade_that_shows_up_later_is_put_on_once(
    painting: Path, make: Make, held: HeldScan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gains = (0.75, 0.5, 0.25)
    frames = [texture(1, (32, 48)) for _ in range(6)] + [texture(2, (32, 48)) for _ in range(6)]
    for at, gain in zip((3, 4, 5), gains, strict=True):
        frames[at] *= gain
    film = video(tmp_path / "fading.mkv", frames)
    known = Edit((0, 6), fades=(Fade(3, 6, gains, (0.0, 0.0, 0.0)),))
    finish = EditDetector.finish

    def find_fade(self: EditDetector) -> Edit:
        finish(self)
        return known

    monkeypatch.setattr(EditDetector, "finish", find_fade)
    wanted = painted_at_leisure(make, monkeypatch, input=film)
    look = BackgroundScan.look
    rounds: list[PartialSurvey] = []

    def see_it_in_the_second_round(self: BackgroundScan, seek: Any) -> PartialSurvey:
        found = look(self, seek)
        early_edit = Edit((0, 6)) if not any(one.settled for one in rounds) else known
        rounds.append(replace(found, edit=early_edit))
        return rounds[-1]

    monkeypatch.setattr(BackgroundScan, "look", see_it_in_the_second_round)
    monkeypatch.setattr(early, "ROUND_FRAMES", 2)
    held.frames_needed = 4
    held.run(built := make(input=film))
    assert output_of(built).read_bytes() == wanted


@pytest.mark.parametrize("wrong_cuts", [(0, 3), (0, 3, 7), (0,)])
def test_shots_that_turn_out_to_be_others_are_painted_again(
    make: Make,
    held: HeldScan,
    wrong_cuts: tuple[int, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = painted_at_leisure(make, monkeypatch)
    look = BackgroundScan.look

    def look_wrongly(self: BackgroundScan, seek: Any) -> PartialSurvey:
        return replace(look(self, seek), edit=Edit(wrong_cuts))

    monkeypatch.setattr(BackgroundScan, "look", look_wrongly)
    watch = held.run(built := make())
    assert output_of(built).read_bytes() == wanted
    notes = [event.text for event in watch.events if isinstance(event, Note)]
    again = [text for text in notes if "painted again" in text]
    assert bool(again) == (len(watch.frames) > COUNT)
    assert again or wrong_cuts == (0,)


def test_a_film_with_fewer_frames_than_promised_is_painted_as_it_is(
    make: Make, held: HeldScan
) -> None:
    def lose_two(scanned: Scan) -> Scan:
        timeline = scanned.timeline.select(0, COUNT - 2)
        return replace(scanned, timeline=timeline, missing=2, complaint="two are missing")

    held.change = lose_two
    with pytest.raises(DecodeError, match="damaged") as caught:
        held.run(make())
    # Frames were painted by then.
    assert caught.value.exit_code == 1
    held.is_held = False
    watch = held.run(built := make(allow_damaged=True))
    assert max(watch.frames) == COUNT - 3
    assert any("2 frames are missing" in e.text for e in watch.events if isinstance(e, Note))
    assert output_of(built).exists()


def test_bars_that_only_the_whole_film_shows_stay_as_they_are(
    painting: Path, make: Make, held: HeldScan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [texture(1, (64, 48)) for _ in range(COUNT)]
    for frame in frames:
        frame[:, :10] = frame[:, -10:] = 0
    film = video(tmp_path / "bars.mkv", frames)
    wanted = painted_at_leisure(make, monkeypatch, input=film)
    look = BackgroundScan.look

    def see_no_bars(self: BackgroundScan, seek: Any) -> PartialSurvey:
        return replace(look(self, seek), may_have_bars=False)

    monkeypatch.setattr(BackgroundScan, "look", see_no_bars)
    held.run(built := make(input=film))
    assert held.painted_early
    assert output_of(built).read_bytes() == wanted


def test_what_goes_wrong_while_it_looks_is_an_error(make: Make, held: HeldScan) -> None:
    def fail(scanned: Scan) -> Scan:
        raise InputError("cannot read it", "the disk is gone", "plug it in again")

    held.change = fail
    with pytest.raises(InputError, match="cannot read it"):
        held.run(make())


def test_what_was_found_out_is_kept_and_not_looked_for_again(make: Make, held: HeldScan) -> None:
    held.run(make("one.mkv", no_cache=False))
    held.painted_early.clear()
    held.is_held = True
    watch = held.run(make("other.mkv", no_cache=False))
    assert sorted(watch.frames) == list(range(COUNT))
    assert held.is_held, "it was looked through once more"
