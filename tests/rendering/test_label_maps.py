"""Regions of the source take their style from regions of the painting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from vidstyle.config.settings import RenderConfig
from vidstyle.errors import ConfigError, InputError
from vidstyle.rendering.label_maps import LabelMaps, label_digest
from vidstyle.stylize.style.rim import Rim
from vidstyle.video import ffmpeg
from vidstyle.video.read import read_image

Command = Callable[..., Any]
Settings = Callable[..., RenderConfig]
SIZE = (48, 32)
RED, BLUE, GREEN = (0, 0, 255), (255, 0, 0), (0, 255, 0)
"""As OpenCV has them."""
WHOLE = Rim((40, 60))
"""A style image without a rim."""


def load(files: tuple[Path, Path], stop: int, *, fixed: bool, style_rim: Rim = WHOLE) -> LabelMaps:
    """The label maps of a render of the frames before `stop`."""
    maps = LabelMaps(files, SIZE, style_rim, must_be_fixed=fixed)
    maps.check_length(stop)
    return maps


def halves(
    path: Path,
    first: tuple[int, int, int],
    second: tuple[int, int, int],
    size: tuple[int, int] = SIZE,
) -> Path:
    """An image whose left half is of the one colour and whose right half of the other."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    image[:, : size[0] // 2], image[:, size[0] // 2 :] = first, second
    cv2.imwrite(str(path), image)
    return path


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return halves(tmp_path / "source.png", RED, BLUE), halves(
        tmp_path / "style.png", BLUE, RED, (60, 40)
    )


def test_every_pixel_of_a_frame_belongs_to_the_region_of_its_colour(
    files: tuple[Path, Path],
) -> None:
    regions = load(files, 12, fixed=True)
    assert regions.fixed is not None
    assert torch.equal(regions.fixed.sum(0), torch.ones(32, 48))
    assert regions.style_masks.shape == (3, 40, 60)
    red, blue = regions.names.index("#ff0000"), regions.names.index("#0000ff")
    assert regions.fixed[red, :, :24].all()
    assert regions.fixed[blue, :, 24:].all()
    assert regions.style_masks[red, :, 30:].all()
    assert regions.style_masks[blue, :, :30].all()
    assert regions.style_masks[-1].all()
    assert len(list(regions.frames(3, 7))) == 4


def test_the_labels_of_a_style_image_are_cut_in_step_with_it(files: tuple[Path, Path]) -> None:
    # The style image is twice as large as its labels, and half of it is rim.
    cut = Rim((80, 120), top=8, left=60, right=10)
    regions = load(files, 12, fixed=True, style_rim=cut)
    assert regions.style_masks.shape == (2, 36, 25)
    assert regions.names[0] == "#ff0000"
    assert regions.style_masks.all()
    assert regions.fixed is not None
    assert regions.fixed[-1, :, 24:].all(), "blue is left to the rest"


def test_labels_move_with_a_folder_of_them(tmp_path: Path, files: tuple[Path, Path]) -> None:
    folder = tmp_path / "labels"
    folder.mkdir()
    with pytest.raises(InputError, match="no pictures"):
        load((folder, files[1]), 1, fixed=False)
    pairs = [(RED, BLUE), (BLUE, RED), (GREEN, GREEN)]
    for i, pair in enumerate(pairs):
        halves(folder / f"frame{i + 9}.png", *pair, size=(96, 64))  # 9 comes before 10
    (folder / "._frame9.png").write_bytes(b"what a file manager leaves")
    (folder / "more.png").mkdir()
    (folder / "notes.txt").write_text("no picture", encoding="utf-8")
    regions = load((folder, files[1]), 3, fixed=False)
    first, second, third = (masks() for masks in regions.frames(0, 3))
    assert torch.equal(first, second.flip(2))
    assert third[-1].all()
    assert torch.equal(next(regions.frames(1, 3))(), second)
    before = label_digest(folder)
    assert label_digest(folder) == before
    halves(folder / "frame10.png", *pairs[0])
    assert label_digest(folder) != before
    with pytest.raises(InputError, match="too short"):
        load((folder, files[1]), 4, fixed=False)
    with pytest.raises(ConfigError, match="is a folder"):
        load((folder, files[1]), 3, fixed=True)


