"""Style files: what was learned comes back, and what is none is refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from vidstyle.errors import StyleError
from vidstyle.rendering import style_files
from vidstyle.rendering.style_files import (
    LearnedStyle,
    is_style_file,
    load_painting,
    load_style,
    read_card,
    save_style,
)
from vidstyle.stylize.feedforward.network import STYLE_NUMBERS, StyleNetwork
from vidstyle.stylize.feedforward.painter import NetworkStyle


def make_style() -> NetworkStyle:
    generator = torch.Generator().manual_seed(1)
    changes = {
        name: torch.randn(x.shape, generator=generator)
        for name, x in StyleNetwork().state_dict().items()
    }
    return NetworkStyle(torch.randn(STYLE_NUMBERS, generator=generator), changes)


def test_a_style_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    style = make_style()
    painting = torch.linspace(0, 1, 60).view(1, 1, 60).expand(3, 40, 60)
    path = tmp_path / "sea.style"
    save_style(path, LearnedStyle(style, painting, {"name": "sea", "steps": 3}))
    got = load_style(path)
    assert torch.equal(got.style.numbers, style.numbers)
    assert got.style.changes.keys() == style.changes.keys()
    for name, x in style.changes.items():
        assert float((got.style.changes[name] - x).abs().max()) <= float(x.abs().max()) / 250
    assert got.painting is not None
    assert float((got.painting - painting).abs().max()) < 0.05
    assert got.card == {"name": "sea", "steps": 3}
    assert path.stat().st_size < 10**6
    again = tmp_path / "again.style"
    save_style(again, got)
    assert all(
        torch.equal(load_style(again).style.changes[k], x) for k, x in got.style.changes.items()
    )


def test_a_large_painting_is_kept_small(tmp_path: Path) -> None:
    path = tmp_path / "wall.style"
    save_style(path, LearnedStyle(make_style(), torch.rand(3, 300, 2500)))
    got = load_style(path)
    assert got.painting is not None
    assert got.painting.shape == (3, 123, 1024)


def test_what_is_no_style_is_refused_in_words(tmp_path: Path) -> None:
    text, other, short = (tmp_path / f"{name}.style" for name in ("text", "other", "short"))
    text.write_text("no tensors here")
    save_file({"numbers": torch.zeros(STYLE_NUMBERS)}, other)
    save_style(short, LearnedStyle(NetworkStyle(torch.zeros(STYLE_NUMBERS))))
    with safe_open(short, "pt") as file:
        about = file.metadata()
    save_file({"numbers": torch.zeros(7)}, short, about)
    damaged = []
    numbers = torch.zeros(STYLE_NUMBERS)
    scaleless = torch.zeros(4, 16, 3, 3, dtype=torch.int8)
    for i, (tensors, metadata) in enumerate(
        (
            ({"numbers": numbers}, {"vidstyle": "not JSON"}),
            ({"numbers": numbers}, {"vidstyle": "[1]"}),
            ({"numbers": numbers}, {"vidstyle": '{"format": "style 1"}'}),
            ({"changes.paint.bias": torch.zeros(4)}, about),
            ({"numbers": numbers, "changes.paint.weight": scaleless}, about),
            (
                {
                    "numbers": numbers,
                    "changes.paint.weight": scaleless,
                    "changes.paint.weight.scale": torch.ones(1),
                },
                about,
            ),
            ({"numbers": numbers, "painting": torch.zeros(9, dtype=torch.uint8)}, about),
            ({"numbers": numbers, "painting": torch.zeros(0, dtype=torch.uint8)}, about),
        )
    ):
        damaged.append(tmp_path / f"damaged{i}.style")
        save_file(tensors, damaged[-1], metadata)
    for path in (text, other, short, *damaged, tmp_path / "missing.style"):
        with pytest.raises(StyleError) as caught:
            load_style(path)
        assert str(path) in caught.value.what
        assert caught.value.why
        assert "vidstyle learn" in caught.value.hint


def test_a_style_of_another_network_is_refused_but_its_painting_can_be_learned_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sea.style"
    monkeypatch.setattr(style_files, "base_digest", lambda: "0" * 16)
    save_style(path, LearnedStyle(make_style(), torch.rand(3, 20, 30), {"name": "sea"}))
    assert load_style(path).card == {"name": "sea"}
    monkeypatch.undo()
    with pytest.raises(StyleError) as caught:
        load_style(path)
    assert "another version" in caught.value.why
    assert load_painting(path).shape == (3, 20, 30)
    assert read_card(path) == {"name": "sea"}


def test_a_style_file_is_told_by_its_name() -> None:
    assert is_style_file(Path("a/munch.style"))
    assert is_style_file(Path("MUNCH.STYLE"))
    assert not is_style_file(Path("munch.style.jpg"))
