"""Expansive path of U-Net (arXiv:1505.04597, section 2) over any backbone."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from detkit.layers import make_norm
from detkit.necks.base import MapSource, Neck

Norm = Literal["batch", "group"]


class UNetDecoder(Neck):
    """Upsample the coarsest map step by step; each step adds the backbone's map of the same stride.

    A step is a transposed convolution, the concatenation with the map, and two 3x3 convolutions. Once the backbone has no finer map, steps
    go on without one, each to half the stride, until the stride is 1 or ``channels`` are used up.

    Args:
        backbone: Source of the maps, finest first.
        channels: Channels of each step, coarsest first; as many as there are steps, at least one.
        norm: Norm after each convolution; None: biases instead, as in the paper.
        valid: Whether convolutions are not padded: maps lose a pixel at each side, and the backbone's maps are cropped at the center.

    Raises:
        ValueError: If there are more channels than steps, or fewer than maps to add.
    """

    def __init__(self, backbone: MapSource, channels: tuple[int, ...], *, norm: Norm | None = "batch", valid: bool = False) -> None:
        strides, skips = _steps(backbone.strides, backbone.channels)
        if not len(backbone.strides) - 1 <= len(channels) <= len(strides) or not channels:
            raise ValueError(
                f"U-Net decoder: expected {max(1, len(backbone.strides) - 1)} to {len(strides)} channels for maps of strides "
                f"{', '.join(map(str, backbone.strides))}, got {len(channels)}; change model.decoder.channels or model.backbone.levels"
            )
        super().__init__(backbone, (channels[-1],), (strides[len(channels) - 1],))
        before = (backbone.strides[-1], *strides)
        inputs = (backbone.channels[-1], *channels)
        self.steps = nn.ModuleList(
            UpStep(inputs[step], skips[step], out, before[step] // strides[step], norm=norm, valid=valid)
            for step, out in enumerate(channels)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the map of normalized images ``(B, 3, H, W)`` as a tuple of one."""
        *finer, features = self.backbone(images)
        for step in self.steps:
            features = step(features, finer.pop() if finer else None)
        return (features,)


class UpStep(nn.Module):
    """One step of the expansive path.

    Args:
        in_channels: Channels of the coarser map.
        skip_channels: Channels of the map to add; 0 for none.
        out_channels: Channels of the result.
        factor: Ratio of the strides.
        norm: See :class:`UNetDecoder`.
        valid: See :class:`UNetDecoder`.
    """

    def __init__(
        self, in_channels: int, skip_channels: int, out_channels: int, factor: int, *, norm: Norm | None = None, valid: bool = False
    ) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, out_channels, factor, factor)
        self.convs = double_conv(out_channels + skip_channels, out_channels, norm=norm, valid=valid)
        self.valid = valid

    def forward(self, features: Tensor, skip: Tensor | None) -> Tensor:
        """Return the upsampled map, joined with the backbone's map if there is one."""
        features = self.up(features)
        if skip is not None:
            if self.valid:
                skip = center_crop(skip, features.shape[-2], features.shape[-1])
            # Maps have ceil(size / stride) cells and begin at the same pixel, so the upsampled one has a cell too much at odd sizes.
            features = torch.cat((skip, features[..., : skip.shape[-2], : skip.shape[-1]]), 1)
        joined: Tensor = self.convs(features)
        return joined


def double_conv(in_channels: int, out_channels: int, *, norm: Norm | None = None, valid: bool = False) -> nn.Sequential:
    """Return two 3x3 convolutions, each followed by a ReLU, and by a norm before it if there is one."""
    parts: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        parts.append(nn.Conv2d(channels, out_channels, 3, padding=0 if valid else 1, bias=norm is None))
        normalization = make_norm(norm, out_channels)
        parts += ([] if normalization is None else [normalization]) + [nn.ReLU(inplace=True)]
    return nn.Sequential(*parts)


def center_crop(features: Tensor, height: int, width: int) -> Tensor:
    """Return the center of a map; an odd remainder is cut at the bottom and at the right."""
    top, left = (features.shape[-2] - height) // 2, (features.shape[-1] - width) // 2
    return features[..., top : top + height, left : left + width]


def mirrored(images: Tensor, left: int, top: int, right: int, bottom: int) -> Tensor:
    """Return images ``(B, C, H, W)`` extended by mirroring them at their edges, as often as it takes."""
    while left or top or right or bottom:
        most_y, most_x = images.shape[-2] - 1, images.shape[-1] - 1
        if not most_y or not most_x:  # nothing to mirror in an image of one row or column
            return functional.pad(images, (left, right, top, bottom), mode="replicate")
        x, y = (min(left, most_x), min(right, most_x)), (min(top, most_y), min(bottom, most_y))
        images = functional.pad(images, (*x, *y), mode="reflect")
        left, right, top, bottom = left - x[0], right - x[1], top - y[0], bottom - y[1]
    return images


def _steps(strides: tuple[int, ...], channels: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """Return the stride of each possible step, coarsest first, and the channels of the map to add; 0 for none."""
    new_strides, skips = list(strides[-2::-1]), list(channels[-2::-1])
    finest = strides[0]
    while finest > 1:
        finest //= 2
        new_strides.append(finest)
        skips.append(0)
    return new_strides, skips
