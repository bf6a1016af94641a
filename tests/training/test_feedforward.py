"""The training of the fast engine's network, on a few small pictures."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
import torch
from safetensors.torch import load_file

from training import feedforward, pictures
from training.data import texture
from vidstyle.weights.int8 import unpack

Train = Callable[..., dict[str, torch.Tensor]]


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Trains for some rounds of two steps, and returns the weights."""
    rng = random.Random(1)
    for name in ("photos", "paintings"):
        (tmp_path / name).mkdir()
        for i in range(2):
            pixels = (texture(rng, 96) * 255).byte().permute(1, 2, 0).numpy()
            cv2.imwrite(str(tmp_path / name / f"{i}.png"), pixels)
    for name, value in {"ROUND": 2, "STYLE_POOL": 2, "CODE_STYLES": 4}.items():
        monkeypatch.setattr(feedforward, name, value)
    for name, value in {"LAID_PICTURES": 1, "STYLE_AREA": 64**2}.items():
        monkeypatch.setattr(pictures, name, value)

    def run(work: str, rounds: int, *more: object) -> dict[str, torch.Tensor]:
        out = tmp_path / f"{work}.safetensors"
        words = ["--photos", tmp_path / "photos", "--paintings", tmp_path / "paintings"]
        words += ["--work", tmp_path / work, "--out", out, "--rounds", rounds, "--batch", 1]
        words += ["--size", 64, "--last-size", 64, *more]
        monkeypatch.setattr(sys, "argv", ["feedforward", *map(str, words)])
        assert feedforward.main() == 0
        return unpack(load_file(out))

    return run


def test_a_training_that_was_stopped_ends_with_the_same_weights(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train("whole", 2)
    first = feedforward.Run.train_round

    def stop_after_one(run: feedforward.Run) -> None:
        if run.round:
            raise KeyboardInterrupt
        first(run)

    monkeypatch.setattr(feedforward.Run, "train_round", stop_after_one)
    with pytest.raises(KeyboardInterrupt):
        train("cut", 2)
    monkeypatch.setattr(feedforward.Run, "train_round", first)
    cut = train("cut", 2)
    assert whole.keys() == cut.keys()
    assert all(torch.equal(x, cut[name]) for name, x in whole.items())


def test_it_begins_with_earlier_weights_where_they_are_given(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = train("earlier", 1)
    monkeypatch.setattr(feedforward, "RATE", 0.0)
    later = train("later", 1, "--init", tmp_path / "earlier.safetensors")
    for name, x in earlier.items():
        assert torch.allclose(x, later[name], atol=1e-3), name


def test_processes_differ_in_what_they_paint_and_agree_on_the_weights(train: Train) -> None:
    two = train("two", 2, "--processes", 2)
    again = train("again", 2, "--processes", 2)
    alone = train("alone", 2)
    assert all(torch.equal(x, again[name]) for name, x in two.items())
    assert not all(torch.equal(x, alone[name]) for name, x in two.items())
