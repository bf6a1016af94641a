"""Styles are named `path[:weight][@time]`, mixed in relation to one another, and move between their
times.
"""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from vidstyle.config import style_images, toml
from vidstyle.config.settings import build
from vidstyle.config.style_images import StyleImage
from vidstyle.errors import ConfigError, InputError, VidstyleError
from vidstyle.features.extractor import STYLE_LAYERS
from vidstyle.rendering import pipeline
from vidstyle.rendering.models import load_network
from vidstyle.rendering.prepare import inspect
from vidstyle.storage.record import state_folder
from vidstyle.stylize import losses
from vidstyle.stylize.resample import fit_style_image
from vidstyle.video import ffmpeg
from vidstyle.video.read import read_image

PAINTINGS = [
    ("a.jpg", StyleImage(Path("a.jpg"))),
    ("a.jpg:0.7", StyleImage(Path("a.jpg"), 0.7)),
    ("a.jpg@4s", StyleImage(Path("a.jpg"), 1.0, 4.0)),
    ("a.jpg@1.5", StyleImage(Path("a.jpg"), 1.0, 1.5)),
    ("a.jpg:3@.5s", StyleImage(Path("a.jpg"), 3.0, 0.5)),
    ("me@home.jpg", StyleImage(Path("me@home.jpg"))),
    ("C:/a.jpg:2", StyleImage(Path("C:/a.jpg"), 2.0)),
    ("a@2:b.jpg@0s", StyleImage(Path("a@2:b.jpg"), 1.0, 0.0)),
]


@pytest.mark.parametrize(("text", "found"), PAINTINGS)
def test_suffixes_are_read_from_the_right_as_far_as_they_are_such(
    text: str, found: StyleImage
) -> None:
    assert style_images.parse_style_image(text) == found
    assert style_images.parse_style_image(str(found)) == found


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a:2", "a:2", StyleImage(Path("a:2"))),
        ("a@3", "a@3@4s", StyleImage(Path("a@3"), 1.0, 4.0)),
        ("a:2", "a:2:5", StyleImage(Path("a:2"), 5.0)),
        ("a:2@3", "a:2@3", StyleImage(Path("a:2@3"))),
    ],
)
def test_a_file_of_that_very_name_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, found: StyleImage
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).touch()
    assert style_images.parse_style_image(text) == found


@pytest.mark.parametrize(
    "suffix",
    [":70%", ":-1", ":0,7", ":much", ":nan", ":", "@1m", "@-1s", "@0s:0.7", ":0.7:0.3x", "@2s@"],
)
def test_what_is_neither_a_weight_nor_a_time_is_told_from_a_file_that_is_missing(
    tmp_path: Path, suffix: str
) -> None:
    (tmp_path / "a.jpg").touch()
    for text, words in (
        (f"{tmp_path}/a.jpg{suffix}", "is there, and"),
        (f"{tmp_path}/b.jpg{suffix}", ""),
    ):
        try:
            build({"input": "in.mp4", "style": [text]})
            found = ""
        except ConfigError as e:
            found = e.why
        assert words in found
        assert ("is there" in found) == bool(words)


@pytest.mark.parametrize(
    ("styles", "words"),
    [
        (["a.jpg:0"], "must be above 0"),
        (["a.jpg:2"], "nothing that it counts in relation to"),
        (["a.jpg@0s", "b.jpg:2@4s"], "nothing that it counts in relation to"),
        (["a.jpg@0s", "b.jpg"], "b.jpg has no time and a.jpg has one"),
        (["a.jpg@3s", "b.jpg@3s"], "3 s is the only time"),
        (["a.jpg", "a.jpg"], "a.jpg is named twice"),
        (["a.jpg@0s", "a.jpg@4s"], "the same at all times"),
        (["a.jpg:1e999", "b.jpg"], "too large a number"),
        (["a.jpg@1e999", "b.jpg@0"], "too large a number"),
        ([3], "neither a painting's path"),
        (7, "neither a painting's path"),
    ],
)
def test_what_changes_nothing_is_refused_in_words(styles: Any, words: str) -> None:
    with pytest.raises(ConfigError) as e:
        build({"input": "in.mp4", "style": styles})
    assert words in e.value.why


