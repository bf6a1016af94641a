"""Optical flows of real scenes that several tests look at, estimated once."""

from __future__ import annotations

import functools
import hashlib

from torch import Tensor

from vidstyle.rendering.models import load_flow


class RememberedFlow:
    """A flow estimator that keeps every flow it has estimated; those of real scenes take seconds.

    Args:
        name: of the estimator: dis, raft-small, raft-large.
    """

    def __init__(self, name: str) -> None:
        self.estimate = load_flow(name)
        self.flows: dict[bytes, Tensor] = {}

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the flow (2, H, W) from image `a` to image `b`, each (3, H, W)."""
        pair = (x.contiguous().numpy().tobytes() for x in (a, b))
        key = hashlib.sha256(b"".join(pair)).digest()
        if key not in self.flows:
            self.flows[key] = self.estimate(a, b)
        return self.flows[key].clone()


@functools.cache
def remembered_flow(name: str) -> RememberedFlow:
    """Load the estimator called `name`, one for all tests of a process."""
    return RememberedFlow(name)
