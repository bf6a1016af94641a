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
    "budget",
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
    "stop_tolerance",
    "tile",
)
"""Settings of the optimiser, and what the network alone cannot do."""

UNUSED_SETTINGS = {"fast": OPTIMISER_SETTINGS, "balanced": BALANCED_SETTINGS}
"""By engine."""

LESSON_SETTINGS = (
    "content_weight",
    "content_layers",
    "detail",
    "tv_weight",
    "temporal_weight",
    "temporal_norm",
    "style_weight",
    "style_terms",
    "style_layers",
    "mrf_bidirectional",
    "mrf_coherence",
)
"""Settings that say what the network learns. They change nothing where it learns nothing."""