def test_labels_move_with_a_video_of_them(tmp_path: Path, files: tuple[Path, Path]) -> None:
    stills = [
        halves(tmp_path / f"{i}.png", *pair)
        for i, pair in enumerate([(RED, BLUE), (BLUE, RED), (GREEN, GREEN)])
    ]
    film = tmp_path / "labels.mkv"
    pattern = ["-framerate", "10", "-i", str(tmp_path / "%d.png")]
    assert len(stills) == 3
    ffmpeg.run(["-y", *pattern, "-c:v", "ffv1", ffmpeg.local(film)], "cannot make the film")
    regions = load((film, files[1]), 3, fixed=False)
    first, second, third = (masks() for masks in regions.frames(0, 3))
    assert torch.equal(first, second.flip(2))
    assert third[-1].all(), "what has no counterpart takes the whole painting's style"
    with pytest.raises(InputError, match="too short"):
        load((film, files[1]), 4, fixed=False)
    with pytest.raises(ConfigError, match="is a video"):
        load((film, files[1]), 3, fixed=True)


def test_label_images_without_a_common_colour_are_refused(
    tmp_path: Path, files: tuple[Path, Path]
) -> None:
    with pytest.raises(ConfigError, match="no colour in common"):
        load((halves(tmp_path / "other.png", GREEN, GREEN), files[1]), 1, fixed=True)


@pytest.mark.parametrize("flags", [(), ("--passes", "2")])
def test_a_render_paints_each_region_in_its_own_style_and_knows_its_labels(
    command: Command, film: Path, tmp_path: Path, files: tuple[Path, Path], flags: tuple[str, ...]
) -> None:
    """A painting that is light on the left and dark on the right: which half of the video becomes
    light follows the labels."""
    painting = tmp_path / "painting.png"
    noise = np.random.default_rng(0).integers(0, 60, (40, 60, 3))
    noise[:, :30] += 190
    cv2.imwrite(str(painting), noise.astype(np.uint8))
    base = (
        film,
        "--style",
        painting,
        "-o",
        tmp_path / "out.png.mkv",
        "--duration",
        0.2,
        "--content-weight",
        0,
        *flags,
    )
    few = ("--first-iterations", 30, "--iterations", 4, "--keep-frames", "--regions")
    found = []
    for order in ((RED, BLUE), (BLUE, RED)):
        labels = halves(tmp_path / "source.png", *order)
        got = command(*base, *few, labels, files[1], *(() if not found else ("--restart", "-f")))
        assert got.code == 0, got.err
        image = read_image(tmp_path / "out.png.mkv.vidstyle" / "frames" / "000001.png", InputError)
        found.append(float(image[:, :, 24:].mean() - image[:, :, :24].mean()))
    assert found[0] > 0.1 > -0.1 > found[1]
    halves(tmp_path / "source.png", RED, BLUE)
    refused = command(*base, *few, tmp_path / "source.png", files[1], "-f")
    assert refused.code == 2
    assert "regions" in refused.err


def test_no_output_replaces_labels(command: Command, painting: Path, tmp_path: Path) -> None:
    labels = [halves(tmp_path / name, RED, BLUE) for name in ("a.png", "b.png")]
    folder = tmp_path / "labels"
    folder.mkdir()
    halves(folder / "0.png", RED, BLUE)
    before = {path: path.read_bytes() for path in (*labels, folder / "0.png")}
    for source, output in (
        (labels[0], labels[0]),
        (labels[0], labels[1]),
        (folder, folder / "0.png"),
    ):
        got = command(
            painting, "--style", painting, "--regions", source, labels[1], "-o", output, "-f"
        )
        assert got.code == 2
        assert "is what the render is made from" in got.err
    assert {path: path.read_bytes() for path in before} == before


def test_what_hardly_looks_like_labels_is_told(
    command: Command, painting: Path, tmp_path: Path
) -> None:
    wide = halves(tmp_path / "wide.png", RED, BLUE, (90, 20))
    line = (painting, "--style", painting, "-o", tmp_path / "out.png", "--dry-run", "--regions")
    assert "few flat colours" in command(*line, painting, painting).out
    told = command(*line, wide, halves(tmp_path / "style.png", RED, GREEN))
    assert "is stretched from 90x20" in told.out
    assert "50% has no counterpart" in told.out


@pytest.mark.parametrize("more", [{"tile": 256}, {"texture": True, "style": None}])
def test_what_does_not_go_with_regions_is_refused(settings: Settings, more: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="settings do not fit"):
        settings(regions=("a.png", "b.png"), **more)
