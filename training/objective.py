"""The loss that training minimises.

For one image and one layer, with y the student's map, t the teacher's in its directions and G Gram
matrices:

    w (  |E (y - t)|^2 / |E t|^2              features in their places; E is `Teacher.emphasis`
       + GRAM |G(y) - G(t)|^2 / |G(t)|^2      features anywhere
       + STYLE |(G(y) - G(y_S)) - (G(t) - G(t_S))|^2 / max(|G(t)|^2, |G(t_S)|^2)
    )                                         the way that is left to a style

    and for the image GRADIENT |g_y - g_t|^2, how differently the two pull at its pixels; see
    `gradient_error`.

What pulls is the distance to a style and to a content, of all layers together or of one.

The second line is there for layers whose style is matched, the third also only for images on their
way to a style S: of an image that the student takes for finished it is the style distance, as
VGG-19 measures it; early on its way an image may hold many times the energy of a dim style, hence
the larger of the two. w is `LAYER_WEIGHTS`; the terms are means over the images of a batch and are
summed over the layers. No denominator falls below `FLOOR` of what is usual.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from training.grams import gram, relative
from training.student import Student
from training.teacher import ENERGY, HINTS, PULLED, Lesson
from vidstyle.features.extractor import STYLE_LAYERS

GRAM = 0.5
STYLE = 2.0
GRADIENT = 12.0
LAYER_WEIGHTS = {"relu5_1": 2.0} | dict.fromkeys(HINTS, 0.3)
"""1 where none is given."""
FLOOR = 0.05
"""The least denominator, as a share of a map's usual energy: a flat or dark image has hardly any,
and would drown all others.
"""


def objective(
    maps: Mapping[str, Tensor],
    targets: Sequence[Mapping[str, Tensor]],
    emphasis: Mapping[str, Tensor],
    pairs: int,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute the loss of a batch, and its parts before they are weighted.

    Args:
        maps: {layer: (b, rank, h, w)}, the student's.
        targets: for each of the b images {layer: (rank, h, w)}.
        pairs: images [0, pairs) are on their way to the styles in images [pairs, 2 pairs).
    """
    parts: dict[str, Tensor] = {}
    loss = torch.zeros((), device=next(iter(maps.values())).device)
    for name, student_map in maps.items():
        y = student_map.float()
        t = stack_maps([target[name] for target in targets]).float()
        a = gram(t)
        metric = emphasis[name].T @ emphasis[name]
        # |E f|^2 = tr(E^T E f f^T), which needs no map E f
        wrong, there = ((metric * g).sum((1, 2)) for g in (gram(y - t), a))
        layer = (wrong / there.clamp_min(FLOOR * ENERGY)).mean()
        parts[name] = layer.detach()
        if name in STYLE_LAYERS:
            g = gram(y)
            floor = (FLOOR * ENERGY) ** 2
            layer = layer + GRAM * relative(g, a, floor).mean()
            if pairs:
                way = slice(pairs)
                style = slice(pairs, 2 * pairs)
                unseen = (g[way] - g[style]) - (a[way] - a[style])
                most = torch.maximum(squared_norms(a[way]), squared_norms(a[style])).clamp_min(
                    floor
                )
                missing = (squared_norms(unseen) / most).mean()
                parts[f"{name} style"] = missing.detach()
                layer = layer + STYLE * missing
        loss = loss + LAYER_WEIGHTS.get(name, 1.0) * layer
    return loss, parts


def stack_maps(maps: Sequence[Tensor]) -> Tensor:
    """Stack b maps (c, h, w) into (b, c, h, w), channels_last, as the student's are."""
    return torch.stack([f.permute(1, 2, 0) for f in maps]).permute(0, 3, 1, 2)


def squared_norms(matrices: Tensor) -> Tensor:
    """Compute |A|^2 of each matrix of a batch, (b,)."""
    return matrices.flatten(1).square().sum(1)


def gradient_error(
    student: Student, images: Tensor, maps: Mapping[str, Tensor], lessons: Sequence[Lesson]
) -> tuple[Tensor, Tensor]:
    """Compute the error of the student's gradients with respect to the images.

    g = J^T p, with J the Jacobian of the maps and p the lesson's `pull`; t is the teacher's own, of
    unit length. The error is |g - t|^2: 1 for a student that knows nothing, 0 for one whose images
    go where the teacher's go. Its gradient with respect to the weights is that of 2 <p, J r> for r
    = g - t held fixed, which needs no second derivatives, for the rectifiers have none.

    Args:
        images: (b, 3, h, w), which `maps` were made of, and have a graph to.

    Returns:
        A scalar with the gradient of the mean error, and the mean error itself.
    """
    pulls = {
        name: stack_maps([lesson.pull[name] for lesson in lessons if lesson.pull]).to(
            maps[name].dtype
        )
        for name in PULLED
    }
    names = list(pulls)
    (g,) = torch.autograd.grad(
        [maps[name] for name in names], images, [pulls[name] for name in names], retain_graph=True
    )
    rest = g - torch.stack([lesson.gradient for lesson in lessons if lesson.gradient is not None])
    changes = student.changes(images.detach(), rest)
    products = torch.stack([(changes[name].float() * pulls[name].float()).sum() for name in names])
    return 2 * products.sum() / len(lessons), rest.square().sum() / len(lessons)
