"""The objective is the weighted sum of its terms, and its gradient that of the sum."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.helpers.features import TinyFeatures
from vidstyle.stylize.objective import Objective, Term, normalise_weights
from vidstyle.stylize.optimise.terms import ContentTerm, TemporalTerm, TotalVariationTerm
from vidstyle.stylize.style.settings import StyleSettings
from vidstyle.stylize.style.targets import StyleImageTargets, StyleTargets

DOUBLE = torch.float64


def style_term(features: TinyFeatures, image: Tensor, weight: float = 1.0) -> Term:
    """The Gram loss of an image (3, h, w) in two layers."""
    settings = StyleSettings(weight, layers={"relu1_1": 1.0, "relu5_1": 1.0})
    (term,) = StyleTargets([StyleImageTargets(features, image[None], settings, None)]).terms()
    return term


def terms(
    h: int, w: int, features: TinyFeatures, picture: Callable[..., Tensor]
) -> dict[str, Term]:
    with torch.no_grad():
        p = features(picture(h, w, 3, DOUBLE)[None], ("relu4_2",))
    mask = torch.rand(1, h, w, generator=torch.Generator().manual_seed(4), dtype=DOUBLE)
    return {
        "content": ContentTerm(1.0, {"relu4_2": p["relu4_2"]}),
        "style": style_term(features, picture(h, w, 3, DOUBLE)),
        "tv": TotalVariationTerm(1.0),
        "temporal": TemporalTerm(1.0, picture(h, w, 5, DOUBLE), mask),
        "smooth-l1": TemporalTerm(1.0, picture(h, w, 5, DOUBLE), mask, norm="smooth-l1"),
    }


@pytest.mark.parametrize("name", ["content", "style", "tv", "temporal", "smooth-l1"])
def test_the_gradient_of_every_term_agrees_with_finite_differences(
    name: str, picture: Callable[..., Tensor]
) -> None:
    features = TinyFeatures(DOUBLE)
    objective = Objective(features, (terms(6, 8, features, picture)[name],))
    assert torch.autograd.gradcheck(
        objective, picture(6, 8, 1, DOUBLE)[None].requires_grad_(), eps=1e-6, atol=1e-7
    )


def test_the_objective_is_the_weighted_sum_and_asks_for_no_feature_in_vain(
    picture: Callable[..., Tensor],
) -> None:
    features = TinyFeatures(DOUBLE)
    all_terms = terms(6, 8, features, picture)
    x = picture(6, 8, 1, DOUBLE)[None]
    alone = {name: float(Objective(features, (term,))(x)) for name, term in all_terms.items()}
    content = ContentTerm(0.5, all_terms["content"].targets)  # type: ignore[attr-defined]
    style = style_term(features, picture(6, 8, 3, DOUBLE), 2.0)
    together = Objective(features, (content, style, TotalVariationTerm(0.0), all_terms["temporal"]))
    assert float(together(x)) == pytest.approx(
        0.5 * alone["content"] + 2 * alone["style"] + alone["temporal"]
    )
    assert set(together.layers) == {"relu4_2", "relu1_1", "relu5_1"}
    features.asked.clear()
    Objective(features, (all_terms["temporal"],))(x)
    assert features.asked == []


def test_an_observer_gets_the_weighted_value_of_every_term_and_terms_of_one_name_together(
    picture: Callable[..., Tensor],
) -> None:
    features = TinyFeatures(DOUBLE)
    all_terms = terms(6, 8, features, picture)
    seen: list[tuple[Tensor, dict[str, Tensor]]] = []
    x = picture(6, 8, 1, DOUBLE)[None].requires_grad_()
    pair = (all_terms["temporal"], all_terms["temporal"], all_terms["tv"])
    watched = Objective(
        features, pair, on_evaluation=lambda image, values: seen.append((image, dict(values)))
    )
    loss = watched(x)
    ((image, values),) = seen
    assert torch.equal(image, x)
    assert not image.requires_grad
    assert values.keys() == {"temporal", "total variation"}
    assert float(sum(values.values())) == pytest.approx(float(loss.detach()))
    assert float(values["temporal"]) == pytest.approx(2 * float(all_terms["temporal"](image, ())))


def test_a_wrapped_image_continues_as_it_begins_on_the_opposite_side(
    picture: Callable[..., Tensor],
) -> None:
    features = TinyFeatures(DOUBLE)
    term = style_term(features, picture(6, 8, 3, DOUBLE))
    x = picture(6, 8, 1, DOUBLE)[None]
    for wrapped, (by_y, by_x) in ((2, (2, 2)), (99, (6, 8))):
        larger = F.pad(x, (by_x, by_x, by_y, by_y), mode="circular")
        expected = Objective(features, [term])(larger)
        assert torch.equal(Objective(features, [term], wrapped=wrapped)(x), expected)


def test_weights_keep_their_relation_and_have_the_mean_1() -> None:
    assert normalise_weights({"a": 1.0, "b": 3.0}) == {"a": 0.5, "b": 1.5}
