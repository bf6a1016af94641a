"""The paintings in the public domain whose learned styles come with the package: `--style
starry-night` needs no file.
"""

from __future__ import annotations

from pathlib import Path

SHIPPED_STYLES_FOLDER = Path(__file__).parents[1] / "assets" / "styles"


def list_shipped_styles() -> dict[str, Path]:
    """List the style files that come with the package by their names."""
    return {path.stem: path for path in sorted(SHIPPED_STYLES_FOLDER.glob("*.style"))}


def find_shipped_style(path: Path) -> Path:
    """Return the style file that a name without a folder stands for; else the path."""
    return list_shipped_styles().get(str(path), path)
