"""The clips of a comparison belong together, or are refused before anything is measured."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from tests.helpers.films import SIZE, texture, video
from vidstyle.errors import InputError
from vidstyle.evaluation.clips import Clip
from vidstyle.evaluation.comparison import (
    Comparison,
    check_alignment,
    describe_limits,
    scan_source,
)
from vidstyle.motion.bars import Bars
from vidstyle.video.probe import probe

CLIP = Clip(Path("out.mp4"), 10, (64, 48), lambda _: (_ for _ in ()), first=2)


def with_baseline(**changes: object) -> dict[str, Clip]:
    return {"result": CLIP, "baseline": replace(CLIP, path=Path("base.mp4"), **changes)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("others", "available", "words"),
    [
        (with_baseline(), 9, "out.mp4 is longer than its source"),
        (with_baseline(first=3), 10, "base.mp4 does not begin where it is measured"),
        (with_baseline(size=(64, 50)), 10, "base.mp4 is not of the result's size"),
        (with_baseline(count=9), 10, "base.mp4 is shorter than the result"),
        ({"result": replace(CLIP, first=0)}, 10, "out.mp4 does not begin where it is measured"),
    ],
)
def test_clips_that_do_not_belong_together_are_refused(
    others: dict[str, Clip], available: int, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        check_alignment(others, Path("in.mp4"), 2, available, 0.1)


@pytest.mark.parametrize(
    "others", [{"result": CLIP}, with_baseline(count=12), with_baseline(first=None)]
)
def test_clips_that_belong_together_pass(others: dict[str, Clip]) -> None:
    check_alignment(others, Path("in.mp4"), 2, 10, None)


def test_an_image_has_no_bars(tmp_path: Path) -> None:
    barred = Bars(10, 10).paste(texture(0, (28, 64)), torch.zeros(3, *SIZE))
    path = tmp_path / "in.png"
    image = (barred * 255).round().byte().permute(1, 2, 0).numpy()
    cv2.imwrite(str(path), np.ascontiguousarray(image[:, :, ::-1]))
    assert not scan_source(probe(path)).may_have_bars
    assert scan_source(probe(video(tmp_path / "in.mkv", [barred] * 3))).may_have_bars


def test_the_frames_of_all_clips_come_together_and_without_bars() -> None:
    left_open = {"a", "b"}

    def read(name: str, value: float) -> Callable[[int], Generator[Tensor, None, None]]:
        def frames(count: int) -> Generator[Tensor, None, None]:
            try:
                for t in range(count):
                    yield torch.full((3, 8, 6), value + t)
            finally:
                left_open.remove(name)

        return frames

    pair = {
        name: replace(CLIP, read=read(name, value)) for name, value in {"a": 0.0, "b": 5.0}.items()
    }
    comparison = Comparison(pair, 0, 4, (0,), bars=Bars(top=2, left=1))
    with contextlib.closing(comparison.read_frames()) as moments:
        next(moments)
        frames = next(moments)
        assert {name: image.shape for name, image in frames.items()} == {
            "a": (3, 6, 5),
            "b": (3, 6, 5),
        }
        assert [float(image.mean()) for image in frames.values()] == [1, 6]
        # The bars are not kept in memory behind a view.
        assert frames["a"].untyped_storage().nbytes() == frames["a"].nbytes
    assert not left_open


def test_the_reader_is_told_what_the_figures_stand_on(tmp_path: Path) -> None:
    source = replace(probe(video(tmp_path / "in.mkv", [texture(0)] * 2)), warnings=("odd",))
    whole = describe_limits(CLIP, source, 0, 10, 0)
    assert [note.text for note in whole] == ["odd"]
    stretched = replace(CLIP, size=(64, 30), count=3)
    texts = [note.text for note in describe_limits(stretched, source, 4, 10, 2)]
    assert len(texts) == 4
    for text, words in zip(
        texts, ("odd", "2 frames are missing", "frames 4 to 6", "stretched"), strict=True
    ):
        assert words in text
