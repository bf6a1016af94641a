"""Label maps are read whatever became of them on the way, and regions have their own statistics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.errors import ConfigError
from vidstyle.stylize import losses
from vidstyle.stylize.style.regions import (
    MAX_LABEL_DISTANCE,
    REST,
    Labels,
    Segmentation,
    find_labels,
    guided_gram,
    guided_products,
    masks_at_positions,
    pair_labels,
    region_areas,
)

DOUBLE = torch.float64
LUAN = [
    (0, 0, 1),
    (0, 1, 0),
    (0, 0, 0),
    (1, 1, 1),
    (1, 0, 0),
    (1, 1, 0),
    (0.5, 0.5, 0.5),
    (0, 1, 1),
    (1, 0, 1),
]
"""The palette of Luan's label images."""


def mosaic(
    colours: Sequence[Sequence[float]], seed: int = 0, side: int = 16
) -> tuple[Tensor, Tensor]:
    """A label image (3, 96, 128) of squares in these colours, each of them there, and its
    indices.
    """
    generator = torch.Generator().manual_seed(seed)
    rows, columns = 96 // side, 128 // side
    order = torch.arange(rows * columns) % len(colours)
    coarse = order[torch.randperm(rows * columns, generator=generator)].view(rows, columns)
    indices = coarse.repeat_interleave(side, 0).repeat_interleave(side, 1)
    return torch.tensor(colours, dtype=torch.float32)[indices].permute(2, 0, 1), indices


def jpeg(image: Tensor, quality: int) -> Tensor:
    pixels = (image.permute(1, 2, 0).numpy()[..., ::-1] * 255).round().astype(np.uint8)
    _, coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return read(cv2.imdecode(coded, cv2.IMREAD_COLOR))


def read(pixels: object) -> Tensor:
    return (
        torch.from_numpy(np.ascontiguousarray(np.asarray(pixels)[..., ::-1]))
        .permute(2, 0, 1)
        .float()
        / 255
    )


def resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(image[None], size=size, mode="bilinear", align_corners=False)[0]


def maps(c: int = 5, h: int = 7, w: int = 9, seed: int = 0) -> Tensor:
    return torch.rand(1, c, h, w, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def halves(h: int = 7, w: int = 9) -> Tensor:
    """Two soft masks (2, 1, h, w) that add up to 1."""
    left = torch.zeros(1, 1, h, w, dtype=DOUBLE)
    left[..., :4], left[..., 4] = 1, 0.3
    return torch.cat([left, 1 - left])


def test_flat_colours_are_the_labels() -> None:
    image, indices = mosaic(LUAN)
    found = find_labels(image)
    assert found.indices.dtype == torch.int64
    assert len(found.palette) == len(LUAN)
    assert torch.allclose(found.palette[found.indices].permute(2, 0, 1), image, atol=0.5 / 255)
    assert torch.equal(found.indices, find_labels(image).indices), "the same ones every time"
    share = torch.bincount(found.indices.flatten())
    assert torch.equal(share, share.sort(descending=True).values), "the largest first"
    assert len(set(indices.flatten().tolist())) == len(LUAN)


@pytest.mark.parametrize("colours", [LUAN, LUAN[2:4], LUAN[:1]])
@pytest.mark.parametrize(
    "change", ["jpeg 95", "jpeg 75", "smaller", "larger", "odd", "larger jpeg"]
)
def test_labels_survive_compression_and_resizing(
    colours: Sequence[Sequence[float]], change: str
) -> None:
    image, indices = mosaic(colours, side=32 if len(colours) < 9 else 16)
    size = {
        "smaller": (72, 96),
        "larger": (288, 384),
        "odd": (131, 157),
        "larger jpeg": (240, 320),
    }.get(change)
    changed = image if size is None else resized(image, size)
    if "jpeg" in change:
        changed = jpeg(changed, 95 if change == "jpeg 95" else 75)
    found = find_labels(changed)
    assert len(found.palette) == len(colours), "no blend of two is a third"
    wanted = torch.tensor(colours, dtype=torch.float32)[indices].permute(2, 0, 1)
    wanted = F.interpolate(wanted[None], size=changed.shape[1:], mode="nearest-exact")[0]
    shown = found.palette[found.indices].permute(2, 0, 1)
    right = (shown - wanted).norm(dim=0) < 0.1
    assert float(right.float().mean()) > 0.96
    inside = F.max_pool2d(1 - right[None].float(), 5, 1, 2)[0]
    assert float(inside.mean()) < 0.35, "what is wrong lies on the borders"


def test_a_colour_that_covers_too_little_is_the_nearest_label() -> None:
    image, _ = mosaic(LUAN[:2], side=32)
    image[:, :6, :6] = torch.tensor([0.2, 0.9, 0.2]).view(3, 1, 1)  # 0.3 %
    found = find_labels(image)
    assert len(found.palette) == 2
    assert torch.allclose(
        found.palette[found.indices[3, 3]], torch.tensor([0.0, 1.0, 0.0]), atol=0.05
    )


def test_a_picture_of_noise_is_labelled_somehow() -> None:
    noise = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(0))
    found = find_labels(noise)
    assert len(found.palette) >= 1
    assert tuple(found.indices.shape) == (20, 30)


