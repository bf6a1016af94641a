"""Settings that name several things with a weight each: `relu3_1,relu4_1=0.5`."""

from __future__ import annotations

from collections.abc import Collection

REFINEMENT_NETWORK = "vgg19"
"""The network of the last iterations, those that `RenderConfig.polish` counts."""

NETWORK_LAYERS = {
    "lite": ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1"),
    "vgg19": tuple(
        f"relu{i}_{j}" for i, depth in enumerate((2, 2, 4, 4, 2), 1) for j in range(1, depth + 1)
    ),
}
"""The layers of each network, written down here because the networks themselves would load
torch.
"""


def parse_weights(text: str) -> dict[str, float]:
    """Read `a,b=2` as {"a": 1.0, "b": 2.0}.

    Raises ValueError where a name is given twice, a weight is no positive number, or no name is
    given.
    """
    weights: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, weight = (piece.strip() for piece in part.partition("="))
        if name in weights:
            raise ValueError(f"{name} is named twice")
        try:
            weights[name] = float(weight) if equals else 1.0
        except ValueError:
            raise ValueError(f"{weight!r} is no weight of {name}: write {name}=0.5") from None
        if not 0 < weights[name] < float("inf"):
            raise ValueError(
                f"the weight of {name} is {weight}: it must be above 0; leave {name} out instead"
            )
    if not weights:
        raise ValueError("nothing is named")
    return weights


def format_weights(weights: dict[str, float]) -> str:
    """Write weights as text that `parse_weights` reads, the same for all ways to write them."""
    return ",".join(
        name if weight == 1 else f"{name}={weight:g}" for name, weight in weights.items()
    )


def canonicalise_names(text: str) -> str:
    """Write weighted names in the one way that `format_weights` has. Raises ValueError."""
    return format_weights(parse_weights(text))


def check_names(text: str, names: Collection[str], what: str) -> None:
    """Raise ValueError where `text` names something that is not among `names`, those of `what`."""
    unknown = [name for name in parse_weights(text) if name not in names]
    if unknown:
        raise ValueError(f"{what} knows no {', '.join(unknown)}: it has {', '.join(names)}")
