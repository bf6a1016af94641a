"""Settings that name several things with a weight each: `relu3_1,relu4_1=0.5`."""

from __future__ import annotations

from collections.abc import Collection

POLISHER = "vgg19"
"""The features of the iterations that `RenderConfig.polish` counts."""

LAYERS = {
    "lite": ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1"),
    "vgg19": tuple(
        f"relu{i}_{j}" for i, depth in enumerate((2, 2, 4, 4, 2), 1) for j in range(1, depth + 1)
    ),
}
"""The layers of each network, written down here because the networks themselves would load
torch.
"""


def parsed(text: str) -> dict[str, float]:
    """`a,b=2` -> {"a": 1.0, "b": 2.0}. Raises ValueError."""
    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, weight = (piece.strip() for piece in part.partition("="))
        if name in found:
            raise ValueError(f"{name} is named twice")
        try:
            found[name] = float(weight) if equals else 1.0
        except ValueError:
            raise ValueError(f"{weight!r} is no weight of {name}: write {name}=0.5") from None
        if not 0 < found[name] < float("inf"):
            raise ValueError(
                f"the weight of {name} is {weight}: it must be above 0; leave {name} out instead"
            )
    if not found:
        raise ValueError("nothing is named")
    return found


def written(shares: dict[str, float]) -> str:
    """The inverse of `parsed`, the same for all ways to write it."""
    return ",".join(
        name if weight == 1 else f"{name}={weight:g}" for name, weight in shares.items()
    )


def canonical(text: str) -> str:
    return written(parsed(text))


def known(text: str, names: Collection[str], what: str) -> None:
    """Raises ValueError where something else is named."""
    unknown = [name for name in parsed(text) if name not in names]
    if unknown:
        raise ValueError(f"{what} knows no {', '.join(unknown)}: it has {', '.join(names)}")
