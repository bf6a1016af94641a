"""The networks that measure: chosen by the weights that are there, fetched and loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from vidstyle.errors import ConfigError
from vidstyle.events import Report
from vidstyle.features.extractor import Network
from vidstyle.machine.device import Precision, resolve_precision
from vidstyle.motion.flow import Flow
from vidstyle.rendering.models import load_flow, load_network, report_download
from vidstyle.weights.fetch import fetch_weights
from vidstyle.weights.locate import locate_weights
from vidstyle.weights.registry import REGISTRY

FLOW_NAMES = ("raft-small", "raft-large", "dis")
FEATURE_NAMES = ("vgg19", "lite")


def choose_network(
    kind: str, name: str | None, names: tuple[str, ...], weights_dir: Path | None
) -> str:
    """Return the network asked for; without a name the first of `names`, the better one, if its
    weights are here, else the last, which needs none.

    Raises ConfigError when there is no `kind` of network of that name.
    """
    if name is None:
        return names[0] if locate_weights(names[0], weights_dir) else names[-1]
    if name not in names:
        raise ConfigError(
            f"no {kind} called {name!r}", f"there are {', '.join(names)}", "choose one of these"
        )
    return name


def fetch_missing_weights(names: tuple[str, ...], weights_dir: Path | None, report: Report) -> None:
    """Download the weights that are missing, before the first of them is loaded."""
    for name in names:
        if name in REGISTRY:
            fetch_weights(name, weights_dir, progress=report_download(name, report))


@dataclass(frozen=True)
class Instruments:
    """The networks that measure, and the names that the score card records."""

    flow: Flow
    flow_name: str
    network: Network
    features: str
    precision: Precision
    device: torch.device

    def describe(self) -> dict[str, str]:
        """List the facts that a score card records as its setup."""
        return {
            "flow": self.flow_name,
            "flow_weights": self.flow.digest,
            "features": self.features,
            "feature_weights": self.network.digest,
            "pooling": "average",
            "precision": self.precision,
            "device": self.device.type,
        }


def load_instruments(
    flow: str, features: str, device: torch.device, weights_dir: Path | None
) -> Instruments:
    """Load the networks. Raises WeightsError where that fails."""
    precision = resolve_precision("auto", device)
    return Instruments(
        flow=load_flow(flow, device, weights_dir),
        flow_name=flow,
        network=load_network(features, device=device, precision=precision, weights_dir=weights_dir),
        features=features,
        precision=precision,
        device=device,
    )
