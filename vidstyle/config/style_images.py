"""The style images that a style is mixed from, with their weights, and how the mixture moves over
time: `path[:weight][@time]`.

Among them may be `original`, which stands for the source itself. It takes a share like any style
image, and is none: the source shows through by that share, and the style is mixed from the others
in relation to each other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidstyle.config.key_times import NUMBER, find_interval
from vidstyle.config.shipped_styles import find_shipped_style

ORIGINAL = Path("original")
"""The path that stands for the source itself, where there is no file of this name."""

TIME_SUFFIX = re.compile(rf"(?P<rest>.+)@(?P<value>{NUMBER})s?", re.IGNORECASE)
WEIGHT_SUFFIX = re.compile(rf"(?P<rest>.+):(?P<value>{NUMBER})", re.IGNORECASE)


@dataclass(frozen=True)
class StyleImage:
    """An image that a style is mixed from.

    Args:
        weight: its weight in relation to the others of the same time, above 0.
        at: the second of the input at which it has that weight; None: throughout.
    """

    path: Path
    weight: float = 1.0
    at: float | None = None

    @property
    def is_original(self) -> bool:
        """Tells whether it stands for the source itself and not for an image."""
        return self.path == ORIGINAL

    def __str__(self) -> str:
        weight = "" if self.weight == 1 else f":{self.weight!r}"
        return f"{self.path}{weight}" + ("" if self.at is None else f"@{self.at!r}s")


def parse_style_image(text: str) -> StyleImage:
    """Read `a.jpg:0.7@4s` as a.jpg with weight 0.7 at 4 s.

    A file of that very name comes first; then suffixes are read from the right, as far as they are
    suffixes. Raises ValueError where a weight is 0, or where the file exists and its suffix cannot
    be read.
    """
    path = text
    weight = 1.0
    at = None
    if not path_exists(path) and (match := TIME_SUFFIX.fullmatch(path)):
        path = match["rest"]
        at = float(match["value"])
    if not path_exists(path) and (match := WEIGHT_SUFFIX.fullmatch(path)):
        path = match["rest"]
        weight = float(match["value"])
    there = path
    while not path_exists(there) and (cut := max(there.rfind(mark) for mark in ":@")) > 0:
        there = there[:cut]
    if there != path and path_exists(there):
        raise ValueError(
            f"style {there} is there, and {text[len(there) :]!r} is neither a weight nor a time "
            f"nor both: write {there}:0.7 or {there}@4s or {there}:0.7@4s, in seconds"
        )
    if weight == 0:
        raise ValueError(f"the weight of {path} is 0: it must be above 0; leave {path} out instead")
    style = StyleImage(Path(path), weight, at)
    if style.is_original and path != str(ORIGINAL):
        # ./original is a file, whether it is there or not.
        return replace(style, path=style.path.absolute())
    # ./scream is a file, too.
    return prefer_file(style) if path == str(style.path) else style


def prefer_file(style: StyleImage) -> StyleImage:
    """Return a style image with the path of a file: where one is called `original`, the image does
    not stand for the source, and its path is absolute then, so that what it stands for depends on
    no folder from now on. Where there is none, the path may be the name of a style that comes with
    the package.
    """
    if path_exists(str(style.path)):
        return replace(style, path=style.path.absolute()) if style.is_original else style
    return replace(style, path=find_shipped_style(style.path))


def path_exists(path: str) -> bool:
    """Tell whether there is such a file; not where its name is too long or has a zero in it."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def parse_style_images(given: Any) -> tuple[StyleImage, ...]:
    """Read one text, path or `StyleImage`, or a list of such; None stands for none.

    Raises ValueError where one cannot be read, or where weights or times change nothing.
    """
    if given is None:
        return ()
    if isinstance(given, (str, Path, StyleImage)):
        given = [given]
    if not isinstance(given, (list, tuple)) or not all(
        isinstance(one, (str, Path, StyleImage)) for one in given
    ):
        raise ValueError(f"{given!r} is neither a painting's path nor a list of such")
    styles = tuple(
        parse_style_image(one)
        if isinstance(one, str)
        else prefer_file(StyleImage(one) if isinstance(one, Path) else one)
        for one in given
    )
    check_style_images(styles)
    return styles


def check_style_images(styles: Sequence[StyleImage]) -> None:
    """Raise ValueError where weights or times change nothing, or there is nothing to paint."""
    if styles and all(one.is_original for one in styles):
        raise ValueError(
            "style original is the input itself, which leaves nothing to paint: name a painting as "
            "well, as in original@0s and a.jpg@3s"
        )
    timed = [one for one in styles if one.at is not None]
    if timed and len(timed) < len(styles):
        without = next(one for one in styles if one.at is None)
        raise ValueError(
            f"style {without.path} has no time and {timed[0].path} has one: give all of them one, "
            "or none"
        )
    if timed and len({one.at for one in timed}) == 1:
        raise ValueError(
            f"style: {timed[0].at:g} s is the only time, which changes nothing: leave it out"
        )
    for one in styles:
        if not (math.isfinite(one.weight) and math.isfinite(one.at or 0)):
            raise ValueError(f"style {one.path}: its weight or its time is too large a number")
        if [(other.path, other.at) for other in styles].count((one.path, one.at)) > 1:
            raise ValueError(f"style {one.path} is named twice: give it one weight")
        if one.weight != 1 and [other.at for other in styles].count(one.at) == 1:
            raise ValueError(
                f"style {one.path} has a weight and nothing that it counts in relation to: leave "
                "it out, or use style_weight for more or less style"
            )
    shares = [
        {one.path: relative_weight(one, styles) for one in styles if one.at == at}
        for at in key_times(styles)
    ]
    if len(shares) > 1 and all(each == shares[0] for each in shares):
        raise ValueError(
            "style is the same at all times, which change nothing then: leave them out"
        )


