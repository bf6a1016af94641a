from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from vidstyle.features import extractor as features
from vidstyle.features.padding import rectify_pad, replicate_pad
from vidstyle.rendering.models import load_network

LAYERS = (*features.STYLE_LAYERS, *features.CONTENT_LAYERS)


@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(2, 3, 5, 6), (2, 4, 1, 1), (1, 2, 1, 7), (1, 3, 2, 2)])
def test_the_padding_and_its_gradient_are_torchs(
    shape: tuple[int, ...], order: torch.memory_format, rectified: bool
) -> None:
    generator = torch.Generator().manual_seed(0)
    x = (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        .contiguous(memory_format=order)
        .requires_grad_()
    )
    ours = rectify_pad(x) if rectified else replicate_pad(x)
    theirs = F.pad(F.relu(x) if rectified else x, (1, 1, 1, 1), mode="replicate")
    assert torch.equal(ours, theirs)
    assert min(shape) == 1 or ours.is_contiguous(memory_format=order)
    upstream = torch.rand(ours.shape, generator=generator, dtype=torch.float64)
    assert torch.allclose(
        torch.autograd.grad(ours, x, upstream)[0], torch.autograd.grad(theirs, x, upstream)[0]
    )


def test_lite_answers_to_vgg19s_layer_names_at_vgg19s_resolutions() -> None:
    lite = load_network("lite")
    maps = lite(torch.rand(1, 3, 64, 96), LAYERS)
    assert {name: tuple(f.shape[2:]) for name, f in maps.items()} == {
        name: (64 // 2**i, 96 // 2**i) for name, i in zip(LAYERS, (0, 1, 2, 3, 4, 3), strict=True)
    }
    with pytest.raises(ValueError, match="relu9_1"):
        lite(torch.rand(1, 3, 32, 32), ["relu9_1"])


def test_lite_goes_only_as_deep_as_asked() -> None:
    lite = load_network("lite")
    reached = []
    for i, stage in enumerate(lite.module.stages):  # type: ignore[union-attr, arg-type]
        stage[0].register_forward_hook(lambda *_, i=i: reached.append(i))
    lite(torch.rand(1, 3, 32, 32), ["relu2_1"])
    assert reached == [0, 1]


def test_a_flat_image_has_flat_features_up_to_the_edge() -> None:
    maps = load_network("lite")(torch.full((1, 3, 64, 64), 0.4), LAYERS)
    for name, f in maps.items():
        assert torch.allclose(f, f[:, :, :1, :1].expand_as(f), atol=1e-4), f"{name} shows a rim"


def test_bf16_stays_close_to_fp32() -> None:
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    exact, rough = (load_network("lite", precision=p)(image, LAYERS) for p in ("fp32", "bf16"))  # type: ignore[arg-type]
    for name in LAYERS:
        assert rough[name].dtype is torch.bfloat16
        assert (rough[name].float() - exact[name]).norm() < 0.05 * exact[name].norm()


def test_lite_sees_styles_as_vgg19_does(shared: Path) -> None:
    """Both networks agree which of two paintings a third picture is closer to."""
    from vidstyle.errors import StyleError
    from vidstyle.stylize import losses
    from vidstyle.video.read import _resize_image, read_image

    def grams(extractor: features.Network, name: str, crop: slice) -> dict[str, torch.Tensor]:
        image = _resize_image(read_image(shared / "styles" / name, StyleError), 256, 192)[
            :, :, crop
        ]
        return {k: losses.gram(f) for k, f in extractor(image[None], features.STYLE_LAYERS).items()}

    left, right = slice(0, 128), slice(128, 256)
    for extractor in (
        load_network("lite"),
        load_network("vgg19", weights_dir=shared / "weights"),
    ):
        own, half = (grams(extractor, "vangogh_starry_night.jpg", side) for side in (left, right))
        other = grams(extractor, "unseen_mosaic.jpg", right)
        near = sum(float(losses.style(half[k], own[k])) for k in own)
        far = sum(float(losses.style(other[k], own[k])) for k in own)
        assert near < far
