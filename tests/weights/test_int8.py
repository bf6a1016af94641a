from __future__ import annotations

import pytest
import torch
from safetensors.torch import load, save

from vidstyle.weights.int8 import pack, unpack


@pytest.mark.parametrize("shape", [(7, 5, 3, 3), (1, 1, 1, 1), (4, 6)])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e4])
def test_a_weight_moves_by_half_a_step_at_most_and_a_second_packing_changes_nothing(
    shape: tuple[int, ...], size: float
) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(shape, generator=generator) * size
    weight[0] *= 100  # each output channel has its own steps
    weight[-1, ..., 0] = 0
    state = {"a.weight": weight, "a.bias": torch.randn(shape[0], generator=generator)}
    packed = pack(state)
    found = unpack(load(save(packed)))
    assert packed["a.weight"].dtype == torch.int8
    assert found.keys() == state.keys()
    step = weight.flatten(1).abs().amax(1) / 127
    off = (found["a.weight"] - weight).flatten(1).abs().amax(1)
    assert bool((off <= 0.5001 * step).all())
    assert torch.allclose(found["a.bias"].float(), state["a.bias"], rtol=1e-3)
    again = pack(found)
    assert torch.equal(again["a.weight"], packed["a.weight"])
    assert torch.allclose(again["a.weight.scale"], packed["a.weight.scale"], rtol=1e-6)


def test_a_channel_of_zeros_stays_one_and_plain_states_pass_through() -> None:
    assert not unpack(pack({"w": torch.zeros(3, 2)}))["w"].any()
    plain = {"w": torch.rand(3, 2), "b": torch.rand(3).half()}
    assert all(torch.equal(unpack(plain)[name], x) for name, x in plain.items())


def test_integers_without_their_scale_are_no_weights() -> None:
    packed = pack({"w": torch.rand(3, 2)})
    del packed["w.scale"]
    with pytest.raises(ValueError, match="w has 8 bits and no scale"):
        unpack(packed)
