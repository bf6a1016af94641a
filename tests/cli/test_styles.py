"""The styles that come with the package: listed, and used by their names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vidstyle.cli.main import main
from vidstyle.config import shipped_styles
from vidstyle.config.style_images import StyleImage, parse_style_image
from vidstyle.rendering.style_files import LearnedStyle, load_style, save_style
from vidstyle.stylize.feedforward.network import STYLE_NUMBERS
from vidstyle.stylize.feedforward.painter import NetworkStyle


@pytest.fixture
def sea(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only style that comes with the package."""
    path = tmp_path / "assets" / "sea.style"
    path.parent.mkdir()
    card = {"title": "The Sea", "artist": "Nobody", "year": "1900"}
    save_style(path, LearnedStyle(NetworkStyle(torch.zeros(STYLE_NUMBERS)), card=card))
    monkeypatch.setattr(shipped_styles, "SHIPPED_STYLES_FOLDER", path.parent)
    monkeypatch.chdir(tmp_path)
    return path


def test_they_are_listed_with_title_artist_and_year(
    sea: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["styles"])
    assert not ended.value.code
    assert capsys.readouterr().out == "sea: The Sea, Nobody, 1900\n"


def test_a_name_stands_for_its_file_with_weight_and_time_too(sea: Path) -> None:
    assert parse_style_image("sea") == StyleImage(sea)
    assert parse_style_image("sea:0.3@2s") == StyleImage(sea, 0.3, 2)
    assert parse_style_image("./sea") == StyleImage(Path("sea"))
    assert parse_style_image("land") == StyleImage(Path("land"))


def test_a_file_of_that_name_comes_first(sea: Path) -> None:
    Path("sea").touch()
    assert parse_style_image("sea") == StyleImage(Path("sea"))


def test_all_that_come_with_the_package_fit_its_network_and_say_what_they_are() -> None:
    shipped = shipped_styles.list_shipped_styles()
    assert shipped
    for name, path in shipped.items():
        learned = load_style(path)
        assert learned.painting is not None
        assert learned.card["name"] == name
        assert {"title", "artist", "year", "loss"} <= learned.card.keys()
