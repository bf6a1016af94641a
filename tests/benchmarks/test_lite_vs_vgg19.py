"""The table that decides whether lite is good enough: its figures, its verdict and its cache."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks import lite_vs_vgg19
from benchmarks.lite_vs_vgg19 import (
    COLUMNS,
    SECONDS,
    STYLE_LAYERS,
    format_row,
    judge_criteria,
    measure_pair,
    stylise_by_vgg19,
    summarise,
)
from vidstyle.errors import WeightsError
from vidstyle.features import extractor
from vidstyle.features.extractor import Network
from vidstyle.frames import from_uint16, quantise, to_uint16
from vidstyle.rendering.models import load_network
from vidstyle.storage.atomic import sha256
from vidstyle.stylize.optimise.schedule import Schedule

EMBEDDED = Path(extractor.__file__).parents[1] / "assets" / "lite.safetensors"
GOOD = {"closure": 0.97, "content": 1.05, "TV": 1.05, "s VGG-19": 0.01}


@pytest.fixture
def judge(small_vgg19: Path) -> Network:
    return load_network("vgg19", weights_dir=small_vgg19)


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    """Photograph and painting, 32x48."""
    coarse = torch.rand(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    photo, painting = F.interpolate(coarse, size=(32, 48), mode="bilinear")
    return quantise(photo), painting


def measured(
    judge: Network, photo: Tensor, painting: Tensor, by_vgg: Tensor, by_lite: Tensor
) -> dict[str, float]:
    return dict(zip(COLUMNS, measure_pair(judge, photo, painting, by_vgg, by_lite), strict=False))


def test_equal_results_close_the_gap_and_the_untouched_photograph_none_of_it(
    judge: Network, pair: tuple[Tensor, Tensor]
) -> None:
    photo, painting = pair
    result = 0.1 * photo + 0.9 * painting
    same = measured(judge, *pair, result, result)
    assert (*same, *SECONDS) == COLUMNS
    assert (same["closure"], same["content"], same["TV"]) == (1, 1, 1)
    assert (
        same["s VGG-19"]
        == same["s lite"]
        == pytest.approx(sum(same[name] for name in STYLE_LAYERS) / 5)
    )
    assert same["s photo"] > same["s lite"] > 0
    untouched = measured(judge, *pair, result, photo)
    assert (untouched["closure"], untouched["content"]) == (0, 0)
    assert untouched["s photo"] == untouched["s lite"]
    assert measured(judge, *pair, result, painting)["s lite"] == 0
    assert measured(judge, *pair, painting, result)["closure"] == pytest.approx(
        1 - same["s lite"] / same["s photo"]
    )


def test_the_ratios_are_of_lite_over_vgg19(judge: Network, pair: tuple[Tensor, Tensor]) -> None:
    photo, painting = pair
    calm, wild = photo + 0.1 * (painting - photo), photo + 0.3 * (painting - photo)
    assert measured(judge, *pair, calm, wild)["content"] > 2
    assert measured(judge, *pair, wild, wild / 2)["TV"] == pytest.approx(0.25)  # of squares
    nothing = measured(judge, *pair, photo, wild)
    assert math.isnan(nothing["closure"])
    assert math.isnan(nothing["content"])


@pytest.mark.parametrize(
    ("figure", "limit", "where"),
    [
        ("closure", 0.95, "mean"),
        ("closure", 0.90, "worst"),
        ("content", 1.15, "worst"),
        ("TV", 1.15, "worst"),
        ("s VGG-19", 0.02, "worst"),
    ],
)
def test_the_verdict_asks_for_every_limit(figure: str, limit: float, where: str) -> None:
    assert judge_criteria(GOOD, GOOD).count(": yes") == 5
    for value, answers in (
        (limit, 5),
        (limit + (-1e-6 if figure == "closure" else 1e-6), 4),
        (math.nan, 4),
    ):
        changed = GOOD | {figure: value}
        said = judge_criteria(changed, GOOD) if where == "mean" else judge_criteria(GOOD, changed)
        assert (said.count(": yes"), said.count(": NO")) == (answers, 5 - answers)


def rows(**columns: tuple[float, ...]) -> list[list[float]]:
    by_name = {name.replace("_", " "): values for name, values in columns.items()}
    return [[by_name.get(name, (0.5, 0.25, 0.75))[i] for name in COLUMNS] for i in range(3)]


def test_the_summary_takes_the_smallest_closure_and_the_largest_of_the_rest() -> None:
    mean, worst = summarise(rows(closure=(0.9, 0.8, 1.0)))
    assert tuple(mean) == tuple(worst) == COLUMNS
    assert (mean["closure"], worst["closure"]) == (pytest.approx(0.9), 0.8)
    assert (mean["content"], worst["content"], worst["TV"], worst["s/it lite"]) == (
        0.5,
        0.75,
        0.75,
        0.75,
    )
    assert math.isnan(worst["s photo"])
    assert format_row("worst", list(worst.values())).startswith(
        "| worst | – | 0.7500 | 0.7500 | 80.0% | "
    )


@pytest.mark.parametrize("at", [0, 1, 2])
def test_unknown_seconds_are_left_out_and_an_unknown_quality_is_not(at: int) -> None:
    def holed(*values: float) -> tuple[float, ...]:
        return tuple(math.nan if i == at else value for i, value in enumerate(values))

    table = rows(closure=holed(1, 1, 1), content=holed(1, 1, 1))
    for row, seconds in zip(table, holed(2, 2, 2), strict=True):
        row[-2:] = [seconds, math.nan]
    mean, worst = summarise(table)
    assert mean["s/it VGG-19"] == worst["s/it VGG-19"] == 2
    assert all(
        math.isnan(x[name]) for x in (mean, worst) for name in ("s/it lite", "closure", "content")
    )
    assert format_row("mean", list(mean.values())).endswith("| 2.0000 | – |")


def test_vgg19s_result_is_kept_for_these_very_settings_and_made_again_where_it_is_damaged(
    judge: Network, pair: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    def ask(
        iterations: int = 2, key: str = "pair", network: Network = judge
    ) -> tuple[Tensor, float]:
        return stylise_by_vgg19(
            network, *pair, Schedule(iterations, final_rate=1.0), key, tmp_path / "cache"
        )

    made, seconds = ask()
    [file] = (tmp_path / "cache").iterdir()
    kept = file.read_bytes()
    again, unknown = ask()
    assert torch.equal(made, again)
    assert torch.equal(made, from_uint16(to_uint16(made)))
    assert (seconds > 0, math.isnan(unknown)) == (True, True)
    other = Network(judge.module, "other weights", judge.device, judge.precision)
    assert all(got[1] > 0 for got in (ask(iterations=3), ask(key="another"), ask(network=other)))
    assert len(list((tmp_path / "cache").iterdir())) == 4
    for damaged in (b"", kept[:-20], kept[:200] + bytes(8) + kept[208:]):
        file.write_bytes(damaged)
        mended, known = ask()
        assert known > 0
        assert torch.equal(mended, made)
        assert file.read_bytes() == kept
    assert stylise_by_vgg19(judge, *pair, Schedule(2, final_rate=1.0), "pair", None)[1] > 0


def test_it_takes_the_shared_pictures_where_they_are_and_says_what_to_give_where_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lite_vs_vgg19, "SHARED", tmp_path)
    with pytest.raises(SystemExit) as e:
        lite_vs_vgg19.parse_arguments(["--photos", "a.jpg"])
    assert e.value.code == 2
    assert capsys.readouterr().err == (
        f"give --photos and --styles a folder or files each, for {tmp_path} does not have them\n"
    )
    given = lite_vs_vgg19.parse_arguments(["--photos", "a.jpg", "--styles", "b.jpg", "c.jpg"])
    assert (given.photos, given.styles) == ([Path("a.jpg")], [Path("b.jpg"), Path("c.jpg")])
    for name in ("photos", "styles"):
        (tmp_path / name).mkdir()
    found = lite_vs_vgg19.parse_arguments([])
    assert found.photos == [tmp_path / "photos" / name for name in lite_vs_vgg19.PHOTOS]
    assert found.styles == [tmp_path / "styles" / name for name in lite_vs_vgg19.STYLES]


def test_a_folder_stands_for_the_pictures_in_it_and_for_nothing_else(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "notes.txt", "c.webp"):
        (tmp_path / name).touch()
    file = tmp_path / "notes.txt"  # who names a file means it
    assert lite_vs_vgg19.list_pictures([file, tmp_path]) == [
        file,
        *(tmp_path / x for x in ("a.JPG", "b.png", "c.webp")),
    ]


def test_weights_are_measured_only_if_they_are_of_this_network(
    tmp_path: Path, pair: tuple[Tensor, Tensor]
) -> None:
    with safe_open(EMBEDDED, "pt") as file:
        card = json.loads(file.metadata()["card"])
    tensors = load_file(EMBEDDED)
    taps = card["architecture"]["taps"]
    assert taps == lite_vs_vgg19.TAPS

    def load(name: str) -> Network:
        return lite_vs_vgg19.load_lite(tmp_path / name, torch.device("cpu"), "fp32")

    (tmp_path / "other").write_bytes(b"nothing")
    save_file(dict(list(tensors.items())[1:]), tmp_path / "less")
    for name, changed in (
        ("same", taps),
        ("taps", {layer: tap + 1 for layer, tap in taps.items()}),
    ):
        card["architecture"]["taps"] = changed
        save_file(tensors, tmp_path / name, {"card": json.dumps(card)})
    image = pair[0][None]
    mine, embedded = (
        x(image, STYLE_LAYERS) for x in (load("same"), load_network("lite", precision="fp32"))
    )
    assert all(torch.equal(mine[name], embedded[name]) for name in STYLE_LAYERS)
    for name in ("other", "less", "taps", "missing"):
        with pytest.raises(WeightsError) as e:
            load(name)
        assert str(tmp_path / name) in e.value.what
        assert ("other convolutions" in e.value.why) == (name == "taps")


@pytest.mark.parametrize("polish", [0, 1, 4])
def test_the_last_iterations_are_vgg19s_and_go_on_from_where_lite_came_to(
    polish: int,
    judge: Network,
    painting: Path,
    small_vgg19: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    done: list[tuple[str, int, bool]] = []
    results: list[Tensor] = []
    stylise = lite_vs_vgg19.stylise

    def watched(
        network: Network,
        photo: Tensor,
        painting: Tensor,
        schedule: Schedule,
        start: Tensor | None = None,
    ) -> tuple[Tensor, float]:
        done.append((network.digest, schedule.iterations, start is not None))
        assert start is None or torch.equal(start, results[-1])
        image, seconds = stylise(network, photo, painting, schedule, start)
        results.append(image)
        return image, seconds

    monkeypatch.setattr(lite_vs_vgg19, "stylise", watched)
    words = f"--photos {painting} --styles {painting} --weights-dir {small_vgg19}"
    words += " --size 32 --iterations 5"
    lite_vs_vgg19.compare_networks(
        lite_vs_vgg19.parse_arguments(
            [*words.split(), "--polish", str(polish), "--precision", "fp32"]
        )
    )
    lite = sha256(EMBEDDED)
    mended = [(judge.digest, polish, True)] if polish else []
    assert done == [(judge.digest, 5, False), (lite, 5 - polish, False), *mended]
    for wrong in ("5", "-1"):
        with pytest.raises(SystemExit) as e:
            lite_vs_vgg19.parse_arguments([*words.split(), "--polish", wrong])
        assert e.value.code == 2


def test_the_whole_table(
    judge: Network,
    painting: Path,
    small_vgg19: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def same(*_: object) -> Network:
        return judge

    monkeypatch.setattr(lite_vs_vgg19, "load_lite", same)
    words = [
        "--photos",
        painting,
        "--styles",
        painting,
        painting,
        "--weights-dir",
        small_vgg19,
        "--out",
        tmp_path,
    ]
    words += ["--size", 32, "--iterations", 2, "--precision", "fp32"]
    lite_vs_vgg19.compare_networks(lite_vs_vgg19.parse_arguments([str(word) for word in words]))
    table = [text for text in capsys.readouterr().out.splitlines() if text.startswith("| ")]
    assert [text.split(" | ")[0] for text in table] == [
        "| pair",
        *["| stripes x stripes"] * 2,
        "| mean",
        "| worst",
    ]
    assert all(
        " | 100.0% | 1.0000 | 1.0000 | " in text for text in table[1:]
    )  # lite is VGG-19 here
    sheet = cv2.imread(str(tmp_path / "contact_sheet.png"))
    assert sheet is not None
    assert sheet.shape[0] == 2 * 16 + lite_vs_vgg19.GAP
