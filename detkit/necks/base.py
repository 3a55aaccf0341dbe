"""Base of the necks: a neck wraps a backbone and has the same interface."""

from __future__ import annotations

from typing import Protocol, cast

from torch import Tensor, nn


class MapSource(Protocol):
    """A module that returns feature maps, finest first: a backbone, or a neck over one."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    level_names: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the feature maps of normalized images."""


class Neck(nn.Module):
    """A network over the maps of a backbone, itself a source of maps.

    Attributes:
        backbone: The wrapped backbone.
        channels: Channels of each map, finest first.
        strides: Stride of each map in pixels.
        mean: Mean of the backbone's input, RGB in [0, 1].
        std: Standard deviation of the backbone's input, RGB in [0, 1].
    """

    def __init__(self, backbone: MapSource, channels: tuple[int, ...], strides: tuple[int, ...]) -> None:
        super().__init__()
        self.backbone = cast("nn.Module", backbone)
        self.channels = channels
        self.strides = strides
        self.level_names = tuple(f"p{stride.bit_length() - 1}" for stride in strides)
        self.mean, self.std = backbone.mean, backbone.std


def initialize(module: nn.Module) -> None:
    """Initialize every convolution of ``module`` as in torchvision's pyramid: Kaiming uniform by fan-in, biases 0."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_uniform_(part.weight, a=1)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
