"""The histogram of every channel as style: the mean of |F - R(F)|^2 relative to the mean of |P|^2,
where R gives each channel the target's histogram and leaves the order of its positions, and is held
fixed for the gradient (Risser, Wilmot, Barnes 2017 "Stable and controllable neural texture
synthesis and style transfer using histogram losses", eq. 6 and 7).

Risser matches 256 bins; we sort, which is exact. So it is the sliced Wasserstein distance along the
channels' own axes.
"""

from __future__ import annotations

from torch import Tensor

from vidstyle.stylize.style.sliced import SlicedTerm
from vidstyle.stylize.style.term import register_style_term


class HistogramTerm(SlicedTerm):
    """The distribution of every channel by itself; the target is its quantiles, (c, n)."""

    name = "histogram"

    def choose_directions(self, features: Tensor, seed: int) -> None:
        """Return None: the channels themselves."""
        return


register_style_term("histogram", lambda settings: HistogramTerm())
