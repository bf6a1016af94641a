"""Placeholder."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Bars:
    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    @property
    def is_empty(self) -> bool:
        return not (self.top or self.bottom or self.left or self.right)

    def crop(self, image: Tensor) -> Tensor:
        h, w = image.shape[1:]
        return image[:, self.top : h - self.bottom, self.left : w - self.right]

    def paste(self, inside: Tensor, frame: Tensor) -> Tensor:
        result = frame.clone()
        self.crop(result).copy_(inside)
        return result

    def inner_size(self, size: tuple[int, int]) -> tuple[int, int]:
        return size[0] - self.left - self.right, size[1] - self.top - self.bottom


NO_BARS = Bars()