def test_equal_colours_are_paired_in_whatever_order_the_palettes_are() -> None:
    source, style = mosaic(LUAN, 1)[0], mosaic(LUAN[::-1], 2)[0]
    of_source, of_style = pair_labels(find_labels(source), find_labels(jpeg(style, 90)))
    assert list(of_source) == list(of_style)
    assert len(of_source) == len(LUAN)
    for name, mask in of_source.items():
        theirs = of_style[name]
        assert tuple(mask.shape) == tuple(theirs.shape) == (1, 96, 128)
        mine, other = (
            (image * m).sum((1, 2)) / m.sum() for image, m in ((source, mask), (style, theirs))
        )
        assert torch.allclose(mine, other, atol=0.06), name
    assert torch.equal(torch.cat(list(of_source.values())).sum(0), torch.ones(96, 128))


def test_names_are_the_paintings_colours_so_that_they_last_from_frame_to_frame() -> None:
    style = find_labels(mosaic([(0, 0, 1), (1, 0, 0)])[0])
    first, second = (
        pair_labels(find_labels(mosaic(c)[0]), style)
        for c in ([(0, 0, 1), (1, 0, 0)], [(0.02, 0, 0.98)])
    )
    assert set(first[0]) == {"#0000ff", "#ff0000"}
    assert set(second[0]) == {"#0000ff"}


def test_what_the_painting_does_not_have_takes_all_of_it() -> None:
    source = find_labels(mosaic([(0, 0, 1), (1, 1, 0), (0, 1, 0)])[0])
    of_source, of_style = pair_labels(source, find_labels(mosaic([(0, 0, 1), (1, 0, 0)])[0]))
    assert list(of_source) == list(of_style) == ["#0000ff", REST]
    assert bool((of_style[REST] == 1).all())
    assert 0 < float(of_style["#0000ff"].mean()) < 1
    assert torch.equal(torch.cat(list(of_source.values())).sum(0), torch.ones(96, 128))


@pytest.mark.parametrize(
    ("shift", "alike"), [(MAX_LABEL_DISTANCE * 0.9, True), (MAX_LABEL_DISTANCE * 1.1, False)]
)
def test_a_colour_takes_the_nearest_one_that_is_alike(shift: float, alike: bool) -> None:
    def single(*colours: tuple[float, float, float]) -> Labels:
        return Labels(torch.arange(len(colours)).view(1, -1), torch.tensor(colours))

    source = single((0.0, 0.0, 1.0), (0.5, 0.5 + shift, 0.5))
    of_source, _ = pair_labels(source, single((0.5, 0.5, 0.5), (0.0, 0.0, 1.0), (0.5, 0.2, 0.5)))
    assert set(of_source) == {"#0000ff", "#808080" if alike else REST}


def test_nothing_in_common_is_refused_with_both_palettes() -> None:
    with pytest.raises(ConfigError, match="no colour in common") as e:
        pair_labels(find_labels(mosaic([(0, 0, 1)])[0]), find_labels(mosaic([(1, 0, 0)])[0]))
    assert "#0000ff" in e.value.why
    assert "#ff0000" in e.value.why


@pytest.mark.parametrize("number", ["04", "13"])
def test_the_labels_of_published_pairs_belong_together(number: str, shared: Path) -> None:
    folder = shared / "seg" / number
    source, style = (
        read(cv2.imread(str(folder / name))) for name in ("in_seg.png", "style_seg.png")
    )
    of_source, of_style = pair_labels(find_labels(source), find_labels(style))
    assert REST not in of_source
    assert len(of_source) == {"04": 2, "13": 1}[number]
    for name, mask in of_source.items():
        assert float(mask.mean()) > 0.3
        assert float(of_style[name].mean()) > 0.3


@pytest.mark.parametrize("size", [(96, 128), (48, 64), (12, 16), (6, 8)])
def test_masks_of_cells_are_shares_that_still_add_up_to_1(size: tuple[int, int]) -> None:
    of_source, _ = pair_labels(*(find_labels(mosaic(LUAN, seed, 8)[0]) for seed in (0, 1)))
    masks = torch.cat(list(of_source.values()))
    found = masks_at_positions(masks, size)
    assert tuple(found.shape) == (len(LUAN), 1, *size)
    assert torch.allclose(found.sum(0), torch.ones(1, *size), atol=1e-6)
    side = 96 // size[0]
    assert torch.allclose(region_areas(found) * side**2, masks.sum((1, 2)), rtol=1e-5)
    assert bool(((found > 0) & (found < 1)).any()) == (8 % side > 0), (
        "soft where a border crosses a cell"
    )


