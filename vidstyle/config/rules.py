"""The rules between settings: each check raises ValueError, in words for the user, where settings
contradict each other, or one leaves another nothing to do.

A need that a single other setting meets is a fact of the setting itself (`facts.Need`), and
`check_needs` checks it.
"""

from __future__ import annotations

from vidstyle.config import weighted_names
from vidstyle.config.facts import read_facts
from vidstyle.config.fields import RenderFields
from vidstyle.config.style_images import list_files
from vidstyle.config.weighted_names import NETWORK_LAYERS, REFINEMENT_NETWORK


def check_regions(config: RenderFields) -> None:
    """Refuse regions where there are several paintings, or no painting, or tiles."""
    if config.regions is None:
        return
    count = len(list_files(config.style))
    if count > 1:
        raise ValueError(
            f"regions are of one painting, and there are {count}: leave the others out"
        )
    for name in ("texture", "tile"):
        if getattr(config, name):
            raise ValueError(f"regions do not go with {name}: leave one of them out")


def check_needs(config: RenderFields) -> None:
    """Refuse a setting that changes nothing because a need of it is not met."""
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        facts = read_facts(field)
        if value in (field.default, facts.neutral):
            continue
        for need in facts.needs:
            other = getattr(config, need.setting)
            if (need.values is None or value in need.values) and not need.is_met(other):
                raise ValueError(need.refusal.format(name=name, value=value, other=other))


def check_style_source(config: RenderFields) -> None:
    """Refuse a missing painting, and what contradicts a texture, which is its own painting."""
    if config.texture:
        for name in ("style", "per_frame", "photorealism"):
            if getattr(config, name):
                raise ValueError(
                    "texture takes the input itself for its style, and no picture: "
                    f"leave {name} out"
                )
        for name in ("keep_colors", "content_weight"):
            if getattr(config, name) != type(config).model_fields[name].default:
                raise ValueError(f"texture is made of the style alone: leave {name} out")
        if not config.style_weight:
            raise ValueError(
                "texture is made of the style alone, and style_weight = 0 leaves it none: raise it"
            )
    elif not config.style and (config.style_weight or config.init == "style"):
        raise ValueError("style is missing: name a painting, or set style_weight = 0")
    if config.tileable and config.tile:
        raise ValueError("tileable textures are computed whole: set tile = 0")


def check_style_crop(config: RenderFields) -> None:
    """Refuse a way to take the style where none is taken."""
    if config.style_crop != "auto" and not config.style_weight and config.init != "style":
        raise ValueError(
            f"style_crop = {config.style_crop} changes nothing with style_weight = 0: leave one of "
            "them out"
        )


def check_loss_weights(config: RenderFields) -> None:
    """Refuse a render without any loss."""
    if not (config.content_weight or config.style_weight or config.tv_weight):
        raise ValueError(
            "content_weight, style_weight and tv_weight are all 0: there is nothing to optimise"
        )


def check_refinement(config: RenderFields) -> None:
    """Refuse iterations on another network where no features are matched."""
    if config.polish and not (config.content_weight or config.style_weight):
        raise ValueError(
            f"polish = {config.polish} changes nothing where content_weight and style_weight are "
            "0, for then no features are matched: set polish = 0, or one of the weights"
        )


def check_layers(config: RenderFields) -> None:
    """Refuse layers that one of the networks does not have."""
    networks = [config.features, *([REFINEMENT_NETWORK] if config.polish else [])]
    for text in (config.style_layers, config.content_layers):
        for network in networks:
            weighted_names.check_names(text, NETWORK_LAYERS[network], f"features = {network}")


def check_pooling(config: RenderFields) -> None:
    """Refuse another pooling where no iteration is on the network that has one."""
    if config.pooling != "average" and config.features != REFINEMENT_NETWORK and not config.polish:
        raise ValueError(
            f"pooling = {config.pooling} changes nothing where no iteration is on VGG-19: set "
            f"pooling = average, or features = {REFINEMENT_NETWORK}"
        )


def check_links(config: RenderFields) -> None:
    """Refuse ways to link frames that exclude each other."""
    links = [
        text for text, on in (("long_term", config.long_term), ("passes", config.passes > 1)) if on
    ]
    if config.per_frame and links:
        raise ValueError(
            f"per_frame cuts the links between frames that {links[0]} = "
            f"{getattr(config, links[0])} is there for: set only one of them"
        )
    if config.passes > 1 and config.long_term:
        raise ValueError(
            f"passes = {config.passes} links every frame to its neighbour alone, which leaves "
            f"long_term = {config.long_term} nothing to do: set only one of them"
        )


def check_passes(config: RenderFields) -> None:
    """Refuse a first pass with the temporal loss that comes after the last pass."""
    if config.temporal_from_pass > config.passes:
        raise ValueError(
            f"temporal_from_pass = {config.temporal_from_pass} never comes where there are "
            f"{config.passes} passes: set it to {config.passes} or less"
        )


RULES = (
    check_regions,
    check_needs,
    check_style_source,
    check_style_crop,
    check_loss_weights,
    check_refinement,
    check_layers,
    check_pooling,
    check_links,
    check_passes,
)


def check_rules(config: RenderFields) -> None:
    """Raise ValueError for the first rule that the settings break."""
    for check in RULES:
        check(config)