def select_images(styles: Sequence[StyleImage]) -> tuple[StyleImage, ...]:
    """Select those that are images, and not the source itself."""
    return tuple(one for one in styles if not one.is_original)


def list_files(styles: Sequence[StyleImage]) -> tuple[Path, ...]:
    """List the file of every style image once, in the order of their first mention."""
    return tuple(dict.fromkeys(one.path for one in select_images(styles)))


def style_fingerprint_parts(styles: Sequence[StyleImage], digests: Sequence[str]) -> Any:
    """Return the part of the fingerprint that stands for the style.

    The source itself is in it only where it changes how the mixture of the others moves.

    Args:
        digests: of `list_files`, in that order.

    Returns:
        the digest of a single style image, else digest, share and time of every mention.
    """
    files = list_files(styles)
    if len(files) == 1:
        return digests[0]
    known = dict(zip(files, digests, strict=True))
    images = select_images(styles)
    if len(images) == len(styles):
        return [[known[one.path], relative_weight(one, styles), one.at] for one in styles]
    mixtures = {key_shares(styles, at) for at in key_times(images) or (None,)}
    if len(mixtures) == 1:
        # The mixture does not move, whatever share of the picture it has.
        [shares] = mixtures
        return [[known[path], share, None] for path, share in zip(files, shares, strict=True)]
    if len({share_of_images(styles, at) for at in key_times(styles)}) == 1:
        # It moves as it does without the source.
        return [[known[one.path], relative_weight(one, images), one.at] for one in images]
    known[ORIGINAL] = str(ORIGINAL)
    return [[known[one.path], relative_weight(one, styles), one.at] for one in styles]


def mixture_shares(styles: Sequence[StyleImage], time: Fraction) -> tuple[float, ...]:
    """Return the share of each of `list_files` in the style at this second of the input.

    The shares add up to 1. Between two key times they move in proportion to time; before the first
    and after the last they are constant. Next to the source itself, those of the others move in
    relation to each other. Where it leaves them nothing, they are what they are at the nearest time
    at which it does not.
    """
    times = key_times(styles)
    if not times:
        return key_shares(styles, None)
    interval = find_interval(times, time)
    share_before = share_of_images(styles, interval.before)
    share_after = share_of_images(styles, interval.after)
    before = (1 - interval.progress) * share_before
    after = interval.progress * share_after
    if not before and not after:
        return key_shares(styles, nearest_painted_time(styles, float(time)))
    if not after:
        return key_shares(styles, interval.before)
    if not before:
        return key_shares(styles, interval.after)
    # Where the source has the same share at both times, it changes nothing, not even the rounding.
    are_equal = share_before == share_after
    progress = interval.progress if are_equal else after / (before + after)
    pairs = zip(
        key_shares(styles, interval.before), key_shares(styles, interval.after), strict=True
    )
    # Exactly a where b is the same: nothing moves then.
    return tuple(a + progress * (b - a) for a, b in pairs)


def original_share(styles: Sequence[StyleImage], time: Fraction) -> float:
    """Return the share of the source itself at this second of the input, in [0, 1].

    It moves between key times as the shares of style images do.
    """
    times = key_times(styles)
    if not times:
        return original_key_share(styles, None)
    interval = find_interval(times, time)
    return interval.interpolate(
        original_key_share(styles, interval.before), original_key_share(styles, interval.after)
    )


def nearest_painted_time(styles: Sequence[StyleImage], now: float) -> float:
    """Return the key time of the style that is nearest to a time at which the source has
    everything, of those before and after; that before where both are as near.
    """
    times = key_times(styles)
    painted = [at for at in times if share_of_images(styles, at)]
    earlier = max((at for at in painted if at <= now), default=None)
    later = min((at for at in painted if at > now), default=None)
    if earlier is None or later is None:
        return painted[0] if earlier is None else earlier
    # The source has everything from the next key time after the one to the last before the other.
    begin = min(at for at in times if at > earlier)
    end = max(at for at in times if at < later)
    return earlier if now - begin <= end - now else later


def key_times(styles: Sequence[StyleImage]) -> list[float]:
    """List the times, in seconds, for which shares are given."""
    return sorted({one.at for one in styles if one.at is not None})


def key_shares(styles: Sequence[StyleImage], at: float | None) -> tuple[float, ...]:
    """Return the share of each of `list_files` among them at one of the `key_times`; None:
    throughout.
    """
    images = select_images(styles)
    given = {one.path: relative_weight(one, images) for one in images if one.at == at}
    return tuple(given.get(path, 0.0) for path in list_files(styles))


def original_key_share(styles: Sequence[StyleImage], at: float | None) -> float:
    """Return the share of the source itself at one of the `key_times`; None: throughout."""
    return sum(relative_weight(one, styles) for one in styles if one.is_original and one.at == at)


def share_of_images(styles: Sequence[StyleImage], at: float | None) -> float:
    """Return the share of all style images together at one of the `key_times`."""
    return 1 - original_key_share(styles, at)


def relative_weight(one: StyleImage, styles: Sequence[StyleImage]) -> float:
    """Return the share of a style image among those of its time.

    Weights are taken as they are written in decimals, so that 7:2:1 is 0.7:0.2:0.1.
    """
    weights = [Fraction(str(other.weight)) for other in styles if other.at == one.at]
    return float(Fraction(str(one.weight)) / sum(weights))
