"""The gallery shows what its script makes, and nothing is missing of it."""

from __future__ import annotations

import pytest

from docs import gallery
from docs.pictures import ROOT

EXAMPLES = [example for examples in gallery.SECTIONS.values() for example in examples]


def test_the_page_is_what_the_script_writes() -> None:
    assert gallery.PAGE.read_text(encoding="utf-8") == gallery.compose_page()


def test_every_example_has_a_name_of_its_own() -> None:
    assert len({one.name for one in EXAMPLES}) == len(EXAMPLES) >= 25


@pytest.mark.parametrize("name", [*(one.picture for one in EXAMPLES), "given.jpg", "lake.jpg"])
def test_every_picture_is_there_and_loads_at_once(name: str) -> None:
    assert 0 < (ROOT / "docs" / "gallery" / name).stat().st_size <= 250_000