def test_a_cell_lies_where_its_layer_sees_it() -> None:
    masks = torch.zeros(1, 37, 53)
    masks[:, 16:32, 32:48] = 1
    masks[:, 32:] = 1  # the rows that are no whole cell
    assert masks_at_positions(masks, (2, 3))[0, 0].tolist() == [[0, 0, 0], [0, 0, 1]]


def test_a_region_that_is_everywhere_is_the_whole_gram_matrix() -> None:
    f = maps()
    everywhere = torch.ones(1, 1, 7, 9, dtype=DOUBLE)
    assert torch.allclose(guided_gram(f, everywhere)[0], losses.gram(f), rtol=1e-12)
    for other in (f.float(), f.bfloat16(), f.contiguous(memory_format=torch.channels_last)):
        found = guided_gram(other, everywhere)
        assert found.dtype == (DOUBLE if other.dtype == DOUBLE else torch.float32)
        assert torch.allclose(found[0], losses.gram(other), rtol=1e-5)


@pytest.mark.parametrize("at_once", [1, 10, 2**16])
def test_the_products_of_halves_and_of_tiles_add_up_to_the_whole(at_once: int) -> None:
    f, masks = maps(), halves()
    found = guided_products(f, masks, max_weighted=at_once)
    assert torch.allclose(found.sum(0), losses.products(f), rtol=1e-12)
    tiles = sum(
        guided_products(f[:, :, rows], masks[:, :, rows], max_weighted=at_once)
        for rows in (slice(0, 3), slice(3, 7))
    )
    assert isinstance(tiles, Tensor)
    assert torch.allclose(tiles, found, rtol=1e-12)


def test_a_regions_gram_matrix_is_that_of_its_own_pixels_whatever_its_size() -> None:
    f = maps()
    mask = torch.zeros(1, 1, 7, 9, dtype=DOUBLE)
    mask[..., 2:5, 3:6] = 1
    assert torch.allclose(guided_gram(f, mask)[0], losses.gram(f[:, :, 2:5, 3:6]), rtol=1e-12)
    assert torch.allclose(guided_gram(f, mask / 7), guided_gram(f, mask), rtol=1e-12)
    assert bool((guided_gram(f, torch.zeros_like(mask)) == 0).all())


def test_the_regions_of_a_picture_share_it_by_their_areas_and_nothing_is_asked_of_empty_ones() -> (
    None
):
    masks = torch.zeros(3, 8, 8)
    masks[0, :, :2] = 1
    masks[2, :, 2:] = 1
    segmentation = Segmentation(masks)
    assert segmentation.shares == [0.25, 0, 0.75]
    values = {0: torch.tensor(4.0), 2: torch.tensor(8.0)}
    assert float(segmentation.average(values.__getitem__)) == 7
    f = torch.zeros(1, 5, 4, 4)
    assert torch.equal(segmentation.masks_of(f), masks_at_positions(masks, (4, 4)))
    places = segmentation.places_in(f)
    assert places[0].tolist() == [0, 4, 8, 12]
    assert places[1].tolist() == list(range(16)), "all of it where a region is nowhere"
    assert sorted([*places[0].tolist(), *places[2].tolist()]) == list(range(16))


@pytest.mark.parametrize("channels_last", [False, True])
def test_its_gradient_agrees_with_finite_differences(channels_last: bool) -> None:
    f = maps(3, 4, 9)
    if channels_last:
        f = f.contiguous(memory_format=torch.channels_last)
    masks, skew = (
        halves(4),
        torch.rand(2, 3, 3, generator=torch.Generator().manual_seed(5), dtype=DOUBLE),
    )
    # An antisymmetric part too, which a symmetric matrix must not notice.
    assert torch.autograd.gradcheck(
        lambda x: (guided_gram(x, masks) * skew).sum(), (f.requires_grad_(),)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_pixel_outside_a_region_gets_no_gradient_from_it(dtype: torch.dtype) -> None:
    f = maps().to(dtype).requires_grad_()
    losses.style(guided_gram(f, halves()[:1])[0], losses.gram(maps(seed=1).float())).backward()  # type: ignore[no-untyped-call]
    assert f.grad is not None
    assert f.grad.dtype == dtype
    assert bool((f.grad[..., 5:] == 0).all())
    assert bool((f.grad[..., :5].abs().sum(1) > 0).all())
