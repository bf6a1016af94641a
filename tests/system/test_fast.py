"""Renders by the network: at once, learned, blended, interrupted, and with some optimisation."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from tests.helpers import decoding
from tests.helpers.clips import Clips
from tests.helpers.films import video
from tests.helpers.renders import frames_of, run, state_folder
from vidstyle import evaluate
from vidstyle.config import settings as configs
from vidstyle.config.engines import OPTIMISER_SETTINGS
from vidstyle.config.settings import RenderConfig
from vidstyle.errors import ConfigError, Interrupted, StyleError
from vidstyle.events import Learning
from vidstyle.frames import from_uint16
from vidstyle.rendering import learning, pipeline
from vidstyle.rendering import preview as previews
from vidstyle.rendering.engines import check_engine_settings
from vidstyle.rendering.plan import plan_render
from vidstyle.rendering.shot_list import list_shots
from vidstyle.rendering.style_files import load_style
from vidstyle.video.read import read_image

COUNT = 12

Settings = Callable[..., RenderConfig]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of a test's own; eight steps are enough to see that something is learned."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(learning, "cache_folder", lambda: folder)
    monkeypatch.setattr(learning, "choose_steps", lambda count: 8)
    return folder


@pytest.fixture
def fast(tmp_path: Path, film: Path, painting: Path) -> Settings:
    """Makes the settings of a render by the network, which learns nothing."""

    def make(**changes: Any) -> RenderConfig:
        given = {"engine": "fast", "learn": 0, "output": tmp_path / "out.mp4", "device": "cpu"}
        return configs.build({"input": film, "style": painting}, given, changes)

    return make


def kept_frames(output: Path) -> list[Any]:
    """The pixels of the frames that a render to `output` has kept."""
    files = sorted((state_folder(output) / "frames").iterdir())
    return [cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for file in files]


@pytest.mark.parametrize("changes", [{}, {"learn": 1}, {"engine": "balanced", "iterations": 1}])
def test_a_render_that_was_interrupted_ends_with_the_same_bytes(
    fast: Settings, tmp_path: Path, changes: dict[str, Any]
) -> None:
    whole = fast(output=tmp_path / "whole.mp4", keep_frames=True, **changes)
    run(whole)
    assert whole.output is not None
    assert len(decoding.frames_of(whole.output)) == COUNT
    cut = fast(output=tmp_path / "cut.mp4", keep_frames=True, **changes)
    for limit in (3, 4):
        with pytest.raises(Interrupted):
            run(cut, limit)
    run(cut)
    assert cut.output is not None
    assert frames_of(cut.output) == frames_of(whole.output)


def test_what_was_learned_is_kept_and_another_painting_is_learned_by_itself(
    fast: Settings, own_cache: Path, tmp_path: Path, samples: Path
) -> None:
    def count_steps(**changes: Any) -> int:
        watch = run(fast(learn=1, overwrite=True, **changes))
        return sum(isinstance(event, Learning) for event in watch.events)

    assert count_steps() == 8
    assert count_steps() == 0
    assert count_steps(style=[samples / "strokes.jpg"]) == 8
    assert count_steps(content_weight=0.2) == 8
    assert len(list((own_cache / "styles").glob("*.style"))) == 3


def test_learning_that_was_interrupted_goes_on_and_ends_the_same(
    fast: Settings, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "CHECKPOINT_STEPS", 2)
    config = fast(learn=1, keep_frames=True, overwrite=True)
    run(config)
    [path] = (own_cache / "styles").glob("*.style")
    wanted = path.read_bytes()
    path.unlink()
    seen: list[object] = []
    with pytest.raises(Interrupted, match="interrupted"):
        pipeline.render(
            fast(learn=1, restart=True, overwrite=True), seen.append, lambda: len(seen) > 5
        )
    assert not path.exists()
    assert path.with_suffix(".part").exists()
    watch = run(fast(learn=1, restart=True, overwrite=True))
    steps = [event.done for event in watch.events if isinstance(event, Learning)]
    assert 1 < steps[0] < 8
    assert path.read_bytes() == wanted


def test_a_render_goes_on_with_what_it_began_with_whatever_becomes_of_the_cache(
    fast: Settings, own_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = fast(learn=1, output=tmp_path / "whole.mp4", keep_frames=True)
    run(whole)
    cut = fast(learn=1, output=tmp_path / "cut.mp4", keep_frames=True)
    with pytest.raises(Interrupted):
        run(cut, 4)
    shutil.rmtree(own_cache)
    monkeypatch.setattr(learning, "choose_steps", lambda count: 9)
    run(cut)
    assert whole.output is not None
    assert cut.output is not None
    assert frames_of(cut.output) == frames_of(whole.output)


def test_a_checkpoint_of_learning_that_is_damaged_is_left(fast: Settings, own_cache: Path) -> None:
    run(fast(learn=1))
    [path] = (own_cache / "styles").glob("*.style")
    path.rename(path.with_suffix(".part"))
    assert sum(isinstance(e, Learning) for e in run(fast(learn=1, overwrite=True)).events) == 8


def test_a_learned_style_is_a_file_that_every_engine_takes(
    fast: Settings, command: Callable[..., Any], painting: Path, film: Path, tmp_path: Path
) -> None:
    style = tmp_path / "stripes.style"
    got = command("learn", painting, "-o", style, "--from", film, "--learn", 1)
    assert got.code == 0, got.err
    assert got.out.strip() == str(style)
    card = load_style(style).card
    assert card["name"] == "stripes"
    assert 0 < card["loss"] < card["loss_before"]
    assert f"{card['loss_before']:.3f} to {card['loss']:.3f}" in got.err
    for changes in (
        {},
        {"engine": "balanced", "iterations": 1},
        {
            "engine": "optimise",
            "learn": 60,
            "iterations": 1,
            "first_iterations": 2,
            "first_scales": 1,
        },
    ):
        config = fast(style=[style], overwrite=True, **changes)
        assert not [e for e in run(config).events if isinstance(e, Learning)]
    again = command("learn", painting, "-o", style, "--from", film, "--learn", 1)
    assert again.code == 2
    assert "-f" in again.err or "overwrite" in again.err


def test_bars_teach_nothing(command: Callable[..., Any], painting: Path, tmp_path: Path) -> None:
    letterbox = Clips(tmp_path).pattern("letterbox.mp4", "-vf", "pad=iw:ih+24:0:12", size=(128, 96))
    style = tmp_path / "stripes.style"
    given = ("learn", painting, "-o", style, "--from", letterbox, "--learn", 1, "--overwrite")
    assert "at 128x96" in command(*given).err
    assert "at 128x120" in command(*given, "--bars", "paint").err


def test_a_blend_lies_between_its_paintings(
    fast: Settings, painting: Path, samples: Path, film: Path, tmp_path: Path
) -> None:
    still = tmp_path / "still.png"
    cv2.imwrite(str(still), decoding.frames_of(film)[0][..., ::-1])
    pictures = []
    for first in (1.0, 0.5, 0.0):
        styles = [f"{painting}:{first}"] if first else []
        styles += [f"{samples / 'strokes.jpg'}:{1 - first}"] if first < 1 else []
        styles = [text.removesuffix(":1.0") for text in styles]
        output = tmp_path / f"{first}.png"
        run(fast(input=still, style=styles, output=output))
        pictures.append(read_image(output, StyleError))
    one, half, other = pictures
    apart = float((one - other).abs().mean())
    assert 0.01 < float((one - half).abs().mean()) < apart
    assert 0.01 < float((half - other).abs().mean()) < apart


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("passes", 2),
        ("features", "vgg19"),
        ("iterations", 3),
        ("photorealism", 1.0),
        ("long_term", 4),
        ("init", "noise"),
        ("tile", 256),
        ("optimizer", "adam"),
    ],
)
def test_what_does_not_apply_is_refused(fast: Settings, name: str, value: object) -> None:
    assert name in OPTIMISER_SETTINGS
    with pytest.raises(ConfigError, match="do not fit") as caught:
        check_engine_settings(fast(**{name: value}))
    assert name in caught.value.why


def test_learning_is_refused_where_nothing_learns(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="learn"):
        settings(learn=5)


def test_still_ground_stays_exactly_as_it_is(tmp_path: Path, painting: Path) -> None:
    frames = torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(1)).repeat(10, 1, 1, 1)
    for i, frame in enumerate(frames):
        frame[:, 4:12, 4 + i : 12 + i] = 1.0
    film = video(tmp_path / "still.mkv", [*frames])
    output = tmp_path / "out.mkv"
    run(
        configs.build(
            {"input": film, "style": painting, "output": output},
            {"engine": "fast", "learn": 0, "keep_frames": True, "device": "cpu"},
        )
    )
    kept = list(frames_of(output).values())
    assert len(kept) == 10
    last = [
        from_uint16(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)[..., ::-1])
        for data in kept[-3:]
    ]
    assert torch.equal(last[0][:, 36:, 40:], last[2][:, 36:, 40:])


def test_a_preview_learns_a_quarter_as_long(
    fast: Settings, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def choose(count: float) -> int:
        asked.append(count)
        return 8

    monkeypatch.setattr(learning, "choose_steps", choose)
    config = fast(learn=40)
    assert config.reduce_for_preview() == {"learn": 10}
    result = previews.preview(config)
    assert result.output.exists()
    assert len(asked) == 1


def test_a_style_that_was_learned_has_a_preview(fast: Settings, tmp_path: Path) -> None:
    assert previews.preview(fast(style="scream", learn=60)).output.exists()


def test_a_dry_run_says_how_long_it_learns(fast: Settings) -> None:
    assert "learning  about 40 s" in plan_render(fast(learn=40)).text()
    assert "learning" not in plan_render(fast()).text()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"style": None, "style_weight": 0}, "no style to learn"),
        ({"style": "a.STYLE", "keep_colors": "match"}, "comes too late"),
        ({"style": "a.style", "learn": 300}, "nothing left to learn"),
        ({"learn": 0, "content_weight": 0.5}, "do not fit"),
        ({"style": "a.style", "learn": 60, "style_terms": "mrf"}, "do not fit"),
        ({"learn": 5, "style_terms": "mrf", "style_layers": "relu1_1"}, "do not fit"),
        ({"engine": "balanced", "long_term": 8}, "do not fit"),
    ],
)
def test_what_cannot_be_learned_is_refused(
    fast: Settings, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        check_engine_settings(fast(**changes))


def test_a_shot_of_a_film_is_painted_as_if_it_were_alone(
    fast: Settings, samples: Path, tmp_path: Path
) -> None:
    cut = samples / "cut.mp4"
    [_, (first, begin)] = [
        (one.first, one.seconds) for one in list_shots(cut).stretches if one.kind == "shot"
    ]
    wishes = {"input": cut, "size": 96, "per_frame": True, "keep_frames": True}
    whole = fast(**wishes, output=tmp_path / "whole.mp4")
    alone = fast(**wishes, output=tmp_path / "alone.mp4", start=begin)
    pictures = []
    for one in (whole, alone):
        run(one)
        assert one.output is not None
        pictures.append(kept_frames(one.output))
    assert len(pictures[1]) == len(pictures[0]) - first
    assert all(np.array_equal(*pair) for pair in zip(pictures[0][first:], pictures[1], strict=True))


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm", "a.avi", "a.ts", "a.png"])
def test_it_paints_into_every_kind_of_file(
    fast: Settings, film: Path, tmp_path: Path, name: str
) -> None:
    source = film
    if name.endswith(".png"):
        source = tmp_path / "still.png"
        cv2.imwrite(str(source), decoding.frames_of(film)[0][..., ::-1])
    config = fast(input=source, output=tmp_path / name)
    run(config)
    assert config.output is not None
    assert len(decoding.frames_of(config.output)) == (1 if name.endswith(".png") else COUNT)
    card = evaluate(config.output, source, flow="dis", features="lite", device="cpu")
    assert "content" in card.text()


def test_its_pictures_can_be_laid_out_in_a_grid(
    command: Callable[..., Any], painting: Path, film: Path, tmp_path: Path
) -> None:
    sheet = tmp_path / "sheet.png"
    words = ["grid", film, "--style", painting, "--engine", "fast", "--learn", 0]
    words += ["--vary", "style_scale=0.5,2", "-o", sheet]
    got = command(*words)
    assert got.code == 0, got.err
    assert sheet.exists()