def test_regions_are_of_one_painting() -> None:
    with pytest.raises(ConfigError, match="settings do not fit") as e:
        build({"input": "in.mp4", "style": ["a.jpg", "b.jpg"], "regions": ("a.png", "b.png")})
    assert "regions are of one painting" in e.value.why


@pytest.mark.parametrize(
    "styles", ["a.jpg", ["a.jpg:0.7", "b.jpg:0.3"], ["a.jpg@0s", "b.jpg:2@4s", "c.jpg@4s"]]
)
def test_styles_come_back_from_toml_and_name_the_output(tmp_path: Path, styles: Any) -> None:
    given = build({"input": "in.mp4", "style": styles})
    written = json.dumps([str(one) for one in given.style])
    (tmp_path / "some.toml").write_text(f"style = {written}\n", encoding="utf-8")
    assert build({"input": "in.mp4"}, toml.read_toml(tmp_path / "some.toml")) == given
    assert given.named_after.stem == "-".join(path.stem for path in given.style_files)


def test_the_mixture_rests_before_its_first_time_and_after_its_last_and_moves_evenly_between() -> (
    None
):
    styles = style_images.parse_style_images(["a.jpg@1s", "b.jpg:3@2s", "c.jpg@2s", "a.jpg@4s"])
    known = {0: (1, 0, 0), 1: (1, 0, 0), 2: (0, 0.75, 0.25), 4: (1, 0, 0), 9: (1, 0, 0)}
    known |= {Fraction(3, 2): (0.5, 0.375, 0.125), 3: (0.5, 0.375, 0.125)}
    for time, expected in known.items():
        assert style_images.mixture_shares(styles, Fraction(time)) == pytest.approx(expected)
    constant = style_images.parse_style_images(["a.jpg:7", "b.jpg:3"])
    assert style_images.mixture_shares(constant, Fraction(5)) == pytest.approx((0.7, 0.3))
    assert style_images.mixture_shares((), Fraction(5)) == ()


def test_a_mixture_that_is_the_same_at_two_times_does_not_move_between_them() -> None:
    styles = style_images.parse_style_images(["a@0s", "b:2@2s", "a@2s", "b:0.2@6s", "a:0.1@6s"])
    assert len({style_images.mixture_shares(styles, Fraction(i, 25)) for i in range(50, 200)}) == 1


def test_what_mixes_alike_is_the_same_render() -> None:
    digests = ["1", "2", "3"]
    pairs = (["a:7", "b:2", "c:1"], ["a:0.7", "b:0.2", "c:0.1"], ["a:2.1", "b:0.6", "c:0.3"])
    same = [
        style_images.style_fingerprint_parts(style_images.parse_style_images(styles), digests)
        for styles in pairs
    ]
    assert same[0] == same[1] == same[2]
    assert style_images.style_fingerprint_parts(style_images.parse_style_images("a"), ["1"]) == "1"
    assert (
        style_images.style_fingerprint_parts(
            style_images.parse_style_images(["a", "b", "c"]), digests
        )
        != same[0]
    )


ORIGINAL = StyleImage(Path("original"))


@pytest.mark.parametrize("given", ["original", Path("original"), ORIGINAL])
def test_the_source_itself_stands_among_the_styles_where_no_file_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    for created in (False, True):
        if created:
            (tmp_path / "original").touch()
        styles = style_images.parse_style_images([given, "a.jpg"])
        assert [one.is_original for one in styles] == [not created, False]
        file = tmp_path / "original"
        assert style_images.list_files(styles) == ((file,) if created else ()) + (Path("a.jpg"),)
        assert style_images.parse_style_images([str(one) for one in styles]) == styles


@pytest.mark.parametrize("text", ["./original", "./original:2@3s", "original.jpg", "x/original"])
def test_a_path_to_a_file_never_stands_for_the_source(text: str) -> None:
    assert not style_images.parse_style_image(text).is_original


def test_the_source_has_a_weight_and_a_time_and_comes_back() -> None:
    found = style_images.parse_style_image("original:0.3@4s")
    assert found == StyleImage(Path("original"), 0.3, 4.0)
    assert found.is_original
    assert style_images.parse_style_image(str(found)) == found


@pytest.mark.parametrize("styles", ["original", ["original@0s", "original@3s"]])
def test_the_source_alone_is_no_style(styles: Any) -> None:
    with pytest.raises(ConfigError) as e:
        build({"input": "in.mp4", "style": styles})
    assert "leaves nothing to paint: name a painting as well" in e.value.why


