"""A padded batch of images, ready for a network."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

Size = tuple[int, int]
"""An image's ``(height, width)`` in pixels."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Normalized images of one padded size, with the size each had before padding.

    Attributes:
        images: ``(B, 3, H, W)`` floats, normalized, padded at the right and the bottom.
        sizes: ``(height, width)`` of each image before padding.
        seeds: One number an image from which random choices about it are drawn, so that they depend on the image and
            the step alone and not on the process or the place in the batch.
    """

    images: Tensor
    sizes: tuple[Size, ...]
    seeds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.shape[0] != len(self.sizes):
            raise ValueError(f"Batch.images: expected (B, 3, H, W) with B = {len(self.sizes)} sizes, got {tuple(self.images.shape)}")
        if self.seeds and len(self.seeds) != len(self.sizes):
            raise ValueError(f"Batch.seeds: expected {len(self.sizes)}, one an image, got {len(self.seeds)}")

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def padded_size(self) -> Size:
        """``(height, width)`` of the tensor, the same for all its images."""
        return self.images.shape[-2], self.images.shape[-1]
