"""The state crosses a frame boundary, and nothing else does."""

from __future__ import annotations

import torch

from vidstyle.stylize.engine import State


def test_the_state_reaches_as_far_back_as_it_must_and_no_farther() -> None:
    frames = [torch.full((1,), float(t)) for t in range(20)]
    for reach in (1, 2, 8):
        state = State()
        for t, frame in enumerate(frames):
            assert {j: int(image) for j, image in state.images.items()} == {
                j: t - j for j in range(1, min(reach, t) + 1)
            }
            state = state.followed_by(frame, reach)
