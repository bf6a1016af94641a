"""The memory that the optimisation of a frame takes.

The figures are fitted to what `benchmarks/scaling.py` measured, on the safe side.
"""

from __future__ import annotations

from vidstyle.features import extractor
from vidstyle.features.extractor import STRIDE
from vidstyle.machine.device import Precision
from vidstyle.stylize.optimise.settings import REFINEMENT_FEATURES, OptimiserSettings
from vidstyle.stylize.resample import CANVAS_MARGIN
from vidstyle.stylize.style.term import needs_whole_maps

FRAME_BYTES = {"cpu": 380, "mps": 380, "cuda": 300}
"""Bytes for each pixel of the frame: the image, its gradient and Adam's moments, and the frames
that are on their way. Those of MPS and CUDA are guesses."""

LBFGS_BYTES = 100
"""More, for each pixel of the frame, where L-BFGS stores pairs of steps and gradients."""

LINKED_BYTES = 230
"""More, for each pixel of the frame, where it is linked to another one: flow, mask, and temporal
target.
"""

LINK_BYTES = 100
"""For each pixel and each temporal target beyond the first one."""

SPARED_BYTES = 150
"""Less, for each pixel of the frame, where there are tiles (`allocator.spare_memory`)."""

FEATURE_BYTES = {
    ("lite", "bf16"): 620,
    ("lite", "fp16"): 620,
    ("lite", "fp32"): 1050,
    ("vgg19", "bf16"): 2300,
    ("vgg19", "fp16"): 2300,
    ("vgg19", "fp32"): 4000,
}
"""Bytes for each pixel whose features are computed at once, with their gradients."""

DETAIL_BYTES = {
    ("lite", "bf16"): 16,
    ("lite", "fp16"): 16,
    ("lite", "fp32"): 32,
    ("vgg19", "bf16"): 48,
    ("vgg19", "fp16"): 48,
    ("vgg19", "fp32"): 96,
}
"""More, for each pixel of the frame, where it is held under a detail map: the maps of relu3_1 and
relu4_2 that are its targets, of the whole frame in tiles as well."""

PHOTOREALISM_BYTES = 120
"""More, for each pixel of the frame, where the matting Laplacian is stored."""

WHOLE_MAP_BYTES = 200
"""More, for each pixel of the frame and each style image, where the features' distributions are
sorted, or patches searched. A guess.
"""


def networks_of(settings: OptimiserSettings) -> tuple[str, ...]:
    """Name the networks whose features are matched."""
    if settings.refinement_iterations:
        return (settings.features, REFINEMENT_FEATURES)
    return (settings.features,)


def estimate_memory(
    settings: OptimiserSettings,
    size: tuple[int, int],
    tile: int,
    precision: Precision,
    device_type: str,
) -> int:
    """Estimate the bytes that optimising a frame of `size` (width, height) takes at most.

    Args:
        tile: side of the tiles that features are computed in; 0: of the whole frame at once.
    """
    pixels = size[0] * size[1]
    each = {name: FEATURE_BYTES[name, precision] for name in networks_of(settings)}
    features = float(max(each[name] * count_pixels_at_once(name, size, tile) for name in each))
    if not tile:
        # The style image: without gradients, and as large as the style's scale makes it.
        features = max(features, max(each.values()) / 2 * pixels * settings.style.scale**2)
    per_pixel = FRAME_BYTES[device_type]
    if settings.minimiser.method == "lbfgs":
        per_pixel += LBFGS_BYTES
    if settings.reach:
        per_pixel += LINKED_BYTES + LINK_BYTES * (settings.reach.bit_length() - 1)
    if settings.losses.detail_weight and not settings.texture:
        per_pixel += max(DETAIL_BYTES[name, precision] for name in each)
    if settings.losses.photorealism_weight:
        per_pixel += PHOTOREALISM_BYTES
    if needs_whole_maps(settings.style):
        per_pixel += WHOLE_MAP_BYTES * settings.style_image_count
    if tile and device_type == "cpu":
        per_pixel -= SPARED_BYTES
    return round(features + per_pixel * pixels)


def count_pixels_at_once(network: str, size: tuple[int, int], tile: int) -> int:
    """Count the pixels that features are computed for at once, at most, in a frame of `size`
    (width, height).
    """
    canvas = [length + 2 * CANVAS_MARGIN for length in size]
    if tile:
        largest = tile + STRIDE + 2 * extractor.network_halo(network)
        canvas = [min(length, largest) for length in canvas]
    return canvas[0] * canvas[1]
