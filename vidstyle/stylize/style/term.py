"""The protocol of a style term, its loss for one layer, and the registry of all terms.

A style term compares the features of a picture with those of a style image, layer by layer. It has
a *target*, which is measured once of every style image; a *mixture* of the targets of several style
images; and a *loss* of a picture against that, which is measured in sums over positions where the
term is additive.

A module of this folder registers its term itself; a term from elsewhere is registered the same way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from torch import Tensor

from vidstyle.errors import ConfigError
from vidstyle.stylize.style.regions import Segmentation
from vidstyle.stylize.style.settings import StyleSettings

SMALLEST_STYLE_SIDE = 16
"""Pixels per side of one position in the deepest layer, relu5_1."""


class LayerLoss(ABC):
    """The loss of one layer of one picture against a target."""

    @abstractmethod
    def measure(self, features: Tensor, positions: int) -> Tensor:
        """Measure a map, (1, c, h, w), or the core of a tile of it.

        Args:
            features: the only argument that gets a gradient.
            positions: how many positions the whole map has.

        Returns:
            a tensor of any shape; for an additive term those of the tiles add up to that of the
            whole map.
        """

    def distance(self, measured: Tensor) -> Tensor:
        """Turn what was measured of the whole map into the distance from the target, a scalar. Here
        the distance itself was measured.
        """
        return measured


class StyleTerm(Protocol):
    """One way to compare a picture with style images.

    Attributes:
        name: as in `StyleSettings.terms`.
        layers: the layers that it can compare; None: any.
        additive: whether what it measures is a sum over positions, so that features can be computed
            tile by tile.
        smallest_side: pixels per side that a style image needs.
        strength: factor of its weight, so that 1 means about the same for every term.
    """

    name: str
    layers: tuple[str, ...] | None = None
    additive: bool = False
    smallest_side: int = SMALLEST_STYLE_SIDE
    strength: float = 1.0

    def target(
        self, features: Tensor, positions: int, masks: Segmentation | None, seed: int
    ) -> Any:
        """Measure the target in a style image's map, (1, c, h, w).

        Args:
            features: the whole map. For an additive term without masks it may be the core of a
                tile: the targets of all tiles are added up, so they are tensors.
            positions: how many positions the whole map has.
            masks: the regions of the style image, each with a target of its own; None: it is all
                one.
            seed: of what the term draws at random for this layer.
        """
        ...

    def mix(self, targets: Sequence[tuple[float, Any]]) -> Any:
        """Mix the targets of several style images, or make a lone one ready.

        Args:
            targets: (share, target), the shares above 0 and 1 together.

        Returns:
            what `loss` takes.
        """
        ...

    def loss(self, target: Any, masks: Segmentation | None, seed: int) -> LayerLoss:
        """Return the loss of one layer of one picture.

        Args:
            target: from `mix`.
            masks: the regions of the picture, in the order of the style image's; None where that
                had none.
            seed: the one that the target was measured with.
        """
        ...


TermFactory = Callable[[StyleSettings], StyleTerm]

_FACTORIES: dict[str, TermFactory] = {}


def register_style_term(name: str, factory: TermFactory) -> None:
    """Make a style term known under a name. Raises ValueError where the name is in use."""
    if name in _FACTORIES:
        raise ValueError(f"there is a style term {name} already")
    _FACTORIES[name] = factory


def unregister_style_term(name: str) -> None:
    """Take a style term out of the registry. Raises KeyError where it is not known."""
    del _FACTORIES[name]


def registered_style_terms() -> tuple[str, ...]:
    """Return the names of all style terms, in alphabetical order."""
    return tuple(sorted(_FACTORIES))


def create_style_terms(settings: StyleSettings) -> dict[str, StyleTerm]:
    """Create the terms of `settings.terms`, in their order. Raises ConfigError for unknown
    names.
    """
    unknown = [name for name in settings.terms if name not in _FACTORIES]
    if unknown:
        known = ", ".join(registered_style_terms())
        raise _refuse(f"style_terms knows no {', '.join(unknown)}: it has {known}")
    return {name: _FACTORIES[name](settings) for name in settings.terms}


def select_layers(term: StyleTerm, layers: Iterable[str]) -> tuple[str, ...]:
    """Return those of the chosen layers that a term can compare, in their order."""
    return tuple(name for name in layers if term.layers is None or name in term.layers)


def needs_whole_maps(settings: StyleSettings) -> bool:
    """Tell whether some term looks at whole maps, so that features cannot be computed tile by
    tile.
    """
    return any(not term.additive for term in create_style_terms(settings).values())


def smallest_style_side(settings: StyleSettings) -> int:
    """Return how many pixels per side the terms need of a style image."""
    sides = [term.smallest_side for term in create_style_terms(settings).values()]
    return max(sides, default=SMALLEST_STYLE_SIDE)


def check_style_settings(settings: StyleSettings, tile: int) -> None:
    """Raise ConfigError where the settings name an unknown term, a term none of whose layers is
    chosen, or terms that cannot be computed in the tiles that were asked for.

    Args:
        tile: side of the tiles that features are to be computed in; 0: none were asked for.
    """
    terms = create_style_terms(settings)
    for name, term in terms.items():
        if term.layers is not None and not select_layers(term, settings.layers):
            raise _refuse(
                f"style_terms = {name} compares {' and '.join(term.layers)} alone: "
                "name one of them in style_layers"
            )
    whole = sorted(name for name, term in terms.items() if not term.additive)
    if tile and whole:
        raise _refuse(
            f"tile = {tile} cannot be where style_terms has {', '.join(whole)}, which look at "
            f"the whole picture: set tile = 0, or style_terms = {' or '.join(_additive(settings))}"
        )


def _additive(settings: StyleSettings) -> list[str]:
    """Return the names of the terms that can be computed in tiles."""
    return [name for name in registered_style_terms() if _FACTORIES[name](settings).additive]


def _refuse(why: str) -> ConfigError:
    """Return the error for settings that do not fit."""
    hint = "change what is named there, or leave it out"
    return ConfigError("the settings do not fit", why, hint)
