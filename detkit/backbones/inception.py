"""BN-Inception and Inception-ResNet v1, which no library supplies, padded so that cells are centered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from detkit.backbones.backbone import Backbone, SequentialBackbone
from detkit.backbones.recipe import Recipe
from detkit.backbones.registry import BACKBONE_INFO


def bn_inception(**options: Any) -> Backbone:
    """BN-Inception, also called Inception v2 (Ioffe and Szegedy, 2015, figure 5)."""
    return _chain("bn_inception", **options)


def inception_resnet_v1(**options: Any) -> Backbone:
    """Inception-ResNet v1 (Szegedy et al., 2016, figures 10 to 14)."""
    return _chain("inception_resnet_v1", **options)


def network(name: str) -> nn.Module:
    """Return the ImageNet classifier of this name with random weights."""
    parts = _bn_inception() if name == "bn_inception" else _inception_resnet_v1()
    return Inception(parts, BACKBONE_INFO[name].levels[-1].channels, dropout=0.0 if name == "bn_inception" else 0.2)


def _chain(name: str, **options: Any) -> Backbone:
    taps = {f"c{level}": f"stage{level}" for level in (1, 2, 3, 4, 5)}
    return SequentialBackbone.from_recipe(
        network(name), BACKBONE_INFO[name], Recipe(tuple((part,) for part in taps.values()), taps), **options
    )


class Inception(nn.Module):
    """Five stages and a classifier.

    Args:
        stages: The modules of each stage.
        channels: Of the last map.
        dropout: Dropout rate of the pooled features.
    """

    def __init__(self, stages: tuple[tuple[nn.Module, ...], ...], channels: int, *, dropout: float) -> None:
        super().__init__()
        for number, parts in enumerate(stages, 1):
            self.add_module(f"stage{number}", nn.Sequential(*parts))
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, 1000)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(B, 1000)`` of normalized images."""
        for number in (1, 2, 3, 4, 5):
            images = self.get_submodule(f"stage{number}")(images)
        logits: Tensor = self.classifier(self.dropout(images.mean((-2, -1))))
        return logits


