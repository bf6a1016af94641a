"""What training minimises.

For one image and one layer, with y the student's map, t the teacher's in its directions and G Gram matrices:

    w (  |E (y - t)|^2 / |E t|^2                                        what is where; E is `Teacher.emphasis`
       + GRAM |G(y) - G(t)|^2 / |G(t)|^2                                what is there
       + STYLE |(G(y) - G(y_S)) - (G(t) - G(t_S))|^2 / |G(t_S)|^2 )     the part of the style distance not seen

The second line is there for layers whose style is matched, the third also only for images on their way to a style S:
it is the style distance itself, as VGG-19 measures it, of an image that the student takes for finished. w is
`LAYER_WEIGHTS`; the terms are means over the images of a batch and are summed over the layers. No denominator falls
below `FLOOR` of what is usual.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from training.attempts import gram, relative
from training.teacher import ENERGY, HINTS
from vidstyle.stylize.features import STYLE_LAYERS

GRAM, STYLE = 0.5, 2.0
LAYER_WEIGHTS = {"relu5_1": 2.0} | dict.fromkeys(HINTS, 0.3)
"""1 where none is given."""
FLOOR = 0.05
"""Of a map's usual energy: a flat or dark image has hardly any, and would drown all others."""


def objective(
    maps: Mapping[str, Tensor], targets: Sequence[Mapping[str, Tensor]], emphasis: Mapping[str, Tensor], pairs: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a batch, and its parts before they are weighted.

    Args:
        maps: {layer: (b, rank, h, w)}, the student's.
        targets: for each of the b images {layer: (rank, h, w)}.
        pairs: images [0, pairs) are on their way to the styles in images [pairs, 2 pairs).
    """
    parts: dict[str, Tensor] = {}
    loss = torch.zeros((), device=next(iter(maps.values())).device)
    for name, said in maps.items():
        y, t = said.float(), torch.stack([target[name] for target in targets]).float()
        ey, et = (torch.einsum("bchw,dc->bdhw", f, emphasis[name]) for f in (y, t))
        layer = relative(ey, et, FLOOR * ENERGY * t[0, 0].numel()).mean()
        parts[name] = layer.detach()
        if name in STYLE_LAYERS:
            g, a = gram(y), gram(t)
            floor = (FLOOR * ENERGY) ** 2
            layer = layer + GRAM * relative(g, a, floor).mean()
            if pairs:
                way, style = slice(pairs), slice(pairs, 2 * pairs)
                unseen = (g[way] - g[style]) - (a[way] - a[style])
                missing = relative(a[style] + unseen, a[style], floor).mean()
                parts[f"{name} style"] = missing.detach()
                layer = layer + STYLE * missing
        loss = loss + LAYER_WEIGHTS.get(name, 1.0) * layer
    return loss, parts
