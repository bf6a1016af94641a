"""`vidstyle styles`: the styles that come with the package."""

from __future__ import annotations

from vidstyle.cli.streams import print_answer
from vidstyle.config.shipped_styles import list_shipped_styles


def styles_command() -> None:
    """List the paintings that come with vidstyle: vidstyle in.mp4 --style NAME."""
    from vidstyle.rendering.style_files import read_card

    for name, path in list_shipped_styles().items():
        card = read_card(path)
        facts = [str(card[key]) for key in ("title", "artist", "year") if key in card]
        print_answer(f"{name}: {', '.join(facts)}" if facts else name)