def test_the_source_is_no_file_of_a_render() -> None:
    given = build({"input": "in.mp4", "style": ["original@0s", "a.jpg@3s"]})
    assert given.style_files == given.protected_files == (Path("a.jpg"),)
    assert given.named_after == Path("a.jpg")
    files = {"regions": ("a.png", "b.png")}
    assert build({"input": "in.mp4", "style": ["original:3", "a.jpg"]}, files).regions


def test_the_source_moves_between_times_and_one_painting_stays_the_whole_style() -> None:
    styles = style_images.parse_style_images(["original@1s", "a@3s", "original:3@5s", "a@5s"])
    known = {0: 1, 1: 1, 2: 0.5, 3: 0, 4: 0.375, 5: 0.75, 9: 0.75}
    for time, share in known.items():
        assert style_images.original_share(styles, Fraction(time)) == share
    times = [Fraction(i, 7) for i in range(50)]
    assert {style_images.mixture_shares(styles, at) for at in times} == {(1.0,)}
    constant = style_images.parse_style_images(["original:0.3", "a:0.7"])
    assert style_images.original_share(constant, Fraction(5)) == 0.3
    assert style_images.mixture_shares(constant, Fraction(5)) == (1.0,)
    for without in ((), style_images.parse_style_images(["a@0s", "b@1s"])):
        assert style_images.original_share(without, Fraction(1, 2)) == 0


def test_paintings_mix_in_relation_to_each_other_next_to_the_source() -> None:
    constant = style_images.parse_style_images(["original:9", "a:7", "b:3"])
    assert style_images.mixture_shares(constant, Fraction(5)) == (0.7, 0.3)
    faded = style_images.parse_style_images(["original@0s", "a:7@4s", "b:3@4s", "original@8s"])
    times = [Fraction(i, 7) for i in range(70)]
    assert {style_images.mixture_shares(faded, at) for at in times} == {(0.7, 0.3)}
    # From a alone to b with a quarter of the picture: 1 - t of a, t / 4 of b.
    moving = style_images.parse_style_images(["a@0s", "original:3@1s", "b@1s"])
    for i in range(9):
        at = Fraction(i, 8)
        painted = float(1 - at + at / 4)
        expected = (float(1 - at) / painted, float(at / 4) / painted)
        assert style_images.mixture_shares(moving, at) == pytest.approx(expected)
        assert 1 - style_images.original_share(moving, at) == pytest.approx(painted)
    # With the same share of the source at all times they move as they do without it.
    level = style_images.parse_style_images(["original@0s", "a@0s", "original@3s", "b@3s"])
    plain = style_images.parse_style_images(["a@0s", "b@3s"])
    for at in times:
        assert style_images.mixture_shares(level, at) == style_images.mixture_shares(plain, at)


@pytest.mark.parametrize(
    ("styles", "first_until"),
    [
        (["a@1s", "original@2s", "b@3s"], 2),  # at 2 s both are as near
        (["a@1s", "original@2s", "original@4s", "b@5s"], 3),
        (["a@1s", "original@2s", "original@2.5s", "original@4s", "b@5s"], 3),
        (["original@0s", "a@1s", "original@4s", "b@6s", "original@9s"], 4),
    ],
)
def test_where_the_source_has_everything_the_style_is_that_of_the_nearest_time(
    styles: list[str], first_until: float
) -> None:
    parsed = style_images.parse_style_images(styles)
    for i in range(1200):
        time = Fraction(i, 100)
        expected = (1.0, 0.0) if time <= first_until else (0.0, 1.0)
        assert style_images.mixture_shares(parsed, time) == expected


def test_shares_add_up_to_one_whatever_the_source_leaves() -> None:
    styles = style_images.parse_style_images(
        ["a:0.2@0s", "b:0.1@0s", "original@2s", "c@3s", "original:4@3s", "a@5s", "b:7@5s"]
    )
    for i in range(600):
        shares = style_images.mixture_shares(styles, Fraction(i, 100))
        assert sum(shares) == pytest.approx(1)
        assert all(0 <= share <= 1 for share in shares)