class Branches(nn.Module):
    """Parallel branches, whose outputs are concatenated along the channels."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """Return the concatenated outputs of all branches for ``(B, C, H, W)``."""
        return torch.cat([branch(x) for branch in self.branches], 1)


class Residual(nn.Module):
    """Branches with a residual connection, scaled down to keep training stable (section 3.3 of the Inception-ResNet paper)."""

    def __init__(self, branches: Branches, joined: int, channels: int, scale: float) -> None:
        super().__init__()
        self.branches = branches
        self.project = nn.Conv2d(joined, channels, 1)
        self.relu = nn.ReLU(inplace=True)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        output: Tensor = self.relu(x + self.scale * self.project(self.branches(x)))
        return output


def _conv(in_channels: int, channels: int, kernel: int | tuple[int, int] = 1, stride: int = 1) -> nn.Sequential:
    high, wide = (kernel, kernel) if isinstance(kernel, int) else kernel
    convolution = nn.Conv2d(in_channels, channels, (high, wide), stride, (high // 2, wide // 2), bias=False)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


def _sequence(in_channels: int, *shapes: tuple[int, int | tuple[int, int]], stride: int = 1) -> nn.Sequential:
    """Build convolutions of (channels, kernel) in sequence; the last one has the stride."""
    parts = []
    for number, (channels, kernel) in enumerate(shapes, 1):
        parts.append(_conv(in_channels, channels, kernel, stride if number == len(shapes) else 1))
        in_channels = channels
    return nn.Sequential(*parts)


def _pool(stride: int = 2) -> nn.MaxPool2d:
    return nn.MaxPool2d(3, stride, 1)


@dataclass(frozen=True)
class Widths:
    """Channels of the branches of a BN-Inception block (figure 5).

    Attributes:
        one: Of the 1x1 convolution.
        three: Of the 1x1 and the 3x3 convolution in sequence.
        double: Of the 1x1 convolution and the two 3x3 convolutions in sequence.
        pooled: Of the 1x1 convolution after the pooling.
        pool: The pooling.
    """

    one: int
    three: tuple[int, int]
    double: tuple[int, int]
    pooled: int
    pool: type[nn.AvgPool2d | nn.MaxPool2d] = nn.AvgPool2d


def _block(in_channels: int, widths: Widths) -> Branches:
    """Build a BN-Inception block: 1x1; 1x1 and 3x3; 1x1 and two 3x3; pooling and 1x1."""
    last = nn.Sequential(widths.pool(3, 1, 1), _conv(in_channels, widths.pooled))
    three = _sequence(in_channels, (widths.three[0], 1), (widths.three[1], 3))
    return Branches(_conv(in_channels, widths.one), three, _double(in_channels, widths.double), last)


def _double(in_channels: int, channels: tuple[int, int], stride: int = 1) -> nn.Sequential:
    return _sequence(in_channels, (channels[0], 1), (channels[1], 3), (channels[1], 3), stride=stride)


def _downsample(in_channels: int, three: tuple[int, int], double: tuple[int, int]) -> Branches:
    """Build a BN-Inception block of stride 2; its pooling branch has no convolution."""
    return Branches(_sequence(in_channels, (three[0], 1), (three[1], 3), stride=2), _double(in_channels, double, 2), _pool())


def _bn_inception() -> tuple[tuple[nn.Module, ...], ...]:
    """Build the stages of figure 5, with 96 pooling channels in 4c and 4d, which yields the widths that the figure states."""
    fourth = (
        _downsample(320, (128, 160), (64, 96)),
        _block(576, Widths(224, (64, 96), (96, 128), 128)),
        _block(576, Widths(192, (96, 128), (96, 128), 128)),
        _block(576, Widths(160, (128, 160), (128, 160), 96)),
        _block(576, Widths(96, (128, 192), (160, 192), 96)),
    )
    fifth = (
        _downsample(576, (128, 192), (192, 256)),
        _block(1024, Widths(352, (192, 320), (160, 224), 128)),
        _block(1024, Widths(352, (192, 320), (192, 224), 128, nn.MaxPool2d)),
    )
    return (
        (_conv(3, 64, 7, 2),),
        (_pool(), _conv(64, 64), _conv(64, 192, 3)),
        (_pool(), _block(192, Widths(64, (64, 64), (64, 96), 32)), _block(256, Widths(64, (64, 96), (64, 96), 64))),
        fourth,
        fifth,
    )


def _inception_resnet_v1() -> tuple[tuple[nn.Module, ...], ...]:
    """Build the stages of figures 10 to 14, with residual scales within the .1 to .3 that the paper gives."""

    def block_a() -> Residual:
        return Residual(
            Branches(_conv(256, 32), _sequence(256, (32, 1), (32, 3)), _sequence(256, (32, 1), (32, 3), (32, 3))), 96, 256, 0.17
        )

    def block_b() -> Residual:
        return Residual(Branches(_conv(896, 128), _sequence(896, (128, 1), (128, (1, 7)), (128, (7, 1)))), 256, 896, 0.1)

    def block_c() -> Residual:
        return Residual(Branches(_conv(1792, 192), _sequence(1792, (192, 1), (192, (1, 3)), (192, (3, 1)))), 384, 1792, 0.2)

    reduce_a = Branches(_pool(), _conv(256, 384, 3, 2), _sequence(256, (192, 1), (192, 3), (256, 3), stride=2))
    reduce_b = Branches(
        _pool(),
        _sequence(896, (256, 1), (384, 3), stride=2),
        _sequence(896, (256, 1), (256, 3), stride=2),
        _sequence(896, (256, 1), (256, 3), (256, 3), stride=2),
    )
    return (
        (_conv(3, 32, 3, 2), _conv(32, 32, 3), _conv(32, 64, 3)),
        (_pool(), _conv(64, 80), _conv(80, 192, 3)),
        (_conv(192, 256, 3, 2), *(block_a() for _ in range(5))),
        (reduce_a, *(block_b() for _ in range(10))),
        (reduce_b, *(block_c() for _ in range(5))),
    )
