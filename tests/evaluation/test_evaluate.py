"""The score card, from files to figures, on films whose figures are known."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import vidstyle
from tests.helpers.films import SIZE, Shift, folder, noise, shifted, square_moves, texture, video
from tests.helpers.renders import quick_settings, run
from vidstyle.errors import ConfigError, InputError, Interrupted
from vidstyle.evaluation import clips, instruments, metrics
from vidstyle.evaluation.edit_list import Transition
from vidstyle.events import Event, Measured, Note
from vidstyle.frames import from_uint16, quantise
from vidstyle.motion.bars import Bars
from vidstyle.rendering.models import load_flow
from vidstyle.storage import png16
from vidstyle.storage.atomic import sha256

Films = dict[str, list[Tensor]]
Measure = Callable[..., vidstyle.ScoreCard]


@pytest.fixture
def measure(tmp_path: Path) -> Measure:
    """The card of films given as frames: the source becomes a video, the others folders of a
    render.
    """

    def run(
        source: list[Tensor],
        result: list[Tensor],
        baseline: list[Tensor] | None = None,
        **more: Any,
    ) -> Any:
        name = len(list(tmp_path.iterdir()))
        film = video(tmp_path / f"{name}.mkv", source)
        kept = [
            folder(tmp_path / f"{name}.{i}.mp4", x)
            for i, x in enumerate((result, baseline))
            if x is not None
        ]
        other = kept[1] if baseline is not None else None
        given = {"flow": "dis", "features": "lite", "device": "cpu", **more}
        return vidstyle.evaluate(kept[0], film, None, other, **given)

    return run


@pytest.mark.parametrize(("estimator", "most"), [("exact", 0.0), ("dis", 2e-4)])
def test_what_moves_with_the_source_has_no_warping_error(
    estimator: str, most: float, measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, count = (2, 1), 13
    if estimator == "exact":
        exact = Shift([step, (10 * step[0], 10 * step[1])])
        monkeypatch.setattr(instruments, "load_flow", lambda *_: exact)
    wide = (SIZE[0] + count, SIZE[1] + 2 * count)
    source, painted = (shifted(texture(seed, wide), count, step) for seed in (0, 1))
    card = measure(source, painted, [painted[0]] * count)
    for film in (card.result, card.source):
        figures = film.means()
        assert figures["warping_error_short"] <= most
        if estimator == "exact":  # ten steps are further than DIS sees in so small a picture
            assert figures["warping_error_long"] == 0
    assert card.baseline.means()["warping_error_short"] > 20 * max(
        most, 1e-4
    )  # it does not move along
    assert [t for t, x in enumerate(card.result.warping_error_long) if x is not None] == [
        10,
        11,
        12,
    ]
    assert card.result.warping_error_short[0] is None
    assert card.against_baseline()["d_short"] > 0.9


@pytest.mark.parametrize("sigma", [0.01, 0.04])
def test_noise_gives_twice_its_variance(sigma: float, measure: Measure) -> None:
    count = 13
    grain = list(texture(1) + noise(count, sigma))
    means = measure([texture(0)] * count, grain).result.means()
    assert means["warping_error_short"] == pytest.approx(2 * sigma**2, rel=0.05)
    assert means["warping_error_long"] == pytest.approx(2 * sigma**2, rel=0.05)


def test_d_is_0_for_the_baseline_itself_and_1_for_what_stands_still(measure: Measure) -> None:
    source, restless = [texture(0)] * 12, list(texture(1) + noise(12, 0.05))
    same = measure(source, restless, restless).against_baseline()
    assert (same["d_short"], same["d_long"]) == (0, 0)
    assert same["content_ratio"] == same["sharpness_ratio"] == 1
    steady = measure(source, [texture(1)] * 12, restless).against_baseline()
    assert (steady["d_short"], steady["d_long"]) == (1, 1)


def test_what_the_mask_covers_does_not_count(measure: Measure) -> None:
    source = square_moves(2)
    dis, seen = load_flow("dis"), [quantise(frame) for frame in source]
    where = metrics.reliable_pixels(dis(seen[1], seen[0]), dis(seen[0], seen[1]))
    assert 0.5 < where.float().mean() < 0.98
    painted = [texture(3), texture(3)]
    hidden, shown = (painted[1] + 0.1 * mask for mask in (~where, where))
    error = [
        measure(source, [painted[0], x]).result.means()["warping_error_short"]
        for x in (painted[1], hidden, shown)
    ]
    assert error[1] == error[0]
    assert error[2] > error[0] + 0.005


def test_no_pair_crosses_a_cut(measure: Measure) -> None:
    shots = [texture(0)] * 12 + [1 - texture(5)] * 12
    card = measure(shots, [texture(1)] * 12 + [texture(2)] * 12)
    assert card.shots == (0, 12)
    for film in (card.result, card.source):
        assert [t for t, x in enumerate(film.warping_error_short) if x is None] == [0, 12]
        assert [t for t, x in enumerate(film.warping_error_long) if x is not None] == [
            10,
            11,
            22,
            23,
        ]
        assert film.means()["warping_error_short"] == film.means()["warping_error_long"] == 0
        assert film.means()["drift"] == film.means()["drift_max"] == 0


def mix(a: Tensor, b: Tensor, count: int) -> list[Tensor]:
    """The frames of a dissolve from one picture to the other."""
    return [a + (b - a) * (i + 1) / (count + 1) for i in range(count)]


def test_a_dissolve_is_no_flicker(measure: Measure) -> None:
    def dissolve(a: Tensor, b: Tensor) -> list[Tensor]:
        return [*[a] * 12, *mix(a, b, 4), *[b] * 12]

    source = dissolve(texture(0), 1 - texture(5))
    restless = list(torch.stack(dissolve(texture(1), texture(2))) + noise(28, 0.02))
    card = measure(source, dissolve(texture(1), texture(2)), restless)
    assert card.transitions == (Transition("dissolve", 12, 16),)
    assert card.shots == (0, 14)
    for clip in (card.source, card.result):
        means = clip.means()
        assert means["warping_error_short"] == means["warping_error_long"] == 0
        assert means["drift_max"] == 0
    assert card.against_baseline()["d_short"] == card.against_baseline()["d_long"] == 1
    restless_means = card.baseline.means()
    assert restless_means["warping_error_short"] == pytest.approx(2 * 0.02**2, rel=0.05)
    assert "28 frames of 64x48, 2 shots, 1 dissolve" in card.text()


def test_a_fade_through_black_is_no_flicker_and_black_has_no_style(measure: Measure) -> None:
    def fade(a: Tensor, b: Tensor) -> list[Tensor]:
        black = torch.zeros_like(a)
        out, back = mix(a, black, 4), mix(black, b, 4)
        return [*[a] * 12, *out, *[black] * 3, *back, *[b] * 12]

    card = measure(fade(texture(0), 1 - texture(5)), fade(texture(1), texture(2)))
    assert [(one.kind, one.first, one.stop) for one in card.transitions] == [
        ("fade", 12, 17),
        ("fade", 17, 23),
    ]
    means = card.result.means()
    assert means["warping_error_short"] == means["drift_max"] == 0
    for curve in (card.result.content, card.result.sharpness):
        assert [t for t, x in enumerate(curve) if x is None] == [*range(12, 23)]


def test_a_flash_is_neither_flicker_nor_a_cut(measure: Measure) -> None:
    def flash(a: Tensor) -> list[Tensor]:
        return [*[a] * 6, (a + 0.5).clamp(0, 1), *[a] * 8]

    card = measure(flash(texture(0)), flash(texture(1)))
    assert (card.shots, card.transitions) == ((0,), (Transition("flash", 6, 7),))
    means = card.result.means()
    assert means["warping_error_short"] == means["warping_error_long"] == means["drift_max"] == 0
    short, long = card.result.warping_error_short, card.result.warping_error_long
    assert [t for t, x in enumerate(short) if x is None] == [0, 6, 7]
    assert [t for t, x in enumerate(long) if x is not None] == [10, 11, 12, 13, 14]


def test_transitions_are_counted_from_where_the_result_begins(tmp_path: Path) -> None:
    a, b = texture(0), 1 - texture(5)
    frames = [*[a] * 12, *mix(a, b, 4), *[b] * 12]
    source = video(tmp_path / "in.mkv", frames)
    result = video(tmp_path / "out.mkv", frames[13:20])
    card = vidstyle.evaluate(result, source, start=1.3, flow="dis", features="lite")
    assert card.transitions == (Transition("dissolve", 0, 3),)
    assert card.result.drift == (None, None, None, None, 0, 0, 0)


def test_only_what_is_inside_the_bars_is_measured(measure: Measure) -> None:
    bars, size = Bars(top=10, bottom=10), (72, 96)
    inside = size[0] - bars.top - bars.bottom, size[1]
    wide = texture(0, (inside[0] + 8, inside[1] + 24))
    source = shifted(wide, 6, (4, 1), inside)
    painted = list(texture(1, inside) + noise(6, 0.02, size=inside))

    def with_bars(frames: list[Tensor], colour: float) -> list[Tensor]:
        return [bars.paste(frame, torch.full((3, *size), colour)) for frame in frames]

    flickering = [frame + 0.1 * (t % 2) for t, frame in enumerate(with_bars(painted, 0.3))]
    barred = measure(
        with_bars(source, 0.0), [bars.paste(x, y) for x, y in zip(painted, flickering, strict=True)]
    )
    assert barred.bars == bars
    assert "left out  bars of 10 above, 10 below, in pixels" in barred.text()
    assert barred.inputs["result"]["height"] == size[0]
    plain = measure(source, painted)
    assert plain.bars.is_empty
    assert (barred.result, barred.source) == (plain.result, plain.source)
    assert barred.pixels == plain.pixels


def test_the_bars_are_those_of_the_size_of_the_result(tmp_path: Path) -> None:
    bars = Bars(left=20, right=20)
    inside = shifted(texture(0, (90, 140)), 4, (9, 3), (72, 96))
    source = video(
        tmp_path / "in.mkv", [bars.paste(frame, torch.zeros(3, 72, 136)) for frame in inside]
    )
    result = video(tmp_path / "out.mkv", [texture(1, (36, 68))] * 4)
    card = vidstyle.evaluate(result, source, flow="dis", features="lite")
    assert card.bars == Bars(left=10, right=10)


def test_a_result_that_is_nothing_but_a_transition_is_measured_with_a_warning(
    tmp_path: Path,
) -> None:
    a, b = texture(0), 1 - texture(5)
    frames = [*[a] * 12, *mix(a, b, 4), *[b] * 12]
    source = video(tmp_path / "in.mkv", frames)
    result = video(tmp_path / "out.mkv", frames[12:16])
    events: list[Event] = []
    card = vidstyle.evaluate(
        result, source, start=1.2, flow="dis", features="lite", report=events.append
    )
    warnings = [event.text for event in events if isinstance(event, Note) and event.warning]
    assert warnings == ["every frame belongs to a transition: nothing is measured"]
    assert {*card.result.means().values()} == {None}


def test_the_kept_frames_of_a_film_with_bars_and_a_dissolve_are_measured(
    tmp_path: Path, painting: Path
) -> None:
    bars = Bars(top=10, bottom=10)
    a, b = texture(0, (52, 96)), 1 - texture(5, (52, 96))
    inside = [*[a] * 5, *mix(a, b, 4), *[b] * 5]
    film = video(tmp_path / "in.mkv", [bars.paste(x, torch.zeros(3, 72, 96)) for x in inside])
    run(quick_settings(film, painting, tmp_path / "out.mkv", keep_frames=True))
    kept = tmp_path / "out.mkv.vidstyle"
    card = vidstyle.evaluate(kept, film, painting, flow="dis", features="lite", device="cpu")
    assert (card.bars, card.transitions) == (bars, (Transition("dissolve", 5, 9),))
    assert card.result.means()["style"] < card.source.means()["style"]


def test_drift_is_a_change_where_the_source_stays_still(measure: Measure) -> None:
    source = square_moves(4, step=8, size=(48, 80))
    painted = texture(3, (48, 80))
    redder = painted.clone()
    redder[0, :, 60:] += 0.06  # beyond the square's way
    where_it_moves = painted.clone()
    where_it_moves[:, 18:30, 10:22] += 0.3  # where the square was at first
    frames = [painted, painted, redder, where_it_moves]
    found = measure(source, frames)
    assert found.result.drift[:2] == (None, 0)
    assert found.result.drift_max[2] == pytest.approx(0.06, abs=1e-4)
    share = found.pixels["drift"][2]
    assert found.result.drift[2] == pytest.approx(0.06 / 3 * (20 / 80) / share, rel=0.01)
    assert found.result.drift_colour[2] == pytest.approx(3 * found.result.drift[2], rel=0.01)
    assert found.result.drift_max[3] == 0
    assert found.result.means()["drift_max"] == found.result.drift_max[2]


def test_grain_in_the_source_leaves_its_pixels_still(measure: Measure) -> None:
    card = measure(list(texture(0) + noise(6, 2 / 255)), [texture(1)] * 6)
    assert min(card.pixels["drift"][1:]) > 0.99
    assert card.pixels["drift"][0] is None


def test_blur_lowers_the_sharpness_and_the_warping_error_with_it(measure: Measure) -> None:
    grain = list(texture(1, cell=2) + noise(3, 0.05))
    blurred = list(F.avg_pool2d(torch.stack(grain), 3, 1, 1, count_include_pad=False))
    against = measure([texture(0)] * 3, blurred, grain).against_baseline()
    assert against["sharpness_ratio"] < 0.5
    assert against["d_short"] > 0.5  # why sharpness stands beside it


def test_a_ghost_shows_near_the_boundaries(measure: Measure) -> None:
    size = (96, 128)
    source = square_moves(3, step=4, size=size, side=24)
    painted = [0.5 * frame + 0.5 * texture(4, size) for frame in source]
    found = {}
    for name, (top, left) in {"near": (16, 4), "far": (64, 96)}.items():
        spoilt = [frame.clone() for frame in painted]
        for frame in spoilt:
            frame[:, top : top + 24, left : left + 28] = texture(9, (24, 28), cell=2)
        found[name] = measure(source, spoilt, painted)
    near, far = (found[name].result.means() for name in ("near", "far"))
    assert near["content_near"] > near["content_beside"]
    assert far["content_near"] < near["content_near"]
    assert (
        found["near"].against_baseline()["ghosting"]
        > 1
        > found["far"].against_baseline()["ghosting"]
    )


def test_style_and_content_are_distances_to_the_painting_and_to_the_source(
    tmp_path: Path, painting: Path
) -> None:
    source = video(tmp_path / "in.mkv", [texture(0)] * 2)
    twice = {"flow": "dis", "features": "lite", "device": "cpu"}
    same = vidstyle.evaluate(source, source, painting, **twice)
    assert same.result.means()["content"] == 0
    assert same.source.means()["content"] is None
    assert same.result.style == same.source.style
    as_painted = vidstyle.evaluate(painting, painting, painting, **twice)
    assert as_painted.result.means()["style"] == pytest.approx(0, abs=1e-3)
    assert same.result.means()["style"] > 0.05


def test_a_folder_and_a_lossless_video_of_the_same_frames_give_the_same_card(
    tmp_path: Path, painting: Path
) -> None:
    source = video(tmp_path / "in.mkv", square_moves(4))
    frames = list(texture(3) + noise(4, 0.02))
    cards = [
        vidstyle.evaluate(result, source, painting, flow="dis", features="lite", device="cpu")
        for result in (folder(tmp_path / "out.mp4", frames), video(tmp_path / "out.mkv", frames))
    ]
    means = [
        {name: x for name, x in card.result.means().items() if x is not None} for card in cards
    ]
    assert (
        {*means[0]}
        == {*means[1]}
        >= {"warping_error_short", "drift", "style", "content_near", "sharpness"}
    )
    assert means[1] == pytest.approx(means[0], rel=1e-3, abs=1e-6)


def test_an_image_has_no_flicker_to_measure(painting: Path) -> None:
    card = vidstyle.evaluate(
        painting, painting, painting, flow="dis", features="lite", device="cpu"
    )
    means = card.result.means()
    assert {name for name, x in means.items() if x is None} == {
        *("warping_error_short", "warping_error_long", "drift", "drift_max", "drift_colour"),
        *("content_near", "content_beside", "saturation_uncovered"),
    }
    assert "warping error (t, t-1)" in card.text()


def test_the_part_of_the_source_that_was_rendered_is_the_one_compared(tmp_path: Path) -> None:
    frames = shifted(texture(0, (60, 100)), 10, (3, 1))
    source = video(tmp_path / "in.mkv", frames)
    result = folder(tmp_path / "out.mp4", frames[4:8], start=4)
    told: list[Any] = []
    how = {"flow": "dis", "features": "lite", "device": "cpu"}
    card = vidstyle.evaluate(result, source, start=0.4, report=told.append, **how)
    assert card.result.means()["content"] == pytest.approx(0, abs=1e-6)
    assert card.inputs["source"]["first"] == 4
    assert [e.done for e in told if isinstance(e, Measured)] == [0, 1, 2, 3, 4]
    assert any("frames 4 to 7" in e.text for e in told if isinstance(e, Note))
    with pytest.raises(InputError, match="does not begin where"):
        vidstyle.evaluate(result, source, **how)


def test_shots_are_counted_from_where_the_result_begins(tmp_path: Path) -> None:
    frames = [texture(0)] * 8 + [1 - texture(5)] * 6
    source = video(tmp_path / "in.mkv", frames)
    result = video(tmp_path / "out.mkv", frames[3:])
    assert vidstyle.evaluate(result, source, start=0.3, flow="dis", features="lite").shots == (0, 5)


def test_what_is_held_does_not_grow_with_the_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: weakref.WeakSet[Tensor] = weakref.WeakSet()
    peak = 0
    decode = png16.decode_frame

    def counted(path: Path) -> Any:
        nonlocal peak
        peak = max(peak, len(alive))
        return decode(path)

    def kept(array: Any) -> Tensor:
        image = from_uint16(array)
        alive.add(image)
        return image

    monkeypatch.setattr(clips, "from_uint16", kept)
    monkeypatch.setattr(png16, "decode_frame", counted)
    peaks = []
    for count in (16, 40):
        peak = 0
        source = video(tmp_path / f"{count}.mkv", [texture(0)] * count)
        result = folder(tmp_path / f"{count}.mp4", [texture(1)] * count)
        vidstyle.evaluate(result, source, flow="dis", features="lite", device="cpu")
        peaks.append(peak)
    assert (
        peaks[0] == peaks[1] <= 10 + 3
    )  # the last ten, the first of the shot, and those under way


def test_a_stop_between_frames_is_an_interruption(measure: Measure) -> None:
    asked = iter([False, False, True])
    with pytest.raises(Interrupted) as e:
        measure([texture(0)] * 4, [texture(1)] * 4, stop=lambda: next(asked))
    assert (e.value.exit_code, e.value.why) == (130, "nothing was written")


@pytest.mark.parametrize(
    "wrong", [{"flow": "farneback"}, {"features": "vgg16"}, {"start": -1.0}, {"device": "abacus"}]
)
def test_a_wrong_wish_is_refused(wrong: dict[str, Any], measure: Measure) -> None:
    with pytest.raises(ConfigError):
        measure([texture(0)] * 2, [texture(1)] * 2, **wrong)


@pytest.mark.slow
def test_the_better_networks_measure_where_their_weights_are(tmp_path: Path, shared: Path) -> None:
    source = video(tmp_path / "in.mkv", square_moves(2))
    card = vidstyle.evaluate(source, source, weights_dir=shared / "weights", device="cpu")
    assert (card.setup["flow"], card.setup["features"]) == ("raft-small", "vgg19")
    assert "raft-small flow, vgg19 features" in card.text()
    assert card.result.means()["content"] == 0


def test_frames_that_were_rendered_from_another_file_are_measured_with_a_warning(
    tmp_path: Path,
) -> None:
    frames = [texture(0)] * 2
    source = video(tmp_path / "in.mkv", frames)
    for made_of, warned in ((sha256(source), False), ("0" * 64, True), (None, False)):
        events: list[Event] = []
        kept = folder(tmp_path / f"{made_of}.mp4", frames, source=made_of)
        vidstyle.evaluate(
            kept, source, flow="dis", features="lite", device="cpu", report=events.append
        )
        warnings = [event.text for event in events if isinstance(event, Note) and event.warning]
        assert bool(warnings) == warned
        assert all("rendered from another file" in text for text in warnings)