def test_the_source_is_in_the_fingerprint_only_where_it_moves_the_mixture() -> None:
    def parts(*styles: str) -> Any:
        parsed = style_images.parse_style_images(list(styles))
        return style_images.style_fingerprint_parts(
            parsed, [path.name.upper() for path in style_images.list_files(parsed)]
        )

    assert parts("original@0s", "a@3s") == parts("original:2", "a") == parts("a") == "A"
    together = parts("a:7", "b:3")
    assert parts("original", "a:7", "b:3") == together
    assert parts("original@0s", "a:7@3s", "b:3@3s") == together
    assert parts("original:2@0s", "a@0s", "original:2@3s", "b@3s") == parts("a@0s", "b@3s")
    moved = parts("a@0s", "original@2s", "b@3s")
    assert moved == [["A", 1.0, 0.0], ["original", 1.0, 2.0], ["B", 1.0, 3.0]]
    assert moved != parts("a@0s", "b@3s")
    assert parts("a@0s", "original:3@3s", "b@3s")[-1] == ["B", 0.25, 3.0]


def test_a_style_that_moves_moves_a_still_picture_evenly_and_arrives(
    painting: Path, samples: Path, tmp_path: Path
) -> None:
    """30 frames of one picture; the style moves from 0.5 s to 2.5 s."""
    still, second = tmp_path / "still.mkv", samples / "mosaic.jpg"
    picture = [
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=96x64:r=10:d=0.1",
        "-vf",
        "loop=29:1",
        "-c:v",
        "ffv1",
    ]
    ffmpeg.run(["-y", *picture, ffmpeg.local(still)], "cannot make the film")
    few = {"first_iterations": 40, "first_scales": 2, "keep_frames": True, "device": "cpu"}

    def images(*styles: str, name: str = "out") -> list[Tensor]:
        output = tmp_path / f"{name}.mkv"
        pipeline.render(build({"input": still, "style": list(styles), "output": output}, few))
        files = sorted((state_folder(output) / "frames").glob("*.png"))
        return [read_image(path, InputError) for path in files]

    made = images(f"{painting}@0.5s", f"{second}@2.5s")
    first, last = (images(str(path), name=path.stem)[0] for path in (painting, second))
    jumps = [float((b - a).square().mean().sqrt()) for a, b in pairwise(made)]
    assert len(jumps) == 29
    assert max(jumps[:5]) == 0
    assert torch.equal(made[0], first)
    assert 0 < max(jumps) <= 1.5 * statistics.median(jumps[5:25])
    network = load_network("lite", precision="fp32")

    def grams(image: Tensor) -> list[Tensor]:
        return [losses.gram(f) for f in network(image[None], STYLE_LAYERS).values()]

    def away(image: Tensor) -> float:
        wanted = grams(fit_style_image(read_image(second, InputError), (64, 96)))
        return sum(float(losses.style(g, a)) for g, a in zip(grams(image), wanted, strict=True))

    assert away(made[-1]) < 1.5 * away(last) < 0.5 * away(first)


def test_a_time_that_does_not_come_is_told(
    command: Callable[..., Any], film: Path, painting: Path, tmp_path: Path
) -> None:
    other = shutil.copy(painting, tmp_path / "other.png")
    styles = ["--style", f"{other}@0s", "--style", f"{painting}@200s"]
    got = command(film, *styles, "-o", tmp_path / "out.mp4", "--dry-run")
    assert got.code == 0
    assert f"style {painting} has the time 200 s" in got.out
    assert f"{painting}@200.0s" in got.out


def test_an_image_has_no_time(painting: Path, tmp_path: Path) -> None:
    styles = [f"{painting}@0s", "other.png@1s"]
    with pytest.raises(VidstyleError, match="an image has no time"):
        inspect(build({"input": painting, "style": styles, "output": tmp_path / "out.png"}))


def test_a_time_before_the_part_that_is_rendered_is_no_matter(
    command: Callable[..., Any], film: Path, painting: Path, tmp_path: Path
) -> None:
    other = shutil.copy(painting, tmp_path / "other.png")
    styles = ["--style", f"{other}@0s", "--style", f"{painting}@1.1s"]
    got = command(
        film, *styles, "-o", tmp_path / "out.mp4", "--dry-run", "--start", 0.4, "--duration", 0.3
    )
    assert got.code == 0
    assert "has the time" not in got.out
