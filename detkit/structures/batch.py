"""Padded batch of images, the input of a network."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from detkit.arrays import Size


@dataclass(frozen=True, eq=False)
class Batch:
    """Normalized images, padded to one size, with the size of each before padding.

    Attributes:
        images: ``(B, 3, H, W)`` floats, normalized, padded at the right and bottom.
        sizes: ``(height, width)`` of each image before padding.
        seeds: One seed per image for random choices about it, so that they depend only on the image and the step, not on the
            process or the position in the batch.
    """

    images: Tensor
    sizes: tuple[Size, ...]
    seeds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.shape[0] != len(self.sizes):
            raise ValueError(f"Batch.images: expected (B, 3, H, W) with B = {len(self.sizes)} sizes, got {tuple(self.images.shape)}")
        if self.seeds and len(self.seeds) != len(self.sizes):
            raise ValueError(f"Batch.seeds: expected {len(self.sizes)}, one per image, got {len(self.seeds)}")

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def padded_size(self) -> Size:
        """``(height, width)`` of the tensor, shared by all images."""
        return self.images.shape[-2], self.images.shape[-1]

    @property
    def is_padded(self) -> bool:
        """Whether an image is smaller than the tensor."""
        return any(size != self.padded_size for size in self.sizes)
