"""The settings that single engines have no use for."""

from __future__ import annotations

BALANCED_SETTINGS = (
    "passes",
    "long_term",
    "init",
    "first_scales",
    "scales",
    "texture",
    "regions",
    "photorealism",
    "seed",
    "trace",
)
"""Settings that have no place where frames are painted by a network first."""

OPTIMISER_SETTINGS = (
    *BALANCED_SETTINGS,
    "features",
    "pooling",
    "polish",
    "optimizer",
    "learning_rate",
    "first_iterations",
    "iterations",
    "budget",
    "stop_tolerance",
    "tile",
)
"""Settings of the optimiser, and what the network alone cannot do."""
